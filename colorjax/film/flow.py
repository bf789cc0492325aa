"""Where things went from frame to frame: dense flow of the lightness, and how far each pixel of it is to be trusted.

A way is (h, w, 3) float32: for each pixel of a frame its column and row in another one, and trust in it, 0..1. Ways join to
longer ones, so that colour is fetched once, however far it comes, and does not blur on the way. The flow is DIS: Kroeger,
Timofte, Dai, Van Gool: Fast Optical Flow using Dense Inverse Search, ECCV 2016.

Exposure is the logarithm of L* + 16, which is the cube root of the light, times 116 (CIE 15). So a change of light adds the
same to the exposure of every pixel but the darkest, and multiplies a* and b* by the same factor as L* + 16.
"""

import functools

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Plane = Float[np.ndarray, "h w"]
Way = Float[np.ndarray, "h w 3"]

SMALLEST = 32  # pixels of a side, below which there is no flow
SURE = 0.5  # trust from which on two pixels are taken as the same thing
_TOE = 16.0  # of L*
_TOLERANCE = 7.0  # L* by which a pixel may differ from the one that it came from: noise and shading
_ASTRAY = 1.2  # pixels by which there and back again may miss the start; more where things move fast
_CONTRAST = 45.0  # grey levels of one standard deviation in what the flow sees
_BLURRED = (5, 5)  # window over which lightness is compared: neither grain nor dust is a thing that has gone


@functools.cache
def _grid(height: int, width: int) -> np.ndarray:
    """Of each pixel its own column and row, (h, w, 2)."""
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)


def stay(shape: tuple[int, int]) -> Way:
    """The way from a frame to itself."""
    return np.concatenate([_grid(*shape), np.ones((*shape, 1), np.float32)], axis=-1)


def between(one: Plane, other: Plane) -> tuple[Way, Way, float]:
    """Of two neighbours, L* of one shape: the way from one to the other, the way back, and how much more exposed the other is.

    A way is trusted where it ends inside of the picture, where there and back again ends at the start, and where the
    lightness agrees but for the exposure.
    """
    greys = [levels(one), levels(other)]
    moves = [_dis(one.shape, cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*pair, None) for pair in (greys, greys[::-1])]
    onward, back = (_sure(move, returned) for move, returned in (moves, moves[::-1]))
    there = fetch(other, onward)
    exposure = _exposure(one, there, onward[..., 2])
    onward[..., 2] *= fit(exposed(one, exposure), there)
    back[..., 2] *= fit(exposed(other, -exposure), fetch(one, back))
    return onward, back, exposure


def quick(one: UInt8[np.ndarray, "h w"], other: UInt8[np.ndarray, "h w"]) -> Way:
    """The way from one picture to another, both of `levels`, roughly; nothing is said of trust."""
    way = stay(one.shape)
    way[..., :2] += _dis(one.shape, cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(one, other, None)
    return way


def join(first: Way, second: Way) -> Way:
    """The way along the first and then the second, trusted no more than either."""
    joined = fetch(second, first)
    np.minimum(joined[..., 2], first[..., 2], out=joined[..., 2])
    return joined


def fetch(planes: np.ndarray, way: Way) -> np.ndarray:
    """What a frame's planes (h, w, c) or (h, w) hold at the end of a way, bilinear."""
    return cv2.remap(planes, way[..., 0], way[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def fit(here: Plane, there: Plane) -> Plane:
    """How well a frame's L* agrees with what was fetched for it: 1 within the tolerance, falling to 0 beyond."""
    difference = cv2.blur(here - there, _BLURRED)
    difference *= 1 / _TOLERANCE
    difference *= difference
    return 1 / (1 + difference * difference)


def exposed(lightness: np.ndarray, by: float) -> np.ndarray:
    """L* of the same frame in other light: `by` is added to its exposure."""
    return np.clip((lightness + np.float32(_TOE)) * np.float32(np.exp(by)) - np.float32(_TOE), 0, 100)


def levels(picture: np.ndarray) -> UInt8[np.ndarray, "h w"]:
    """What the flow sees of a plane (h, w): of equal mean and spread, however it was exposed."""
    (mean,), (spread,) = cv2.meanStdDev(picture)
    scale = _CONTRAST / max(float(spread[0]), 2.0)
    return cv2.convertScaleAbs(np.maximum((picture - np.float32(mean[0])) * np.float32(scale) + np.float32(128), 0))


def _sure(move: np.ndarray, returned: np.ndarray) -> Way:
    """A flow (h, w, 2), columns and rows, as a way; `returned`: that from there to here."""
    height, width = move.shape[:2]
    way = stay((height, width))
    way[..., :2] += move
    missed = move + fetch(returned, way)
    square = _length(missed) / (_ASTRAY**2 + 0.02 * _length(move))
    columns, rows = way[..., 0], way[..., 1]
    inside = (columns > -1) & (rows > -1) & (columns < width) & (rows < height)
    way[..., 2] = inside / (1 + square * square)
    return way


def _length(vectors: np.ndarray) -> Plane:
    """Squares of the lengths of (h, w, 2)."""
    x, y = cv2.split(vectors)
    return x * x + y * y


def _exposure(here: Plane, there: Plane, trust: Plane) -> float:
    """By how much `there` is more exposed than `here`, both L* of the same things."""
    seen = trust[::3, ::3] > SURE
    if not seen.any():
        return 0.0
    return float(np.median(np.log((there[::3, ::3][seen] + _TOE) / (here[::3, ::3][seen] + _TOE))))


@functools.lru_cache(maxsize=8)
def _dis(shape: tuple[int, int], preset: int) -> cv2.DISOpticalFlow:
    """What computes the flow of pictures of one shape: it keeps its memory from frame to frame."""
    return cv2.DISOpticalFlow_create(preset)
