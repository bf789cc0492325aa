"""Chroma at full size: what a network saw on a small copy, laid along the edges of the photograph's own lightness."""

import numpy as np
from PIL import Image

_SIGMA = 0.7  # of the Gaussian window, in pixels of the small copy, in which chroma is taken as linear in lightness
_EPSILON = 20.0  # variance of L* below which lightness says nothing about chroma


class Upsampler:
    """ab of a small copy scaled up to `shape`, strip by strip.

    Lanczos, plus what it misses of the lightness times the local slope of chroma over lightness: the local linear model of
    the guided filter (He, Sun, Tang 2013; upsampling: He, Sun 2015), applied to the detail alone. The result stays within
    the range of the 3x3 neighbours on the small copy, so that nothing rings. On true ab, `benchmarks/quality/upsampling.py`
    compares it with bilinear, bicubic, Lanczos and joint bilateral upsampling.
    """

    def __init__(self, lightness: np.ndarray, ab: np.ndarray, shape: tuple[int, int]):
        """lightness: (h, w), L* of the small copy. ab: (h, w, 2), Lab units. shape: (H, W) of the photograph."""
        slope = _slope(lightness, ab)
        low, high = neighbours(ab, np.minimum), neighbours(ab, np.maximum)
        smooth, plain = Image.Resampling.LANCZOS, Image.Resampling.BILINEAR
        stack = [(lightness, smooth), (ab, smooth), (slope, plain), (low, plain), (high, plain)]
        planes = [(plane, how) for array, how in stack for plane in np.moveaxis(np.atleast_3d(array), -1, 0)]
        self._planes = [(Image.fromarray(np.ascontiguousarray(plane, np.float32)), how) for plane, how in planes]
        self._shape = shape
        self._scale = ab.shape[0] / shape[0]

    def rows(self, rows: slice, lightness: np.ndarray) -> np.ndarray:
        """ab (n, W, 2) of these rows, whose own L* is `lightness` (n, W)."""
        size = (self._shape[1], rows.stop - rows.start)
        width, height = self._planes[0][0].size
        box = (0, rows.start * self._scale, width, min(rows.stop * self._scale, height))
        up, a, b, *others = (np.asarray(plane.resize(size, how, box=box)) for plane, how in self._planes)
        slope, low, high = (np.stack(others[i : i + 2], axis=-1) for i in (0, 2, 4))
        return np.clip(np.stack([a, b], axis=-1) + slope * (lightness - up)[..., None], low, high)


def _slope(lightness: np.ndarray, ab: np.ndarray) -> np.ndarray:
    """d(ab)/dL* by local least squares, (h, w, 2)."""
    lightness = lightness[..., None]
    mean_l, mean_ab = _window(lightness), _window(ab)
    covariance = _window(lightness * ab) - mean_l * mean_ab
    return covariance / (np.maximum(_window(lightness * lightness) - mean_l * mean_l, 0) + _EPSILON)


def _window(array: np.ndarray) -> np.ndarray:
    """Gaussian mean around each pixel, (h, w, c)."""
    weights = np.exp(-((np.arange(-2, 3) / _SIGMA) ** 2) / 2).astype(np.float32)
    weights /= weights.sum()
    for axis in (0, 1):
        padded = np.pad(array, [(2, 2) if i == axis else (0, 0) for i in range(3)], mode="edge")
        shifted = (padded.take(range(k, k + array.shape[axis]), axis) for k in range(5))
        array = sum(weight * part for weight, part in zip(weights, shifted, strict=True))
    return array


def neighbours(array: np.ndarray, pick: np.ufunc) -> np.ndarray:
    """The least or greatest of each pixel's 3x3 neighbours, (h, w, c)."""
    for axis in (0, 1):
        padded = np.pad(array, [(1, 1) if i == axis else (0, 0) for i in range(3)], mode="edge")
        array = pick.reduce([padded.take(range(k, k + array.shape[axis]), axis) for k in range(3)])
    return array
