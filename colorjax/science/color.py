"""Colour science: sRGB <-> linear light <-> CIE XYZ <-> CIELAB, CIEDE2000 and the sRGB gamut.

One definition of each formula serves NumPy, JAX and TensorFlow arrays alike: the functions use only operators and a
handful of elementwise functions that are looked up in the library of the array they are given. Matrices are applied as
written-out float32 sums, so no accelerator ever rounds them to TF32.

Conventions: `rgb` is sRGB-encoded in 0..1, `linear` is linear light in 0..1, both D65; `lab` has L* in 0..100 and a*, b* in
about -110..110; the colour axis is last and any leading axes are allowed. Constants follow IEC 61966-2-1 and CIE 15 with
the matrix and the white point of scikit-image, so that results agree with it to 1e-3.
"""

import math
import sys
import types
from typing import Any

import numpy as np

Array = Any  # numpy.ndarray, jax.Array or tf.Tensor

WHITE = (0.95047, 1.0, 1.08883)  # D65, 2 degree observer
_RGB_TO_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_XYZ_TO_RGB = np.linalg.inv(_RGB_TO_XYZ)
_EPSILON = (6 / 29) ** 3  # below this share of white, CIELAB's f is linear
_SLOPE = (29 / 6) ** 2 / 3
_SHARES = ("rgb", "linear", "grey", "xyz")  # names of what lies in 0..1; 50 and -20 of Lab are numbers as they are
_PI = math.pi * (1 + 1e-6)  # two opposite hues may differ by a float32 rounding more than pi
# A grey pixel's cube roots X/Xn and Z/Zn over that of Y: within 3e-5 of 1, because matrix and white are both rounded.
_NEUTRAL_X, _NEUTRAL_Z = (float(np.cbrt(_RGB_TO_XYZ[i].sum() / WHITE[i])) for i in (0, 2))


def _namespace(*arrays: Array) -> Any:
    """The library whose functions take these arrays: jax.numpy, a TensorFlow look-alike, or NumPy."""
    roots = {type(array).__module__.partition(".")[0] for array in arrays}
    if roots & {"jax", "jaxlib"}:
        return sys.modules["jax"].numpy
    if "tensorflow" in roots:
        return _tensorflow()
    return np


def _tensorflow() -> types.SimpleNamespace:
    tf = sys.modules["tensorflow"]  # a tensor was given, so it is imported
    return types.SimpleNamespace(
        asarray=tf.convert_to_tensor,
        float32=tf.float32,
        where=tf.where,
        stack=lambda arrays, axis: tf.stack(arrays, axis=axis),
        maximum=tf.maximum,
        minimum=tf.minimum,
        sqrt=tf.sqrt,
        exp=tf.exp,
        sin=tf.sin,
        cos=tf.cos,
        abs=tf.abs,
        arctan2=tf.atan2,
        # tf.pow is scalar code on CPU; log and exp are vectorised and eight times faster.
        power=lambda x, p: tf.exp(p * tf.math.log(x)),
        cbrt=lambda x: tf.exp(tf.math.log(x) / 3),
        all=tf.reduce_all,
        astype=tf.cast,
    )


def _floating(name: str, array: Array, channels: int | None = 3) -> Array:
    """`array` as an array of at least 32-bit floats whose last axis has `channels` entries."""
    xp = _namespace(array)
    array = xp.asarray(array)
    dtype = str(array.dtype.name)
    if "float" not in dtype:
        way = "divide 8-bit values by 255" if name in _SHARES else f"give {name}.astype(np.float32)"
        raise TypeError(f"{name} has dtype {dtype}; it must be floating point ({way})")
    if channels is not None and (array.ndim == 0 or array.shape[-1] != channels):
        raise ValueError(f"{name} has shape {tuple(array.shape)}; its last axis must have {channels} channels")
    if dtype in ("float16", "bfloat16"):
        return xp.astype(array, xp.float32)
    return array


def _apply(matrix: np.ndarray, array: Array) -> Array:
    """`matrix @ array` along the last axis, as float sums (never TF32)."""
    x, y, z = (array[..., i] for i in range(3))
    rows = [float(m[0]) * x + float(m[1]) * y + float(m[2]) * z for m in matrix]
    return _namespace(array).stack(rows, axis=-1)


def srgb_to_linear(rgb: Array) -> Array:
    """Undo the sRGB transfer curve (IEC 61966-2-1), elementwise: encoded 0..1 -> linear light 0..1."""
    rgb = _floating("rgb", rgb, None)
    xp = _namespace(rgb)
    curve = xp.power((xp.maximum(rgb, 0.04045) + 0.055) / 1.055, 2.4)
    return xp.where(rgb <= 0.04045, rgb / 12.92, curve)


def linear_to_srgb(linear: Array) -> Array:
    """Apply the sRGB transfer curve (IEC 61966-2-1), elementwise: linear light 0..1 -> encoded 0..1."""
    linear = _floating("linear", linear, None)
    xp = _namespace(linear)
    curve = 1.055 * xp.power(xp.maximum(linear, 0.0031308), 1 / 2.4) - 0.055
    return xp.where(linear <= 0.0031308, linear * 12.92, curve)


