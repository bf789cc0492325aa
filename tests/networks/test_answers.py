"""Networks that answer at a part of the resolution: shapes, hints, and what both engines and the exports make of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from colorjax import checkpoint, networks
from colorjax.inference import engines, exports
from colorjax.inference.colorizer import Colorizer
from colorjax.networks import state
from colorjax.networks.resnet import count_parameters, halvings, mean_pool, pooled_hints
from colorjax.science import color
from configs import base

pytestmark = pytest.mark.usefixtures("quick_compile")


def settings(answer, guided=False, width=8, **model):
    config = base.get_config()
    config.image_size = 64
    config.model.update(stem="strided", width=width, answer=answer, guided=guided, dtype="float32", **model)
    return config


@functools.cache
def shapes_of(answer, guided=False, width=8):
    return jax.eval_shape(lambda: state.init_network(settings(answer, guided, width).model, jax.random.key(0)))


def network(answer, guided=False):
    """Random numbers, whose colours are not grey and whose hints count."""
    config, rng = settings(answer, guided).lock(), np.random.default_rng(answer)

    def random(path, leaf):
        if leaf.ndim > 1:
            return np.float32(rng.normal(0, (2 / np.prod(leaf.shape[:-1])) ** 0.5, leaf.shape))
        middle = float(path[-1].key in ("scale", "var"))
        return np.float32(middle + rng.uniform(-0.05, 0.05, leaf.shape))

    return checkpoint.Network(config, *jax.tree_util.tree_map_with_path(random, shapes_of(answer, guided)), "random", "0" * 64)


def given(height, width, guided):
    rng = np.random.default_rng(height)
    luma, hints = rng.uniform(-1, 1, (2, height, width, 1)), np.zeros((2, height, width, 3))
    hints[0, height // 2, : width // 3] = 0.4, -0.3, 1
    return [np.float32(luma)] + ([np.float32(hints)] if guided else [])


@pytest.mark.parametrize("height, width", [(1, 1), (2, 3), (33, 47), (64, 64)])
@pytest.mark.parametrize("answer", networks.ANSWERS)
@pytest.mark.parametrize("guided", [False, True])
def test_chroma_has_that_part_of_the_size(answer, guided, height, width):
    model = settings(answer, guided, 64).model
    sees = [jax.ShapeDtypeStruct((1, height, width, channels), jnp.float32) for channels in ((1, 3) if guided else (1,))]
    chroma = jax.eval_shape(state.predict(state.graphdef(model)), *shapes_of(answer, guided, 64), *sees)
    assert chroma.shape == (1, -(-height // answer), -(-width // answer), 2)
    whole = jax.eval_shape(lambda chroma: networks.full_size(chroma, (height, width), answer), chroma)
    assert whole.shape == (1, height, width, 2)


@pytest.mark.parametrize("answer, count", [(1, 14_319_618), (2, 14_311_554), (4, 14_184_258)])
def test_parameter_counts(answer, count):
    params, _ = shapes_of(answer, width=64)
    assert count_parameters(params) == count


@pytest.mark.parametrize("model", [{"name": "shallow"}, {"stem": "full"}])
def test_only_the_strided_unet_answers_so(model):
    config = base.get_config()
    config.model.update(answer=4, **model)
    with pytest.raises(ValueError, match=r"model\.answer=4 needs model\.name=resnet_unet and model\.stem=strided"):
        networks.make(config.model, nnx.Rngs(0))


def test_means_of_windows_are_of_what_is_there():
    x = np.random.default_rng(0).normal(size=(1, 5, 7, 2)).astype(np.float32)
    pooled = np.asarray(mean_pool(jnp.asarray(x), 4))
    assert pooled.shape == (1, 2, 2, 2)
    for row in range(2):
        for column in range(2):
            window = x[0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            np.testing.assert_allclose(pooled[0, row, column], window.mean((0, 1)), rtol=1e-5)


def test_pooled_hints_keep_their_colour_and_say_where_they_are():
    hints = np.zeros((1, 8, 10, 3), np.float32)
    hints[0, 0, 0] = 0.5, -0.5, 1
    hints[0, 3, 2] = 0.1, 0.1, 1
    hints[0, 7, 9] = -0.2, 0.6, 1
    pooled = np.asarray(pooled_hints(jnp.asarray(hints), halvings((8, 10), 4)))[0]
    np.testing.assert_allclose(pooled[0, 0], (0.3, -0.2, 1), atol=1e-6)
    np.testing.assert_allclose(pooled[1, 2], (-0.2, 0.6, 1), atol=1e-6)
    assert not pooled[0, 1:].any() and not pooled[1, :2].any()


@pytest.mark.slow
@pytest.mark.parametrize("answer", [2, 4])
def test_hints_start_without_effect_and_have_one_once_learnt(answer):
    one = network(answer, guided=True)
    run = state.predict(state.graphdef(one.config.model))
    luma, hints = given(64, 64, True)
    without, with_hints = (np.asarray(run(one.params, one.stats, luma, h)) for h in (None, hints))
    assert np.abs(with_hints[0] - without[0]).max() > 0.01
    np.testing.assert_allclose(with_hints[1], without[1], atol=1e-6)  # no hint there

    @jax.jit
    def fresh():  # these alone: all else would be compiled for long
        params, _ = state.init_network(one.config.model, jax.random.key(0))
        return [leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params) if "hints" in jax.tree_util.keystr(path)]

    seen = fresh()
    assert len(seen) == (4 if answer == 4 else 5) and not any(leaf.any() for leaf in seen)


@pytest.mark.slow
@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("answer", [2, 4])
def test_the_engines_answer_alike(answer, guided):
    one = network(answer, guided)
    by_jax, by_onnx = (engines.make(one, name) for name in ("jax", "onnx"))
    for height, width in ((64, 96), (45, 33)):
        seen = given(height, width, guided)
        assert np.abs(by_jax.predict(*seen) - by_onnx.predict(*seen)).max() < 1e-3
        if guided:
            features = [engine.features(*seen) for engine in (by_jax, by_onnx)]
            np.testing.assert_allclose(*features, atol=0.02 * np.abs(features[0]).max())


@pytest.mark.slow
@pytest.mark.parametrize("kind", exports.KINDS)
def test_exports_answer_alike(kind, tmp_path):
    assert exports.write(network(4, guided=True), tmp_path / "net", kind)[1] < exports.TOLERANCE


def test_a_photograph_of_any_size_keeps_size_and_lightness():
    colorizer = Colorizer(network(4), engine="jax")
    grey = np.random.default_rng(0).integers(0, 256, (91, 130), np.uint8)
    prediction = colorizer.predict(grey)
    assert prediction.ab.shape == (16, 23, 2) and prediction.lightness.shape == (16, 23)
    copy = colorizer(grey)
    assert copy.shape == (91, 130, 3) and copy.std(-1).max() > 5
    off = (
        color.rgb_to_lab(copy / np.float32(255))[..., 0] - color.rgb_to_lab(np.stack([grey] * 3, -1) / np.float32(255))[..., 0]
    )
    assert np.abs(off).max() <= 0.5
    assert colorizer.predict(np.full((3, 300), 90, np.uint8)).ab.shape[0] >= 1
