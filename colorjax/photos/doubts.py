"""A second opinion: what a reader that shares no code with ours sees in a file, and whether that is the same picture.

Of TIFF it is libtiff's own RGBA, of PNG and BMP the decoders of imagecodecs; where ours are those, Pillow. Of JPEG, WebP, AVIF
and HEIC every library at hand calls the same decoder, so that a second one could only agree.
"""

from typing import Any

import numpy as np
from PIL import Image

from colorjax.photos import deep, profiles

_SAMPLES = 256  # along each side, at most
_MOST_BYTES, _MOST_PIXELS = 2**29, 2**26  # of a file: the second reader wants all of it at once
_FAR, _MOST_FAR, _MEAN = 0.2, 0.02, 0.04  # parts of white: a sample is far off; so many may be; and all on average
_INKS, _LAB = (5, 6), (8, 9, 10)  # TIFF: photometric interpretations, of which two readers may differ in good faith
# libtiff's RGBA has the first row on top and the first column on the left as far as flips can do that.
_FLIPS = {2: (1, -1), 6: (1, -1), 3: (-1, -1), 7: (-1, -1), 4: (-1, 1), 8: (-1, 1)}


def differs(image: np.ndarray, picture: Any, stream: Any, turn: int) -> str:
    """How the pixels of an opened picture, as `Photo` holds them, differ from those that another reader sees; "" if not.

    `turn`: the orientation of what is stored, which Pillow forgets. Looks at a grid of at most 256 x 256 of them. "" too where
    there is no other reader, or where it cannot read the file.
    """
    position = stream.tell()
    try:
        length = stream.seek(0, 2)
        stream.seek(0)
        reader = {"TIFF": _by_libtiff, "PNG": _by_libpng, "BMP": _by_imagecodecs}.get(picture.format)
        found = (
            reader(picture, stream, turn)
            if reader is not None and length <= _MOST_BYTES and image.size <= 3 * _MOST_PIXELS
            else None
        )
    except Exception:  # it knows fewer kinds, and is no judge of what it cannot read
        found = None
    finally:
        stream.seek(position)
    if found is None:
        return ""
    name, theirs = found
    theirs = deep.upright(theirs, turn)
    if theirs.shape[:2] != image.shape[:2]:
        return f"{name} sees {theirs.shape[1]}x{theirs.shape[0]} pixels in it, not {image.shape[1]}x{image.shape[0]}"
    ours = _grey(_sampled(image) / np.float32(np.iinfo(image.dtype).max))
    samples = _sampled(theirs)
    seen = samples[..., 3] == 255 if samples.shape[-1] == 4 else np.ones(samples.shape[:2], bool)
    samples = _grey(np.asarray(_to_srgb(samples[..., :3], picture)) / np.float32(255))
    if not seen.any():
        return ""
    far = np.abs(ours - samples)[seen]
    if far.mean() <= _MEAN and (far > _FAR).mean() <= _MOST_FAR:
        return ""
    means = f"{samples[seen].mean():.0%} of white on average, not {ours[seen].mean():.0%}"
    return f"another reader ({name}) sees other pixels in it ({means}); compare the copy with its source"


def _sampled(pixels: np.ndarray) -> np.ndarray:
    rows, columns = (-(-side // _SAMPLES) for side in pixels.shape[:2])
    return pixels[::rows, ::columns]


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


def _by_libtiff(picture: Any, stream: Any, turn: int) -> tuple[str, np.ndarray] | None:
    import imagecodecs

    kind = picture.tag_v2.get(262)
    if kind in _LAB or (kind in _INKS and picture.info.get("icc_profile")):
        return None
    pixels = imagecodecs.tiff_decode(stream.read(), asrgb=True)
    rows, columns = _FLIPS.get(turn, (1, 1))
    pixels = pixels[::rows, ::columns]
    wide = picture.tag_v2.get(322)
    if wide and max(picture.tag_v2.get(258, (1,))) > 8:  # libtiff errs in tiles that go beyond the right side
        pixels[:, pixels.shape[1] // wide * wide :, 3] = 0
    return "libtiff", pixels


def _by_libpng(picture: Any, stream: Any, _: int) -> tuple[str, np.ndarray] | None:
    import imagecodecs

    if deep.is_deep_png(picture, stream):
        stream.seek(0)
        with Image.open(stream, formats=("PNG",)) as other:
            return "Pillow", np.asarray(other.convert("RGBA"))
    stream.seek(0)
    pixels = imagecodecs.png_decode(stream.read())
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    colours, alpha = (pixels[..., :1], pixels[..., 1:]) if pixels.shape[2] < 3 else (pixels[..., :3], pixels[..., 3:])
    alpha = alpha if alpha.shape[2] else np.full_like(pixels[..., :1], np.iinfo(pixels.dtype).max)
    pixels = np.concatenate([np.broadcast_to(colours, (*pixels.shape[:2], 3)), alpha], axis=-1)
    pixels = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    return "libpng", pixels


def _by_imagecodecs(picture: Any, stream: Any, _: int) -> tuple[str, np.ndarray] | None:
    import imagecodecs

    pixels = imagecodecs.bmp_decode(stream.read(), asrgb=True)
    return ("imagecodecs", pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=-1))
