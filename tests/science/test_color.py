"""The formulas of colour against scikit-image and the published CIEDE2000 pairs, in NumPy, JAX and TensorFlow."""

import re

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import skimage.color

from colorjax.science import color


def tensor(array, dtype="float32"):
    import tensorflow as tf

    return tf.constant(np.asarray(array), getattr(tf, dtype))


LIBRARIES = {
    "numpy": lambda array, dtype="float32": np.asarray(array).astype(dtype),
    "jax": lambda array, dtype="float32": jnp.asarray(array, dtype),
    "tensorflow": tensor,
}

# Sharma, Wu, Dalal: The CIEDE2000 color-difference formula: implementation notes, supplementary test data, and
# mathematical observations, Color Research and Application 30(1), 2005, table 1: L*, a*, b* of both colours, Delta E 2000.
PUBLISHED = """
50.0000   2.6772 -79.7751  50.0000   0.0000 -82.7485   2.0425
50.0000   3.1571 -77.2803  50.0000   0.0000 -82.7485   2.8615
50.0000   2.8361 -74.0200  50.0000   0.0000 -82.7485   3.4412
50.0000  -1.3802 -84.2814  50.0000   0.0000 -82.7485   1.0000
50.0000  -1.1848 -84.8006  50.0000   0.0000 -82.7485   1.0000
50.0000  -0.9009 -85.5211  50.0000   0.0000 -82.7485   1.0000
50.0000   0.0000   0.0000  50.0000  -1.0000   2.0000   2.3669
50.0000  -1.0000   2.0000  50.0000   0.0000   0.0000   2.3669
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0009   7.1792
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0010   7.1792
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0011   7.2195
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0012   7.2195
50.0000  -0.0010   2.4900  50.0000   0.0009  -2.4900   4.8045
50.0000  -0.0010   2.4900  50.0000   0.0010  -2.4900   4.8045
50.0000  -0.0010   2.4900  50.0000   0.0011  -2.4900   4.7461
50.0000   2.5000   0.0000  50.0000   0.0000  -2.5000   4.3065
50.0000   2.5000   0.0000  73.0000  25.0000 -18.0000  27.1492
50.0000   2.5000   0.0000  61.0000  -5.0000  29.0000  22.8977
50.0000   2.5000   0.0000  56.0000 -27.0000  -3.0000  31.9030
50.0000   2.5000   0.0000  58.0000  24.0000  15.0000  19.4535
50.0000   2.5000   0.0000  50.0000   3.1736   0.5854   1.0000
50.0000   2.5000   0.0000  50.0000   3.2972   0.0000   1.0000
50.0000   2.5000   0.0000  50.0000   1.8634   0.5757   1.0000
50.0000   2.5000   0.0000  50.0000   3.2592   0.3350   1.0000
60.2574 -34.0099  36.2677  60.4626 -34.1751  39.4387   1.2644
63.0109 -31.0961  -5.8663  62.8187 -29.7946  -4.0864   1.2630
61.2901   3.7196  -5.3901  61.4292   2.2480  -4.9620   1.8731
35.0831 -44.1164   3.7933  35.0232 -40.0716   1.5901   1.8645
22.7233  20.0904 -46.6940  23.0331  14.9730 -42.5619   2.0373
36.4612  47.8580  18.3852  36.2715  50.5065  21.2231   1.4146
90.8027  -2.0831   1.4410  91.1528  -1.6435   0.0447   1.4441
90.9257  -0.5406  -0.9208  88.6381  -0.8985  -0.7239   1.5381
 6.7747  -0.2908  -2.4247   5.8714  -0.0985  -2.2286   0.6377
 2.0776   0.0795  -1.1350   0.9033  -0.0636  -0.5514   0.9082
"""
PAIRS = np.array([line.split() for line in PUBLISHED.strip().splitlines()], float)

