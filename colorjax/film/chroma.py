"""Cb and Cr of a wanted a* and b*, beside a Y' that stays as it is.

Y' (of the stream's matrix) and L* cannot both be kept: L* depends on how much light each of R, G and B gives, Y' on the
matrix's share of their encoded values. A film's Y' is the archive's own plane, so it is what is kept; how far L* moves is
measured. R'G'B' are taken as sRGB-encoded, as players on computers show them.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from colorjax.science import color

# ITU-T H.273, table 4: MatrixCoefficients -> its name, Kr, Kb.
MATRICES = {
    1: ("bt709", 0.2126, 0.0722),
    4: ("fcc", 0.30, 0.11),
    5: ("bt470bg", 0.299, 0.114),
    6: ("smpte170m", 0.299, 0.114),
    7: ("smpte240m", 0.212, 0.087),
    9: ("bt2020nc", 0.2627, 0.0593),
}
LAYOUTS = {"444": (1, 1), "422": (2, 1), "420": (2, 2)}  # chroma is so many times narrower and lower
_STEPS = 3  # of the search for a colour's L*: then its Y' is within 1e-4 of the one that is there
_GREYS, _COLORS, _REACH = 129, 65, 128.0  # of the table: points of Y', of a* and of b*, which it has from -_REACH to _REACH
_GRID = 8  # every so manieth pixel of a row and a column is looked at for what is told of a picture


@dataclass(frozen=True)
class Coding:
    """What codes of Y', Cb and Cr stand for. matrix: a key of MATRICES. full: the range. bits: of a sample."""

    matrix: int
    full: bool
    bits: int

    @property
    def luma(self) -> tuple[int, int]:
        """(black, white) of Y', ITU-T H.273, 8.3."""
        return (0, 2**self.bits - 1) if self.full else (16 << self.bits - 8, 235 << self.bits - 8)

    @property
    def swing(self) -> int:
        """How many codes Cb and Cr have from -0.5 to 0.5."""
        return 2**self.bits - 1 if self.full else 224 << self.bits - 8

    @property
    def numbers(self) -> tuple[float, ...]:
        """(Kr, Kb, black, white, middle of chroma, its swing, largest code): what a compiled program is given."""
        _, kr, kb = MATRICES[self.matrix]
        return (kr, kb, *map(float, (*self.luma, 2 ** (self.bits - 1), self.swing, 2**self.bits - 1)))

    @property
    def dtype(self) -> np.dtype:
        """Of a sample in memory."""
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)


class Painted(NamedTuple):
    """cb, cr: codes, as the layout has them. moved: mean |dL*|. colour: mean chroma, Lab units."""

    cb: np.ndarray
    cr: np.ndarray
    moved: float
    colour: float


@functools.cache
def lightness_table(coding: Coding) -> np.ndarray:
    """L* in 0..100 of each code of Y', as a grey; float32. Codes beyond black and white are black and white."""
    black, white = coding.luma
    grey = (np.arange(2**coding.bits, dtype=np.float32) - black) / (white - black)
    return color.grey_to_lightness(np.clip(grey, 0, 1))


def paint(luma: np.ndarray, ab: np.ndarray, coding: Coding, layout: str) -> Painted:
    """Cb and Cr that give each Y' (H, W) the wanted ab (H, W, 2), in Lab units, as near as can be.

    Where the colour would leave 0..1 in R', G' or B', chroma gives way. layout: a key of LAYOUTS; chroma of 4:2:2 and 4:2:0
    lies on every other column, as MPEG-2 and H.264 have it.
    """
    cb, cr, moved, colour = _paint(luma, ab, *_table(coding.matrix), coding.numbers, LAYOUTS[layout])
    return Painted(np.asarray(cb), np.asarray(cr), float(moved), float(colour))


def of_rgb(image: np.ndarray, bits: int, coding: Coding, layout: str) -> list[np.ndarray]:
    """Y', Cb and Cr, as codes, of R', G' and B', (H, W, 3) levels of so many bits: for copies that keep no sample as it is."""
    planes = _of_rgb(image, 2.0**bits - 1, coding.numbers, LAYOUTS[layout], coding.dtype)
    return [np.asarray(plane) for plane in planes]


@functools.partial(jax.jit, static_argnums=(3, 4))
def _of_rgb(
    image: jax.Array, largest: float, numbers: tuple[float, ...], layout: tuple[int, int], dtype: np.dtype
) -> list[jax.Array]:
    kr, kb, black, white, *_ = numbers
    red, green, blue = jnp.moveaxis(image.astype(jnp.float32) / largest, -1, 0)
    y = kr * red + (1 - kr - kb) * green + kb * blue
    planes = [jnp.round(black + (white - black) * y).astype(dtype)]
    return planes + _codes([(blue - y) / (2 * (1 - kb)), (red - y) / (2 * (1 - kr))], numbers, layout, dtype)


def _codes(planes: list[jax.Array], numbers: tuple[float, ...], layout: tuple[int, int], dtype: np.dtype) -> list[jax.Array]:
    """Cb and Cr, -0.5 to 0.5, as codes."""
    *_, middle, swing, top = numbers
    codes = [jnp.round(middle + swing * _coarser(plane, layout)) for plane in planes]
    return [jnp.clip(plane, 0, top).astype(dtype) for plane in codes]


