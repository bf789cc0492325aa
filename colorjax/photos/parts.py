"""The parts of which a file is made: segments of a JPEG, chunks of a PNG or a WebP, boxes of JPEG 2000, JPEG XL, AVIF and HEIC.

A walk reads the heads of parts alone. It ends where no head follows: what is damaged there is for a decoder to tell.
Each part comes as (kind, place of its content, size of its content as its head says); the file may be shorter than that.
"""

from collections.abc import Iterator
from typing import BinaryIO

SCAN = 0xDA  # the segment before the first coded pixels of a JPEG
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a segment
_MOST_SEGMENTS = 2**16
_LARGEST_BOX = 2**26  # bytes of metadata


def segments(stream: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """(marker, place, size) of each segment of a JPEG, up to the first scan's: four bytes of head lie before its content.

    Any marker may have bytes of 0xFF before it (ISO/IEC 10918-1, B.1.1.2).
    """
    place = 2
    for _ in range(_MOST_SEGMENTS):
        head = _at(stream, place, 4)
        if len(head) < 4 or head[0] != 0xFF or head[1] == 0xD9:
            return
        if head[1] == 0xFF or head[1] in _ALONE:
            place += 1 if head[1] == 0xFF else 2
            continue
        size = int.from_bytes(head[2:], "big") - 2
        if size < 0:
            return
        yield head[1], place + 4, size
        if head[1] == SCAN:
            return
        place += 4 + size


def says(marker: int) -> bool:
    """Whether a segment says something of the picture, an application's or a comment: its pixels are the same without it."""
    return 0xE0 <= marker <= 0xEF or marker == 0xFE


def png_chunks(stream: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(kind, place, size) of each chunk of a PNG; four bytes of check lie behind its content."""
    place = 8
    while len(head := _at(stream, place, 8)) == 8:
        size = int.from_bytes(head[:4], "big")
        yield head[4:], place + 8, size
        place += 12 + size


def webp_chunks(stream: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(kind, place, size) of each chunk of a WebP."""
    place = 12
    while len(head := _at(stream, place, 8)) == 8:
        size = int.from_bytes(head[4:], "little")
        yield head[:4], place + 8, size
        place += 8 + size + size % 2


def boxes(stream: BinaryIO, place: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """(kind, place, size) of each box that lies between two places: by default, of the whole file."""
    end = stream.seek(0, 2) if end is None else end
    while place + 8 <= end:
        head = _at(stream, place, 16)
        size, start = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, start = int.from_bytes(head[8:], "big"), 16
        size = end - place if size == 0 else size  # 0: up to the end
        if size < start:
            return
        yield head[4:8], place + start, min(size, end - place) - start
        place += size


def content(stream: BinaryIO, place: int, size: int) -> bytes:
    """What a part holds, but no more than metadata can be."""
    return _at(stream, place, min(size, _LARGEST_BOX))


def _at(stream: BinaryIO, place: int, size: int) -> bytes:
    stream.seek(place)
    return stream.read(size)
