"""Answers of every kind: pictures, files, what a task found, and the words where something cannot be."""

import asyncio
import functools
import io
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response

from colorjax import photos
from colorjax.web.lanes import Superseded, Task, TooLong
from colorjax.web.sessions import Refused

_QUALITY = 92  # of the JPEGs that the page shows
_LOG = logging.getLogger(__name__)

Endpoint = Callable[[Any, Request], Awaitable[Response]]


def polite(endpoint: Endpoint) -> Endpoint:
    """Whatever goes wrong is said in a few words, which name nothing of the server."""

    @functools.wraps(endpoint)
    async def answered(page: Any, request: Request) -> Response:
        try:
            return await endpoint(page, request)
        except Refused as error:
            status, words = error.status, str(error)
        except Superseded:
            status, words = 409, "a later request took its place"
        except (TooLong, TimeoutError):
            status, words = 503, "it took too long, and was given up; please try again later, or with a smaller photograph"
        except MemoryError:
            status, words = 507, "there is not enough memory for it just now"
        except photos.PhotoError as error:
            status, words = 415, str(error)
        except ValueError as error:  # HintError, NoColorError
            status, words = 422, str(error)
        except ClientDisconnect:
            status, words = 400, "the connection ended"
        except Exception:
            _LOG.exception("a request could not be answered")
            status, words = 500, "something went wrong; the server's log says what"
        return JSONResponse({"error": photos.legible(words)}, status)

    return answered


async def result(task: Task) -> Any:
    """What a task gives."""
    return await asyncio.wrap_future(task.future)


def file(path: Path) -> Response:
    """A file under its own name."""
    return FileResponse(path, filename=path.name)


def jpeg(image: np.ndarray, quality: int = _QUALITY) -> bytes:
    """(h, w) or (h, w, 3) uint8."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()
