"""DPX (SMPTE 268M): FFmpeg reads the pixels; into a copy goes the header byte by byte, and pixels in colour.

Only what describes the pixels is changed in a header, and only where they are stored otherwise: grey becomes RGB. Rows begin
where those of the source do, at words of 32 bits or not.
"""

import struct
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from colorjax.film.containers import planes
from colorjax.film.containers.reading import FilmError

_MAGIC = {b"SDPX": ">", b"XPDS": "<"}
_RGB, _FILLED = 50, (1, 2)  # descriptor of R, G, B; 10 or 12 bits in words of 32 or 16, the spare bits last or first
_LOGARITHMIC = (1, 3)  # transfer: printing density, logarithmic
_READ = {6: "grey", 50: "RGB", 51: "RGBA", 52: "ABGR"}
_LEVELS = {6: 1, 50: 3, 51: 4, 52: 4}  # of a pixel
_UNDEFINED = 2**32 - 1
_WIDEST = 2**16  # bytes of padding that a row may have


class Header(NamedTuple):
    """What is in front of the pixels, and behind. order: of bytes, as `struct` names it. shape: (height, width).

    packing: how levels of 10 and 12 bits lie in their words. size: of the file. line: bytes from one row to the next, 0 where
    that is not known. tail: the bytes behind the last row.
    """

    data: bytes
    order: str
    shape: tuple[int, int]
    bits: int
    descriptor: int
    transfer: int
    packing: int = _FILLED[0]
    size: int = 0
    line: int = 0
    tail: bytes = b""

    @property
    def stride(self) -> int:
        """Bytes of a row without what follows it."""
        levels = self.shape[1] * _LEVELS[self.descriptor]
        if self.bits == 10:
            return -(-levels // 3) * 4
        if self.bits == 12 and not self.packing:
            return -(-3 * levels // 8) * 4
        return levels if self.bits == 8 else 2 * levels


def header(path: Path) -> Header:
    """Of a file. Raises FilmError where it is no DPX, or of a kind that is not read here."""
    with open(path, "rb") as stream:
        head = stream.read(2048)
        order = _MAGIC.get(head[:4])
        if order is None or len(head) < 816:
            raise FilmError(f"{path.name} is no DPX, or its header is cut short")
        (start,) = struct.unpack(f"{order}I", head[4:8])
        elements, width, height = struct.unpack(f"{order}HII", head[770:780])
        descriptor, transfer, bits = head[800], head[801], head[803]
        if elements != 1 or descriptor not in _READ or bits not in (8, 10, 12, 16) or not 816 <= start <= 2**24:
            kind = f"{elements} elements of kind {descriptor} and {bits} bits"
            raise FilmError(f"{path.name} holds {kind}: convert it to one of RGB")
        size, packing = stream.seek(0, 2), struct.unpack(f"{order}H", head[804:806])[0]
        stream.seek(0)
        found = Header(stream.read(start), order, (height, width), bits, descriptor, transfer, packing, size)
        line = _line(found.stride, height, size - start, _said(found))
        stream.seek(start + line * height)
        return found._replace(line=line, tail=stream.read() if line else b"")


def _said(head: Header) -> int:
    """What the header says of bytes behind each row; 0 where it is silent."""
    (padding,) = struct.unpack(f"{head.order}I", head.data[812:816])
    return padding if padding < _WIDEST else 0


def _line(stride: int, height: int, room: int, said: int) -> int:
    """Bytes from one row to the next; 0 where no layout fits into `room` bytes. said: how many the header adds to a row.

    SMPTE 268M begins each row at a word of 32 bits. Not all programs do, and few say so: the size of the file tells.
    """
    layouts = [stride + said, _aligned(stride) + said] if said else []
    layouts += [_aligned(stride), stride]
    exact = [line for line in layouts if room in (line * height, line * (height - 1) + stride)]  # the last may end early
    return next(iter([*exact, *(line for line in layouts if line * height <= room)]), 0)


def _aligned(stride: int) -> int:
    return -(-stride // 4) * 4


def is_logarithmic(head: Header) -> bool:
    """Whether its levels are densities of a negative, and look flat."""
    return head.transfer in _LOGARITHMIC


def has_alpha(head: Header) -> bool:
    """Whether pixels say how much of them is seen."""
    return head.descriptor in (51, 52)


def read(path: Path) -> np.ndarray:
    """The levels, (H, W) or (H, W, 3) uint8 or uint16, of as many bits as the header says. Raises FilmError."""
    head, data = header(path), path.read_bytes()
    try:
        decoder = av.CodecContext.create("dpx", "r")
        frame = [*decoder.decode(av.Packet(_as_decoded(head, data))), *decoder.decode(None)][0]
    except (av.error.FFmpegError, IndexError, OSError) as error:
        raise FilmError(f"{path.name} cannot be decoded ({getattr(error, 'strerror', None) or 'damaged'})") from None
    if (frame.height, frame.width) != head.shape:
        raise FilmError(f"{path.name} is {frame.width}x{frame.height}, and its header says otherwise")
    name = frame.format.name
    if planes.kind(name) == "grey":
        return planes.luma(frame)
    return planes.rgb(frame)


def _as_decoded(head: Header, data: bytes) -> bytes:
    """A file whose rows lie as FFmpeg takes them, which knows nothing of what the header says of padding."""
    start, height, stride = len(head.data), head.shape[0], head.stride
    if not head.line or (head.line == _aligned(stride) and len(data) >= start + head.line * height):
        return data
    rows = np.frombuffer(data[start : start + head.line * height].ljust(head.line * height, b"\0"), np.uint8)
    return head.data + _padded(rows.reshape(height, head.line)[:, :stride], _aligned(stride))


def _padded(rows: np.ndarray, line: int) -> bytes:
    return np.pad(rows, ((0, 0), (0, line - rows.shape[1]))).tobytes()


def written(head: Header, image: np.ndarray) -> bytes:
    """The bytes of a file: the header, the levels (H, W, 3) of its bits, and what followed them in the source."""
    data, order, is_filled = bytearray(head.data), head.order, head.bits in (10, 12)
    packing = head.packing if head.packing in _FILLED else _FILLED[0]
    rows = _packed(image, head.bits, order, packing)
    stride, line = rows.shape[1], head.line
    if not line or head.descriptor != _RGB or stride != head.stride:  # pixels that lie otherwise
        is_loose = line == head.stride != _aligned(head.stride)
        line = stride if is_loose else _aligned(stride)
        if _said(head) and head.line == head.stride + _said(head):
            data[812:816] = struct.pack(f"{order}I", line - stride)
    body = _padded(rows, line) + head.tail
    data[4:8] = struct.pack(f"{order}I", len(data))
    if head.size != len(data) + len(body) and struct.unpack(f"{order}I", data[16:20])[0] != _UNDEFINED:
        data[16:20] = struct.pack(f"{order}I", len(data) + len(body))
    data[800] = _RGB
    data[804:808] = (struct.pack(f"{order}H", packing) if is_filled else data[804:806]) + bytes(2)  # no runs
    return bytes(data) + body


def _packed(image: np.ndarray, bits: int, order: str, packing: int) -> np.ndarray:
    """Rows of bytes, (H, n) uint8."""
    if bits == 8:
        packed = image.astype(np.uint8)
    elif bits == 10:
        red, green, blue = (image[..., channel].astype(np.uint32) for channel in range(3))
        packed = ((red << 20 | green << 10 | blue) << (2 if packing == _FILLED[0] else 0)).astype(f"{order}u4")
    else:
        spare = 16 - bits if packing == _FILLED[0] else 0
        packed = (image.astype(np.uint16) << spare).astype(f"{order}u2")
    return np.ascontiguousarray(packed).reshape(len(image), -1).view(np.uint8)
