"""Whether a file bears the mark of a copy that colorjax made: looked for without reading the file as a picture."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from colorjax.photos import kind

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
            return any(_bears_mark(stream, start, size) for start, size in _PARTS.get(name, _ends)(stream))
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


def _ends(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """The first and the last bytes of a file, as (start, size)."""
    yield 0, _NEAR_AN_END
    yield max(0, stream.seek(0, os.SEEK_END) - _NEAR_AN_END), _NEAR_AN_END


def _segments(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """The APP1 segments of a JPEG, before its first scan."""
    place = 2
    while (head := _at(stream, place, 4)) and head[0] == 0xFF and head[1] not in (0xD9, 0xDA):
        if head[1] == 0xFF:  # filled up
            place += 1
            continue
        size = int.from_bytes(head[2:], "big")
        if head[1] == 0xE1:
            yield place, 2 + size
        place += 2 + size


def _chunks(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """The international texts of a PNG, the XMP of a WebP."""
    png = _at(stream, 0, 4) != b"RIFF"
    place = 8 if png else 12
    while head := _at(stream, place, 8):
        size = int.from_bytes(head[:4], "big") if png else int.from_bytes(head[4:], "little")
        if head[4:] == b"iTXt" if png else head[:4] == b"XMP ":
            yield place + 8, size
        place += 12 + size if png else 8 + size + size % 2


def _boxes(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """The boxes of a JPEG 2000 or XL that may hold XMP."""
    place = 0
    while head := _at(stream, place, 8):
        size = int.from_bytes(head[:4], "big")
        size = int.from_bytes(_at(stream, place + 8, 8), "big") if size == 1 else size
        size = size or stream.seek(0, os.SEEK_END) - place  # 0: up to the end
        if head[4:] in (b"uuid", b"xml "):
            yield place, size
        place += max(8, size)


def _at(stream: BinaryIO, place: int, size: int) -> bytes:
    """So many bytes from a place on, b"" where there are fewer."""
    stream.seek(place)
    data = stream.read(size)
    return data if len(data) == size else b""


_PARTS: dict[str, Callable[[BinaryIO], Iterator[tuple[int, int]]]] = {
    "JPEG": _segments,
    "PNG": _chunks,
    "WEBP": _chunks,
    "JPEG2000": _boxes,
    "JXL": _boxes,
}
