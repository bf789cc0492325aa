"""A picture's coded pixels, as they lie in its file, under other metadata: what a lossy format must not code twice."""

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from colorjax.photos import parts
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
    except (struct.error, LookupError) as error:
        raise PhotoError.of("its copy cannot be taken apart", error) from None


def can_refresh(name: str) -> bool:
    """Whether the metadata of a copy in Pillow's format `name` can be changed and its pixels stay: not of every lossy one."""
    return name not in LOSSY or name in _JOINED


def _jpeg(old: bytes, new: bytes) -> bytes:
    """All that the new one says, and the tables and scans of the old one."""
    said = [new[start:end] for marker, start, end in _segments(new) if parts.says(marker)]
    pixels = [old[start:end] for marker, start, end in _segments(old) if not parts.says(marker)]
    return b"\xff\xd8" + b"".join(said) + b"".join(pixels)


def _segments(jpeg: bytes) -> list[tuple[int, int, int]]:
    """(marker, start, end) of each with its head; the last is all from the first scan on. Raises struct.error where none is."""
    found = [(marker, place - 4, place + size) for marker, place, size in parts.segments(io.BytesIO(jpeg))]
    if not found or found[-1][0] != parts.SCAN:
        raise struct.error("no coded pixels")
    return [*found[:-1], (parts.SCAN, found[-1][1], len(jpeg))]


def _webp(old: bytes, new: bytes) -> bytes:
    """The old one's size and pictures; profile, EXIF and XMP of the new one."""
    pictures, about = _chunks(old), _chunks(new)
    head = bytearray(about[b"VP8X"])
    head[0] |= pictures[b"VP8X"][0] & (_ALPHA | _ANIMATED)
    head[4:] = pictures[b"VP8X"][4:]
    kinds = (b"ALPH", b"VP8 ", b"VP8L")
    pieces = [(b"VP8X", bytes(head)), *((kind, about[kind]) for kind in (b"ICCP",) if kind in about)]
    pieces += [(kind, pictures[kind]) for kind in kinds if kind in pictures]
    pieces += [(kind, about[kind]) for kind in (b"EXIF", b"XMP ") if kind in about]
    body = b"".join(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in pieces)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _chunks(webp: bytes) -> dict[bytes, bytes]:
    return {kind: webp[place : place + size] for kind, place, size in parts.webp_chunks(io.BytesIO(webp))}


_JOINED: dict[str, Callable[[bytes, bytes], bytes]] = {"JPEG": _jpeg, "WEBP": _webp}
