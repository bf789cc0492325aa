"""Where things went from frame to frame: dense flow of the lightness, and how far each pixel of it is to be trusted.

A way is (h, w, 3) float32: for each pixel of a frame its column and row in another one, and trust in it, 0..1. Ways join to longer
ones, so that colour is fetched once, however far it comes, and does not blur on the way.
"""

import functools

import cv2
import numpy as np
from jaxtyping import Float

Way = Float[np.ndarray, "h w 3"]
Plane = Float[np.ndarray, "h w"]

_TOLERANCE = 7.0  # L* by which a pixel may differ from the one that it came from: noise and shading
_ASTRAY = 1.2  # pixels by which there and back again may miss the start, in a still part; more in a moving one
_CONTRAST = 45.0  # grey levels of one standard deviation in what the flow sees
_BLURRED = (5, 5)  # window over which lightness is compared: neither grain nor dust is a thing that has gone


@functools.cache
def _grid(height: int, width: int) -> np.ndarray:
    """Of each pixel its own column and row, (h, w, 2)."""
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)


def stay(shape: tuple[int, int]) -> Way:
    """The way from a frame to itself."""
    return np.concatenate([_grid(*shape), np.ones((*shape, 1), np.float32)], axis=-1)


def between(one: Plane, other: Plane) -> tuple[Way, Way]:
    """The ways from one frame to its neighbour and back; L* of both, of one shape.

    They are trusted where there and back again ends at the start, and inside of the picture.
    """
    greys = [levels(one), levels(other)]
    grid = _grid(*one.shape)
    there, back = (_dis(one.shape).calc(*pair, None) for pair in (greys, greys[::-1]))
    ways = [np.concatenate([grid + move, np.empty((*one.shape, 1), np.float32)], axis=-1) for move in (there, back)]
    for way, move, returned in ((ways[0], there, back), (ways[1], back, there)):
        missed = move + fetch(returned, way)
        length = (move**2).sum(-1)
        square = (missed**2).sum(-1) / (_ASTRAY**2 + 0.02 * length)
        inside = (way[..., :2] > -1).all(-1) & (way[..., 0] < one.shape[1]) & (way[..., 1] < one.shape[0])
        way[..., 2] = inside / (1 + square**2)
    return ways[0], ways[1]


def join(first: Way, second: Way) -> Way:
    """The way along the first and then the second, trusted no more than either."""
    joined = fetch(second, first)
    np.minimum(joined[..., 2], first[..., 2], out=joined[..., 2])
    return joined


def fetch(planes: np.ndarray, way: Way) -> np.ndarray:
    """What a frame's planes (h, w, c) or (h, w) hold at the end of a way, bilinear."""
    columns, rows = cv2.split(way)[:2]
    return cv2.remap(planes, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def fit(here: Plane, there: Plane) -> Plane:
    """How well a frame's L* agrees with what was fetched for it: 1 within the tolerance, falling to 0 beyond."""
    difference = cv2.blur(here - there, _BLURRED)
    return 1 / (1 + (difference / _TOLERANCE) ** 4)


def quick(one: np.ndarray, other: np.ndarray) -> Way:
    """The way from one frame to another, of `levels`, roughly; nothing is said of trust."""
    way = stay(one.shape)
    way[..., :2] += _dis(one.shape, cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(one, other, None)
    return way


def levels(lightness: np.ndarray) -> np.ndarray:
    """What the flow sees of a plane (h, w), uint8: of equal mean and spread in every frame, however it was exposed."""
    (mean,), (spread,) = cv2.meanStdDev(lightness)
    scale = _CONTRAST / max(float(spread[0]), 2.0)
    return np.clip((lightness - float(mean[0])) * scale + 128, 0, 255).astype(np.uint8)


@functools.lru_cache(maxsize=4)
def _dis(shape: tuple[int, int], preset: int = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM) -> cv2.DISOpticalFlow:
    """The flow's calculator, which keeps its memory from frame to frame."""
    return cv2.DISOpticalFlow_create(preset)
