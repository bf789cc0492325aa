"""What a photograph is, and what a file says about it: EXIF, XMP, IPTC, resolution, texts."""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from colorjax.photos import parts, profiles
from colorjax.photos.finding import in_words
from colorjax.photos.formats import beside, directories
from colorjax.photos.formats.directories import Tag
from colorjax.photos.formats.pictures import Picture

# Orientation, and the tags of a TIFF that say how its pixels, profile, XMP, IPTC, layers and credentials lie in the file.
PIXEL_TAGS = {*range(254, 260), *range(262, 267), 273, 274, *range(277, 285), *range(288, 294), 296, 301, *range(317, 323)}
PIXEL_TAGS |= {*range(323, 331), *range(332, 335), 336, *range(338, 348), 512, 513, 514, 519, 520, 521, 529, 530, 531, 532}
PIXEL_TAGS |= {700, 33723, 34377, 34675, 37724, 50838, 50839, 52545}
_PLACES_OF_PIXELS = {273, 279, 288, 289, 324, 325, 330, 513, 514, 519, 520, 521}  # where the pixels lie in the file
_LAYERS, _CREDENTIALS, _COLOUR_SPACE, _XMP_NAME = 37724, 52545, 40961, b"http://ns.adobe.com/xap/1.0/\0"
_XMP_TAG, _IPTC_TAG = 700, 33723
_PHOTOSHOP = b"Photoshop 3.0\0"  # before them in a JPEG
_IPTC_RESOURCE = 0x0404  # of Photoshop's image resources
_UNKNOWN_DPI = (72.0, 72.0)  # what programs and cameras write where they know of none
_PNG_IPTC = "Raw profile type iptc"  # ImageMagick's and ExifTool's way to keep IPTC in a PNG
_PNG_ELSEWHERE = {"XML:com.adobe.xmp", "Raw profile type exif", "Raw profile type APP1", "Raw profile type xmp", _PNG_IPTC}


# What can be wrong with a file, as reports count it.
PROBLEMS = ("missing", "empty", "no permission", "truncated", "too large", "not a picture", "not supported", "damaged")


class PhotoError(ValueError):
    """A file that cannot be used as a photograph; the message is the reason, in a few words, `kind` one of PROBLEMS."""

    def __init__(self, reason: str, kind: str = "damaged"):
        super().__init__(reason)
        self.kind = kind

    @classmethod
    def of(cls, what: str, error: Exception) -> "PhotoError":
        """What could not be done, with the words of a library, which may be many; a PhotoError as it is."""
        if isinstance(error, cls):
            return error
        if isinstance(error, MemoryError):
            return cls(f"{what} (not enough memory)", "too large")
        of_system = isinstance(error, OSError) and error.errno is not None
        stumbled = isinstance(error, LookupError | TypeError | AttributeError) or not str(error)  # whose words are of a program
        said = in_words(error, with_name=False) if of_system else "damaged, or cut short" if stumbled else str(error)
        words = "".join(c if c.isprintable() else " " for c in said).rstrip(": ")
        kind = "truncated" if re.search(r"truncated|end of file|failed to read \d+ bytes", words, re.IGNORECASE) else "damaged"
        return cls(f"{what} ({words if len(words) <= 120 else words[:119] + '…'})", kind)


