"""The plane of a* and b* cut into square bins of 10 Lab units: which colours are common in photographs, and which rare.

Zhang, Isola, Efros: Colorful Image Colorization, ECCV 2016, section 2.2, with their grid.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from colorjax.science import color

STEP = 10.0  # Lab units between the centres of two neighbours
SIDE = 23  # bins along a* and along b*, centres at -110, -100, ..., 110
COUNT = SIDE * SIDE
_SMOOTHING = 5.0  # standard deviation, Lab units
_UNIFORM = 0.5  # lambda, the share of the uniform distribution in the one that weights are taken from


def histogram(ab: np.ndarray, step: float = STEP) -> np.ndarray:
    """Pixels by bin, (side^2,) int64 with side = 2 * round(110 / step) + 1, of a* and b* in Lab units (..., 2).

    index = bin of a* times side + bin of b*; what lies outside is counted at the border. With `STEP`: (COUNT,).
    """
    half = round(110 / step)
    index = np.clip(np.rint(np.asarray(ab) / step), -half, half).astype(np.int64) + half
    side = 2 * half + 1
    return np.bincount((index[..., 0] * side + index[..., 1]).ravel(), minlength=side * side)


def index(ab: jax.Array) -> jax.Array:
    """The bin of each colour, as `histogram` counts it: (..., 2) in Lab units -> (...) int32."""
    half = SIDE // 2
    at = jnp.clip(jnp.rint(ab / STEP), -half, half).astype(jnp.int32) + half
    return at[..., 0] * SIDE + at[..., 1]


def centres() -> np.ndarray:
    """The colour in the middle of each bin, (COUNT, 2) float32, in Lab units."""
    ticks = (np.arange(SIDE) - SIDE // 2).astype(np.float32) * STEP
    return np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)


@functools.cache
def possible() -> np.ndarray:
    """Which bins hold a colour of sRGB, (COUNT,) bool."""
    levels = np.linspace(0, 1, 65)
    return histogram(color.rgb_to_lab(np.stack(np.meshgrid(levels, levels, levels), axis=-1))[..., 1:]) > 0


def likeliest(weights: np.ndarray, count: int) -> list[tuple[np.ndarray, float]]:
    """At most `count` colours, (ab (2,) in Lab units, share), for the weight of each bin (COUNT,), the likeliest first.

    Each is the mean of a bin and its neighbours, whose weights it gathers; bins that hold no colour of sRGB do not count.
    """
    left = np.where(possible(), weights, 0) / weights[possible()].sum()
    found = []
    while len(found) < count and left.any():
        near = np.abs(centres() - centres()[left.argmax()]).max(axis=-1) <= STEP
        found.append((np.average(centres()[near], axis=0, weights=left[near]), float(left[near].sum())))
        left[near] = 0
    return sorted(found, key=lambda one: -one[1])


def rarity(counts: np.ndarray) -> np.ndarray:
    """Weight of each bin, (SIDE, SIDE) float32, from the pixels by bin (COUNT,) of the training photographs.

    Inverse to (1 - lambda) p + lambda / Q with lambda 1/2: p is the share of the bin, smoothed by a Gaussian of 5 Lab units,
    Q the number of possible bins (Zhang et al., eq. 4). Scaled so that the mean over the pixels of the photographs is 1; read
    between bins, as the loss does, it is a little more (1.08 on 300 photographs).
    Raises ValueError where there is no pixel.
    """
    counts = np.asarray(counts, np.float64).reshape(SIDE, SIDE)
    if not counts.sum():
        raise ValueError("no pixel was counted: rarity needs the colours of some photographs")
    offsets = np.arange(SIDE)[:, None] - np.arange(SIDE)
    kernel = np.exp(-0.5 * (offsets * STEP / _SMOOTHING) ** 2)
    smooth = kernel @ counts @ kernel.T
    # What the Gaussian carries outside sRGB is no colour of any photograph.
    smooth = np.where(possible().reshape(SIDE, SIDE), smooth, 0)
    weights = 1 / ((1 - _UNIFORM) * smooth / smooth.sum() + _UNIFORM / possible().sum())
    return (weights * counts.sum() / (weights * counts).sum()).astype(np.float32)
