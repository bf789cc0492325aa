"""JPEG 2000 and JPEG XL in and out, by imagecodecs: Pillow keeps 8 bits of the one, and does not know the other."""

import io
import struct
from typing import Any

import numpy as np
from PIL import Image

from colorjax.photos import kinds, metadata, parts, profiles
from colorjax.photos.formats import beside
from colorjax.photos.metadata import Metadata, PhotoError
from colorjax.photos.strips import by_rows

_EXIF, _XMP, _IPTC = (  # the UUID boxes of a JPEG 2000 that hold metadata, as ExifTool and Adobe write them
    b"JpgTiffExif->JP2",
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"),
    bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38"),
)
_OF_JP2 = (b"jP  ", b"ftyp", b"jp2h", b"jp2c", b"rreq", b"free")  # boxes that only tell of the pixels
_OF_JXL = (b"JXL ", b"ftyp", b"jxll", b"jxli", b"jxlc", b"jxlp", b"jbrd", b"free")
_NAMES = {b"jhgm": "its HDR gain map", b"jumb": beside.CREDENTIALS, b"uuid": "a UUID box"}
_GREY_OR_SRGB = (16, 17)  # enumerated colour spaces of a JPEG 2000
_METRE = 10000 / 254  # inches, by which it counts its resolution
_LARGEST_PACKED = 2**24
_CURVES = {1: "BT.709", 8: "linear", 13: "sRGB", 16: "PQ", 17: "DCI", 18: "HLG"}
_SRGB_CURVE = 13 - 2  # as the third of the ways of `_ENUM` stores it
_CUSTOM, _GREY = 2, 1  # white point or primaries; colour space
_COORDINATE = ((0, 19), (524288, 19), (1048576, 20), (2097152, 21))
_ENUM = ((0, 0), (1, 0), (2, 4), (18, 6))


