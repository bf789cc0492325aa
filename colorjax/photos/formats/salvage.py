"""What is left of a picture that is cut short: the rows that are there, and one flat tone for those that are not."""

import contextlib
import math
import struct
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import ImageFile

_DEFLATE = (8, 32946)  # compressions of TIFF
_TOLERANT = threading.Lock()  # held by who has told Pillow to be so, which it is for all or none


@contextlib.contextmanager
def tolerant() -> Iterator[None]:
    """Pillow decodes what it can."""
    with _TOLERANT:
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False


def rows_left(image: np.ndarray) -> int:
    """How many rows of a picture (H, W, ...) there are beside those at one of its ends that have all one tone.

    That is the lower one, unless a format begins with the last row.
    """
    rows = image.reshape(len(image), -1)
    flat = [(rows == rows[end, -1]).all(axis=1)[::step] for end, step in ((-1, -1), (0, 1))]
    return min(0 if rest.all() else len(rest) - int(np.argmin(rest)) for rest in flat)


def completed_png(data: bytes) -> bytes:
    """A PNG that is cut short, with zeros for the rows that are missing. Raises ValueError for an interlaced one."""
    width, height, depth, kind, *_, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    if interlaced:
        raise ValueError("interlaced, and truncated")
    packed, place = b"", 8
    while len(head := data[place : place + 8]) == 8:
        size = int.from_bytes(head[:4], "big")
        packed += data[place + 8 : place + 8 + size] if head[4:] == b"IDAT" else b""
        place += 12 + size
    size = height * (1 + -(-width * depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind] // 8))
    chunks = ((b"IHDR", data[16:29]), (b"IDAT", zlib.compress(_unpacked(packed, size), 1)), (b"IEND", b""))
    return data[:8] + b"".join(
        struct.pack(">I", len(inside)) + name + inside + struct.pack(">I", zlib.crc32(name + inside)) for name, inside in chunks
    )


def _unpacked(packed: bytes, size: int) -> bytes:
    """So many bytes of a zlib stream that may be cut or damaged, with zeros for those that are lost."""
    unpacker, found = zlib.decompressobj(), bytearray()
    try:
        for start in range(0, len(packed), 4096):
            found += unpacker.decompress(packed[start : start + 4096], size - len(found))
            if len(found) >= size:
                break
    except zlib.error:
        pass
    return bytes(found.ljust(size, b"\0"))


def left(page: Any) -> np.ndarray:
    """The pixels of a page of a TIFF of which parts are missing: 0 there."""
    out = np.zeros(page.shaped, page.dtype)
    for index, (place, count) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=False)):
        page.parent.filehandle.seek(place)
        data = page.parent.filehandle.read(count)
        if len(data) < count and int(page.compression) == 1:
            data = data.ljust(count, b"\0")
        elif len(data) < count and int(page.compression) in _DEFLATE:
            data = zlib.compress(_unpacked(data, math.prod(page.chunks) * page.dtype.itemsize), 1)
        try:
            part, (plane, depth, top, left, _), _ = page.decode(data, index)
        except Exception:  # the codecs' own words, of what is not there
            continue
        if part is not None:
            room = out[plane, depth:, top:, left:]
            part = part[: room.shape[0], : room.shape[1], : room.shape[2]]
            room[: part.shape[0], : part.shape[1], : part.shape[2]] = part
    return out.reshape(page.shape)