@functools.cache
def _table(matrix: int) -> tuple[jax.Array, jax.Array]:
    """Cb and Cr, -0.5 to 0.5 and beyond, of each Y', a* and b* on a grid, flat: computing them for each pixel takes 50 times
    as long, and the table is on average within 0.05 Lab units."""
    _, kr, kb = MATRICES[matrix]
    axis = np.linspace(-_REACH, _REACH, _COLORS, dtype=np.float32)
    grey, a, b = np.meshgrid(np.linspace(0, 1, _GREYS, dtype=np.float32), axis, axis, indexing="ij")
    wanted = lightness = color.grey_to_lightness(grey)
    for _ in range(_STEPS):  # L* of the colour whose Y' is the one that is there: each grey's L* over Y' is its slope, nearly
        lightness = lightness + wanted - color.grey_to_lightness(np.clip(_luma(_encoded(lightness, a, b), kr, kb), 0, 1))
    rgb = _encoded(lightness, a, b)
    y = _luma(rgb, kr, kb)
    return jnp.asarray(((rgb[2] - y) / (2 * (1 - kb))).ravel()), jnp.asarray(((rgb[0] - y) / (2 * (1 - kr))).ravel())


def _encoded(lightness: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
    """R', G', B' of a colour, outside 0..1 where sRGB does not have it."""
    linear = color.xyz_to_linear(color.lab_to_xyz(np.stack([lightness, a, b], axis=-1)))
    return tuple(color.linear_to_srgb(linear[..., i]) for i in range(3))


def _luma(rgb: tuple[np.ndarray, ...], kr: float, kb: float) -> np.ndarray:
    return kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2]


@functools.partial(jax.jit, static_argnums=5)
def _paint(
    luma: jax.Array, ab: jax.Array, blues: jax.Array, reds: jax.Array, numbers: tuple[float, ...], layout: tuple[int, int]
) -> tuple[jax.Array, ...]:
    kr, kb, black, white, *_ = numbers
    grey = (luma.astype(jnp.float32) - black) / (white - black)
    cb, cr = _looked_up(grey, ab, (blues, reds))
    red, blue = 2 * (1 - kr) * cr, 2 * (1 - kb) * cb
    green = -(kr * red + kb * blue) / (1 - kr - kb)
    share = jnp.minimum(jnp.minimum(_room(grey, red), _room(grey, green)), _room(grey, blue))
    codes = _codes([share * cb, share * cr], numbers, layout, luma.dtype)
    grey, share, *parts = (plane[::_GRID, ::_GRID] for plane in (grey, share, red, green, blue))
    rgb = jnp.stack([jnp.clip(grey + share * part, 0, 1) for part in parts], axis=-1)
    lab = color.rgb_to_lab(rgb)
    moved = jnp.abs(lab[..., 0] - color.grey_to_lightness(jnp.clip(grey, 0, 1))).mean()
    return *codes, moved, jnp.hypot(lab[..., 1], lab[..., 2]).mean()


def _looked_up(grey: jax.Array, ab: jax.Array, tables: tuple[jax.Array, ...]) -> list[jax.Array]:
    """What the tables have for each pixel, linear between their points."""

    def place(value: jax.Array, points: int) -> tuple[jax.Array, jax.Array]:
        value = jnp.clip(value, 0, 1) * (points - 1)
        index = jnp.minimum(value.astype(jnp.int32), points - 2)
        return index, value - index

    (y, in_y), (a, in_a), (b, in_b) = (
        place(grey, _GREYS),
        *(place((ab[..., i] + _REACH) / (2 * _REACH), _COLORS) for i in (0, 1)),
    )
    corner = (y * _COLORS + a) * _COLORS + b

    def between(table: jax.Array, offset: int, steps: tuple[tuple[int, jax.Array], ...]) -> jax.Array:
        if not steps:
            return table.at[corner + offset].get(mode="promise_in_bounds")
        (step, share), *rest = steps
        low, high = (between(table, offset + at, tuple(rest)) for at in (0, step))
        return low + share * (high - low)

    steps = ((_COLORS * _COLORS, in_y), (_COLORS, in_a), (1, in_b))
    return [between(table, 0, steps) for table in tables]


def _room(grey: jax.Array, part: jax.Array) -> jax.Array:
    """The share of `part` that may be added to `grey` without leaving 0..1; 0 where the grey itself is outside."""
    to_edge = jnp.where(part > 0, 1 - grey, grey)
    share = to_edge / jnp.maximum(jnp.abs(part), 1e-6)
    return jnp.clip(share, 0, 1)


def _coarser(plane: jax.Array, layout: tuple[int, int]) -> jax.Array:
    """A plane as fewer samples: in a row on the even columns (weights 1 2 1), of two rows the mean."""
    across, down = layout
    if across == 2:
        padded = jnp.pad(plane, ((0, 0), (1, 1)), mode="edge")
        plane = (padded[:, :-2:2] + 2 * padded[:, 1:-1:2] + padded[:, 2::2]) / 4
    if down == 2:
        plane = jnp.pad(plane, ((0, plane.shape[0] % 2), (0, 0)), mode="edge")
        plane = (plane[::2] + plane[1::2]) / 2
    return plane
