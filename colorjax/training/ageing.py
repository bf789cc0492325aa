"""What makes a colour photograph of today look like an old one, to train on: emulsion, lens, grain, fading, mount and scan.

Only what the network sees is changed, the lightness; the truth keeps its colours (but for a mount, which is grey).
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from colorjax.science import color

Luma = Float[Array, "b h w 1"]
_OFTEN = 0.5  # share of the aged pictures that each change befalls
_MOUNTED = 0.2  # and of those with a border
_BLIND = (0.0, 0.45, 0.55)  # linear sRGB as an orthochromatic plate sees it: no red, much blue
_WIDEST = 0.08  # of a border's sides, as a share of the picture's
_GRAIN = 6.0  # largest standard deviation, L*
_BLUR = 2.5 / 256  # largest sigma, as a share of the side
_TAPS = 2.5  # of the blur, to each side of the pixel, in its largest sigma
_BLOCK = 8
# Luminance table of ITU-T T.81 (JPEG), annex K.
_JPEG = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87),
    *(80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92),
    *(95, 98, 112, 100, 103, 99),
)


def aged(luma: Luma, chroma: Float[Array, "b h w 2"], key: jax.Array, share: float) -> tuple[Luma, Float[Array, "b h w 2"]]:
    """(luma, chroma) with about `share` of the pictures aged, each change befalling half of those, a border a fifth.

    In this order: red-blind emulsion, blur, grain, fading, border, JPEG. Network units. key: decides everything.
    """
    batch = luma.shape[0]
    chosen, *keys = jax.random.split(key, 7)
    lightness = luma * 50 + 50
    changed, mounted = lightness, chroma
    for change, one in zip((_orthochromatic(chroma), _blurred, _grained, _faded), keys[:4], strict=True):
        changed = _sometimes(_OFTEN, change, changed, one)
    inside, shade = _border(luma.shape, keys[4])
    changed, mounted = jnp.where(inside, changed, shade), jnp.where(inside, chroma, 0.0)
    changed = jnp.clip(_sometimes(_OFTEN, _compressed, changed, keys[5]), 0, 100)
    which = jax.random.bernoulli(chosen, share, (batch, 1, 1, 1))
    return jnp.where(which, changed / 50 - 1, luma), jnp.where(which, mounted, chroma)


def _sometimes(share: float, change: Callable, lightness: jax.Array, key: jax.Array) -> jax.Array:
    gate, key = jax.random.split(key)
    which = jax.random.bernoulli(gate, share, (lightness.shape[0], 1, 1, 1))
    return jnp.where(which, change(lightness, key), lightness)


def _uniform(key: jax.Array, batch: int, low: float, high: float) -> jax.Array:
    """A number for each picture, (b, 1, 1, 1)."""
    return jax.random.uniform(key, (batch, 1, 1, 1), minval=low, maxval=high)


def _orthochromatic(chroma: jax.Array) -> Callable:
    """L* as an emulsion between today's eye and a red-blind plate records it: red turns dark, blue light."""

    def change(lightness: jax.Array, key: jax.Array) -> jax.Array:
        linear = color.xyz_to_linear(color.lab_to_xyz(jnp.concatenate([lightness, chroma * 110], axis=-1)))
        blind = (jnp.clip(linear, 0, 1) * jnp.asarray(_BLIND).reshape(1, 1, 1, 3)).sum(-1, keepdims=True)
        grey = color.lightness_to_grey(lightness)
        seen = color.srgb_to_linear(grey)
        mixed = seen + _uniform(key, lightness.shape[0], 0, 1) * (blind - seen)
        return color.grey_to_lightness(color.linear_to_srgb(mixed))

    return change


def _blurred(lightness: jax.Array, key: jax.Array) -> jax.Array:
    batch, height, width, _ = lightness.shape
    largest = _BLUR * min(height, width)
    sigma, taps = _uniform(key, batch, 0.02, 1) * largest, math.ceil(_TAPS * largest)
    offsets = range(-taps, taps + 1)
    weights = [jnp.exp(-0.5 * (offset / sigma) ** 2) for offset in offsets]
    total = functools.reduce(jnp.add, weights)
    for axis in (1, 2):
        padding = [(taps, taps) if i == axis else (0, 0) for i in range(4)]
        padded, length = jnp.pad(lightness, padding, mode="edge"), lightness.shape[axis]
        moved = (jax.lax.slice_in_dim(padded, i, i + length, axis=axis) for i in range(len(weights)))
        lightness = sum(weight * one for weight, one in zip(weights, moved, strict=True)) / total
    return lightness


