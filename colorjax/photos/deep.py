"""Pictures of 16 bits in several channels, which Pillow would cut to 8: PNG and TIFF, by imagecodecs and tifffile."""

import logging
import os
import struct
from typing import Any

import numpy as np
from PIL import Image

from colorjax.photos import profiles
from colorjax.photos.metadata import PhotoError

Pixels = tuple[np.ndarray, np.ndarray | None]  # (image, alpha), as `Photo` holds them
_WHITE_IS_ZERO, _RGB, _CMYK = 0, 2, 5  # TIFF: photometric interpretation
_PREMULTIPLIED, _ALPHA = 1, 2  # TIFF: what an extra sample is
_CHANNELS = {_WHITE_IS_ZERO: 1, 1: 1, _RGB: 3, _CMYK: 4}
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


def stored(picture: Any, stream: Any, index: int) -> Pixels | None:
    """(image, alpha) of an opened picture with more bits than Pillow keeps; None where Pillow keeps them all.

    Raises PhotoError where the data are damaged.
    """
    position = stream.tell()
    try:
        decode = _png if _is_deep_png(picture, stream) else _tiff if _is_deep_tiff(picture) else None
        if decode is None:
            return None
        image, alpha = decode(picture, stream, index)
    except PhotoError:
        raise
    except MemoryError:
        raise PhotoError(f"not enough memory to decode {picture.size[0]}x{picture.size[1]} pixels") from None
    except Exception as error:  # the codecs' own words
        raise PhotoError(f"cannot be decoded ({type(error).__name__}: {error})") from None
    finally:
        stream.seek(position)
    image = profiles.deep_to_srgb(np.ascontiguousarray(image), picture.info.get("icc_profile") or b"")
    turn = _TURNS.get(_orientation(picture), lambda x: x)
    return np.ascontiguousarray(turn(image)), None if alpha is None else np.ascontiguousarray(turn(alpha))


def _orientation(picture: Any) -> int:
    try:
        return picture.getexif().get(274, 1)
    except Exception:  # a damaged EXIF block says nothing of the orientation
        return 1


def _is_deep_png(picture: Any, stream: Any) -> bool:
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
        return max(bits) == 12 or (max(bits) == 32 and kind == 1) or (max(bits) > 8 and kind != 1 and swapped)
    return max(bits) > 8 or (channels == 2 and picture.mode == "La")


def _png(picture: Any, stream: Any, _: int) -> Pixels:
    import imagecodecs

    stream.seek(0)
    pixels = imagecodecs.png_decode(stream.read())
    if pixels.shape[:2] != picture.size[::-1] or pixels.dtype != np.uint16:
        raise PhotoError(f"cannot be decoded (its pixels are {pixels.shape} {pixels.dtype})")
    colours = pixels.shape[2] // 2 * 2 - 1  # 2 -> 1, 3 and 4 -> 3
    colours = 3 if pixels.shape[2] == 3 else colours
    alpha = pixels[..., colours] if pixels.shape[2] in (2, 4) else None
    return pixels[..., 0] if colours == 1 else pixels[..., :3], alpha


def _tiff(picture: Any, stream: Any, index: int) -> Pixels:
    import tifffile

    stream.seek(0)
    with tifffile.TiffFile(stream) as file:
        page = file.pages[index]
        photometric, extras = int(page.photometric), tuple(map(int, page.extrasamples))
        channels = _CHANNELS.get(photometric)
        if channels is None or page.imagedepth != 1:
            raise PhotoError(f"{page.bitspersample}-bit pixels of a kind ({page.photometric.name}) that is not supported")
        pixels = page.asarray(maxworkers=1)
    if page.axes.startswith("S"):
        pixels = np.moveaxis(pixels, 0, -1)
    pixels = pixels.reshape(page.imagelength, page.imagewidth, -1)  # Pillow's size is that of the upright picture
    if pixels.shape[2] < channels:
        raise PhotoError(f"cannot be decoded ({pixels.shape[2]} channels instead of {channels})")
    if page.bitspersample == 12:
        pixels = pixels << 4 | pixels >> 8
    eight = pixels.dtype == np.uint8
    pixels = pixels if eight else _sixteen_bits(pixels)
    top = 255 if eight else 65535
    alpha = pixels[..., channels] if extras[:1] in ((_PREMULTIPLIED,), (_ALPHA,)) else None
    image = pixels[..., 0] if channels == 1 else pixels[..., :channels]
    if alpha is not None and extras[0] == _PREMULTIPLIED:
        share = np.maximum(alpha, 1).astype(np.uint32)
        image = np.minimum(image.astype(np.uint32) * top // (share[..., None] if image.ndim == 3 else share), top)
        image = image.astype(pixels.dtype)
    return top - image if photometric == _WHITE_IS_ZERO else image, alpha


def _sixteen_bits(pixels: np.ndarray) -> np.ndarray:
    """uint8, uint16, uint32 or float pixels (0..1, or 0..65535) as uint16."""
    if pixels.dtype == np.uint16:
        return pixels
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint16) * 257
    if pixels.dtype == np.uint32:
        return (pixels >> 16).astype(np.uint16)
    if np.issubdtype(pixels.dtype, np.signedinteger):
        return np.clip(pixels, 0, 65535).astype(np.uint16)
    if np.issubdtype(pixels.dtype, np.floating):
        pixels = pixels.astype(np.float64) if pixels.itemsize < 4 else pixels
        pixels = np.clip(np.nan_to_num(pixels), 0, 65535)
        return np.round(pixels * (65535 if pixels.max(initial=0) <= 1 else 1)).astype(np.uint16)
    raise PhotoError(f"pixels of type {pixels.dtype}, which are not supported")


class _Tags(dict):
    """The tags of a page, with what Pillow keeps beside them."""

    _endian, _bigtiff, _offset = "<", False, 0


class Tiff:
    """A TIFF that Pillow does not know, with as much of the face of Pillow's pictures as reading needs."""

    format, mode = "TIFF", "deep"

    def __init__(self, stream: Any):
        import tifffile

        self._stream = stream
        self._file = tifffile.TiffFile(stream)
        self.seek(0)

    def seek(self, index: int) -> None:
        """Go to a page. Raises EOFError behind the last."""
        try:
            page = self._file.pages[index]
        except IndexError:
            raise EOFError from None
        if page.bitspersample not in (8, 16, 32, 64) or len(page.tags) < self._declared_tags(page.offset):
            raise PhotoError("a TIFF of an unknown kind, or with a damaged directory")
        self.size = (page.imagewidth, page.imagelength)
        self.tag_v2 = _Tags({tag.code: tag.value for tag in page.tags})
        self.tag_v2._endian, self.tag_v2._bigtiff = self._file.byteorder, self._file.is_bigtiff
        self.tag_v2._offset = page.offset
        self.info = {"icc_profile": self.tag_v2.get(34675)}

    def _declared_tags(self, offset: int) -> int:
        self._stream.seek(offset)
        size, code = (8, "Q") if self._file.is_bigtiff else (2, "H")
        return struct.unpack(self._file.byteorder + code, self._stream.read(size))[0]

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
    stream.seek(0, os.SEEK_SET)
    try:
        return Tiff(stream)
    except PhotoError:
        raise
    except Exception as error:
        raise PhotoError(f"cannot be opened ({type(error).__name__}: {error})") from None
