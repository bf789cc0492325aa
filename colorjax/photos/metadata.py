"""What a photograph is, and what a file says about it: EXIF, XMP, IPTC, resolution, texts."""

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, TiffTags

# Orientation, and the tags of a TIFF that say how its pixels, profile, XMP and IPTC lie in the file.
PIXEL_TAGS = {254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 283, 284, 296, 317, 318, 319, 320, 322}
PIXEL_TAGS |= {323, 324, 325, 330, 338, 339, 340, 341, 347, 512, 513, 514, 529, 530, 531, 532, 700, 33723, 34377, 34675}
IFD_TAGS = (0x8769, 0x8825)  # Exif and GPS: blocks of tags of their own
PLACES = {65401: 0x8769, 65402: 0x8825}  # private tags that keep the place of those two until their blocks are written
_XMP_TAG, _IPTC_TAG = 700, 33723
_IPTC_RESOURCE = 0x0404  # of Photoshop's image resources
_PNG_IPTC = "Raw profile type iptc"  # ImageMagick's and ExifTool's way to keep IPTC in a PNG
_PNG_ELSEWHERE = {"XML:com.adobe.xmp", "Raw profile type exif", "Raw profile type APP1", "Raw profile type xmp", _PNG_IPTC}


class PhotoError(ValueError):
    """A file that cannot be used as a photograph; the message is the reason, in a few words."""


@dataclass(frozen=True)
class Metadata:
    """What a copy carries along.

    exif: EXIF block with the orientation reset, or b"". xmp: the XMP packet, or b"". iptc: IPTC-IIM records, or b"".
    dpi: resolution as stored, or None. text: textual chunks of a PNG. comment: of a JPEG.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    dpi: tuple[float, float] | None = None
    text: dict[str, str] = field(default_factory=dict)
    comment: bytes = b""


@dataclass(frozen=True)
class Photo:
    """One page of a photo file as read: upright pixels and what must come along when its coloured copy is written.

    image: (H, W) or (H, W, 3), uint8 or uint16, sRGB-encoded.
    alpha: (H, W) of the same dtype, or None.
    file_format: Pillow's name of the format, as "JPEG".
    pages: how many the file has (more than 1 only of a TIFF).
    lossless: whether the file holds exactly the pixels that its writer had.
    notes: what of the file does not come along, in words.
    """

    image: np.ndarray
    alpha: np.ndarray | None
    file_format: str
    metadata: Metadata
    pages: int = 1
    lossless: bool = True
    notes: tuple[str, ...] = ()


def read(picture: Image.Image) -> tuple[Metadata, tuple[str, ...]]:
    """The metadata of an opened picture, and what of them cannot be carried."""
    notes = []
    exif = _exif(picture)
    if exif is None:
        notes.append("its EXIF is damaged")
    xmp = picture.info.get("xmp") or b""
    xmp = xmp.encode("utf-8", "replace") if isinstance(xmp, str) else bytes(xmp)
    if b"HasExtendedXMP" in xmp:
        notes.append("its extended XMP")
    text = {key: str(value) for key, value in getattr(picture, "text", {}).items() if key not in _PNG_ELSEWHERE}
    comment = picture.info.get("comment")
    metadata = Metadata(exif or b"", xmp, _iptc(picture), _dpi(picture), text, comment if isinstance(comment, bytes) else b"")
    return metadata, tuple(notes)


def _dpi(picture: Image.Image) -> tuple[float, float] | None:
    """The resolution, where it is two sensible numbers: the format's own, or that of EXIF."""
    try:
        given = picture.info["dpi"] if "dpi" in picture.info else _exif_dpi(picture.getexif())
        x, y = map(float, given)
    except Exception:  # a damaged block says nothing of it
        return None
    return (x, y) if 0 < x < 65536 and 0 < y < 65536 else None


def _exif_dpi(exif: Image.Exif) -> tuple[float, float]:
    inches = 2.54 if exif.get(296) == 3 else 1.0
    return float(exif[282]) * inches, float(exif[283]) * inches


def exif_with_dpi(metadata: Metadata) -> bytes:
    """The EXIF block of a format that has no other place for the resolution."""
    if metadata.dpi is None:
        return metadata.exif
    exif = Image.Exif()
    exif.load(metadata.exif)
    whole = _copied(exif)
    whole[282], whole[283], whole[296] = (*metadata.dpi, 2)
    return whole.tobytes()


class _Exact(str):
    """Text that Pillow has decoded from Latin-1; it is encoded so again, instead of as ASCII with question marks."""

    def encode(self, *_: str) -> bytes:
        return super().encode("latin-1", "replace")


def _exact(value: Any) -> Any:
    return _Exact(value) if isinstance(value, str) else value


def _copied(exif: Image.Exif) -> Image.Exif:
    """A copy without the tags that describe the pixels as they were and without the preview."""
    kept = Image.Exif()
    for tag in exif.keys() - PIXEL_TAGS - set(IFD_TAGS):
        kept[tag] = _exact(exif[tag])
    for tag in IFD_TAGS:
        if tag in exif:
            kept.get_ifd(tag).update({key: _exact(value) for key, value in exif.get_ifd(tag).items()})
    return kept


