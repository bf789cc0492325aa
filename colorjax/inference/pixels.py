"""Pixels of whole photographs: their lightness, made small, and joined with colour; in strips, which bounds the memory.

Pictures are (H, W) or (H, W, 3), uint8, uint16 or float in 0..1, sRGB-encoded.
"""

import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from colorjax.science import color

_STRIP_PIXELS = 2**18  # in a strip, about
_WORKERS = min(4, os.cpu_count() or 1)
_MODES = ("L", "RGB", "F", "I;16", "I;16L", "I;16B")  # of Pillow, whose array is what it shows
_LEVELS = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}


def checked(image: np.ndarray) -> np.ndarray:
    """A picture as an array of the machine's byte order.

    Raises TypeError or ValueError for other shapes, types and ranges, with what to do about it.
    """
    if what := _no_pixels(image):
        raise TypeError(f"image is {what}")
    if isinstance(image, Image.Image) and image.mode not in _MODES:
        wide = "np.asarray(image).astype(np.uint16), if its values are 0..65535"  # Pillow's conversion makes these white
        way = wide if image.mode == "I" else "image.convert('RGB')"
        raise ValueError(f"image is a picture of mode {image.mode}; it must be L or RGB: give {way}")
    several = isinstance(image, list | tuple)
    try:
        image = np.asarray(image)
    except ValueError as error:
        if not several:
            raise
        raise TypeError("image is a list of unlike parts; it must be the pixels of one photograph") from error
    image = image.astype(image.dtype.newbyteorder("="), copy=False)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[-1] != 3) or 0 in image.shape:
        way = _way_out(image.shape, several)
        raise ValueError(f"image has shape {image.shape}; it must be (H, W) or (H, W, 3) with at least one pixel{way}")
    if image.dtype in _LEVELS:
        return image
    if not np.issubdtype(image.dtype, np.floating):
        raise TypeError(f"image has dtype {image.dtype}; it must be uint8, uint16 or float{_cast(image.dtype)}")
    if not (np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1):
        way = ": give image / 255" if image.min() >= 0 and 1 < image.max() <= 255 else ""
        raise ValueError(f"image has values from {image.min()} to {image.max()}; floats must be in 0..1{way}")
    return image


def _no_pixels(image: object) -> str:
    """What somebody gave in place of a picture, and what to do about it; "" for what may be one.

    Pillow's pictures are what it advises: `checked` knows their modes. `convert("RGB")` makes those of 16 bits white.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        return "the bytes of a file; it must be pixels: PIL.Image.open(io.BytesIO(image)) reads them"
    if isinstance(image, str | os.PathLike):
        return (
            f"a path, {os.fspath(image)!r}; it must be pixels: colorjax.colorize_file colours a file, "
            "PIL.Image.open(path) reads one"
        )
    if hasattr(image, "read") and not hasattr(image, "__array__"):
        return "an open file; it must be pixels: PIL.Image.open(image) reads them"
    if image is None or isinstance(image, Iterator | set | dict):
        return f"of type {type(image).__name__}; it must be the pixels of one photograph, an array (H, W) or (H, W, 3)"
    return ""


def _cast(dtype: np.dtype) -> str:
    """What to do about values of another type, "" where that is not known."""
    if dtype.kind == "b":
        return ": give image.astype(np.uint8) * 255"
    if np.issubdtype(dtype, np.integer):
        return ": give image.astype(np.uint8), if its values are 0..255"
    return ": give image.astype(np.float32)" if "float" in dtype.name else ""  # as bfloat16


def _way_out(shape: tuple[int, ...], several: bool) -> str:
    """What to do about a picture of another shape, "" where that is not known; several: whether it was a list."""
    if 0 in shape:
        return ""
    if several or len(shape) == 4:
        return ": of several give one at a time"
    if len(shape) == 3 and shape[-1] == 4:
        return ": of RGBA give image[..., :3]; colorjax.colorize_file keeps the transparency of a file"
    if len(shape) == 3 and shape[-1] == 2:
        return ": of grey with alpha give image[..., 0]"
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return ": of colours first give np.moveaxis(image, 0, -1)"
    return ""


@functools.cache
def _tables(dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Of each level of an integer type: its linear light, and the L* of the grey that has it."""
    levels = np.arange(_LEVELS[dtype] + 1).astype(np.float32) / _LEVELS[dtype]
    return color.srgb_to_linear(levels), color.grey_to_lightness(levels)