_levels = np.linspace(0, 1, 33)
GRID = np.stack(np.meshgrid(_levels, _levels, _levels, indexing="ij"), axis=-1)
GREYS = (0.0, 0.001, 0.003, 0.04045, 0.05, 0.2, 0.5, 0.8, 0.999, 1.0)
CORNERS = [(r, g, b) for r in (0.0, 1.0) for g in (0.0, 1.0) for b in (0.0, 1.0)]
COLOURS = [(g, g, g) for g in GREYS] + CORNERS[1:-1]

ON_COLOURS = ("srgb_to_linear", "linear_to_srgb", "linear_to_xyz", "xyz_to_linear", "xyz_to_lab", "lab_to_xyz")
ON_COLOURS += ("rgb_to_lab", "lab_to_rgb", "fit_to_gamut", "in_gamut")
ON_ANY_SHAPE = ("srgb_to_linear", "linear_to_srgb", "lightness_to_grey", "grey_to_lightness")
FUNCTIONS = (*dict.fromkeys(ON_COLOURS + ON_ANY_SHAPE), "delta_e_2000")


def call(name, *arrays):
    """The function of this name, compiled where the arrays are JAX's; a Delta E is to the first colour turned around."""
    function = getattr(color, name)
    if name == "delta_e_2000" and len(arrays) == 1:
        arrays += (arrays[0][..., ::-1],) if len(arrays[0].shape) else arrays
    return (jax.jit(function) if isinstance(arrays[0], jax.Array) else function)(*arrays)


def saturated(count, dtype=np.float64):
    """Random Lab, most of it far outside sRGB, with the hard places: black, white and next to them."""
    rng = np.random.default_rng(7)
    hard = [[0, 50, 50], [100, 50, -50], [0, 0, 0], [100, 0, 0], [1e-3, 90, 9], [99.999, 4, 4], [50, 0, 0], [8, 300, -9]]
    return np.concatenate([rng.uniform([0, -128, -128], [100, 128, 128], (count, 3)), hard]).astype(dtype)


# --- against scikit-image ---


@pytest.fixture(scope="module")
def grid_lab():
    return skimage.color.rgb2lab(GRID)