def _exif(picture: Image.Image) -> bytes | None:
    """The EXIF block without what describes the pixels as they were; empty where there is none, None where it is damaged."""
    try:
        kept = _copied(picture.getexif())
        return kept.tobytes() if len(kept) else b""
    except Exception:  # Pillow raises what it likes on damaged blocks
        return None


def _iptc(picture: Image.Image) -> bytes:
    try:
        resources = picture.info.get("photoshop")
        if isinstance(resources, dict):
            return bytes(resources.get(_IPTC_RESOURCE, b""))
        if picture.format == "TIFF":
            return tiff_iptc(picture.tag_v2.get(_IPTC_TAG, b""), picture.tag_v2._endian)
        text = getattr(picture, "text", {}).get(_PNG_IPTC, "")
        return _unwrapped(bytes.fromhex("".join(text.split("\n")[3:]))) if text else b""
    except (ValueError, TypeError, AttributeError, struct.error):
        return b""


def tiff_iptc(value: Any, endian: str) -> bytes:
    """IPTC of a TIFF tag: as bytes, or, by an old mistake that Adobe made a custom, as 32-bit numbers."""
    if isinstance(value, int | tuple | np.ndarray):
        numbers = [value] if isinstance(value, int) else list(value)
        return struct.pack(f"{endian}{len(numbers)}I", *numbers)
    return value.encode("latin-1") if isinstance(value, str) else bytes(value)


def _unwrapped(block: bytes) -> bytes:
    """IPTC records out of a Photoshop image resource, or as they are."""
    if not block.startswith(b"8BIM"):
        return block
    kind, name = struct.unpack(">HB", block[4:7])
    start = 4 + 2 + (name + 2) // 2 * 2
    (size,) = struct.unpack(">I", block[start : start + 4])
    return block[start + 4 : start + 4 + size] if kind == _IPTC_RESOURCE else b""


def resource(iptc: bytes) -> bytes:
    """IPTC records as Photoshop's image resource."""
    return b"8BIM" + struct.pack(">H2xI", _IPTC_RESOURCE, len(iptc)) + iptc + bytes(len(iptc) % 2)


def png_text(metadata: Metadata) -> dict[str, str]:
    """The textual chunks of a PNG: its own, and IPTC."""
    if not metadata.iptc:
        return metadata.text
    block = resource(metadata.iptc)
    digits = block.hex()
    lines = [digits[i : i + 72] for i in range(0, len(digits), 72)]
    return metadata.text | {_PNG_IPTC: "\n".join(["", "iptc", f"{len(block):8d}", *lines, ""])}


def tiff_tags(metadata: Metadata) -> list[tuple[int, Any, int, Any, bool]]:
    """The tags of a TIFF page as tifffile takes them; for Exif and GPS blocks, which it refuses, see PLACES."""
    exif = Image.Exif()
    exif.load(metadata.exif)
    tags = [(tag, *_typed(tag, exif[tag]), True) for tag in exif if tag not in IFD_TAGS and tag not in PLACES]
    tags += [(place, "I", 1, 0, True) for place, tag in PLACES.items() if tag in exif]
    if metadata.xmp:
        tags.append((_XMP_TAG, 1, len(metadata.xmp), metadata.xmp, True))
    if metadata.iptc:
        tags.append((_IPTC_TAG, 7, len(metadata.iptc), metadata.iptc, True))
    return tags


def _typed(tag: int, value: Any) -> tuple[Any, int, Any]:
    """(type, count, value) of a plain tag."""
    if isinstance(value, str):
        return 2, 0, value.encode("latin-1", "replace").rstrip(b"\0") + b"\0"
    if isinstance(value, bytes):
        return 1 if TiffTags.lookup(tag).type == 1 else 7, len(value), value
    values = value if isinstance(value, tuple | list) else (value,)
    if all(isinstance(v, int) for v in values):
        short = all(0 <= v < 65536 for v in values) and TiffTags.lookup(tag).type != TiffTags.LONG
        return ("H" if short else "I" if min(values) >= 0 else "i"), len(values), values if len(values) > 1 else values[0]
    pairs = [_fraction(v) for v in values]
    return 5, len(values), tuple(number for pair in pairs for number in pair)


def _fraction(value: Any) -> tuple[int, int]:
    numerator, denominator = getattr(value, "numerator", None), getattr(value, "denominator", None)
    if isinstance(numerator, int) and isinstance(denominator, int):
        return numerator, denominator
    return round(float(value) * 10000), 10000


def exif_blocks(metadata: Metadata) -> dict[int, dict[int, Any]]:
    """The Exif and GPS blocks, by their tag."""
    exif = Image.Exif()
    exif.load(metadata.exif)
    return {tag: {k: _exact(v) for k, v in exif.get_ifd(tag).items()} for tag in IFD_TAGS if tag in exif}
