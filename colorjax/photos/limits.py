"""What a photo file may declare: so many pixels, pages and scans, and no more than its bytes can hold."""

import math
import os
from typing import Any

from PIL import Image

from colorjax.photos.metadata import PhotoError

MAX_PIXELS = 2**27  # 134 megapixels; what declares more is refused before it is decoded
MAX_PAGES = 1000
_MOST_WORK = 2**34  # pixels that the scans of a JPEG may go over: seconds
_LONGEST_WEBP = 16384  # no frame is longer, though an animation may say that it is
# A byte of a file cannot hold more pixels than so many (one bit for an 8x8 block; deflate's 1032 to 1; LZW's 3,600 to 1).
_PIXELS_A_BYTE = {"JPEG": 600, "PNG": 8 * 1040, "BMP": 8 * 65, "TIFF": 8 * 4096}
_COMPRESSIONS = (1, 5, 8, 32773, 32946, 34925, 50000)  # TIFF: none, LZW, Deflate, PackBits, LZMA, Zstandard
_NOT_UNPACKED = {50001: "WebP", 34676: "SGI LogL", 34677: "SGI LogLuv"}  # TIFF: Pillow knows their names alone
_MOST_BYTES = 2**31  # of a page, unpacked
_BILEVEL = (2, 3, 4)  # TIFF compressions of faxes, which hold any number of white rows


def limit_in_words(max_pixels: int) -> str:
    """For people."""
    return f"the limit is {max_pixels / 1e6:.4g} megapixels"


def check_size(picture: Image.Image, stream: Any, max_pixels: int) -> None:
    """Raises PhotoError where more pixels are declared than are safe, or than the file can hold."""
    width, height = picture.size
    _check_sides(width, height, max_pixels)
    if picture.format == "WEBP" and max(width, height) > _LONGEST_WEBP:
        raise PhotoError(f"declares {width}x{height} pixels, more than a WebP can have")
    position = stream.tell()
    length = stream.seek(0, os.SEEK_END)
    if picture.format in ("JPEG", "MPO") and length > _MOST_WORK // max(1, width * height):
        stream.seek(0)
        if stream.read().count(b"\xff\xda") * width * height > _MOST_WORK:
            raise PhotoError(f"goes over its {width}x{height} pixels too many times to decode safely", "too large")
    stream.seek(position)
    densest = _PIXELS_A_BYTE.get(picture.format or "", 0)
    compression = picture.tag_v2.get(259, 1) if picture.format == "TIFF" else None
    densest = 8 if compression == 1 else densest
    if densest and compression not in _BILEVEL and width * height > densest * length:
        raise PhotoError(f"declares {width}x{height} pixels, more than its {length} bytes can hold", "truncated")


def check_webp(head: bytes, max_pixels: int) -> None:
    """Raises PhotoError where the first bytes of a WebP declare more pixels than are safe: opening it asks for room for all."""
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return
    kind, inside = head[12:16], head[20:30].ljust(10, b"\0")
    if kind == b"VP8X":
        sides = [1 + int.from_bytes(inside[place : place + 3], "little") for place in (4, 7)]
    elif kind == b"VP8L":
        packed = int.from_bytes(inside[1:5], "little")
        sides = [1 + (packed >> shift & 0x3FFF) for shift in (0, 14)]
    else:
        sides = [int.from_bytes(inside[place : place + 2], "little") & 0x3FFF for place in (6, 8)]
    _check_sides(*sides, max_pixels)


def _check_sides(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        words = f"declares {width}x{height} pixels, too many to decode safely ({limit_in_words(max_pixels)})"
        raise PhotoError(words, "too large")


def check_tiles(picture: Any) -> None:
    """Raises PhotoError where Pillow would fill what a TIFF lacks with zeros, unpack far too large tiles, or fail."""
    if not isinstance(picture, Image.Image) or picture.format != "TIFF":
        return
    if name := _NOT_UNPACKED.get(picture.tag_v2.get(259, 1)):
        raise PhotoError(_compressed(f"compressed as {name}"), "not supported")
    area = picture.width * picture.height
    tile = [side for side in (picture.tag_v2.get(322), picture.tag_v2.get(323)) if isinstance(side, int)]
    if math.prod(tile) > max(4 * area, 2**20):
        raise PhotoError(f"declares tiles of {'x'.join(map(str, tile))} pixels, too large to decode safely", "too large")
    planes = len(picture.getbands()) if picture.tag_v2.get(284) == 2 and picture.tag_v2.get(259, 1) == 1 else 1
    if sum((right - left) * (low - top) for _, (left, top, right, low), *_ in picture.tile) < planes * area:
        raise PhotoError("cannot be decoded (parts of the picture are missing)")


def _compressed(how: str) -> str:
    return f"a TIFF {how}, which is not supported; save it with LZW, Deflate or no compression"


def check_page(page: Any) -> None:
    """Raises PhotoError for what tifffile would unpack without a limit, or leave as the memory happened to be."""
    if int(page.compression) not in _COMPRESSIONS:
        name = getattr(page.compression, "name", f"number {page.compression}")
        raise PhotoError(_compressed(f"of {page.bitspersample} bits compressed as {name}"), "not supported")
    if page.dtype is None:
        kind = f"{page.bitspersample}-bit pixels of a kind (sample format {page.sampleformat})"
        raise PhotoError(f"{kind} that is not supported; save it with integers of 8 or 16 bits", "not supported")
    segment = (page.tilewidth, page.tilelength) if page.is_tiled else (page.imagewidth, page.rowsperstrip)
    if not all(isinstance(number, int) for number in (*segment, page.samplesperpixel)):
        raise PhotoError("a TIFF with a damaged directory")
    unpacked = segment[0] * (segment[1] if page.is_tiled else min(segment[1], page.imagelength))
    size = max(page.nbytes, unpacked * page.samplesperpixel * page.dtype.itemsize)
    if size > _MOST_BYTES:
        raise PhotoError(f"declares {size / 2**20:.0f} MB of pixels, too many to decode safely", "too large")


def check_parts(page: Any) -> None:
    """Raises PhotoError where a page that tifffile has opened lacks some."""
    segments = math.prod(page.chunked)
    missing = not page.is_contiguous and min(len(page.dataoffsets), len(page.databytecounts)) < segments
    if missing or 0 in page.databytecounts[:segments]:
        raise PhotoError("cannot be decoded (parts of the picture are missing)")
