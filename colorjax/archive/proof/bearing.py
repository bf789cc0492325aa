"""Whether a file bears the mark of a copy that colorjax made: looked for without reading the file as a picture."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from colorjax.photos import kind, parts

PREDICTED = "colour predicted by a trained network: "
_NEAR_AN_END = 2**20  # bytes


def is_copy(path: Path) -> bool:
    """Whether a file bears the mark of a copy that colorjax made, whatever it is called; False where it cannot be read.

    It is never compressed. In TIFF, AVIF and HEIC it is looked for near both ends, in others wherever it may lie.
    """
    name = kind(path)
    if name is None:
        return False
    try:
        with open(path, "rb") as stream:
            return any(_bears_mark(stream, start, size) for start, size in _places(name, stream))
    except OSError:
        return False


def _bears_mark(stream: BinaryIO, start: int, size: int) -> bool:
    """Whether the mark is among so many bytes, which are read a part at a time."""
    stream.seek(start)
    before, mark = b"", PREDICTED.encode()
    while size > 0 and (data := stream.read(min(size, _NEAR_AN_END))):
        if mark in before + data:
            return True
        before, size = (before + data)[-len(mark) :], size - len(data)
    return False


_PARTS: dict[str, Callable[[BinaryIO], Iterable[tuple[Any, int, int]]]] = {
    "JPEG": parts.segments,
    "PNG": parts.png_chunks,
    "WEBP": parts.webp_chunks,
    "JPEG2000": parts.boxes,
    "JXL": parts.boxes,
}
_KINDS = {0xE1, b"iTXt", b"XMP ", b"uuid", b"xml "}  # what may hold it: APP1, a text, XMP


def _places(name: str, stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """Where it may lie in a file of a format, as (start, size)."""
    if name in _PARTS:
        yield from ((start, size) for kind, start, size in _PARTS[name](stream) if kind in _KINDS)
        return
    yield 0, _NEAR_AN_END
    yield max(0, stream.seek(0, os.SEEK_END) - _NEAR_AN_END), _NEAR_AN_END
