"""A picture's coded pixels, as they lie in its file, under other metadata: what a lossy format must not code twice."""

import io
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from colorjax.photos.metadata import Photo, PhotoError
from colorjax.photos.writing import LOSSY, encode

_ALPHA, _ANIMATED = 0x10, 0x02  # flags of a WebP's first chunk


def graft(stream: Any, name: str, data: bytes, like: Photo) -> None:
    """Write the picture of a file, which `encode` wrote in Pillow's format `name`, with the metadata of `like`.

    Its coded pixels are the same, byte by byte. Raises PhotoError for a format of which that cannot be done.
    """
    if name not in _JOINED:
        raise PhotoError(f"the metadata of {name} cannot be changed alone; --overwrite makes the copy anew", "not supported")
    beside = io.BytesIO()
    bare = Photo(np.zeros((1, 1, 3), np.uint8), None, name, like.metadata)
    encode(beside, name, [(bare.image, bare)])
    try:
        stream.write(_JOINED[name](data, beside.getvalue()))
    except (struct.error, IndexError) as error:
        raise PhotoError.of("its copy cannot be taken apart", error) from None


def can_refresh(name: str) -> bool:
    """Whether the metadata of a copy in Pillow's format `name` can be changed and its pixels stay: not of every lossy one."""
    return name not in LOSSY or name in _JOINED


def _jpeg(old: bytes, new: bytes) -> bytes:
    """All that the new one says, and the tables and scans of the old one."""
    said = [new[start:end] for start, end in _segments(new) if _says(new[start + 1])]
    pixels = [old[start:end] for start, end in _segments(old) if not _says(old[start + 1])]
    return b"\xff\xd8" + b"".join(said) + b"".join(pixels)


def _says(marker: int) -> bool:
    """Whether a segment says something of the picture: an application's, or a comment."""
    return 0xE0 <= marker <= 0xEF or marker == 0xFE


def _segments(jpeg: bytes) -> Iterator[tuple[int, int]]:
    """Where each lies; the last is all from the first scan on."""
    start = 2
    while jpeg[start + 1] != 0xDA:
        end = start + 2 + struct.unpack(">H", jpeg[start + 2 : start + 4])[0]
        yield start, end
        start = end
    yield start, len(jpeg)


def _webp(old: bytes, new: bytes) -> bytes:
    """The old one's size and pictures; profile, EXIF and XMP of the new one."""
    pictures, about = dict(_chunks(old)), dict(_chunks(new))
    head = bytearray(about[b"VP8X"])
    head[0] |= pictures[b"VP8X"][0] & (_ALPHA | _ANIMATED)
    head[4:] = pictures[b"VP8X"][4:]
    kinds = (b"ALPH", b"VP8 ", b"VP8L")
    parts = [(b"VP8X", bytes(head)), *((kind, about[kind]) for kind in (b"ICCP",) if kind in about)]
    parts += [(kind, pictures[kind]) for kind in kinds if kind in pictures]
    parts += [(kind, about[kind]) for kind in (b"EXIF", b"XMP ") if kind in about]
    body = b"".join(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in parts)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _chunks(webp: bytes) -> Iterator[tuple[bytes, bytes]]:
    start = 12
    while start < len(webp):
        kind, size = struct.unpack("<4sI", webp[start : start + 8])
        yield kind, webp[start + 8 : start + 8 + size]
        start += 8 + size + size % 2


_JOINED: dict[str, Callable[[bytes, bytes], bytes]] = {"JPEG": _jpeg, "WEBP": _webp}
