"""What lies in a file beside its pixels: what is damaged there must not cost them, and what is left behind is named."""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from PIL import Image

from colorjax.photos import parts

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
TEXTS = (b"tEXt", b"zTXt", b"iTXt")  # the textual chunks of a PNG
# Others without which its pixels are the same, and what is said where one is damaged.
_BESIDE = {b"iCCP": "its colour profile, which is damaged: its colours were taken as sRGB", b"eXIf": "its EXIF is damaged"}
_BESIDE |= {b"pHYs": "its resolution, which is damaged"}
_BESIDE |= {name: f"its {name.decode()} chunk, which is damaged" for name in (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"sBIT")}
_BESIDE |= {name: f"its {name.decode()} chunk, which is damaged" for name in (b"tIME", b"bKGD", b"hIST", b"sPLT")}
_LARGEST_TEXT, _ALL_TEXTS = 2**24, 2**25  # bytes; Pillow reads 2**26 in all, and unpacks 2**20 of each
_KNOWN_CHUNKS = {*TEXTS, *_BESIDE, b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"mDCV", b"cLLI"}
_KNOWN_CHUNKS |= {b"iDOT"}  # how Apple decodes it
_SRGB_GAMMA = range(45000, 46000)  # gAMA: 1/2.2
_SRGB_PRIMARIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)  # cHRM
_GAIN_MAP, _FILM, CREDENTIALS = "its HDR gain map", "its motion video", "its content credentials (C2PA)"
C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # of the box that holds them in HEIC and AVIF
# Segments of a JPEG that copies have their own of, or that are carried, and what others are.
_KNOWN_SEGMENTS = ("APP0 JFIF", "APP0 JFXX", "APP1 Exif", "APP1 http://ns.adobe.com/", "APP2 ICC_PROFILE")
_KNOWN_SEGMENTS += ("APP2 MPF", "APP13 Photoshop 3.0", "APP14 Adobe", "COM ")
_SEGMENTS = {"APP2 urn:iso:std:iso:ts:21496": _GAIN_MAP, "APP11 JP": CREDENTIALS, "APP2 FPXR": "its FlashPix segment"}
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # but those within the pixels
_TRAILERS = {b"\xa1\xb2\xc3\xd4": "FotoStation", b"SEFT": "Samsung", b"cbipcbbl": "Photo Mechanic"}  # how they end
_PATHS = range(2000, 3000)  # of Photoshop's image resources: clipping paths, and which of them is the one
_PLACED = (*_PATHS, 0x0408, 0x041A)  # these, guides and slices lie somewhere in the picture
_RENEWED = (0x03E9, 0x03ED, 0x0404, 0x0406, 0x0409, 0x040C, 0x040F, 0x0411, 0x0422, 0x0423, 0x0424)
_MOST_SEGMENTS = 1000  # of a JPEG's head


def mended_png(stream: Any) -> tuple[Any, tuple[str, ...]]:
    """(a PNG without the damaged parts beside its pixels, what was left out, in words); other files as they are.

    Texts that are packed too tightly for Pillow are unpacked.
    """
    head = stream.read(8)
    stream.seek(0)
    if head != _PNG_HEAD:
        return stream, ()
    pieces, notes, start, room = [], [], 0, _ALL_TEXTS
    for kind, place, size in parts.png_chunks(stream):
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
            pieces.append(stream.read(place - 8 - start))
            kind = b"tEXt" if kind == b"zTXt" else kind  # unpacked
            pieces.append(b"" if note else struct.pack(">I", len(sound)) + kind + sound + _check(kind, sound))
            start = place + size + 4
            notes += [note] if note else []
    stream.seek(start if pieces else 0)
    return (io.BytesIO(b"".join([*pieces, stream.read()])) if pieces else stream), tuple(dict.fromkeys(notes))


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
    for marker, place, size in parts.segments(stream):
        end = place + size
        (beside if parts.says(marker) else frame).append(parts.content(stream, place - 4, 4 + size))
        if len(beside) == _MOST_SEGMENTS:
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
    number = "COM" if part[1] == 0xFE else f"APP{part[1] - 0xE0}"
    return _named(number, part[4:34].split(b"\0")[0].decode("latin-1"))


def _named(number: str, word: str) -> str:
    """A segment: its number, and how it begins where that is a word."""
    return f"its {number} segment" + (f" ({word})" if word and word.isascii() and word.isprintable() else "")


# --- what is left behind ---


def left_behind(picture: Any, stream: Any) -> tuple[str, ...]:
    """What lies beside the pixels of an opened picture and comes into no copy, in words."""
    find = {"JPEG": _of_jpeg, "MPO": _of_jpeg, "PNG": _of_png, "HEIF": _of_heif, "AVIF": _of_heif, "WEBP": _of_webp}.get(
        picture.format
    )
    place = stream.tell()
    found = find(picture, stream) if find else []
    stream.seek(place)
    return tuple(dict.fromkeys(found))


def is_carried(name: str, data: bytes) -> bool:
    """Whether a segment is one that a JPEG copy has as it was: APP12 (Picture Info, Ducky), and CIFF."""
    return name == "APP12" or (name == "APP0" and data[6:10] == b"HEAP")


