"""What PyAV cannot tell FFmpeg's writer of Matroska: the shape of a pixel. It is put into the finished file.

RFC 9559 (Matroska) and RFC 8794 (EBML): an element is an identifier, a length and its content.
"""

import zlib
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

_SEGMENT, _TRACKS, _TRACK, _VIDEO, _CRC, _VOID = (
    bytes.fromhex(name) for name in ("18538067", "1654AE6B", "AE", "E0", "BF", "EC")
)
_WIDTH, _HEIGHT, _UNIT = (bytes.fromhex(name) for name in ("54B0", "54BA", "54B2"))
_HEAD = 2**24  # bytes in which the tracks are looked for; attachments come behind them


def set_aspect(path: Path, width: int, height: int, aspect: Fraction) -> bool:
    """Say of the first track of pictures, which are (width, height), that a pixel is `aspect` as wide as high.

    Returns False, and leaves the file as it is, where there is no room for it: FFmpeg leaves some in each track.
    """
    with open(path, "rb+") as stream:
        place = _tracks(stream)
        if place is None:
            return False
        start, size = place
        stream.seek(start)
        tracks = _with_aspect(stream.read(size), *_display(width, height, aspect))
        if tracks is None:
            return False
        stream.seek(start)
        stream.write(tracks)
    return True


def _display(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """The size at which it is shown: only its proportion counts."""
    shown = Fraction(width) * aspect
    return (int(shown), height) if shown.denominator == 1 else (width * aspect.numerator, height * aspect.denominator)


def _tracks(stream: BinaryIO) -> tuple[int, int] | None:
    """Where the content of Tracks starts, and its size."""
    head, place = stream.read(_HEAD), 0
    while element := _element(head, place):
        name, start, size = element
        if name == _TRACKS:
            return (start, size) if start + size <= len(head) else None
        place = start if name == _SEGMENT else start + size
    return None


def _element(data: bytes, place: int) -> tuple[bytes, int, int] | None:
    """(identifier, start of the content, its size) of the element there."""
    if place >= len(data) or not data[place]:
        return None
    name_size = 9 - data[place].bit_length()
    length_at = place + name_size
    if length_at >= len(data) or not data[length_at]:
        return None
    length_size = 9 - data[length_at].bit_length()
    size = int.from_bytes(data[length_at : length_at + length_size], "big") & ((1 << 7 * length_size) - 1)
    return data[place:length_at], length_at + length_size, size


def _children(data: bytes) -> list[tuple[bytes, bytes]]:
    """(identifier, content) of each element in turn."""
    found, place = [], 0
    while element := _element(data, place):
        name, start, size = element
        found.append((name, data[start : start + size]))
        place = start + size
    return found


def _written(name: bytes, content: bytes, length_size: int = 4) -> bytes:
    return name + ((1 << 7 * length_size) | len(content)).to_bytes(length_size, "big") + content


def _number(name: bytes, value: int) -> bytes:
    return _written(name, value.to_bytes((value.bit_length() + 7) // 8, "big"), 1)


def _with_aspect(tracks: bytes, width: int, height: int) -> bytes | None:
    """The content of Tracks with these two numbers in the first track of pictures, as long as before."""
    place, done = 0, False
    result = bytearray(tracks)
    while element := _element(tracks, place):
        name, start, size = element
        if name == _TRACK and not done and any(child == _VIDEO for child, _ in _children(tracks[start : start + size])):
            track = _track(_children(tracks[start : start + size]), size, width, height)
            if track is None:
                return None
            result[start : start + size], done = track, True
        place = start + size
    if not done:
        return None
    first = _element(tracks, 0)
    if first and first[0] == _CRC:  # of all that follows it
        result[first[1] : first[1] + 4] = zlib.crc32(result[first[1] + 4 :]).to_bytes(4, "little")
    return bytes(result)


def _track(children: list[tuple[bytes, bytes]], size: int, width: int, height: int) -> bytes | None:
    """The content of a track, padded to its size."""
    content = b""
    for name, value in children:
        if name == _VIDEO:
            kept = [(child, inner) for child, inner in _children(value) if child not in (_WIDTH, _HEIGHT, _UNIT, _VOID)]
            value = b"".join(_written(child, inner, 1) for child, inner in kept)
            value += _number(_WIDTH, width) + _number(_HEIGHT, height)
        if name != _VOID:
            content += _written(name, value, 1 if len(value) < 127 else 4)
    room = size - len(content)
    if room == 0:
        return content
    if room < 2:
        return None
    return content + (_written(_VOID, bytes(room - 2), 1) if room < 129 else _written(_VOID, bytes(room - 5)))
