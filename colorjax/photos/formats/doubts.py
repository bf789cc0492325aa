"""Doubts of what was read: numbers that use little of their range, and a second opinion.

That is what a reader that shares no code with ours sees in a file, and whether it is the same picture.

Of TIFF it is libtiff's own RGBA, of PNG and BMP the decoders of imagecodecs; where ours are those, Pillow. Of JPEG, WebP, AVIF
and HEIC every library at hand calls the same decoder, so that a second one could only agree. It takes about as long as the
first reading, most of it to unpack the file once more: 30 to 420 ms for 12 megapixels, beside the colouring of another.
"""

from typing import Any

import numpy as np
from PIL import Image

from colorjax.photos import profiles
from colorjax.photos.formats import deep

_SAMPLES = 256  # along each side, at most
_MOST_BYTES, _MOST_PIXELS = 2**29, 2**26  # of a file: the second reader wants all of it at once
_FAR, _MOST_FAR, _MEAN = 0.2, 0.02, 0.04  # parts of white: a sample is far off; so many may be; and all on average
_INKS, _LAB = (5, 6), (8, 9, 10)  # TIFF: photometric interpretations, of which two readers may differ in good faith
# libtiff's RGBA has the first row on top and the first column on the left as far as flips can do that.
_FLIPS = {2: (1, -1), 6: (1, -1), 3: (-1, -1), 7: (-1, -1), 4: (-1, 1), 8: (-1, 1)}

_HEAD = 16  # bytes of a TIFF, at most, which say where its first directory is
_DARK, _FEW_BITS, _SIGNIFICANT = 0.02, 14, 64  # the first a part of white; the last a level of 16 bits


def dark(image: np.ndarray, picture: Any) -> str:
    """Why a picture of 16 bits or of floats, (H, W[, 3]) uint16 as in `Photo`, may be darker than was meant; "" if it is not.

    It may hold 8 to 14 bits in integers of 16 (24 to 30 in those of 32), or floats of which nothing says which one is white.
    """
    if image.dtype != np.uint16 or not image.size:
        return ""
    tags = getattr(picture, "tag_v2", {}) if picture.format == "TIFF" else {}
    largest = 65535 - int(image.min()) if tags.get(262) == 0 else int(image.max())
    declared, kind = deep.declared_white(tags), tags.get(339, 1)
    if (kind[0] if isinstance(kind, tuple) else kind) == 3:
        if largest > _DARK * 65535 or (declared or 0) >= 1:
            return ""
        words = f"its largest number is about {largest / 65535:.2g}, and nothing says which one is white"
        return f"it is all black: {words}; save it with integers, or with numbers from 0 to 1"
    below = picture.info.get("dropped", 0)  # bits
    told = int(declared) >> below if declared is not None and largest <= int(declared) >> below else 0
    bits = max(8, max(told, largest).bit_length() if max(told, largest) < 2**_FEW_BITS else largest.bit_length())
    if bits > _FEW_BITS or (largest < _SIGNIFICANT and not 0 < told < 2**_FEW_BITS):
        return ""
    shade, up_to = "all" if largest <= _DARK * 65535 else "nearly", "" if below else f", up to {largest} of 65535,"
    words = f"its numbers use {bits + below} of {16 + below} bits{up_to} and so do those of the copy"
    return f"it is {shade} black: {words}; spread them over the whole range and colour it again"


