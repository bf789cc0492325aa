"""What requests bring, read while it comes and no further than it may go."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request

from colorjax.web.connections import Patience
from colorjax.web.sessions import Refused

_LARGEST_JSON = 200_000  # bytes: 1,000 hints
_LONGEST_PAGE = 40


def check_length(request: Request, limit: int) -> None:
    """Raises Refused where the request declares a body that is larger than `limit` bytes."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared[:20]) > limit:
        raise _too_large(limit)


async def receive(request: Request, path: Path, limit: int, grow: Callable[[int], None]) -> None:
    """The body into a file; `grow` hears of so many bytes more before they are written, and raises where there is no room.

    Raises Refused once it is larger than `limit` bytes, TimeoutError.
    """
    size = 0
    with open(path, "wb") as file:
        async for chunk in _patient(request.stream()):
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            grow(len(chunk))
            file.write(chunk)


async def json_of(request: Request) -> dict[str, Any]:
    """The JSON object in the body. Raises Refused where it is none, or larger than any that is meant; TimeoutError."""
    data = bytearray()
    check_length(request, _LARGEST_JSON)
    async for chunk in _patient(request.stream()):
        data += chunk
        if len(data) > _LARGEST_JSON:
            raise _too_large(_LARGEST_JSON)
    try:
        asked = json.loads(data)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict) or not isinstance(asked.get("hints", []), list):
        raise Refused(400, "this is no JSON that the page would send")
    return asked


def page_of(asked: dict[str, Any]) -> str:
    """What a tab calls itself, so that another of the same visitor does not take its place. Raises Refused."""
    page = asked.get("page", "")
    if not isinstance(page, str) or len(page) > _LONGEST_PAGE:
        raise Refused(400, f"the name of a page is a text of at most {_LONGEST_PAGE} letters")
    return page


async def _patient(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same chunks. Raises TimeoutError where one lets wait too long, or all together do."""
    patience = Patience()
    while True:
        start = time.monotonic()
        try:
            chunk = await asyncio.wait_for(anext(stream), patience.left)
        except StopAsyncIteration:
            return
        patience.wait(time.monotonic() - start, len(chunk))
        yield chunk


def _too_large(limit: int) -> Refused:
    return Refused(413, f"larger than {limit / 1e6:.4g} MB, the most that is taken here")