@dataclass(frozen=True)
class Metadata:
    """What a copy carries along.

    exif: EXIF block with the orientation reset, or b"". xmp: the XMP packet, or b"". iptc: IPTC-IIM records, or b"".
    dpi: resolution as stored, or None. text: textual chunks of a PNG. comment: of a JPEG. photoshop: its image resources but
    those that a copy has anew, or b"". segments: (number, content) of a JPEG's APP12 (Picture Info, Ducky) and CIFF.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    dpi: tuple[float, float] | None = None
    text: dict[str, str] = field(default_factory=dict)
    comment: bytes = b""
    photoshop: bytes = b""
    segments: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class Photo:
    """One page of a photo file as read: upright pixels and what must come along when its coloured copy is written.

    image: (H, W) or (H, W, 3), uint8 or uint16, sRGB-encoded.
    alpha: (H, W) of the same dtype, or None.
    file_format: Pillow's name of the format, as "JPEG".
    pages: how many the file has (more than 1 only of a TIFF).
    lossless: whether the file holds exactly the pixels that its writer had.
    notes: what of the file does not come along, in words.
    number: of the page in the file, from 1.
    stored: how the picture lies in a TIFF, upright; None elsewhere.
    warnings: why it may not be what was meant, in words.
    truncated: whether it is only what is left of one that is cut short.
    """

    image: np.ndarray
    alpha: np.ndarray | None
    file_format: str
    metadata: Metadata
    pages: int = 1
    lossless: bool = True
    notes: tuple[str, ...] = ()
    number: int = 1
    stored: Picture | None = None
    warnings: tuple[str, ...] = ()
    truncated: bool = False


def read(picture: Any, stream: Any) -> tuple[Metadata, tuple[str, ...]]:
    """The metadata of an opened picture, and what of them cannot be carried."""
    notes = []
    try:
        text = dict(getattr(picture, "text", {}))  # first: this finds what lies behind the pixels
    except Exception:  # and what lies there may be damaged
        text = {}
        notes.append("its texts, which are damaged")
    tags, order, sound = _tags(picture, stream, text)
    if not sound:
        notes.append("its EXIF is damaged")
    tiff = picture.format == "TIFF"
    raw = tags.get(_XMP_TAG, Tag(1)).data if tiff else picture.info.get("xmp") or _raw(text, "xmp", _XMP_NAME)
    xmp = raw.encode("utf-8", "replace") if isinstance(raw, str) else bytes(raw)
    if b"HasExtendedXMP" in xmp:
        notes.append("its extended XMP")
    if _LAYERS in tags:
        notes.append("its layers")
    if _CREDENTIALS in tags:
        notes.append(beside.CREDENTIALS)
    comments = [data for name, data in getattr(picture, "applist", ()) if name == "COM"]
    if len(comments) > 1:
        notes.append(f"{len(comments) - 1} of its comments")
    repeated = _repeated_texts(stream) if picture.format == "PNG" else 0
    if repeated:
        notes.append(f"{repeated} of its texts")
    xmp = re.sub(rb"(tiff:Orientation(?:=[\"']|>))[2-8]", rb"\g<1>1", xmp)
    try:
        iptc = _iptc(picture, tags, text)
    except (ValueError, TypeError, struct.error):
        iptc = b""
        notes.append("its IPTC, which is damaged")
    photoshop = b""
    try:
        turned = 274 in tags and int.from_bytes(tags[274].data[:2], "little" if order == "<" else "big") in range(2, 9)
        photoshop, lost = beside.carried_resources(_photoshop(picture, tags, text), turned)
        notes.extend(lost)
    except (ValueError, IndexError, struct.error):
        notes.extend(["its Photoshop resources, which are damaged"] if not any("its IPTC" in note for note in notes) else [])
    if doubt := profiles.doubt(picture.info.get("icc_profile"), picture.mode):
        notes.append(f"its colour profile, which is {doubt}: its colours were taken as sRGB")
    kept = _without_pixels(tags, order)
    exif = directories.block(kept, order) if kept else b""
    text = {key: value for key, value in text.items() if key not in _PNG_ELSEWHERE}
    comment = comments[-1] if comments else b""
    dpi, other = _dpi(picture, tags, order)
    segments = tuple((name, data) for name, data in getattr(picture, "applist", ()) if beside.is_carried(name, data))
    return Metadata(exif, xmp, iptc, dpi, text, comment, photoshop, segments), (*notes, *other)


def _repeated_texts(stream: Any) -> int:
    """How many textual chunks of a PNG have a keyword that comes again: Pillow keeps one of each."""
    keys, position = [], stream.tell()
    for kind, place, _ in parts.png_chunks(stream):
        if kind in beside.TEXTS:
            stream.seek(place)
            keys.append(stream.read(80).split(b"\0")[0])
    stream.seek(position)
    return len(keys) - len(set(keys))


def _tags(picture: Any, stream: Any, text: dict[str, str]) -> tuple[directories.Directory, str, bool]:
    """(the tags, their byte order, whether they are sound) of EXIF, or of the page of a TIFF."""
    if picture.format == "TIFF":
        tags = picture.tag_v2
        position = stream.tell()
        found = directories.read(stream, tags._offset, tags._endian, tags._bigtiff, _PLACES_OF_PIXELS)
        stream.seek(position)
        return found[0], tags._endian, found[1]
    return directories.of_block(picture.info.get("exif") or _raw(text, "exif", b"Exif\0\0"), _PLACES_OF_PIXELS)


def _raw(text: dict[str, str], name: str, start: bytes) -> bytes:
    """A profile of a PNG as ImageMagick writes it: under its name, or as a segment of a JPEG, which begins with `start`."""
    for key in (name, "APP1"):
        try:
            data = bytes.fromhex("".join(text.get(f"Raw profile type {key}", "").split("\n")[3:]))
        except ValueError:
            continue
        if data.startswith(start) or (data and key == name):
            return data.removeprefix(start)
    return b""


def _without_pixels(tags: directories.Directory, order: str) -> directories.Directory:
    """The tags without those that describe the pixels as they were; what Exif says of them is set right."""
    kept = {number: tag for number, tag in tags.items() if number not in PIXEL_TAGS}
    if directories.EXIF in kept:
        inside = dict(kept[directories.EXIF].inside)
        for number in {_COLOUR_SPACE} & inside.keys():
            inside[number] = Tag(directories.SHORT, struct.pack(order + "H", 1))
        turn = int.from_bytes(tags[274].data[:2], "little" if order == "<" else "big") if 274 in tags else 1
        for number, other in ((40962, 40963), (40963, 40962)):
            if turn in (5, 6, 7, 8) and number in inside and other in tags[directories.EXIF].inside:
                inside[number] = tags[directories.EXIF].inside[other]
        kept[directories.EXIF] = Tag(directories.LONG, inside=inside)
    return kept


def _dpi(picture: Any, tags: directories.Directory, order: str) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """(the resolution, where it is two sensible numbers; what is said of another one that is given up).

    EXIF and the format's own place may say different things. Programs that know nothing of EXIF write 72 into the one, cameras
    that do not know it 72 into the other: 72 gives way, else EXIF is believed.
    """
    measured = picture.format not in ("JPEG", "MPO") or picture.info.get("jfif_unit") in (1, 2)
    own = _sensible(lambda: picture.info["dpi"]) if measured and picture.format != "TIFF" else None
    exif = _sensible(lambda: _exif_dpi(tags, order))
    if own is None or exif is None or all(abs(x - y) < 1 for x, y in zip(own, exif, strict=True)):
        return own or exif, ()
    if _UNKNOWN_DPI in (own, exif):
        return exif if own == _UNKNOWN_DPI else own, ()
    return exif, (f"its resolution of {own[0]:g}x{own[1]:g} dpi, for its EXIF says {exif[0]:g}x{exif[1]:g}",)


def _sensible(dpi: Callable[[], tuple[float, float]]) -> tuple[float, float] | None:
    try:
        x, y = map(float, dpi())
    except (KeyError, ValueError, TypeError, ZeroDivisionError, struct.error):
        return None
    return (x, y) if 0 < x < 65536 and 0 < y < 65536 else None


def _exif_dpi(tags: directories.Directory, order: str) -> tuple[float, float]:
    unit = struct.unpack(order + "H", tags[296].data)[0] if 296 in tags else 2
    x, y = (struct.unpack(order + "2I", tags[number].data) for number in (282, 283))
    inches = {2: 1.0, 3: 2.54}[unit]
    return x[0] / x[1] * inches, y[0] / y[1] * inches


def exif_with_dpi(metadata: Metadata) -> bytes:
    """The EXIF block with the resolution in it, for formats that have no other place, or one that fewer programs ask."""
    if metadata.dpi is None:
        return metadata.exif
    tags, order, _ = directories.of_block(metadata.exif)
    for number, value in zip((282, 283), metadata.dpi, strict=True):
        fraction = Fraction(value).limit_denominator(10000)
        tags[number] = Tag(directories.RATIONAL, struct.pack(order + "2I", fraction.numerator, fraction.denominator))
    tags[296] = Tag(directories.SHORT, struct.pack(order + "H", 2))
    return directories.block(tags, order)


def _iptc(picture: Any, tags: directories.Directory, text: dict[str, str]) -> bytes:
    """IPTC records. Raises ValueError or struct.error where what should hold them is damaged."""
    resources = picture.info.get("photoshop")
    if isinstance(resources, dict):
        return bytes(resources.get(_IPTC_RESOURCE, b""))
    if picture.format == "TIFF":
        return tags[_IPTC_TAG].data if _IPTC_TAG in tags else _unwrapped(tags[34377].data) if 34377 in tags else b""
    return _unwrapped(_photoshop(picture, tags, text)) if _PNG_IPTC in text else b""


def _photoshop(picture: Any, tags: directories.Directory, text: dict[str, str]) -> bytes:
    """Photoshop's image resources, as they lie. Raises ValueError where they are damaged."""
    if picture.format == "TIFF":
        return tags[34377].data if 34377 in tags else b""
    if _PNG_IPTC in text:
        return bytes.fromhex("".join(text[_PNG_IPTC].split("\n")[3:]))
    found = [data for name, data in getattr(picture, "applist", ()) if name == "APP13" and data.startswith(_PHOTOSHOP)]
    return b"".join(data.removeprefix(_PHOTOSHOP) for data in found)


