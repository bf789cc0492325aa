"""What kind of file it is, by its first bytes; what only its bytes can say of WebP, AVIF, HEIC and JPEG 2000."""

import os
import stat
from pathlib import Path
from typing import Any

from PIL import features

from colorjax.photos import parts
from colorjax.photos.metadata import PhotoError

_FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    "BMP",
    "TIFF",
    "AVIF",
    "JPEG2000",
)  # other decoders are not tried, whatever a file claims to be
TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MAGIC = [("JPEG", b"\xff\xd8\xff"), ("PNG", b"\x89PNG\r\n\x1a\n"), ("BMP", b"BM"), *(("TIFF", start) for start in TIFF_MAGIC)]
JXL_MAGIC = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")  # a bare codestream, or in boxes
_MAGIC += [("JXL", start) for start in JXL_MAGIC]
_MAGIC += [("JPEG2000", b"\0\0\0\x0cjP  \r\n\x87\n"), ("JPEG2000", b"\xff\x4f\xff\x51")]
_SHORT = {"JPG": "JPEG", "JPE": "JPEG", "JFIF": "JPEG", "TIF": "TIFF", "HEIC": "HEIF", "HIF": "HEIF"}
_SHORT |= dict.fromkeys(("JP2", "J2K", "JPX", "JPF"), "JPEG2000")  # suffixes that are not the name of their format
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}  # width to height of a JPEG XL
_EVERY_SIZE = ((1, 9), (1, 13), (1, 18), (1, 30))
UNUSUAL = ("CMYK", "over 8 bits", "another suffix")  # what reports count of files that are read as they should be
_AVIF_BRANDS = (b"avif", b"avis")
_RAW, _DEVELOP = "a camera's raw file ({})", "develop it in a raw converter and colour the TIFF"
_EXPORT, _STILLS = "export it as TIFF or PNG", "take stills from it"
# What the frame of a JPEG begins with: how its pixels are stored. Of 8 bits the first kinds are read.
_READ = dict.fromkeys((0xC0, 0xC1, 0xC2, 0xC9, 0xCA), "a JPEG") | {0xC3: "a lossless JPEG"}
_UNREAD = {0xCB: "a lossless JPEG with arithmetic coding", 0xF7: "a JPEG-LS"}
_UNREAD |= dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, 0xDE), "a hierarchical JPEG")
# Files that are not read here: what they are, what to do, and how they begin from this byte on.
_OTHERS = [
    ("a GIF", "save it as PNG", 0, (b"GIF8",)),
    ("a Photoshop document", _EXPORT, 0, (b"8BPS",)),
    ("a GIMP document", _EXPORT, 0, (b"gimp xcf",)),
    ("a PDF", "extract its pictures as TIFF or PNG", 0, (b"%PDF",)),
    ("a DjVu document", _EXPORT, 0, (b"AT&TFORM",)),
    ("a JPEG XR", _EXPORT, 0, (b"II\xbc",)),
    ("a PNM picture", "save it as PNG", 0, tuple(b"P%d%c" % (kind, space) for kind in range(1, 7) for space in b" \t\r\n")),
    ("a PCX picture", "save it as PNG", 0, (b"\x0a\5\1",)),
    ("an OpenEXR picture", "export it as TIFF", 0, (b"v/1\1",)),
    ("a FITS picture", "export it as TIFF", 0, (b"SIMPLE  =",)),
    ("a DPX picture", "export it as TIFF, or colour a folder of them by colorjax film", 0, (b"SDPX", b"XPDS")),
    (_RAW.format("Canon CR2"), _DEVELOP, 8, (b"CR\2",)),
    (_RAW.format("Canon CR3"), _DEVELOP, 4, (b"ftypcrx",)),
    (_RAW.format("Canon CRW"), _DEVELOP, 6, (b"HEAPCCDR",)),
    (_RAW.format("Fujifilm RAF"), _DEVELOP, 0, (b"FUJIFILMCCD-RAW",)),
    (_RAW.format("Olympus ORF"), _DEVELOP, 0, (b"IIRO", b"IIRS", b"MMOR")),
    (_RAW.format("Panasonic RW2"), _DEVELOP, 0, (b"IIU\0",)),
    (_RAW.format("Minolta MRW"), _DEVELOP, 0, (b"\0MRM",)),
    (_RAW.format("Sigma X3F"), _DEVELOP, 0, (b"FOVb",)),
    ("a film", _STILLS, 4, (b"ftypmp4", b"ftypqt  ", b"ftypM4V", b"ftyp3gp", b"ftypiso")),
    ("a film", _STILLS, 0, (b"\x1aE\xdf\xa3",)),
    ("a ZIP archive", "unpack it", 0, (b"PK\3\4",)),
]