def lightness(image: np.ndarray) -> np.ndarray:
    """L* in 0..100, (H, W) float32, of pixels as `Colorizer` takes them."""
    if image.dtype not in _LEVELS:
        values = image.astype(np.float32)
        return color.grey_to_lightness(values) if image.ndim == 2 else color.linear_to_lightness(color.srgb_to_linear(values))
    linear, lightness = _tables(image.dtype)
    return lightness[image] if image.ndim == 2 else color.linear_to_lightness(linear[image])


def small_grey(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The sRGB grey of each pixel's lightness, scaled to `shape` (bicubic), float32 in 0..1.

    A large photograph is first reduced by whole factors, strip by strip, to at least three times `shape` (as Pillow's
    `reducing_gap`), so that no second picture of its size is ever made.
    """
    size = image.shape[:2]
    factors = tuple(max(1, int(side / small / 3)) for side, small in zip(size, shape, strict=True))
    reduced = np.empty([-(-side // factor) for side, factor in zip(size, factors, strict=True)], np.float32)

    def strip(rows: slice) -> None:
        grey = Image.fromarray(color.lightness_to_grey(lightness(image[rows])))
        top = rows.start // factors[0]
        small = np.asarray(grey.reduce(factors[::-1]))
        reduced[top : top + len(small)] = small

    each(strip, strips(size, factors[0]))
    box = (0, 0, size[1] / factors[1], size[0] / factors[0])
    grey = Image.fromarray(reduced).resize(shape[::-1], Image.Resampling.BICUBIC, box=box)
    return np.clip(np.asarray(grey), 0, 1)


def resized(array: np.ndarray, shape: tuple[int, int], how: Image.Resampling = Image.Resampling.BILINEAR) -> np.ndarray:
    """Planes (h, w, c) at another size, float32. The default never leaves the range of what it is given."""
    planes = [Image.fromarray(np.ascontiguousarray(plane, np.float32)) for plane in np.moveaxis(array, -1, 0)]
    return np.stack([np.asarray(plane.resize(shape[::-1], how)) for plane in planes], axis=-1)


def strips(shape: tuple[int, int], multiple: int = 1) -> Iterator[slice]:
    """Slices of whole rows, each but the last of a number that `multiple` divides."""
    height, width = shape
    step = max(1, _STRIP_PIXELS // width // multiple) * multiple
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


def each(work: Callable[[slice], None], strips: Iterator[slice]) -> None:
    """Do the work on every strip, several at a time: NumPy and Pillow leave the interpreter to others meanwhile."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        for _ in pool.map(work, strips):
            pass


def join(lightness: np.ndarray, ab: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Pixels (n, W, 3) of this lightness with `ab`, as far as sRGB has them."""
    lab = np.concatenate([lightness[..., None], ab], axis=-1)
    outside = ~color.in_gamut(lab)
    lab[outside] = color.fit_to_gamut(lab[outside])
    rgb = color.lab_to_rgb(lab)
    level = _LEVELS.get(dtype)
    return (np.round(rgb * level) if level else rgb).astype(dtype)


def lightness_difference(
    one: np.ndarray, other: np.ndarray, without: list[int] | None = None, where: np.ndarray | None = None
) -> tuple[float, float]:
    """|L*(one) - L*(other)| of two pictures of one size as `Colorizer` takes them: (largest, mean over the pixels).

    without: a box (left, top, right, bottom) that does not count.
    """
    totals = []

    def strip(rows: slice) -> None:
        difference = np.abs(lightness(one[rows]) - lightness(other[rows]))
        if without is not None:
            left, top, right, bottom = without
            difference[max(0, top - rows.start) : max(0, bottom - rows.start), left:right] = 0
        if where is not None:
            difference[~where[rows]] = 0
        totals.append((float(difference.max()), float(difference.sum(dtype=np.float64))))

    each(strip, strips(one.shape[:2]))
    return max(largest for largest, _ in totals), sum(total for _, total in totals) / (one.shape[0] * one.shape[1])


def mean_chroma(image: np.ndarray) -> float:
    """Of a coloured picture (H, W, 3) uint8 or uint16, looked at through a grid of at most 256 x 256 pixels; Lab units."""
    rows, columns = (max(1, side // 256) for side in image.shape[:2])
    seen = image[::rows, ::columns] / np.float32(np.iinfo(image.dtype).max)
    return round(float(np.hypot(*np.moveaxis(color.rgb_to_lab(seen)[..., 1:], -1, 0)).mean()), 2)