def differs(ours: deep.Pixels, picture: Any, stream: Any, turn: int, whole: bytearray | None = None) -> str:
    """How the pixels of an opened picture, as `Photo` holds them, differ from those that another reader sees; "" if not.

    `turn`: the orientation of what is stored, which Pillow forgets. Looks at a grid of at most 256 x 256 of them, where both
    see nothing transparent. "" too where there is no other reader, or where it cannot read the file. `whole`: of a TIFF of
    several pages, one for all of them and at first empty; the file is read into it once, whatever the number of its pages.
    """
    (image, opaque), position = ours, stream.tell()
    try:
        small = stream.seek(0, 2) <= _MOST_BYTES and image.shape[0] * image.shape[1] <= _MOST_PIXELS
        stream.seek(0)
        reader = {"TIFF": _by_libtiff, "PNG": _by_libpng, "BMP": _by_imagecodecs}.get(picture.format)
        whole = bytearray() if whole is None else whole
        found = reader(picture, stream, turn, whole) if small and reader is not None else None
    except Exception:  # it knows fewer kinds, and is no judge of what it cannot read
        found = None
    finally:
        stream.seek(position)
    if found is None:
        return ""
    name, theirs = found
    theirs = deep.upright(theirs, turn)
    if theirs.shape[:2] != image.shape[:2]:
        size, known = ("x".join(map(str, pixels.shape[1::-1])) for pixels in (theirs, image))
        return f"another reader ({name}) sees {size} pixels in it, not {known}; compare the copy with its source"
    grey = _grey(_sampled(image) / np.float32(np.iinfo(image.dtype).max))
    colours, alpha = _expanded(_sampled(theirs))
    seen = alpha == 255
    if opaque is not None:  # libtiff knows nothing of the transparency of grey of 16 bits
        seen &= _sampled(opaque) == np.iinfo(opaque.dtype).max
    samples = _grey(np.asarray(_to_srgb(colours, picture)) / np.float32(255))
    if not seen.any():
        return ""
    far = np.abs(grey - samples)[seen]
    if far.mean() <= _MEAN and (far > _FAR).mean() <= _MOST_FAR:
        return ""
    means = f"{samples[seen].mean():.0%} of white on average, not {grey[seen].mean():.0%}"
    return f"another reader ({name}) sees other pixels in it ({means}); compare the copy with its source"


def _sampled(pixels: np.ndarray) -> np.ndarray:
    rows, columns = (-(-side // _SAMPLES) for side in pixels.shape[:2])
    return pixels[::rows, ::columns]


def _expanded(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(RGB, alpha) of 8 bits, of samples (H, W) or (H, W, 1 to 4): grey or RGB, with alpha or without."""
    samples = samples if samples.ndim == 3 else samples[..., None]
    samples = samples if samples.dtype == np.uint8 else (samples >> 8).astype(np.uint8)
    number = 1 if samples.shape[2] < 3 else 3
    alpha = samples[..., number] if samples.shape[2] > number else np.full(samples.shape[:2], 255, np.uint8)
    return np.broadcast_to(samples[..., :number], (*samples.shape[:2], 3)), alpha


def _grey(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.ndim == 2 else pixels.mean(axis=-1)


def _to_srgb(samples: np.ndarray, picture: Any) -> Image.Image:
    is_grey = (samples == samples[..., :1]).all()
    seen = Image.fromarray(np.ascontiguousarray(samples[..., 0] if is_grey else samples))
    profile = picture.info.get("icc_profile") or b""
    if is_grey and profile[16:20] == b"RGB ":
        seen = seen.convert("RGB")
    seen.info["icc_profile"] = profile
    return profiles.to_srgb(seen)


def _by_libtiff(picture: Any, stream: Any, turn: int, whole: bytearray) -> tuple[str, np.ndarray] | None:
    import imagecodecs

    kind = picture.tag_v2.get(262)
    if kind in _LAB or (kind in _INKS and picture.info.get("icc_profile")):
        return None
    whole[:_HEAD] = stream.read(_HEAD if whole else -1)  # only its head says which page is meant
    pixels = imagecodecs.tiff_decode(whole, asrgb=True)
    rows, columns = _FLIPS.get(turn, (1, 1))
    pixels = pixels[::rows, ::columns]
    wide = picture.tag_v2.get(322)
    if wide and max(picture.tag_v2.get(258, (1,))) > 8:  # libtiff errs in tiles that go beyond the right side
        pixels[:, pixels.shape[1] // wide * wide :, 3] = 0
    return "libtiff", pixels


def _by_libpng(picture: Any, stream: Any, *_: Any) -> tuple[str, np.ndarray] | None:
    import imagecodecs

    if deep.is_deep_png(picture, stream):
        stream.seek(0)
        with Image.open(stream, formats=("PNG",)) as other:
            return "Pillow", np.asarray(other.convert("RGBA"))
    stream.seek(0)
    return "libpng", imagecodecs.png_decode(stream.read())


def _by_imagecodecs(picture: Any, stream: Any, *_: Any) -> tuple[str, np.ndarray] | None:
    import imagecodecs

    return "imagecodecs", imagecodecs.bmp_decode(stream.read())
