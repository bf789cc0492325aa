"""DPX (SMPTE 268M): FFmpeg reads the pixels; into a copy goes the header byte by byte, and pixels in colour.

Only what describes the pixels is changed in a header, and only where they are stored otherwise: grey becomes RGB.
"""

import os
import struct
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from colorjax.film.containers import planes
from colorjax.film.containers.reading import FilmError

_MAGIC = {b"SDPX": ">", b"XPDS": "<"}
_RGB, _FILLED_A = 50, 1  # descriptor of R, G, B; 10 bits in words of 32, the spare bits last
_LOGARITHMIC = (1, 3)  # transfer: printing density, logarithmic
_READ = {6: "grey", 50: "RGB", 51: "RGBA", 52: "ABGR"}


class Header(NamedTuple):
    """What is in front of the pixels. order: of bytes, as `struct` names it. shape: (height, width)."""

    data: bytes
    order: str
    shape: tuple[int, int]
    bits: int
    descriptor: int
    transfer: int


def header(path: Path) -> Header:
    """Of a file. Raises FilmError where it is no DPX, or of a kind that is not read here."""
    with open(path, "rb") as stream:
        head = stream.read(2048)
        order = _MAGIC.get(head[:4])
        if order is None or len(head) < 816:
            raise FilmError(f"{path.name} is no DPX, or its header is cut short")
        (start,) = struct.unpack(f"{order}I", head[4:8])
        stream.seek(0)
        data = stream.read(start)
    elements, width, height = struct.unpack(f"{order}HII", head[770:780])
    descriptor, transfer, bits = head[800], head[801], head[803]
    if elements != 1 or descriptor not in _READ or bits not in (8, 10, 12, 16) or not 816 <= start <= 2**24:
        raise FilmError(f"{path.name} holds {elements} elements of kind {descriptor} and {bits} bits: convert it to one of RGB")
    return Header(data, order, (height, width), bits, descriptor, transfer)


def is_logarithmic(head: Header) -> bool:
    """Whether its levels are densities of a negative, and look flat."""
    return head.transfer in _LOGARITHMIC


def has_alpha(head: Header) -> bool:
    """Whether pixels say how much of them is seen."""
    return head.descriptor in (51, 52)


def read(path: Path) -> np.ndarray:
    """The levels, (H, W) or (H, W, 3) uint8 or uint16, of as many bits as the header says. Raises FilmError."""
    head = header(path)
    try:
        with av.open(os.path.abspath(path), format="dpx_pipe") as container:
            frame = next(container.decode(video=0))
    except (av.error.FFmpegError, StopIteration, OSError) as error:
        raise FilmError(f"{path.name} cannot be decoded ({getattr(error, 'strerror', None) or 'damaged'})") from None
    if (frame.height, frame.width) != head.shape:
        raise FilmError(f"{path.name} is {frame.width}x{frame.height}, and its header says otherwise")
    name = frame.format.name
    if planes.kind(name) == "grey":
        return planes.luma(frame)
    return planes.rgb(frame)


def written(head: Header, image: np.ndarray) -> bytes:
    """The bytes of a file: the header, and the levels (H, W, 3) of its bits."""
    data, order = bytearray(head.data), head.order
    packed = _packed(image, head.bits, order)
    data[4:8] = struct.pack(f"{order}I", len(data))
    data[16:20] = struct.pack(f"{order}I", len(data) + len(packed))
    data[800] = _RGB
    data[804:816] = struct.pack(f"{order}HHII", _FILLED_A if head.bits in (10, 12) else 0, 0, len(data), 0)
    return bytes(data) + packed


def _packed(image: np.ndarray, bits: int, order: str) -> bytes:
    if bits == 10:
        red, green, blue = (image[..., channel].astype(np.uint32) for channel in range(3))
        return (red << 22 | green << 12 | blue << 2).astype(f"{order}u4").tobytes()
    if bits == 8:
        return image.astype(np.uint8).tobytes()
    levels = image.astype(np.uint16) << (16 - bits)
    return levels.astype(f"{order}u2").tobytes()
