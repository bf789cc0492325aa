"""What lies in a file beside its pixels: what is damaged there must not cost them, and what is left behind is named."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from PIL import Image

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
TEXTS = (b"tEXt", b"zTXt", b"iTXt")  # the textual chunks of a PNG
# Others without which its pixels are the same, and what is said where one is damaged.
_BESIDE = {b"iCCP": "its colour profile, which is damaged: its colours were taken as sRGB", b"eXIf": "its EXIF is damaged"}
_BESIDE |= {b"pHYs": "its resolution, which is damaged"}
_BESIDE |= {name: f"its {name.decode()} chunk, which is damaged" for name in (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"sBIT")}
_BESIDE |= {name: f"its {name.decode()} chunk, which is damaged" for name in (b"tIME", b"bKGD", b"hIST", b"sPLT")}
_LARGEST_TEXT, _ALL_TEXTS = 2**24, 2**25  # bytes; Pillow reads 2**26 in all, and unpacks 2**20 of each
_LARGEST_BOX = 2**26  # bytes of metadata
_MOST_SEGMENTS = 1000  # of a JPEG's head


def png_chunks(stream: Any) -> Iterator[tuple[bytes, int, int]]:
    """(kind, place of the content, its size) of each chunk of a PNG."""
    place = 8
    while len(head := (stream.seek(place), stream.read(8))[1]) == 8:
        (size,) = struct.unpack(">I", head[:4])
        yield head[4:], place + 8, size
        place += 12 + size


def mended_png(stream: Any) -> tuple[Any, tuple[str, ...]]:
    """(a PNG without the damaged parts beside its pixels, what was left out, in words); other files as they are.

    Texts that are packed too tightly for Pillow are unpacked.
    """
    head = stream.read(8)
    stream.seek(0)
    if head != _PNG_HEAD:
        return stream, ()
    parts, notes, start, room = [], [], 0, _ALL_TEXTS
    for kind, place, size in png_chunks(stream):
        if kind not in TEXTS and kind not in _BESIDE:
            continue
        stream.seek(place)
        content, check = stream.read(size), stream.read(4)
        if len(check) < 4:  # cut, which its decoder tells
            break
        sound, note = _sound_chunk(kind, content, check, room)
        room -= len(sound) if kind in TEXTS else 0
        if sound != content or note:
            stream.seek(start)
            parts.append(stream.read(place - 8 - start))
            kind = b"tEXt" if kind == b"zTXt" else kind  # unpacked
            parts.append(b"" if note else struct.pack(">I", len(sound)) + kind + sound + _check(kind, sound))
            start = place + size + 4
            notes += [note] if note else []
    stream.seek(start if parts else 0)
    return (io.BytesIO(b"".join([*parts, stream.read()])) if parts else stream), tuple(dict.fromkeys(notes))


def _check(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(kind + content))


def _sound_chunk(kind: bytes, content: bytes, check: bytes, room: int) -> tuple[bytes, str]:
    """(the content of a chunk as Pillow can read it, what is wrong with it: then it is left out)."""
    key, _, rest = content.partition(b"\0")
    name = f"its text {key[:79].decode('latin-1')!r}"
    damaged = _BESIDE.get(kind, f"{name}, which is damaged")
    if check != _check(kind, content):
        return b"", damaged
    packed = {b"zTXt": rest[1:], b"iCCP": rest[1:]}.get(kind)
    if kind == b"iTXt" and rest[:1] == b"\1":
        fields = rest[2:].split(b"\0", 2)
        packed = fields[-1]
    if packed is not None:
        try:
            unpacker = zlib.decompressobj()
            text = unpacker.decompress(packed, _LARGEST_TEXT)
        except zlib.error:
            return b"", damaged
        if not unpacker.eof and not unpacker.unconsumed_tail:
            return b"", damaged
        if kind == b"iCCP":
            return content, damaged if len(text) > 2**20 else ""
        if unpacker.unconsumed_tail or len(text) > room:
            return b"", f"{name}, which is too large"
        if len(text) > 2**20:
            ahead = key + b"\0\0\0" + b"\0".join(fields[:2]) + b"\0" if kind == b"iTXt" else key + b"\0"
            return ahead + text, ""
    return content, f"{name}, which is too large" if kind in TEXTS and len(content) > room else ""


def mended_jpeg(stream: Any) -> Image.Image | None:
    """A JPEG that Pillow refuses, opened without the segments, each tried alone, for which it does; None where they are sound.

    `info["ignored"]` names them. Raises what Pillow raises where that does not help.
    """
    beside, frame, end = [], [], 2
    while len(head := (stream.seek(end), stream.read(4))[1]) == 4 and head[0] == 0xFF and len(beside) < _MOST_SEGMENTS:
        whole = head + stream.read(max(0, struct.unpack(">H", head[2:])[0] - 2))
        end += len(whole)
        (beside if 0xE0 <= head[1] <= 0xEF or head[1] == 0xFE else frame).append(whole)
        if head[1] == 0xDA:
            break
    damaged = [part for part in beside if not _opens(b"\xff\xd8" + part + b"".join(frame))]
    if not damaged:
        return None
    kept = [part for part in beside if part not in damaged]
    stream.seek(end)
    picture = Image.open(io.BytesIO(b"".join([b"\xff\xd8", *kept, *frame, stream.read()])), formats=("JPEG",))
    picture.info["ignored"] = tuple(dict.fromkeys(f"{_segment(part)}, which is damaged" for part in damaged))
    return picture


def _opens(jpeg: bytes) -> bool:
    try:
        Image.open(io.BytesIO(jpeg), formats=("JPEG",))
    except Exception:  # Pillow's plugins raise what they like on damaged headers
        return False
    return True


def _segment(part: bytes) -> str:
    """The name of a segment: its number, and how it begins where that is a word."""
    word = bytes(part[4:34]).split(b"\0")[0].decode("latin-1")
    number = "COM" if part[1] == 0xFE else f"APP{part[1] - 0xE0}"
    return f"its {number} segment" + (f" ({word})" if word.isascii() and word.isprintable() and word else "")


def boxes(stream: Any, place: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """(kind, place of the content, its size) of each box that lies between two places."""
    end = stream.seek(0, 2) if end is None else end
    while place + 8 <= end:
        stream.seek(place)
        head = stream.read(16)
        size, start = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, start = int.from_bytes(head[8:16], "big"), 16
        size = end - place if size == 0 else size
        if size < start:
            return
        yield head[4:8], place + start, min(size, end - place) - start
        place += size


def content(stream: Any, place: int, size: int) -> bytes:
    """What a box holds, but no more than metadata can be."""
    stream.seek(place)
    return stream.read(min(size, _LARGEST_BOX))
