"""How far the colour of a hint goes: over the object that it lies on, or within its radius, and no farther.

From a hint's point, paths cost the squared steps of lightness that they climb and fall, so that an edge costs more than the
same rise in a fold, and a little for each pixel: more where the network's own features are unlike those at the point. What can
be reached cheaply is the hint's; where several can, the nearest has most to say. After Levin, Lischinski, Weiss: Colorization
using Optimization, 2004 (colours spread where lightness is alike), and Yatziv, Sapiro: Fast Image and Video Colorization using
Chrominance Blending, 2006 (by geodesic distance).

`benchmarks/quality/hint_spread.py` measures it on objects that were outlined by hand; the constants were chosen there.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from colorjax.inference.pixels import resized
from colorjax.science import color
from colorjax.science.hints import OBJECT, SOFT, Hint, drawn

SIDE = 160  # pixels of the shorter side of what is looked at
_FAR = 6.8  # that a path within an object costs at most
_EDGE = 5.0  # Lab units of L* between two pixels that cost 1
_STEP, _UNLIKE = 0.1, 0.1  # what a step over 1/100 of the shorter side costs: always, and for features of unit distance
_SMOOTH = 1.0  # pixels, standard deviation: grain is no edge
_NEAR = 3  # pixels around a point whose features are the object's
_FADE = 0.3  # of its reach, over which a colour ends: half before it, half behind
_RIVALRY = 12.0  # how much nearer counts more, where the colours of two hints meet
_KEPT = 2.0  # pixels around what a hint says, standard deviation, where variants change little
_WAYS = ((0, 1), (1, 0), (1, 1), (1, -1))  # to neighbours, and back


class Part(NamedTuple):
    """Where the colour of a hint goes: at each pixel of its place the distance in shares of its reach, 1 at its end.

    whole: whether all of its object has its colour; else the network says how much.
    """

    ab: np.ndarray
    whole: bool
    point: tuple[int, int]
    place: tuple[slice, slice]
    distance: np.ndarray

    @property
    def share(self) -> np.ndarray:
        """How much of its colour is there, 0..1."""
        return np.clip((1 + _FADE / 2 - self.distance) / _FADE, 0, 1)


class Reach:
    """Where the colours of hints go in a photograph."""

    def __init__(
        self,
        hints: Sequence[Hint],
        shape: tuple[int, int],
        lightness: Float[np.ndarray, "h w"],
        features: Float[np.ndarray, "_ _ c"] | None,
    ):
        """hints: in a photograph of this shape (H, W). lightness: L* of a copy of it. features: the network's, of the same view
        at any scale; None where no hint asks for its object."""
        self._shape, self._onto = shape, lightness.shape
        smooth = gaussian_filter(lightness, _SMOOTH)
        features = None if features is None else resized(standard(features), lightness.shape)
        self._parts = [self._part(hint, smooth, features) for hint in hints if hint.is_bounded]
        self._soft = [hint for hint in hints if hint.reach == SOFT]

    def _part(self, hint: Hint, lightness: np.ndarray, features: np.ndarray | None) -> Part:
        large, small = self._shape, self._onto
        row, column = (int((at + 0.5) * k / n) for at, k, n in zip((hint.y, hint.x), small, large, strict=True))
        scale = min(small) / min(large)
        radius = hint.radius_in(large) * scale * (1 + _FADE)
        if hint.reach == OBJECT:
            radius = min(radius, _FAR * (1 + _FADE) / (_STEP * 100 / min(small)))  # no path is cheaper than its steps
        top, left = max(0, int(row - radius)), max(0, int(column - radius))
        place = slice(top, int(min(small[0], row + radius + 1))), slice(left, int(min(small[1], column + radius + 1)))
        rows, columns = np.ogrid[place]
        away = np.hypot(rows - row, columns - column)
        distance = np.maximum(away - 0.5, 0) / max(hint.radius_in(large) * scale, 0.5)
        if hint.reach == OBJECT:
            near = slice(max(0, row - _NEAR), row + _NEAR + 1), slice(max(0, column - _NEAR), column + _NEAR + 1)
            unlike = ((features[place] - features[near].mean((0, 1))) ** 2).sum(-1)
            steps = (_STEP + _UNLIKE * unlike) * 100 / min(small)
            distance = np.maximum(distance, _cheapest(lightness[place], steps, (row - top, column - left)) / _FAR)
        ab = color.rgb_to_lab(np.array(hint.rgb, np.float32) / 255)[1:]
        return Part(ab, hint.reach == OBJECT, (row, column), place, distance.astype(np.float32))

    @property
    def share(self) -> Float[np.ndarray, "h w"]:
        """Where bounded hints reach, 0..1."""
        share = np.zeros(self._onto, np.float32)
        for part in self._parts:
            share[part.place] = np.maximum(share[part.place], part.share)
        return share

    def drawn(self, onto: tuple[int, int]) -> Float[np.ndarray, "h w 3"]:
        """What a network sees at that size: hints of objects all over these, others as `hints.drawn` has them."""
        told, nearest = np.zeros((*self._onto, 3), np.float32), np.full(self._onto, np.inf, np.float32)
        parts = [part for part in self._parts if part.whole]
        for part in parts:
            closer = part.distance < np.minimum(nearest[part.place], 1)
            nearest[part.place][closer] = part.distance[closer]
            told[part.place][closer] = (*part.ab / 110, 1)
        told, result = resized(told, onto), drawn(self._soft, self._shape, onto)
        there = (told[..., 2:] > 0.5) & (result[..., 2:] == 0)
        result += there * np.concatenate([told[..., :2] / np.maximum(told[..., 2:], 0.5), there], axis=-1)
        for part in parts:  # be it as small as it may
            result[self._at(part, onto)] = (*part.ab / 110, 1)
        return result.astype(np.float32)

    def _at(self, part: Part, onto: tuple[int, int]) -> tuple[int, int]:
        """Row and column of a hint in a picture of that size."""
        row, column = (int((at + 0.5) * k / n) for at, k, n in zip(part.point, onto, self._onto, strict=True))
        return row, column

    def applied(self, plain: Float[np.ndarray, "h w 2"], hinted: Float[np.ndarray, "h w 2"]) -> Float[np.ndarray, "h w 2"]:
        """`hinted` where bounded hints reach, at those of objects exactly what they say; `plain` elsewhere. ab, of one size."""
        onto = plain.shape[:2]
        shift, weights = np.zeros((*self._onto, 2), np.float32), np.full((*self._onto, 1), 1e-12, np.float32)
        for part in self._parts:
            weight = (part.share * np.exp(-_RIVALRY * np.minimum(part.distance, 2)))[..., None]
            shift[part.place] += part.whole * weight * (part.ab - hinted[self._at(part, onto)])
            weights[part.place] += weight
        share, shift = resized(self.share[..., None], onto), resized(shift / weights, onto)
        return plain + share * (hinted + shift - plain)


def kept(told: Callable[[tuple[int, int]], np.ndarray], onto: tuple[int, int]) -> Float[np.ndarray, "h w 1"]:
    """How much what hints say is to be kept, at that size: 1 where one says it, 0 far from all."""
    there = told(onto)[..., 2:]
    return np.minimum(1, _KEPT * gaussian_filter(there, (_KEPT, _KEPT, 0)) + there)


def standard(features: np.ndarray) -> np.ndarray:
    """Channels of mean 0 and standard deviation 1, over the root of their number; smoothed, for neighbours come from different
    phases of a transposed convolution."""
    features = gaussian_filter(features.astype(np.float32), (_SMOOTH, _SMOOTH, 0))
    return (features - features.mean((0, 1))) / ((features.std((0, 1)) + 1e-3) * np.sqrt(features.shape[-1]))


def _cheapest(lightness: np.ndarray, steps: np.ndarray, point: tuple[int, int]) -> np.ndarray:
    """What the cheapest path from a point costs, (h, w); infinite beyond what counts. steps: what one costs, (h, w)."""
    height, width = lightness.shape
    index, heights, steps = np.arange(height * width).reshape(height, width), lightness.ravel(), steps.ravel()
    ends, costs = [], []
    for down, right in _WAYS:
        one = index[: height - down, max(0, -right) : width - max(0, right)].ravel()
        other = index[down:, max(0, right) : width + min(0, right)].ravel()
        ends.append((one, other))
        costs.append(((heights[one] - heights[other]) / _EDGE) ** 2 + np.hypot(down, right) * (steps[one] + steps[other]) / 2)
    one, other = (np.concatenate(side) for side in zip(*ends, strict=True))
    graph = csr_array((np.concatenate(costs), (one, other)), shape=(height * width,) * 2)
    start = point[0] * width + point[1]
    return dijkstra(graph, directed=False, indices=start, limit=_FAR * (1 + _FADE)).reshape(height, width)