def _of_jpeg(picture: Any, stream: Any) -> list[str]:
    found, xmp = [], b""
    for number, data in picture.applist:
        name = f"{number} {data[:34].split(bytes(1))[0].decode('latin-1')}"
        xmp += data if name.startswith("APP1 http://ns.adobe.com/") else b""
        if words := next((words for start, words in _SEGMENTS.items() if name.startswith(start)), None):
            found.append(words)
        elif not (name.startswith(_KNOWN_SEGMENTS) or is_carried(number, data)):
            found.append(_named(number, name.split(" ", 1)[1]))
    if re.search(rb"hdrgm:Version|Semantic(=[\"']|>)GainMap", xmp):
        found.append(_GAIN_MAP)
    behind = _behind_jpeg(stream)
    if not behind.strip(b"\0\xff\r\n "):  # only to fill a block
        return found
    trailers = [f"its {name} trailer" for end, name in _TRAILERS.items() if behind.endswith(end)]
    trailers += ["its AFCP trailer"] if behind[-12:-8] in (b"AXS!", b"AXS*") else []
    trailers += ["its Canon VRD trailer"] if b"CANON OPTIONAL DATA\0" in behind else []
    trailers += [_FILM] if re.search(rb"\0\0\0.ftyp", behind, re.DOTALL) else []
    pictures = behind.lstrip(b"\0").startswith(b"\xff\xd8\xff") and (
        picture.format == "MPO" or _GAIN_MAP in found
    )  # named already
    return found + (trailers or ([] if pictures else [f"{len(behind)} bytes behind its end"]))


def _behind_jpeg(stream: Any) -> bytes:
    """What follows the end of a JPEG."""
    data, place = (stream.seek(0), stream.read())[1], 2
    while match := _MARKER.search(data, place):
        place = match.end()
        if data[place - 1] == 0xD9:
            return data[place:]
        place += int.from_bytes(data[place : place + 2], "big") if data[place - 1] not in (0x01, 0xD8) else 0
    return b""


def _of_png(_: Any, stream: Any) -> list[str]:
    found, said, end = [], {}, 0
    for kind, place, size in parts.png_chunks(stream):
        if kind in (b"gAMA", b"cHRM", b"cICP", b"iCCP", b"sRGB"):
            stream.seek(place)
            said[kind] = stream.read(min(size, 32))
        elif kind not in _KNOWN_CHUNKS:
            found.append(CREDENTIALS if kind == b"caBX" else f"its PNG chunk {kind.decode('latin-1')!r}")
        end = place + size + 4
        if kind == b"IEND":
            break
    behind = stream.seek(0, 2) - end
    found += [f"{behind} bytes behind its end"] if behind > 0 else []
    taken = "its colour profile was believed" if b"iCCP" in said else "its values were taken as sRGB"
    if b"cICP" in said and said[b"cICP"][:2] != b"\1\x0d":
        found.append(f"its colour space (cICP {', '.join(map(str, said[b'cICP'][:2]))}): {taken}")
    if not said.keys() & {b"cICP", b"iCCP", b"sRGB"}:
        gamma = int.from_bytes(said.get(b"gAMA", b""), "big")
        found += [f"its gamma of 1/{1e5 / gamma:.3g} (gAMA): {taken}"] if gamma and gamma not in _SRGB_GAMMA else []
        primaries = struct.unpack(">8I", said[b"cHRM"]) if len(said.get(b"cHRM", b"")) == 32 else _SRGB_PRIMARIES
        others = any(abs(one - other) > 500 for one, other in zip(primaries, _SRGB_PRIMARIES, strict=True))
        found += [f"its primaries (cHRM): {taken}"] if others else []
    return found


def _of_heif(_: Any, stream: Any) -> list[str]:
    head = (stream.seek(0), stream.read(2**16))[1]
    found = [_GAIN_MAP] if b"aux:hdrgainmap" in head or re.search(rb"infe.{8}tmap", head, re.DOTALL) else []
    found += ["its depth map"] if re.search(rb"auxid:2\0|aux:(disparity|depth|portraiteffectsmatte)", head) else []
    for kind, place, _ in parts.boxes(stream):
        found += [_FILM] if kind == b"mpvd" else []
        found += [CREDENTIALS] if kind == b"uuid" and parts.content(stream, place, 16) == C2PA_UUID else []
    return found


def _of_webp(_: Any, stream: Any) -> list[str]:
    return [CREDENTIALS for kind, _place, _size in parts.webp_chunks(stream) if kind == b"C2PA"][:1]


# --- Photoshop's image resources ---


def resources(block: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(number, content, the whole of it) of each image resource. Raises struct.error or IndexError where one is damaged."""
    place = 0
    while block[place : place + 4] == b"8BIM":
        number, name = struct.unpack(">HB", block[place + 4 : place + 7])
        start = place + 6 + (name + 2) // 2 * 2
        (size,) = struct.unpack(">I", block[start : start + 4])
        content = block[start + 4 : start + 4 + size]
        if len(content) < size:
            raise struct.error("a resource that is not all there")
        whole = block[place : start + 4] + content + bytes(size % 2)
        yield number, content, whole
        place = start + 4 + size + size % 2


def carried_resources(block: bytes, turned: bool) -> tuple[bytes, tuple[str, ...]]:
    """(those that are as true of a copy, what is said of the others). Raises as `resources`.

    turned: whether the pixels of a copy are not as they lay. A copy has its own resolution, profile, EXIF, XMP and IPTC.
    """
    found = [(number, whole) for number, _, whole in resources(block) if number not in _RENEWED]
    kept = [whole for number, whole in found if not (turned and number in _PLACED)]
    lost = "its clipping paths, for it is turned" if any(turned and number in _PATHS for number, _ in found) else ""
    return b"".join(kept), (lost,) if lost else ()