@pytest.mark.parametrize(
    ("library", "dtype"),
    [("numpy", "float32"), ("numpy", "float64"), ("jax", "float32"), ("tensorflow", "float32"), ("tensorflow", "float64")],
)
def test_agrees_with_scikit_image(library, dtype, grid_lab):
    lab = call("rgb_to_lab", LIBRARIES[library](GRID, dtype))
    assert str(lab.dtype.name) == dtype
    assert np.abs(np.asarray(lab) - grid_lab).max(axis=(0, 1, 2)) == pytest.approx([0, 0, 0], abs=1e-3)
    assert np.abs(np.asarray(call("lab_to_rgb", lab)) - GRID).max() < (1e-4 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_step_agrees_with_scikit_image(library):
    make, rgb = LIBRARIES[library], GRID[::4, ::4, ::4]
    xyz, lab = skimage.color.rgb2xyz(rgb), skimage.color.rgb2lab(rgb)
    linear = call("srgb_to_linear", make(rgb))
    np.testing.assert_allclose(np.asarray(call("linear_to_xyz", linear)), xyz, atol=1e-6)
    np.testing.assert_allclose(np.asarray(call("xyz_to_linear", make(xyz))), np.asarray(linear), atol=2e-6)
    np.testing.assert_allclose(np.asarray(call("linear_to_srgb", linear)), rgb, atol=1e-5)
    np.testing.assert_allclose(np.asarray(call("xyz_to_lab", make(xyz))), lab, atol=1e-3)
    np.testing.assert_allclose(np.asarray(call("lab_to_xyz", make(lab))), xyz, atol=1e-5)


@pytest.mark.parametrize("library", LIBRARIES)
def test_clips_what_is_outside_srgb(library):
    rgb = np.asarray(call("lab_to_rgb", LIBRARIES[library](saturated(2000))))
    assert rgb.min() >= 0
    assert rgb.max() <= 1


# --- CIEDE2000 ---


@pytest.mark.parametrize(
    ("library", "dtype", "error"),
    [("numpy", "float64", 1e-4), ("numpy", "float32", 1e-3), ("jax", "float32", 1e-3), ("tensorflow", "float32", 1e-3)],
)
def test_the_published_ciede2000_pairs(library, dtype, error):
    assert PAIRS.shape == (34, 7)
    pairs = LIBRARIES[library](PAIRS, dtype)
    for one, two in ((pairs[:, :3], pairs[:, 3:6]), (pairs[:, 3:6], pairs[:, :3])):
        found = np.asarray(call("delta_e_2000", one, two))
        assert found.shape == (34,)
        assert found.dtype == dtype
        for number, (value, published) in enumerate(zip(found, PAIRS[:, 6], strict=True), 1):
            assert value == pytest.approx(published, abs=error), f"pair {number}"


@pytest.mark.parametrize("library", LIBRARIES)
def test_ciede2000_is_symmetric_and_0_for_identical_colours(library):
    one, two = (LIBRARIES[library](lab) for lab in np.split(saturated(1992), 2))
    there, back = (np.asarray(call("delta_e_2000", *pair)) for pair in ((one, two), (two, one)))
    np.testing.assert_allclose(there, back, rtol=1e-5, atol=1e-4)
    assert there.min() > 0.01
    np.testing.assert_array_equal(np.asarray(call("delta_e_2000", one, one)), 0)


def test_ciede2000_agrees_with_scikit_image():
    one, two = np.split(saturated(1992), 2)
    np.testing.assert_allclose(color.delta_e_2000(one, two), skimage.color.deltaE_ciede2000(one, two), atol=1e-6)


# --- gradients ---


@pytest.mark.parametrize("name", ["rgb_to_lab", "lab_to_rgb", "srgb_to_linear", "linear_to_srgb", "fit_to_gamut"])
def test_gradients_are_finite_at_black_white_greys_and_corners(name):
    points = jnp.array(COLOURS, jnp.float32)
    if name in ("lab_to_rgb", "fit_to_gamut"):
        points = color.rgb_to_lab(points)
    jacobians = jax.jit(jax.vmap(jax.jacrev(getattr(color, name))))(points)
    assert jacobians.shape == (len(COLOURS), 3, 3)
    assert np.isfinite(jacobians).all()
    diagonal = np.abs(np.diagonal(jacobians[5], axis1=-2, axis2=-1))  # grey 0.2, inside: no channel is clipped there
    assert (diagonal > 1e-5).all()


@pytest.mark.parametrize("name", ["lightness_to_grey", "grey_to_lightness"])
def test_gradients_of_lightness_are_finite(name):
    points = jnp.array(GREYS) * (100 if name == "lightness_to_grey" else 1)
    slopes = jax.jit(jax.vmap(jax.grad(getattr(color, name))))(points)
    assert np.isfinite(slopes).all()
    assert (slopes > 0).all()


@pytest.mark.parametrize("name", ["rgb_to_lab", "lab_to_rgb"])
def test_gradients_are_those_of_the_function(name):
    point = np.array([0.3, 0.6, 0.2])
    point = color.rgb_to_lab(point) if name == "lab_to_rgb" else point
    function, step = getattr(color, name), 1e-5
    expected = [(function(point + step * e) - function(point - step * e)) / (2 * step) for e in np.eye(3)]
    jacobian = jax.jit(jax.jacrev(function))(jnp.asarray(point, jnp.float32))
    np.testing.assert_allclose(jacobian.T, expected, rtol=1e-3, atol=1e-4)


SLOPES = jax.jit(jax.vmap(jax.grad(color.delta_e_2000, argnums=(0, 1))))


def test_ciede2000_gradients_are_finite():
    lab = np.asarray(color.rgb_to_lab(np.array(COLOURS)))
    one, two = (side.reshape(-1, 3) for side in np.broadcast_arrays(lab[:, None], lab[None]))  # every colour with every
    published = PAIRS[:, :6].reshape(-1, 2, 3)
    exact_greys = np.array([[[g, 0, 0], [h, 0, 0]] for g in (0, 30, 50, 100) for h in (0, 50, 100)])
    opposite = np.array([[[50, a, b], [50, -a, -b]] for a, b in ((20, 0), (0, 20), (-20, 0), (7, 7), (1e-6, 0))])
    lighter = np.array([[[50, 0, 0], [51, 0, 0]]])
    pairs = np.concatenate([np.stack([one, two], 1), published, exact_greys, opposite, lighter]).astype(np.float32)
    slopes = SLOPES(pairs[:, 0], pairs[:, 1])
    assert np.isfinite(slopes).all()
    np.testing.assert_array_equal(slopes[0][: len(one) : len(COLOURS) + 1], 0)  # identical colours: no direction is down
    np.testing.assert_allclose(slopes[1][-1], [1, 0, 0], atol=0.02)


def test_ciede2000_gradients_are_finite_next_to_grey():
    tiny = [sign * 10.0**-power for power in range(5, 40, 2) for sign in (1, -1)]
    one = np.array([[50, a, b] for a in tiny for b in (0, a, 3.0)], np.float32)
    others = (one, one[::-1], np.broadcast_to(np.float32([50, 0, 0]), one.shape), np.broadcast_to([40, 9, 9], one.shape))
    assert np.isfinite(SLOPES(np.tile(one, (4, 1)), np.concatenate(others).astype(np.float32))).all()


# --- greys and lightness ---


@pytest.mark.parametrize("library", LIBRARIES)
def test_grey_has_no_chroma(library):
    grey = np.repeat(np.linspace(0, 1, 4097)[:, None], 3, axis=1)
    lab = np.asarray(call("rgb_to_lab", LIBRARIES[library](grey)))
    assert np.abs(lab[:, 1:]).max() < 0.005
    assert (np.diff(lab[:, 0]) > 0).all()
    assert lab[[0, -1], 0] == pytest.approx([0, 100], abs=1e-4)


@pytest.mark.parametrize("library", LIBRARIES)
def test_lightness_and_grey_are_inverse(library):
    make = LIBRARIES[library]
    grey, lightness = np.linspace(0, 1, 4097), np.linspace(0, 100, 4097)
    of_grey, of_lightness = call("grey_to_lightness", make(grey)), call("lightness_to_grey", make(lightness))
    np.testing.assert_allclose(np.asarray(call("lightness_to_grey", of_grey)), grey, atol=1e-5)
    np.testing.assert_allclose(np.asarray(call("grey_to_lightness", of_lightness)), lightness, atol=1e-3)
    of_colour = color.rgb_to_lab(np.repeat(grey[:, None], 3, axis=1))[:, 0]
    np.testing.assert_allclose(np.asarray(of_grey), of_colour, atol=1e-3)


def test_lightness_over_100_is_not_the_grey_level():
    assert color.grey_to_lightness(np.array(0.5)) == pytest.approx(53.389, abs=1e-3)  # 3.39 off
    assert color.lightness_to_grey(np.array(50.0)) == pytest.approx(0.4663, abs=1e-4)
    grey = np.linspace(0, 1, 10001)
    assert np.abs(color.grey_to_lightness(grey) - 100 * grey).max() == pytest.approx(3.389, abs=1e-3)


def test_lightness_outside_its_range_gives_black_and_white():
    assert color.lightness_to_grey(np.array([-20.0, 0, 100, 130])) == pytest.approx([0, 0, 1, 1], abs=1e-12)


# --- the gamut ---


@pytest.mark.parametrize("library", LIBRARIES)
def test_fit_to_gamut_brings_every_colour_inside_and_keeps_lightness(library):
    lab = saturated(5000, np.float32)
    fitted = call("fit_to_gamut", LIBRARIES[library](lab))
    assert np.asarray(color.in_gamut(fitted, tolerance=4e-6)).all()  # twice its own: each compiled program rounds in its way
    np.testing.assert_allclose(np.asarray(fitted)[:, 0], lab[:, 0], rtol=1e-5)
    assert not color.in_gamut(lab).all()
    lightness = color.rgb_to_lab(np.asarray(call("lab_to_rgb", fitted)).astype(float))[:, 0]
    assert np.abs(lightness - lab[:, 0]).max() < 0.003  # the clip to 0..1 takes what in_gamut tolerates
    clipped = color.rgb_to_lab(color.lab_to_rgb(lab))[:, 0]
    assert np.abs(clipped - lab[:, 0]).max() > 20  # what happens to a colour that is clipped instead


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fit_to_gamut_keeps_hue_and_no_less_chroma_than_it_must(dtype):
    lab = saturated(5000, dtype)
    fitted = color.fit_to_gamut(lab)
    (a, b), (fitted_a, fitted_b) = lab[:, 1:].T, fitted[:, 1:].T
    chroma = np.maximum(np.hypot(a, b), 1e-6)
    across = np.abs(a * fitted_b - b * fitted_a) / chroma  # distance from the line of the hue; a grey is 0.0053 off it
    assert across.max() < 0.006
    assert (a * fitted_a + b * fitted_b >= -0.01 * chroma).all()
    assert (np.hypot(fitted_a, fitted_b) <= chroma + 0.006).all()
    moved = (np.hypot(fitted_a, fitted_b) < 0.9 * chroma) & (chroma > 1)
    assert moved.mean() > 0.5
    assert not color.in_gamut(fitted + 0.001 * (lab - fitted))[moved].any()  # a thousandth further is outside


@pytest.mark.parametrize(("levels", "error"), [(255, 0.5), (65535, 0.01)])
def test_rounding_a_fitted_colour_keeps_its_lightness(levels, error):
    lab = saturated(10000)
    rgb = np.round(color.lab_to_rgb(color.fit_to_gamut(lab)) * levels) / levels
    assert np.abs(color.rgb_to_lab(rgb)[:, 0] - lab[:, 0]).max() <= error


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fit_to_gamut_returns_colours_inside_unchanged(dtype):
    lab = color.rgb_to_lab(GRID[1:-1:2, 1:-1:2, 1:-1:2].astype(dtype))
    assert color.in_gamut(lab).all()
    np.testing.assert_array_equal(color.fit_to_gamut(lab), lab)


def test_fit_to_gamut_clips_lightness():
    fitted = color.fit_to_gamut(np.array([[-5.0, 10, 10], [105.0, 10, 10]]))
    np.testing.assert_array_equal(fitted[:, 0], [0, 100])
    assert np.abs(fitted[:, 1:]).max() < 0.006


def test_in_gamut_is_the_cube_of_rgb():
    assert color.in_gamut(color.rgb_to_lab(GRID)).all()
    rim = color.rgb_to_lab(np.array(CORNERS[1:-1]))
    assert not color.in_gamut(rim * [1, 1.01, 1.01]).any()
    assert not color.in_gamut(np.array([[-1.0, 0, 0], [101.0, 0, 0]])).any()


# --- types, shapes, transformations ---


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("library", LIBRARIES)
def test_integers_are_refused(library, name):
    with pytest.raises(TypeError, match="dtype uint8"):
        call(name, LIBRARIES[library](np.zeros((2, 3)), "uint8"))


def test_whole_numbers_of_lab_are_not_to_be_divided():
    for wrong in (lambda: color.lightness_to_grey(50), lambda: color.delta_e_2000([50, 0, 0], [60, 0, 0])):
        with pytest.raises(TypeError, match=r"must be floating point \(give (lightness|lab)\.astype\(np\.float32\)\)"):
            wrong()
    with pytest.raises(TypeError, match=r"divide 8-bit values by 255"):
        color.rgb_to_lab(np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ON_ANY_SHAPE])
