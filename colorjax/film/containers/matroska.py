"""What PyAV cannot tell FFmpeg's writer of Matroska: the shape of a pixel, and that sound begins before the first picture. It
is put into the finished file.

RFC 9559 (Matroska) and RFC 8794 (EBML): an element is an identifier, a length and its content.
"""

import math
import os
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

_SEGMENT, _TRACKS, _TRACK, _VIDEO, _CRC, _VOID = (
    bytes.fromhex(name) for name in ("18538067", "1654AE6B", "AE", "E0", "BF", "EC")
)
_WIDTH, _HEIGHT, _UNIT = (bytes.fromhex(name) for name in ("54B0", "54BA", "54B2"))
_CROPS = tuple(bytes.fromhex(name) for name in ("54AA", "54BB", "54CC", "54DD"))
_NAME, _DELAY = bytes.fromhex("536E"), bytes.fromhex("56AA")
_STEREO = bytes.fromhex("53B8")  # StereoMode: how many eyes lie beside, and above, each other
_EYES = dict.fromkeys((1, 8, 9, 11), (2, 1)) | dict.fromkeys((2, 3, 6, 7), (1, 2)) | dict.fromkeys((4, 5), (2, 2))
_EBML = bytes.fromhex("1A45DFA3")
_HEAD = 2**24  # bytes in which the tracks are looked for; attachments come behind them
ROOM = 16 * "_"  # at the end of the title of a track of sound, which `set_delays` takes away

Children = list[tuple[bytes, bytes]]  # (identifier, content) of each element


def set_aspect(path: Path, width: int, height: int, aspect: Fraction) -> bool:
    """Say of the first track of pictures, which are (width, height), that a pixel is `aspect` as wide as high.

    Returns False, and leaves the file as it is, where there is no room for it: FFmpeg leaves some in each track.
    """
    done: list[bool] = []

    def change(_: int, children: Children) -> Children | None:
        if done or not any(name == _VIDEO for name, _ in children):
            return None
        done.append(True)
        return [(name, _shaped(value, width, height, aspect) if name == _VIDEO else value) for name, value in children]

    return _amended(path, change) and bool(done)


def set_delays(path: Path, delays: dict[int, Fraction]) -> bool:
    """Say how many seconds sound begins before its packets say so: CodecDelay, by the place of its track from 0.

    Their titles end in ROOM, which is taken away. Returns False, and leaves the file as it is, where its tracks are not found.
    """

    def change(number: int, children: Children) -> Children | None:
        if number not in delays:
            return None
        kept = [(name, value.removesuffix(ROOM.encode()) if name == _NAME else value) for name, value in children]
        kept = [(name, value) for name, value in kept if name != _NAME or value]
        nanoseconds = round(delays[number] * 10**9)
        return [*kept, (_DELAY, nanoseconds.to_bytes(8, "big").lstrip(b"\0"))] if nanoseconds else kept

    return _amended(path, change)


def missing(path: Path) -> int:
    """How many bytes a file lacks of those that its header promises; 0 where it promises none, or is no Matroska."""
    with open(path, "rb") as stream:
        head, size = stream.read(4096), os.fstat(stream.fileno()).st_size
    ebml = _element(head, 0)
    place = ebml[1] + ebml[2] if ebml and ebml[0] == _EBML else len(head)
    segment = _element(head, place)
    if segment is None or segment[0] != _SEGMENT:
        return 0
    _, start, promised = segment
    is_open = promised == (1 << 7 * (start - place - len(_SEGMENT))) - 1  # of a film that was sent while it was made
    return 0 if is_open else max(0, start + promised - size)


def cut_edges(path: Path) -> bool:
    """Whether the first track of pictures says that players cut off some of its edges."""
    with open(path, "rb") as stream:
        place = _tracks(stream) if stream.read(4) == _EBML and not stream.seek(0) else None
        if place is None:
            return False
        stream.seek(place[0])
        tracks = _children(stream.read(place[1]))
    videos = (value for name, track in tracks if name == _TRACK for child, value in _children(track) if child == _VIDEO)
    return any(name in _CROPS and any(value) for name, value in _children(next(videos, b"")))


def _amended(path: Path, change: Callable[[int, Children], Children | None]) -> bool:
    """Put other elements into tracks: change(number from 0, elements) gives them, or None. Whether there was room."""
    with open(path, "rb+") as stream:
        place = _tracks(stream)
        if place is None:
            return False
        start, size = place
        stream.seek(start)
        tracks = _changed(stream.read(size), change)
        if tracks is None:
            return False
        stream.seek(start)
        stream.write(tracks)
    return True


def _display(width: Fraction, height: Fraction, aspect: Fraction) -> tuple[int, int]:
    """The size at which it is shown: only its proportion counts."""
    whole = math.lcm((width * aspect).denominator, height.denominator)
    return int(width * aspect * whole), int(height * whole)


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


def _changed(tracks: bytes, change: Callable[[int, Children], Children | None]) -> bytes | None:
    """The content of Tracks, as long as before."""
    place, number = 0, 0
    result = bytearray(tracks)
    while element := _element(tracks, place):
        name, start, size = element
        if name == _TRACK:
            children = change(number, _children(tracks[start : start + size]))
            if children is not None:
                track = _track(children, size)
                if track is None:
                    return None
                result[start : start + size] = track
            number += 1
        place = start + size
    first = _element(tracks, 0)
    if first and first[0] == _CRC:  # of all that follows it
        result[first[1] : first[1] + 4] = zlib.crc32(result[first[1] + 4 :]).to_bytes(4, "little")
    return bytes(result) if number else None


def _shaped(video: bytes, width: int, height: int, aspect: Fraction) -> bytes:
    """What is said of pictures, with the size at which they, or what one eye sees of them, are shown."""
    stereo = next((int.from_bytes(inner, "big") for child, inner in _children(video) if child == _STEREO), 0)
    across, down = _EYES.get(stereo, (1, 1))
    shown, high = _display(Fraction(width, across), Fraction(height, down), aspect)
    kept = [(child, inner) for child, inner in _children(video) if child not in (_WIDTH, _HEIGHT, _UNIT, _VOID)]
    return b"".join(_written(child, inner, 1) for child, inner in kept) + _number(_WIDTH, shown) + _number(_HEIGHT, high)


def _track(children: Children, size: int) -> bytes | None:
    """The content of a track, padded to its size."""
    content = b"".join(_written(name, value, 1 if len(value) < 127 else 4) for name, value in children if name != _VOID)
    room = size - len(content)
    if room == 0:
        return content
    if room < 2:
        return None
    return content + (_written(_VOID, bytes(room - 2), 1) if room < 129 else _written(_VOID, bytes(room - 5)))
