"""Pictures of 16 bits in several channels, which Pillow would cut to 8: PNG and TIFF, by imagecodecs and tifffile."""

import logging
import math
import struct
from typing import Any

import numpy as np
from PIL import Image

from colorjax.photos import profiles
from colorjax.photos.formats import salvage
from colorjax.photos.limits import check_page, check_parts
from colorjax.photos.metadata import PhotoError
from colorjax.photos.strips import by_rows

Pixels = tuple[np.ndarray, np.ndarray | None]  # (image, alpha), as `Photo` holds them
_WHITE_IS_ZERO, _RGB, _CMYK = 0, 2, 5  # TIFF: photometric interpretation
_RAW = (32803, 34892)  # TIFF: each pixel behind a filter of one colour, or light as it was
_PREMULTIPLIED, _ALPHA = 1, 2  # TIFF: what an extra sample is
_BEYOND = 0.1  # floats may go so far beyond white, as a part of it
_CHANNELS = {_WHITE_IS_ZERO: 1, 1: 1, _RGB: 3, _CMYK: 4}
_OF_COLOUR = _CHANNELS | dict.fromkeys((3, 4), 1) | dict.fromkeys((6, 8, 9, 10), 3)  # palette, mask; YCbCr and three of Lab
# Stored pixels to upright ones, for each EXIF orientation.
_TURNS = {
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x[::-1].swapaxes(0, 1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: x[:, ::-1].swapaxes(0, 1),
}
logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it reports what it tolerates


def stored(picture: Any, stream: Any, lenient: bool = False) -> Pixels | None:
    """(image, alpha) of an opened picture with more bits than Pillow keeps; None where Pillow keeps them all.

    `lenient`: of a file that is cut short, what is left of it, and 0 elsewhere; then other pictures of TIFFs, too. Raises
    PhotoError where the data are damaged.
    """
    position = stream.tell()
    try:
        is_png, is_tiff = is_deep_png(picture, stream), _is_deep_tiff(picture) or (lenient and _is_plain_tiff(picture))
        decode = _png if is_png else _tiff if is_tiff else None
        if decode is None:
            return None
        image, alpha = decode(picture, stream, lenient)
    except Exception as error:  # the codecs' own words
        raise PhotoError.of("cannot be decoded", error) from None
    finally:
        stream.seek(position)
    image = profiles.deep_to_srgb(np.ascontiguousarray(image), picture.info.get("icc_profile") or b"")
    turn = orientation(picture)
    return upright(image, turn).copy(), None if alpha is None else upright(
        alpha, turn
    ).copy()  # with the strides of a new array


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels (H, W, ...) as they are to be seen: a view of them."""
    return _TURNS.get(orientation, lambda x: x)(pixels)


def channels_left(picture: Any, alpha: np.ndarray | None) -> tuple[str, ...]:
    """What of the channels of an opened TIFF comes into no copy, in words: spot colours, and masks beside its transparency."""
    tags = picture.tag_v2 if picture.format == "TIFF" else {}
    colours, samples = _OF_COLOUR.get(tags.get(262)), tags.get(277, 1)
    if colours is None or not isinstance(samples, int) or (left := samples - colours - (alpha is not None)) < 1:
        return ()
    return ("its extra channel" if left == 1 else f"its {left} extra channels",)


def orientation(picture: Any) -> int:
    """How the pixels of an opened picture lie, 1 to 8, whatever type of tag says so; 1 where nothing does."""
    try:
        value = picture.getexif().get(274, 1)
        value = value[0] if isinstance(value, tuple) else value
        if isinstance(value, bytes) and not value.strip(b"\0").isdigit():
            return next(turn for turn in (*value.strip(b"\0"), 1) if turn <= 8)
        return int(value.strip(b"\0") if isinstance(value, bytes) else value.strip("\0 ") if isinstance(value, str) else value)
    except Exception:  # a damaged EXIF block says nothing of the orientation, and must not cost the picture
        return 1


def is_deep_png(picture: Any, stream: Any) -> bool:
    """Whether it is a PNG with more bits than Pillow keeps."""
    if picture.format != "PNG":
        return False
    stream.seek(24)
    depth, kind = stream.read(2)  # of IHDR, which is the first chunk
    return depth == 16 and kind in (2, 4, 6)


def _is_deep_tiff(picture: Any) -> bool:
    if isinstance(picture, Tiff):
        return True
    if picture.format != "TIFF":
        return False
    bits, channels = picture.tag_v2.get(258, (1,)), picture.tag_v2.get(277, 1)
    kind = picture.tag_v2.get(339, (1,))[0]
    swapped = picture.tag_v2._endian == ">" and picture.tag_v2.get(259, 1) != 1  # Pillow takes them for what they are not
    if channels == 1:
        return max(bits) in (10, 12, 14) or (max(bits) == 32 and kind == 1) or (max(bits) > 8 and kind != 1 and swapped)
    return max(bits) > 8 or (channels == 2 and picture.mode == "La") or _is_in_odd_planes(picture.tag_v2, channels)


def _is_in_odd_planes(tags: Any, channels: int) -> bool:
    """Whether Pillow decodes no planes as these: of two, of transparency before spot colours, or multiplied with it."""
    first = tags.get(338, ())[:1]
    more = (channels > 4 and first == (_ALPHA,)) or (first == (_PREMULTIPLIED,) and (channels > 4 or tags.get(259, 1) == 1))
    return tags.get(284) == 2 and (channels == 2 or more)


def _is_plain_tiff(picture: Any) -> bool:
    tags = picture.tag_v2 if picture.format == "TIFF" else {}
    return tags.get(262) in _CHANNELS and set(tags.get(258, (1,))) in ({8}, {16})


def _png(picture: Any, stream: Any, lenient: bool) -> Pixels:
    import imagecodecs

    stream.seek(0)
    try:
        pixels = imagecodecs.png_decode(salvage.completed_png(stream.read()) if lenient else stream.read())
    except (imagecodecs.PngError, UnicodeDecodeError):  # whose words may be whatever lies in memory
        raise PhotoError("cannot be decoded (damaged PNG data)") from None
    if pixels.shape[:2] != picture.size[::-1] or pixels.dtype != np.uint16:
        raise PhotoError(f"cannot be decoded (its pixels are {pixels.shape} {pixels.dtype})")
    colours = pixels.shape[2] // 2 * 2 - 1  # 2 -> 1, 3 and 4 -> 3
    colours = 3 if pixels.shape[2] == 3 else colours
    alpha = pixels[..., colours] if pixels.shape[2] in (2, 4) else None
    return pixels[..., 0] if colours == 1 else pixels[..., :3], alpha


def _tiff(picture: Any, stream: Any, lenient: bool) -> Pixels:
    import tifffile

    stream.seek(0)
    with tifffile.TiffFile(stream) as file:
        page = file.pages[0]
        photometric, extras = int(page.photometric), tuple(map(int, page.extrasamples))
        channels = _CHANNELS.get(photometric)
        if channels is None or page.imagedepth != 1:
            if photometric in _RAW:
                raise PhotoError("a raw photograph as the camera took it; develop it first, into a TIFF", "not supported")
            kind = f"{page.bitspersample}-bit pixels of a kind ({page.photometric.name})"
            raise PhotoError(f"{kind} that is not supported; save it as RGB or grey", "not supported")
        check_page(page)
        if not lenient:
            check_parts(page)
        pixels = salvage.left(page) if lenient else page.asarray(maxworkers=1)
    if page.axes.startswith("S"):
        pixels = np.moveaxis(pixels, 0, -1)
    pixels = pixels.reshape(page.imagelength, page.imagewidth, -1)  # Pillow's size is that of the upright picture
    if pixels.shape[2] < channels:
        raise PhotoError(f"cannot be decoded ({pixels.shape[2]} channels instead of {channels})")
    if 8 < (bits := page.bitspersample) < 16:
        pixels = pixels << 16 - bits | pixels >> 2 * bits - 16
    eight = pixels.dtype == np.uint8
    if pixels.dtype == np.uint32 and pixels.max(initial=0) > 65535:
        picture.info["dropped"] = 16  # bits, for those who doubt the others
    pixels = pixels if eight else sixteen_bits(pixels, declared_white(picture.tag_v2))
    top = 255 if eight else 65535
    at = next((place for place, kind in enumerate(extras, channels) if kind in (_PREMULTIPLIED, _ALPHA)), None)
    alpha = None if at is None else pixels[..., at]
    image = pixels[..., 0] if channels == 1 else pixels[..., :channels]
    if at is not None and extras[at - channels] == _PREMULTIPLIED:

        def divided(rows: np.ndarray) -> np.ndarray:
            share = np.maximum(rows[..., at : at + 1], 1).astype(np.uint32)
            return np.minimum(rows[..., :channels].astype(np.uint32) * top // share, top)

        image = by_rows(divided, pixels[..., : at + 1], np.empty((*pixels.shape[:2], channels), pixels.dtype))
        image = image[..., 0] if channels == 1 else image
    return top - image if photometric == _WHITE_IS_ZERO else image, alpha


def sixteen_bits(pixels: np.ndarray, declared: float | None = None) -> np.ndarray:
    """Pixels of any type of number as uint16: integers as they are, or by what of their range they use; floats by `_white`.

    uint16 stays as it is, whatever it uses, for that is what it is of; `doubts.dark` says where it is little.

    `declared`: the largest value, as the file says. Raises PhotoError where nothing says which number is white.
    """
    if pixels.dtype == np.uint16:
        return pixels
    if np.issubdtype(pixels.dtype, np.integer) and pixels.dtype.itemsize in (1, 2, 4):
        largest = int(pixels.max(initial=0))
        if largest <= 255:  # as other programs write 8 bits into more
            scale, drop = 257, 0
        else:
            scale, drop = 1, 16 if pixels.dtype == np.uint32 and largest > 65535 else 0
        return by_rows(lambda rows: np.clip(rows >> drop, 0, 65535) * scale, pixels, np.empty(pixels.shape, np.uint16))
    if np.issubdtype(pixels.dtype, np.floating):
        white = _white(pixels, declared)

        def levels(rows: np.ndarray) -> np.ndarray:
            rows = rows.astype(np.float64)
            return np.round(np.clip(np.where(np.isnan(rows), 0, rows) / white, 0, 1) * 65535)

        return by_rows(levels, pixels, np.empty(pixels.shape, np.uint16))
    raise PhotoError(f"pixels of type {pixels.dtype}, which are not supported; save them with 16 bits", "not supported")


def _white(pixels: np.ndarray, declared: float | None) -> float:
    """Which float is white: what the file declares; else 1, 255 or 65535, where the numbers leave no doubt.

    They may go a tenth beyond, as filters make them, and one in a hundred may lie above 1, as highlights do. Of 255 and 65535
    at least half must be used. Raises PhotoError elsewhere.
    """
    largest, smallest, above, below = 0.0, 0.0, 0, 0
    for row in pixels:
        row = row[np.isfinite(row)]
        largest, smallest = max(largest, float(row.max(initial=0))), min(smallest, float(row.min(initial=0)))
        above, below = above + np.count_nonzero(row > 1), below + np.count_nonzero(row < 0)
    few = pixels.size / 100
    if not (below > few and smallest < -_BEYOND * largest):
        if declared is not None and 1 < declared < math.inf and largest <= (1 + _BEYOND) * declared:
            return declared
        if largest <= 1 + _BEYOND or (above <= few and largest < 128):
            return 1.0
        for white in (255.0, 65535.0):
            if white / 2 <= largest <= (1 + _BEYOND) * white:
                return white
    numbers = f"its numbers go from {smallest:.5g} to {largest:.5g}, and nothing says which of them is white"
    raise PhotoError(f"{numbers}; save it with integers, or with numbers from 0 to 1", "not supported")


def declared_white(tags: Any) -> float | None:
    """The largest sample value that the tags of a TIFF declare, if they do."""
    for tag in (341, 281):  # SMaxSampleValue, MaxSampleValue
        value = tags.get(tag)
        value = max(value, default=None) if isinstance(value, tuple) else value
        if isinstance(value, int | float) and value > 0:
            return float(value)
    return None


class _Tags(dict):
    """The tags of a page, with what Pillow keeps beside them."""

    _endian, _bigtiff, _offset = "<", False, 0


class Tiff:
    """A TIFF that Pillow does not know, with as much of the face of Pillow's pictures as reading needs."""

    format = "TIFF"

    def __init__(self, stream: Any):
        import tifffile

        with tifffile.TiffFile(stream) as file:
            page, order, is_big = file.pages[0], file.byteorder, file.is_bigtiff
            count, code = (8, "Q") if is_big else (2, "H")
            stream.seek(page.offset)
            declared = struct.unpack(order + code, stream.read(count))[0]
            if len(page.tags) < declared or not isinstance(page.bitspersample, int):
                raise PhotoError("a TIFF of an unknown kind, or with a damaged directory")
            if page.bitspersample not in (8, 10, 12, 14, 16, 32, 64):
                words = f"a TIFF of {page.bitspersample} bits a sample, which is not supported; save it with 8 or 16"
                raise PhotoError(words, "not supported")
            if sum(tag.valuebytecount for tag in page.tags) > file.filehandle.size:
                raise PhotoError("a TIFF whose directory declares more than the file can hold")
            self.size = (page.imagewidth, page.imagelength)
            if not all(isinstance(side, int) and side > 0 for side in self.size):
                raise PhotoError("a TIFF without a size")
            self.tag_v2 = _Tags({tag.code: tag.value for tag in page.tags})
        self.tag_v2._endian, self.tag_v2._bigtiff, self.tag_v2._offset = order, is_big, page.offset
        self.mode = {1: "L", 3: "RGB", 4: "CMYK"}[_CHANNELS.get(self.tag_v2.get(262), 3)]
        self.info = {"icc_profile": self.tag_v2.get(34675)}

    def getexif(self) -> Image.Exif:
        """The orientation of the page."""
        exif = Image.Exif()
        exif.update({tag: value for tag, value in self.tag_v2.items() if tag == 274})
        return exif

    def __enter__(self) -> "Tiff":
        return self

    def __exit__(self, *_: object) -> None:
        """Its stream stays open: it belongs to the caller."""


def opened(stream: Any) -> Tiff:
    """The TIFF in `stream`. Raises PhotoError where it is none."""
    stream.seek(0)
    try:
        return Tiff(stream)
    except Exception as error:
        raise PhotoError.of("cannot be opened", error) from None