@pytest.mark.parametrize("library", LIBRARIES)
def test_other_channels_are_refused(library, name):
    for shape in ((), (1,), (4,), (3, 1), (2, 3, 4)):
        with pytest.raises(ValueError, match=re.escape(f"has shape {shape}; its last axis must have 3 channels")):
            call(name, LIBRARIES[library](np.zeros(shape)))


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "in_gamut"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_half_floats_become_32_bit_and_the_others_stay(library, name):
    colours = np.array([[0.25, 0.5, 0.125]])  # exact in 8 bits of mantissa
    for dtype, expected in (("float16", "float32"), ("bfloat16", "float32"), ("float32", "float32"), ("float64", "float64")):
        if library == "jax":  # traced only: each type would be compiled
            if dtype != "float64":
                assert jax.eval_shape(lambda array: call(name, array), jnp.asarray(colours, dtype)).dtype == expected
            continue
        given = ml_dtypes.bfloat16 if library == "numpy" and dtype == "bfloat16" else dtype
        result = call(name, LIBRARIES[library](colours, given))
        assert result.dtype.name == expected
        np.testing.assert_allclose(np.asarray(result), call(name, colours), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("library", LIBRARIES)
def test_any_leading_axes(library, name):
    colours = np.random.default_rng(1).uniform(0.05, 0.95, (2, 1, 4, 3))
    expected = np.asarray(call(name, colours))
    whole = np.asarray(call(name, LIBRARIES[library](colours)))
    assert whole.shape == expected.shape == (colours.shape if name in ON_COLOURS[:-1] + ON_ANY_SHAPE else (2, 1, 4))
    np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-4)
    single = np.asarray(call(name, LIBRARIES[library](colours[1, 0, 2])))
    np.testing.assert_allclose(single, expected[1, 0, 2], rtol=1e-4, atol=1e-4)
    if library != "jax":
        assert tuple(call(name, LIBRARIES[library](np.zeros((0, 5, 3)))).shape[:2]) == (0, 5)