def linear_to_xyz(linear: Array) -> Array:
    """Linear sRGB light (..., 3) -> CIE XYZ (..., 3) with Y of white = 1."""
    return _apply(_RGB_TO_XYZ, _floating("linear", linear))


def xyz_to_linear(xyz: Array) -> Array:
    """CIE XYZ (..., 3) -> linear sRGB light (..., 3), outside 0..1 where the colour is outside sRGB's gamut."""
    return _apply(_XYZ_TO_RGB, _floating("xyz", xyz))


def _f(t: Array) -> Array:
    """CIELAB's compression of a share of white (CIE 15): cube root with a linear toe."""
    xp = _namespace(t)
    return xp.where(t > _EPSILON, xp.cbrt(xp.maximum(t, _EPSILON)), _SLOPE * t + 16 / 116)


def _f_inverse(f: Array) -> Array:
    return _namespace(f).where(f > 6 / 29, f * f * f, (f - 16 / 116) / _SLOPE)


def xyz_to_lab(xyz: Array) -> Array:
    """CIE XYZ (..., 3), Y of white = 1 -> CIELAB (..., 3), D65 (CIE 15)."""
    xyz = _floating("xyz", xyz)
    fx, fy, fz = (_f(xyz[..., i] / WHITE[i]) for i in range(3))
    return _namespace(xyz).stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], axis=-1)


def lab_to_xyz(lab: Array) -> Array:
    """CIELAB (..., 3), D65 -> CIE XYZ (..., 3) with Y of white = 1 (CIE 15)."""
    lab = _floating("lab", lab)
    fy = (lab[..., 0] + 16) / 116
    parts = (fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200)
    return _namespace(lab).stack([w * _f_inverse(f) for w, f in zip(WHITE, parts, strict=True)], axis=-1)


def rgb_to_lab(rgb: Array) -> Array:
    """sRGB in 0..1 (..., 3) -> CIELAB (..., 3): L* 0..100, a* and b* about -110..110.

    Raises TypeError for integer input and ValueError where the last axis is not 3 long.
    """
    return xyz_to_lab(linear_to_xyz(srgb_to_linear(_floating("rgb", rgb))))


def lab_to_rgb(lab: Array) -> Array:
    """CIELAB (..., 3) -> sRGB in 0..1 (..., 3).

    Colours outside sRGB are clipped channel by channel, which moves their lightness; `fit_to_gamut` first keeps it.
    """
    linear = xyz_to_linear(lab_to_xyz(lab))
    xp = _namespace(linear)
    return linear_to_srgb(xp.minimum(xp.maximum(linear, 0.0), 1.0))


def lightness_to_grey(lightness: Array) -> Array:
    """L* 0..100, any shape -> the sRGB-encoded grey level in 0..1 that has this lightness.

    L*/100 is not that level: it is wrong by up to 3.4 L*.
    """
    lightness = _floating("lightness", lightness, None)
    xp = _namespace(lightness)
    linear = _f_inverse((lightness + 16) / 116)
    return linear_to_srgb(xp.minimum(xp.maximum(linear, 0.0), 1.0))


def grey_to_lightness(grey: Array) -> Array:
    """sRGB-encoded grey level in 0..1, any shape -> its L* in 0..100."""
    return 116 * _f(srgb_to_linear(_floating("grey", grey, None))) - 16


def linear_to_lightness(linear: Array) -> Array:
    """Linear sRGB light (..., 3) -> L* in 0..100 (...): `xyz_to_lab` of its Y alone."""
    linear = _floating("linear", linear)
    x, y, z = (float(share) for share in _RGB_TO_XYZ[1])
    return 116 * _f(x * linear[..., 0] + y * linear[..., 1] + z * linear[..., 2]) - 16


def in_gamut(lab: Array, tolerance: float = 2e-6) -> Array:
    """Whether each colour (..., 3) lies in sRGB: every linear channel in 0..1 up to `tolerance`; shape (...).

    The white of sRGB is what `rgb_to_lab` says of (1, 1, 1), 0.005 from (100, 0, 0): that lies just outside.
    """
    linear = xyz_to_linear(lab_to_xyz(lab))
    return _namespace(linear).all((linear >= -tolerance) & (linear <= 1 + tolerance), axis=-1)