def kind(path: str | os.PathLike) -> str | None:
    """Pillow's name of the format that a file begins like, whatever its own name says; None where it is none of ours."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe might wait for ever
            return None
        with open(path, "rb") as stream:
            head = stream.read(64)
    except (OSError, ValueError):
        return None
    if head[4:8] == b"ftyp":
        return "AVIF" if _is_avif(head) else "HEIF"
    if head[:4] == b"RIFF":
        return "WEBP" if head[8:12] == b"WEBP" else None
    return next((name for name, start in _MAGIC if head.startswith(start)), None)


def _is_avif(head: bytes) -> bool:
    """Whether the first box, by its first brand or those that it calls compatible, says so."""
    size = min(len(head), int.from_bytes(head[:4], "big"))
    return any(head[place : place + 4] in _AVIF_BRANDS for place in (8, *range(16, size - 3, 4)))


def refusal(head: bytes) -> PhotoError:
    """Why a file that begins so is not read: each kind has its own sentence, and says what to do."""
    if other := _other(head):
        return other
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        return PhotoError("a web page, not a picture; download the picture itself", "not a picture")
    if known := next((name for name, start in _MAGIC if head.startswith(start)), None):
        return PhotoError(f"a {known} whose beginning is damaged; look for another copy of it")
    return PhotoError("not a picture, or of an unknown format", "not a picture")


def _other(head: bytes) -> PhotoError | None:
    for what, advice, place, starts in _OTHERS:
        if head[place:].startswith(starts):
            return PhotoError(f"{what}, which is not read here; {advice}", "not supported")
    return None


def check_jpeg(head: bytes, stream: Any) -> None:
    """Raises PhotoError for a JPEG whose pixels are stored in a way that is sound, and not read here.

    Of that its frame tells, or what comes before the first of several (ISO/IEC 10918-1, table B.1). Pillow opens some of them.
    """
    for marker, place, _ in parts.segments(stream) if head.startswith(b"\xff\xd8\xff") else ():
        if marker not in _READ and marker not in _UNREAD:
            continue
        deep = int.from_bytes(parts.content(stream, place, 1), "big")
        bits = f" of {deep} bits" if 8 < deep <= 16 else ""
        if marker in _UNREAD or bits:
            what = _UNREAD.get(marker) or _READ[marker]
            raise PhotoError(f"{what}{bits}, which is not read here; {_EXPORT}", "not supported")
    stream.seek(0)


def decoders(head: bytes) -> tuple[str, ...]:
    """The decoders that may be tried. Raises PhotoError where the one that is needed is not installed."""
    is_avif = head[4:8] == b"ftyp" and _is_avif(head)
    if not is_avif and (other := _other(head)):  # of which some begin like a TIFF or a HEIC
        raise other
    if head[4:8] != b"ftyp":
        return _FORMATS
    if is_avif:
        if not features.check("avif"):
            raise PhotoError("AVIF, which this build of Pillow does not read", "not supported")
        return ("AVIF",)
    know_heif()
    return ("HEIF",)


def know_heif() -> None:
    """Teach Pillow HEIC. Raises PhotoError where the package for it is not installed."""
    try:
        import pillow_heif
    except ImportError:
        raise PhotoError('HEIC needs another package: pip install "colorjax[heif]"', "not supported") from None
    pillow_heif.register_heif_opener()


def bits(picture: Any, stream: Any) -> int:
    """Bits of a channel of a JPEG 2000 or XL; of an AVIF or HEIC, as its first box "pixi" (ISO/IEC 23008-12) says; else 8."""
    if picture.format in ("JPEG2000", "JXL"):
        return picture.info["bits"]
    if picture.format not in ("AVIF", "HEIF"):
        return 8
    stream.seek(0)
    head = stream.read(65536)
    place = head.find(b"pixi")
    return head[place + 9] if 0 <= place < len(head) - 9 else 8


def ends_early(stream: Any) -> bool:
    """Whether a file is shorter than it says, of all formats but JPEG and BMP: their decoders have other words, or none."""
    try:
        length = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        head = stream.read(16)
        if head[:4] == b"RIFF":
            return 8 + int.from_bytes(head[4:8], "little") > length
        if head[:4] in TIFF_MAGIC:
            first = int.from_bytes(head[8:16] if b"+" in head[2:4] else head[4:8], "little" if head[:1] == b"I" else "big")
            return first > length - 2  # its directory of tags
        png = head.startswith(b"\x89PNG\r\n\x1a\n")
        if head.startswith(b"\xff\x4f\xff\x51"):  # a bare JPEG 2000
            return (stream.seek(max(0, length - 2)), stream.read(2))[1] != b"\xff\xd9"
        return (png or head[4:8] in (b"ftyp", b"JXL ", b"jP  ")) and _last_is_cut(stream, 8 if png else 0, length, png)
    except OSError:
        return False


def _last_is_cut(stream: Any, place: int, length: int, png: bool) -> bool:
    """Whether the last chunk of a PNG, or box of an AVIF or HEIC, is not all there, or is not the one that ends a PNG."""
    for _ in range(2**16):
        stream.seek(place)
        head = stream.read(16)
        if len(head) < 8:
            return png or place != length
        size = int.from_bytes(head[:4], "big")
        size = 12 + size if png else int.from_bytes(head[8:16], "big") if size == 1 else size
        place += size
        if size < 8 or head[4:8] == b"IEND":
            return place > length
    return False


def has_another_suffix(picture: Any, path: str | os.PathLike) -> bool:
    """Whether an opened picture is of another format than its name says."""
    suffix = Path(path).suffix[1:].upper()
    return {"MPO": "JPEG"}.get(picture.format, picture.format) != _SHORT.get(suffix, suffix)


def webp_is_lossless(stream: Any) -> bool:
    """Whether the picture of a WebP file is a VP8L chunk."""
    pictures = (kind for kind, _, _ in parts.webp_chunks(stream) if kind in (b"VP8L", b"VP8 "))
    return next(pictures, None) == b"VP8L"


class Bits:
    """The head of a JPEG XL, bit by bit: its numbers begin with their lowest bit (ISO/IEC 18181-1, annex B)."""

    def __init__(self, data: bytes):
        self._data, self.place = int.from_bytes(data, "little"), 0
        self._end = 8 * len(data)

    def take(self, count: int = 1) -> int:
        if self.place + count > self._end:
            raise PhotoError("a JPEG XL whose head is not all there", "truncated")
        value = self._data >> self.place & ((1 << count) - 1)
        self.place += count
        return value

    def choice(self, *ways: tuple[int, int]) -> int:
        """Two bits say which of four: a number, and how many more bits are added to it."""
        first, more = ways[self.take(2)]
        return first + self.take(more)

    def size(self) -> tuple[int, int]:
        """(width, height)."""
        small = self.take()
        height = 8 * (self.take(5) + 1) if small else self.choice(*_EVERY_SIZE)
        if ratio := self.take(3):
            return height * _RATIOS[ratio][0] // _RATIOS[ratio][1], height
        return (8 * (self.take(5) + 1) if small else self.choice(*_EVERY_SIZE)), height

    def depth(self) -> tuple[bool, int]:
        """(whether samples are of floating point, their bits)."""
        if self.take():
            return True, (self.choice((32, 0), (16, 0), (24, 0), (1, 6)), self.take(4))[0]
        return False, self.choice((8, 0), (10, 0), (12, 0), (1, 6))