@pytest.mark.parametrize("name", ON_ANY_SHAPE)
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_single_number(library, name):
    value = call(name, LIBRARIES[library](0.25))
    assert tuple(value.shape) == ()
    assert float(value) == pytest.approx(float(getattr(color, name)(np.array([0.25]))[0]), rel=1e-5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_jit_vmap_and_strict_promotion(name):
    colours = jnp.asarray(np.random.default_rng(2).uniform(0.05, 0.95, (4, 3)), jnp.float32)
    with jax.numpy_dtype_promotion("strict"):
        plain = call(name, colours)
        mapped = jax.jit(jax.vmap(lambda one: call(name, one)))(colours)
        half = call(name, colours.astype(jnp.bfloat16))
    assert isinstance(plain, jax.Array)
    assert half.dtype == plain.dtype == mapped.dtype
    np.testing.assert_allclose(mapped, plain, rtol=1e-4, atol=1e-4)


def test_jax_without_jit():
    colours = np.random.default_rng(4).uniform(size=(2, 4, 3)).astype(np.float32)
    with jax.numpy_dtype_promotion("strict"):
        found = color.rgb_to_lab(jnp.asarray(colours))
    assert isinstance(found, jax.Array)
    np.testing.assert_allclose(found, color.rgb_to_lab(colours), rtol=1e-4, atol=1e-4)


def test_works_inside_a_tensorflow_graph():
    import tensorflow as tf

    colours = np.random.default_rng(3).uniform(size=(4, 3))
    there_and_back = tf.function(lambda rgb: color.lab_to_rgb(color.fit_to_gamut(color.rgb_to_lab(rgb))))
    np.testing.assert_allclose(there_and_back(tensor(colours)).numpy(), colours, atol=1e-4)


def test_numpy_input_gives_numpy():
    assert type(color.rgb_to_lab(np.zeros((2, 3)))) is np.ndarray
    assert color.rgb_to_lab([0.5, 0.5, 0.5]) == pytest.approx([53.389, 0, 0], abs=0.005)