def stored(picture: Any, stream: Any) -> tuple[np.ndarray, np.ndarray | None] | None:
    """(image, alpha) as `Photo` holds them; None of other formats, and of a JPEG 2000 of which Pillow keeps every bit.

    Raises PhotoError where the data are damaged.
    """
    if picture.format != "JXL" and (picture.format != "JPEG2000" or picture.info["bits"] <= 8):
        return None
    import imagecodecs

    stream.seek(0)
    try:
        if picture.format == "JXL":
            pixels = imagecodecs.jpegxl_decode(stream.read(), index=0, numthreads=1)
        else:
            pixels = imagecodecs.jpeg2k_decode(stream.read(), numthreads=1)
    except (imagecodecs.JpegxlError, imagecodecs.Jpeg2kError, ValueError) as error:
        raise PhotoError.of("cannot be decoded", error) from None
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.shape[2] > 4 or pixels.dtype not in (np.uint8, np.uint16):
        raise PhotoError(f"pixels {pixels.shape} of type {pixels.dtype}, which are not supported", "not supported")
    if picture.format == "JPEG2000" and picture.info["enumerated"] not in _GREY_OR_SRGB:
        raise PhotoError("a JPEG 2000 of more than 8 bits that are neither grey nor RGB; export it as TIFF", "not supported")
    top, most = np.iinfo(pixels.dtype).max, 2 ** picture.info["bits"] - 1
    if most != top:  # of 12 bits, as an example
        pixels = by_rows(
            lambda rows: np.minimum((rows.astype(np.uint32) * top + most // 2) // most, top), pixels, np.empty_like(pixels)
        )
    colours = 1 if pixels.shape[2] < 3 else 3
    alpha = pixels[..., colours].copy() if pixels.shape[2] in (2, 4) else None
    image = np.ascontiguousarray(pixels[..., 0] if colours == 1 else pixels[..., :3])
    image = profiles.deep_to_srgb(image, picture.info.get("icc_profile") or b"")
    return _upright(image, picture), None if alpha is None else _upright(alpha, picture)


def _upright(pixels: np.ndarray, picture: Any) -> np.ndarray:
    """As EXIF says of a JPEG 2000, which itself has no words for it."""
    try:
        turn = picture.getexif().get(274, 1)
    except Exception:  # a damaged EXIF block says nothing of the orientation
        turn = 1
    pixels = pixels[::-1] if turn in (3, 4, 6, 7) else pixels
    pixels = pixels[:, ::-1] if turn in (2, 3, 7, 8) else pixels
    return (pixels.swapaxes(0, 1) if turn in (5, 6, 7, 8) else pixels).copy()


# --- JPEG 2000 ---


def settle(picture: Any, stream: Any) -> None:
    """Give a JPEG 2000 that Pillow has opened what it leaves out: profile, EXIF, XMP and IPTC. Raises PhotoError.

    `info["ignored"]` names what does not come along.
    """
    if kinds.ends_early(stream):  # its decoders fill what is missing, without a word
        raise PhotoError("cannot be decoded (its end is missing)", "truncated")
    info, ignored, stream_place = picture.info, [], 0
    info["enumerated"] = 16
    for kind, place, size in parts.boxes(stream) if picture.codec == "jp2" else ():
        if kind == b"jp2h":
            for inner, at, length in parts.boxes(stream, place, place + size):
                content = parts.content(stream, at, length) if inner == b"colr" else b""
                if content[:1] == b"\1":
                    info["enumerated"] = int.from_bytes(content[3:7], "big")
                elif content[:1] in (b"\2", b"\3"):
                    info["icc_profile"] = content[3:]
        elif kind == b"jp2c":
            stream_place = stream_place or place
        elif kind == b"uuid" and (name := parts.content(stream, place, 16)) in (_EXIF, _XMP, _IPTC):
            content = parts.content(stream, place + 16, size - 16)
            info |= {"photoshop": {0x0404: content}} if name == _IPTC else {"exif" if name == _EXIF else "xmp": content}
        elif kind not in _OF_JP2:
            ignored.append(_NAMES.get(kind, f"its box {kind.decode('latin-1').strip()!r}"))
    info["ignored"] = tuple(dict.fromkeys(ignored))
    stream.seek(stream_place)
    head = stream.read(2**16)
    info["bits"] = max((part & 0x7F) + 1 for part in head[42 : 42 + 3 * len(picture.getbands()) : 3] or b"\7")
    cod = head.find(b"\xff\x52\0")
    info["lossless"] = cod > 0 and head[cod + 13 : cod + 14] == b"\1"  # the reversible transformation
    stream.seek(0)


def encoded(name: str, pixels: np.ndarray, about: Metadata, quality: int | None) -> bytes:
    """A file in Pillow's format `name`; quality None: without loss, as JPEG 2000 always is."""
    return jpeg2000(pixels, about) if name == "JPEG2000" else jpeg_xl(pixels, about, quality)


def jpeg2000(pixels: np.ndarray, about: Metadata) -> bytes:
    """Pixels (H, W, 3 or 4), uint8 or uint16, sRGB, as a lossless JP2 with all its metadata but texts and comments."""
    import imagecodecs

    data = memoryview(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="jp2", reversible=True, numthreads=1))
    place, at = next((place, place + size) for kind, place, size in parts.boxes(io.BytesIO(data)) if kind == b"jp2h")
    head = bytes(data[place:at])
    if pixels.shape[2] == 4:
        channels = [(0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 1, 0)]  # red, green, blue, and the opacity of all
        head += _box(b"cdef", struct.pack(">H", 4) + b"".join(struct.pack(">3H", *channel) for channel in channels))
    if about.dpi is not None:
        (rows, by_row), (columns, by_column) = _per_metre(about.dpi[1]), _per_metre(about.dpi[0])
        head += _box(b"res ", _box(b"resc", struct.pack(">4H2B", rows, 100, columns, 100, by_row, by_column)))
    exif = about.exif.removeprefix(b"Exif\0\0")
    others = b"".join(_box(b"uuid", n + c) for n, c in ((_EXIF, exif), (_XMP, about.xmp), (_IPTC, about.iptc)) if c)
    return b"".join([data[: place - 8], _box(b"jp2h", head), others, data[at:]])


def _per_metre(dpi: float) -> tuple[int, int]:
    """Hundredths of dots a metre, as a number of 16 bits and a power of ten."""
    dots = dpi * _METRE * 100
    power = next(power for power in range(9) if dots < 65535 * 10**power)
    return round(dots / 10**power), power


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


# --- JPEG XL ---


def jpeg_xl(pixels: np.ndarray, about: Metadata, quality: int | None) -> bytes:
    """Pixels (H, W, 3 or 4), uint8 or uint16, sRGB, as a JPEG XL with EXIF, resolution and XMP.

    Lossless without a quality, and where there are 16 bits.
    """
    import imagecodecs

    lossless = quality is None or pixels.dtype == np.uint16
    far = None if lossless else 0.1 + (100 - quality) * 0.09  # as cjxl has it for 30 and more
    data = bytearray(imagecodecs.jpegxl_encode(pixels, lossless=lossless, distance=far, usecontainer=True, numthreads=1))
    if place := Jxl(io.BytesIO(data)).curve_at:  # imagecodecs calls 16 bits linear, and stores what it is given
        place += 8 * next(start for kind, start, _ in parts.boxes(io.BytesIO(data)) if kind == b"jxlc")
        for bit in range(4):
            data[(place + bit) // 8] &= ~(1 << (place + bit) % 8)
            data[(place + bit) // 8] |= (_SRGB_CURVE >> bit & 1) << (place + bit) % 8
    exif = metadata.exif_with_dpi(about).removeprefix(b"Exif\0\0")
    others = (_box(b"Exif", bytes(4) + exif) if exif else b"") + (_box(b"xml ", about.xmp) if about.xmp else b"")
    return bytes(data) + others


class Jxl:
    """A JPEG XL whose head is read, with as much of the face of Pillow's pictures as reading needs.

    Its pixels come upright from the decoder, whatever its EXIF says.
    """

    format, mode = "JXL", "deep"

    def __init__(self, stream: Any):
        if kinds.ends_early(stream):
            raise PhotoError("cannot be decoded (its end is missing)", "truncated")
        stream.seek(0)
        self.curve_at = 0  # bit of the codestream
        self.info: dict[str, Any] = {"ignored": ()}
        bare = stream.read(2) == kinds.JXL_MAGIC[0]
        stream.seek(0)
        bits = kinds.Bits(stream.read(4096) if bare else self._boxes(stream))
        if bits.take(16) != 0x0AFF:
            raise PhotoError("a JPEG XL whose beginning is damaged; look for another copy of it")
        self.size = bits.size()
        self.info |= {"bits": 8, "lossless": False}
        if not bits.take():
            self._metadata(bits)
        stream.seek(0)

    def _boxes(self, stream: Any) -> bytes:
        """The head of the codestream; EXIF and XMP go into `info`, and what does not come along."""
        head, ignored = b"", []
        for kind, place, size in parts.boxes(stream):
            if kind in (b"jxlc", b"jxlp"):
                skipped = 4 * (kind == b"jxlp")
                head += parts.content(stream, place + skipped, min(size - skipped, 4096)) if len(head) < 4096 else b""
                continue
            content = parts.content(stream, place, size) if kind in (b"Exif", b"xml ", b"brob") else b""
            if kind == b"brob":
                kind, content = content[:4], _unpacked(content[4:]) if content[:4] in (b"Exif", b"xml ") else b""
            if kind == b"Exif" and len(content) > 4:
                self.info["exif"] = content[4 + int.from_bytes(content[:4], "big") :]
            elif kind == b"xml " and content:
                self.info["xmp"] = content
            elif kind not in _OF_JXL:
                ignored.append(_NAMES.get(kind, f"its box {kind.decode('latin-1').strip()!r}"))
        self.info["ignored"] = tuple(dict.fromkeys(ignored))
        return head

    def _metadata(self, bits: kinds.Bits) -> None:
        if bits.take():  # more than the least is said
            bits.take(3)  # orientation
            if bits.take():
                bits.size()  # to be shown at
            if bits.take():
                raise PhotoError("a JPEG XL with a preview, which is not read here; export it as TIFF or PNG", "not supported")
            if bits.take():
                self.info["ignored"] += ("all frames of its animation but the first",)
                bits.choice((100, 0), (1000, 0), (1, 10), (1, 30))
                bits.choice((1, 0), (1001, 0), (1, 8), (1, 10))
                bits.choice((0, 0), (0, 3), (0, 16), (0, 32))
                bits.take()
        floating, self.info["bits"] = bits.depth()
        if floating:
            raise PhotoError("a JPEG XL of floating-point numbers, which is not read here; export it as TIFF", "not supported")
        bits.take()
        for _ in range(bits.choice((0, 0), (1, 0), (2, 4), (1, 12))):
            _pass_channel(bits)
        self.info["lossless"] = not bits.take()  # no conversion to XYB
        if not bits.take():
            words, self.curve_at = _colours(bits)
            self.info["ignored"] += (words,) if words else ()

    def seek(self, index: int) -> None:
        """Only the first frame is there."""

    def getexif(self) -> Image.Exif:
        """Nothing: the pixels are upright already."""
        return Image.Exif()

    def __enter__(self) -> "Jxl":
        return self

    def __exit__(self, *_: object) -> None:
        """Its stream stays open: it belongs to the caller."""


def _pass_channel(bits: kinds.Bits) -> None:
    """Go over what is said of an extra channel, of which alpha is one. Raises PhotoError where it is not known."""
    if bits.take():
        return
    kind = bits.choice(*_ENUM)
    bits.depth()
    bits.choice((0, 0), (3, 0), (4, 0), (1, 3))
    bits.take(8 * bits.choice((0, 0), (0, 4), (16, 5), (48, 10)))
    if kind not in (0, 1, 3, 4):  # alpha, depth, selection, black; others say more, which tells nothing here
        raise PhotoError("a JPEG XL with unusual channels, which is not read here; export it as TIFF or PNG", "not supported")
    if kind == 0 and bits.take():
        raise PhotoError("a JPEG XL with associated alpha, which is not read here; export it as PNG", "not supported")


def _unpacked(brotli: bytes) -> bytes:
    import imagecodecs

    try:
        return imagecodecs.brotli_decode(brotli, out=_LARGEST_PACKED)
    except imagecodecs.BrotliError:
        return b""


def _colours(bits: kinds.Bits) -> tuple[str, int]:
    """(what is to be said of colours that are not sRGB, the bit of the head where the number of their curve begins)."""
    icc, space = bits.take(), bits.choice(*_ENUM)
    if icc:
        return "its colour profile, which is packed: its colours were taken as sRGB", 0
    white = bits.choice(*_ENUM)
    for _ in range(2 * (white == _CUSTOM)):
        bits.choice(*_COORDINATE)
    primaries = 1 if space == _GREY else bits.choice(*_ENUM)
    for _ in range(6 * (primaries == _CUSTOM)):
        bits.choice(*_COORDINATE)
    if bits.take():
        curve, place = f"gamma {bits.take(24) / 1e7:.3g}", 0
    else:
        place = bits.place + 2
        number = bits.choice(*_ENUM)
        curve = _CURVES.get(number, f"curve {number}")
    if (white, primaries, curve) == (1, 1, "sRGB"):
        return "", place
    return f"its colour space ({curve}, primaries {primaries}): its values were taken as sRGB", place
