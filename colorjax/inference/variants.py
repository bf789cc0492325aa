"""Other colours that a photograph may well have had, by its network's palette.

What looks alike to the network is one part, be it in one piece or not: it takes one colour. Of a part's likely colours those
come first that are likelier there than elsewhere in the photograph: skin stays skin, and a suit may be blue or brown. The
first variant has the first colour of every part, the second the second, and so on.
"""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter

from colorjax.inference.reaching import standard
from colorjax.science import bins

MOST = 6  # variants of a photograph
_PARTS = 8
_SMOOTH = 1.0  # of likely colours, standard deviation in pixels of the features
_PLACE, _LIGHT = 0.5, 25.0  # what the place counts, in shorter sides, and Lab units of L* that count as much as unit features
_SOFT = 0.15  # squared distance over which a pixel belongs to two parts
_HEAT = 0.6  # likely colours count by this power of their share: else grey and brown would win everywhere
_SHARE, _CHROMA = 0.01, 8.0  # that a colour must have
_FARTHEST = 24.0  # Lab units that a part's colour may go
_DIFFERENT = 4.0  # Lab units, on average, by which variants differ at least
_HUES, _LIT = (70, 250, 20, 150, 320), 8.0  # of other lights, degrees in the plane of ab, and how much they tint, Lab units
_RANKS = 12  # colours of a part that are looked at


def shifts(
    features: Float[np.ndarray, "h w c"],
    likely: Float[np.ndarray, "h w n"],
    lightness: Float[np.ndarray, "h w"],
    ab: Float[np.ndarray, "h w 2"],
    count: int,
) -> list[Float[np.ndarray, "h w 2"]]:
    """What makes `count` other answers of one, ab, at the scale of the network's features.

    Where its palette has no more, they are those of another light: warmer, cooler and so on. likely: shares of `bins`.
    lightness: L* of what is seen.
    """
    parts = _parts(features, lightness)
    likely = gaussian_filter(np.where(bins.possible(), likely, 0), (_SMOOTH, _SMOOTH, 0))
    everywhere = np.maximum(likely.mean((0, 1)), 1e-9)
    ranked = [_ways(part, likely, everywhere, ab) for part in np.moveaxis(parts, -1, 0)]
    found: list[np.ndarray] = []
    for rank in range(_RANKS):
        shift = np.zeros_like(ab, np.float32)
        for part, ways in zip(np.moveaxis(parts, -1, 0), ranked, strict=True):
            if rank < len(ways):
                shift += part[..., None] * ways[rank]
        near = min(float(np.linalg.norm(shift - other, axis=-1).mean()) for other in (np.zeros_like(ab), *found))
        if near >= _DIFFERENT:
            found.append(shift)
        if len(found) == count or rank >= max(map(len, ranked)):
            break
    light = ((np.cos(hue), np.sin(hue)) for hue in np.deg2rad(_HUES))
    return [*found, *(np.full_like(ab, _LIT * np.float32(way)) for way in light)][:count]


def _ways(part: np.ndarray, likely: np.ndarray, everywhere: np.ndarray, ab: np.ndarray) -> list[np.ndarray]:
    """From a part's mean colour to its likely ones, (2,) each, the likeliest first."""
    weight = part[..., None] / max(part.sum(), 1e-6)
    shares, now = (weight * likely).sum((0, 1)), (weight * ab).sum((0, 1))
    ways = []
    for colour, _ in bins.likeliest(shares**_HEAT * shares / everywhere, _RANKS):
        near = np.abs(bins.centres() - colour).max(-1) <= bins.STEP
        if shares[near].sum() > max(_SHARE, everywhere[near].sum()) and np.hypot(*colour) > _CHROMA:
            way = colour - now
            ways.append((way * min(1.0, _FARTHEST / max(float(np.hypot(*way)), 1e-6))).astype(np.float32))
    return ways


def _parts(features: np.ndarray, lightness: np.ndarray) -> Float[np.ndarray, "h w k"]:
    """How much each pixel belongs to each part, shares of 1: k-means, whose centres begin far from each other."""
    height, width = lightness.shape
    rows, columns = np.mgrid[:height, :width] * (_PLACE / min(height, width))
    points = np.concatenate([standard(features), np.stack([lightness / _LIGHT, rows, columns], -1)], -1).reshape(
        height * width, -1
    )
    rng, centres = np.random.default_rng(0), points[:1]
    for _ in range(1, min(_PARTS, len(points))):
        away = _distances(points, centres).min(1) + 1e-12
        centres = np.concatenate([centres, points[rng.choice(len(points), 1, p=away / away.sum())]])
    for _ in range(20):
        mine = _distances(points, centres).argmin(1)
        centres = np.stack([points[mine == k].mean(0) if (mine == k).any() else centres[k] for k in range(len(centres))])
    away = _distances(points, centres)
    shares = np.exp((away.min(1, keepdims=True) - away) / _SOFT)
    return (shares / shares.sum(1, keepdims=True)).reshape(height, width, -1).astype(np.float32)


def _distances(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared, (n, k)."""
    away = (points**2).sum(1, keepdims=True) - 2 * points @ centres.T + (centres**2).sum(1)
    return np.maximum(away, 0)