def _grained(lightness: jax.Array, key: jax.Array) -> jax.Array:
    """Noise of one pixel and of two, as grain has no one size."""
    batch, height, width, _ = lightness.shape
    strength, fine, coarse = jax.random.split(key, 3)
    half = jax.random.normal(coarse, (batch, -(-height // 2), -(-width // 2), 1)).repeat(2, axis=1).repeat(2, axis=2)
    noise = jax.random.normal(fine, lightness.shape) + half[:, :height, :width]
    return lightness + _uniform(strength, batch, 0, _GRAIN) * noise / np.sqrt(2)


def _faded(lightness: jax.Array, key: jax.Array) -> jax.Array:
    """Blacks lifted, whites dimmed, middle tones moved."""
    batch = lightness.shape[0]
    low, high, gamma = jax.random.split(key, 3)
    black, white = _uniform(low, batch, 0, 25), _uniform(high, batch, 75, 100)
    curve = jnp.exp(_uniform(gamma, batch, -0.35, 0.35))
    return black + (white - black) * jnp.clip(lightness / 100, 1e-4, 1) ** curve


def _border(shape: tuple[int, ...], key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(where the picture still is, (b, h, w, 1) bool; L* of the mount, (b, 1, 1, 1)); most pictures have none."""
    batch, height, width, _ = shape
    gate, sides, tone, kind = jax.random.split(key, 4)
    there = jax.random.bernoulli(gate, _MOUNTED, (batch, 1, 1, 1))
    top, bottom, left, right = jnp.split(jax.random.uniform(sides, (batch, 1, 1, 4)) * _WIDEST, 4, axis=-1)
    rows, columns = ((jnp.arange(n) + 0.5) / n for n in (height, width))
    rows, columns = rows[None, :, None, None], columns[None, None, :, None]
    inside = (rows > top) & (rows < 1 - bottom) & (columns > left) & (columns < 1 - right)
    dark = jax.random.bernoulli(kind, 0.5, (batch, 1, 1, 1))
    shade = _uniform(tone, batch, 0, 20)
    return inside | ~there, jnp.where(dark, shade, 100 - shade)


@functools.cache
def _cosines() -> np.ndarray:
    """The orthonormal DCT-II of a block, (8 frequencies, 8 places)."""
    frequency, place = np.mgrid[:_BLOCK, :_BLOCK]
    basis = np.cos((2 * place + 1) * frequency * np.pi / (2 * _BLOCK)) * np.sqrt(2 / _BLOCK)
    basis[0] /= np.sqrt(2)
    return basis.astype(np.float32)


def _table(quality: jax.Array) -> jax.Array:
    """The divisors of each frequency (..., 8, 8), for a quality of 1 to 100 (..., 1, 1), as libjpeg makes them."""
    scale = jnp.where(quality < 50, jnp.floor(5000 / quality), 200 - 2 * quality)
    standard = jnp.asarray(_JPEG, jnp.float32).reshape(*(1,) * (quality.ndim - 2), _BLOCK, _BLOCK)
    return jnp.clip(jnp.floor((standard * scale + 50) / 100), 1, 255)


def _compressed(lightness: jax.Array, key: jax.Array) -> jax.Array:
    """As JPEG of a quality from 30 to 95 leaves the luma of its blocks, which begin in the corner."""
    batch, height, width, _ = lightness.shape
    table = _table(jnp.round(_uniform(key, batch, 30, 95))[..., None])
    padding = [(0, 0), (0, -height % _BLOCK), (0, -width % _BLOCK), (0, 0)]
    levels = jnp.round(color.lightness_to_grey(jnp.clip(lightness, 0, 100)) * 255)
    padded = jnp.pad(levels - 128, padding, mode="edge")
    rows, columns = padded.shape[1] // _BLOCK, padded.shape[2] // _BLOCK
    blocks = padded.reshape(batch, rows, _BLOCK, columns, _BLOCK).swapaxes(2, 3)
    basis, exact = jnp.asarray(_cosines()), jax.lax.Precision.HIGHEST
    spectrum = jnp.einsum("fy,gx,brcyx->brcfg", basis, basis, blocks, precision=exact)
    kept = jnp.round(spectrum / table) * table
    blocks = jnp.einsum("fy,gx,brcfg->brcyx", basis, basis, kept, precision=exact)
    grey = blocks.swapaxes(2, 3).reshape(padded.shape)[:, :height, :width]
    return color.grey_to_lightness(jnp.clip((grey + 128) / 255, 0, 1))