def fit_to_gamut(lab: Array, iterations: int = 16) -> Array:
    """Bring colours outside sRGB inside by taking chroma from them, never lightness or hue.

    Each colour (..., 3) moves on the straight line towards the grey of its own L* until it is inside, found by bisection
    to 2^-iterations of its chroma. Colours inside are returned as they are; L* (clipped to 0..100) is never changed.
    """
    lab = _floating("lab", lab)
    xp = _namespace(lab)
    lightness = xp.minimum(xp.maximum(lab[..., 0], 0.0), 100.0)
    fy = (lightness + 16) / 116
    grey_a, grey_b = 500 * fy * (_NEUTRAL_X - 1), 200 * fy * (1 - _NEUTRAL_Z)
    a, b = lab[..., 1] - grey_a, lab[..., 2] - grey_b
    y = WHITE[1] * _f_inverse(fy)

    def inside(share: Array, tolerance: float = 2e-6) -> Array:
        """`in_gamut` at this share of the chroma, with as little arithmetic as it takes."""
        x = WHITE[0] * _f_inverse(fy + (grey_a + share * a) / 500)
        z = WHITE[2] * _f_inverse(fy - (grey_b + share * b) / 200)
        channels = [float(row[0]) * x + float(row[1]) * y + float(row[2]) * z for row in _XYZ_TO_RGB]
        least = xp.minimum(xp.minimum(channels[0], channels[1]), channels[2])
        most = xp.maximum(xp.maximum(channels[0], channels[1]), channels[2])
        return (least >= -tolerance) & (most <= 1 + tolerance)

    low, high = 0 * lightness, 0 * lightness + 1
    whole = inside(high)
    for _ in range(iterations):
        middle = (low + high) / 2
        fits = inside(middle)
        low, high = xp.where(fits, middle, low), xp.where(fits, high, middle)
    given = xp.stack([lightness, lab[..., 1], lab[..., 2]], axis=-1)
    return xp.where(whole[..., None], given, xp.stack([lightness, grey_a + low * a, grey_b + low * b], axis=-1))


def _hypot(xp: Any, x: Array, y: Array) -> Array:
    """sqrt(x^2 + y^2) whose gradient at the origin is 0 instead of NaN."""
    square = x * x + y * y
    positive = square > 0
    return xp.where(positive, xp.sqrt(xp.where(positive, square, 0 * square + 1)), 0 * square)


def _hue(xp: Any, b: Array, a: Array) -> Array:
    """Angle of (a, b) in 0..2 pi, 0 for grey; gradient 0 instead of NaN at the origin."""
    grey = a * a + b * b < 1e-30  # closer to 0, the gradient of arctan2 underflows to NaN in float32
    angle = xp.arctan2(xp.where(grey, 0 * b, b), xp.where(grey, 0 * a + 1, a))
    return xp.where(angle < 0, angle + 2 * math.pi, angle)


def delta_e_2000(lab: Array, other: Array) -> Array:
    """CIEDE2000 colour difference of two Lab arrays (..., 3) of one shape; shape (...), about 1 = just noticeable.

    Sharma, Wu, Dalal: The CIEDE2000 color-difference formula, Color Research and Application 30(1), 2005; kL=kC=kH=1.
    Gradients are finite everywhere, greys included.
    """
    lab, other = _floating("lab", lab), _floating("other", other)
    xp = _namespace(lab, other)
    l1, a1, b1 = (lab[..., i] for i in range(3))
    l2, a2, b2 = (other[..., i] for i in range(3))

    c7 = ((_hypot(xp, a1, b1) + _hypot(xp, a2, b2)) / 2) ** 7
    g = 0.5 * (1 - root(c7 / (c7 + 25.0**7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = _hypot(xp, a1, b1), _hypot(xp, a2, b2)
    h1, h2 = _hue(xp, b1, a1), _hue(xp, b2, a2)

    both = (c1 > 0) & (c2 > 0)
    dh = h2 - h1
    dh = xp.where(dh > _PI, dh - 2 * math.pi, xp.where(dh < -_PI, dh + 2 * math.pi, dh))
    dh = xp.where(both, dh, 0 * dh)
    delta_h = 2 * root(c1 * c2) * xp.sin(dh / 2)

    mean_l, mean_c, total = (l1 + l2) / 2, (c1 + c2) / 2, h1 + h2
    wrapped = xp.where(total < 2 * math.pi, total + 2 * math.pi, total - 2 * math.pi)
    mean_h = xp.where(xp.abs(h1 - h2) <= _PI, total, wrapped) / 2
    mean_h = xp.where(both, mean_h, total)
    t = (
        1
        - 0.17 * xp.cos(mean_h - math.radians(30))
        + 0.24 * xp.cos(2 * mean_h)
        + 0.32 * xp.cos(3 * mean_h + math.radians(6))
        - 0.20 * xp.cos(4 * mean_h - math.radians(63))
    )
    bend = xp.exp(-(((mean_h - math.radians(275)) / math.radians(25)) ** 2))
    mean_c7 = mean_c**7
    rotation = -2 * root(mean_c7 / (mean_c7 + 25.0**7)) * xp.sin(math.radians(60) * bend)
    from_50 = (mean_l - 50) ** 2
    x = (l2 - l1) / (1 + 0.015 * from_50 / xp.sqrt(20 + from_50))
    y = (c2 - c1) / (1 + 0.045 * mean_c)
    z = delta_h / (1 + 0.015 * mean_c * t)
    return root(xp.maximum(x * x + y * y + z * z + rotation * y * z, 0.0))


def root(x: Array) -> Array:
    """sqrt(x) for x >= 0, elementwise, whose gradient at 0 is 0 instead of infinite."""
    xp, positive = _namespace(x), x > 0
    return xp.where(positive, xp.sqrt(xp.where(positive, x, 0 * x + 1)), 0 * x)
