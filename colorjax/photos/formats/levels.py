"""The smaller versions of a picture of a TIFF: whether they show the same, which their size alone does not say."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from colorjax.photos import strips
from colorjax.photos.formats import deep
from colorjax.photos.formats.pictures import Level, Picture

_SAMPLES, _EACH = 128, 8  # along the longer side; a sample is the mean of at most so many pixels a side
_CORRELATED, _FLAT, _FAR = 0.7, 0.02, 0.2  # the last two in parts of white: the mean and the largest difference of blank pages


def checked(
    image: np.ndarray, stored: Picture, turn: int, read: Callable[[Level], np.ndarray]
) -> tuple[Picture, tuple[str, ...]]:
    """The picture with those of its smaller versions that show what `image` (H, W[, 3]) does; the others, in words.

    turn: the orientation of what is stored; `image` is upright, and what `read` gives is as its own directory says. At most
    twice as many pixels as the picture has are read; what comes after, or cannot be read, does not count as its version.
    """
    same, others, left = [], [], 2 * stored.own.shape[0] * stored.own.shape[1]
    for level in stored.smaller:
        left -= level.shape[0] * level.shape[1]
        if left >= 0 and _shows(image, level, turn, read):
            same.append(level)
        else:
            place = f"page {level.number}" if level.number else f"of {level.shape[1]}x{level.shape[0]} pixels, below the page"
            others.append(f"another picture, a smaller one ({place})")
    return replace(stored, smaller=tuple(same)), tuple(others)


def _shows(image: np.ndarray, level: Level, turn: int, read: Callable[[Level], np.ndarray]) -> bool:
    try:
        pixels = read(level)
    except Exception:  # whatever its decoder raises: what cannot be read is named, and not made anew
        return False
    return any(alike(image, way) for way in (pixels, deep.upright(pixels, turn)))


def alike(image: np.ndarray, smaller: np.ndarray) -> bool:
    """Whether two pictures (H, W[, 3]) of 8 or 16 bits show the same, by the correlation of their lightness.

    A smaller one may be made of means, or of single pixels, of which the grain differs from that of means.
    """
    if any(side > of for side, of in zip(smaller.shape[:2], image.shape, strict=False)):
        return False
    shape = smaller.shape[:2]
    shape = tuple(max(1, side * min(_SAMPLES, max(shape)) // max(shape)) for side in shape)
    other = _lightness(smaller, shape)
    if _correlated(_lightness(image, shape), other):
        return True
    sides = list(zip(smaller.shape[:2], image.shape, strict=False))
    for shift in (0.0, 0.5):  # the first pixel of each, or that in its middle
        rows, columns = (((np.arange(new) + shift) * old / new).astype(int) for new, old in sides)
        if _correlated(_lightness(image[np.ix_(rows, columns)], shape), other):
            return True
    return False


def _correlated(one: np.ndarray, other: np.ndarray) -> bool:
    difference = np.abs(one - other)
    if difference.mean() <= _FLAT and difference.max() <= _FAR:
        return True
    spread = one.std() * other.std()
    return bool(spread > 0 and ((one - one.mean()) * (other - other.mean())).mean() >= _CORRELATED * spread)


def _lightness(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    rows, columns = (max(1, old // (new * _EACH)) for old, new in zip(pixels.shape, shape, strict=False))
    pixels = pixels.reshape(*pixels.shape[:2], -1)[::rows, ::columns]
    return strips.reduced(pixels, shape).mean(axis=-1) / np.iinfo(pixels.dtype).max