def _unwrapped(block: bytes) -> bytes:
    """IPTC records out of Photoshop's image resources, or as they are."""
    if not block.startswith(b"8BIM"):
        return block
    return next((content for number, content, _ in beside.resources(block) if number == _IPTC_RESOURCE), b"")


def resource(iptc: bytes) -> bytes:
    """IPTC records as Photoshop's image resource."""
    return b"8BIM" + struct.pack(">H2xI", _IPTC_RESOURCE, len(iptc)) + iptc + bytes(len(iptc) % 2)


def png_text(metadata: Metadata) -> dict[str, str]:
    """The textual chunks of a PNG: its own, IPTC and Photoshop's image resources."""
    if not (metadata.iptc or metadata.photoshop):
        return metadata.text
    block = (resource(metadata.iptc) if metadata.iptc else b"") + metadata.photoshop
    digits = block.hex()
    lines = [digits[i : i + 72] for i in range(0, len(digits), 72)]
    return metadata.text | {_PNG_IPTC: "\n".join(["", "iptc", f"{len(block):8d}", *lines, ""])}


def tiff_tags(metadata: Metadata) -> directories.Directory:
    """The tags of a little-endian TIFF page beside those of its pixels."""
    tags, order, _ = directories.of_block(metadata.exif)
    tags = directories.turned(tags, order, "<")
    if metadata.xmp:
        tags[_XMP_TAG] = Tag(1, metadata.xmp)
    if metadata.iptc:
        tags[_IPTC_TAG] = Tag(7, metadata.iptc)
    if metadata.photoshop:
        tags[34377] = Tag(1, metadata.photoshop)
    return tags
