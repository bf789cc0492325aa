"""The networks: shapes, counts, odd sizes, precision, and what every config builds. Most of it computes nothing."""

import functools
import importlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from helpers import ROOT
from ml_collections import FrozenConfigDict

from colorjax import networks
from colorjax.networks import state, summary
from colorjax.networks.resnet import count_parameters, max_pool
from colorjax.platform import sharding
from colorjax.science import bins
from colorjax.training import optim, steps
from configs import base

CONFIGS = sorted(path.stem for path in (ROOT / "configs").glob("*.py") if path.stem != "__init__")
NETWORKS = [(name, stem) for name in networks.MODELS for stem in networks.STEMS]
DISTINCT = [("resnet_unet", "full"), ("resnet_unet", "strided"), ("shallow", "full")]
SIZES = [(1, 1), (2, 3), (31, 64), (33, 47), (256, 256)]


def settings(name="resnet_unet", stem="full", width=64, dtype="float32"):
    config = base.get_config()
    config.model.update(name=name, stem=stem, width=width, dtype=dtype)
    return config


def shapes_of(model):
    return _shapes_of(FrozenConfigDict(model))


@functools.cache
def _shapes_of(model):
    return jax.eval_shape(lambda: state.init_network(model, jax.random.key(0)))


@functools.cache
def random_network(name, stem, width=8, head=1.0):
    """(params, stats) whose numbers come from NumPy, as compiling JAX's own takes far longer than all else here."""
    rng = np.random.default_rng(1)

    def fill(path, leaf):
        kind, shape = path[-1].key, leaf.shape
        if kind == "kernel":
            scale = head if path[1].key == "head" else 1.4
            return rng.normal(size=shape).astype(np.float32) * np.float32(scale / np.sqrt(np.prod(shape[:-1])))
        low, high = {"scale": (0.5, 1.5), "var": (0.5, 2)}.get(kind, (-0.3, 0.3))
        return rng.uniform(low, high, shape).astype(np.float32)

    return jax.tree_util.tree_map_with_path(fill, shapes_of(settings(name, stem, width).model))


@functools.cache
def forward(name, stem, width=8, dtype="float32"):
    graphdef = state.graphdef(settings(name, stem, width, dtype).model)

    def run(params, stats, luma):
        network = nnx.merge(graphdef, params, stats)
        network.eval()
        return network(luma)

    return jax.jit(run)


def lumas(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


# Shapes and counts, from shapes alone


@pytest.mark.parametrize("height, width", SIZES)
@pytest.mark.parametrize("name, stem", NETWORKS)
def test_chroma_has_the_size_of_luma(name, stem, height, width):
    config = settings(name, stem)
    luma = jax.ShapeDtypeStruct((3, height, width, 1), jnp.float32)
    chroma = jax.eval_shape(forward(name, stem, 64), *shapes_of(config.model), luma)
    assert (chroma.shape, chroma.dtype) == ((3, height, width, 2), jnp.float32)


@pytest.mark.parametrize("stem, count", [("full", 14_184_258), ("strided", 14_319_618)])
def test_parameter_counts(stem, count):
    params, _ = shapes_of(settings(stem=stem).model)
    assert count_parameters(params) == count
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype("float32")}


def test_shallow_has_no_stem():
    assert shapes_of(settings("shallow", "full").model) == shapes_of(settings("shallow", "strided").model)


@pytest.mark.parametrize("name, stem", DISTINCT)
def test_parameters_stay_float32_whatever_is_computed_in(name, stem):
    wide, narrow = (shapes_of(settings(name, stem, dtype=dtype).model) for dtype in ("float32", "bfloat16"))
    assert wide == narrow


def test_auto_is_float32_on_a_cpu():
    network = nnx.eval_shape(lambda: networks.make(settings(dtype="auto").model, nnx.Rngs(0)))
    assert network.encoder.dtype == jnp.float32


# Numbers, at small width


@pytest.mark.parametrize("name, stem", DISTINCT)
def test_batch_of_two_is_two_batches_of_one(name, stem):
    network, run = random_network(name, stem), forward(name, stem)
    luma = lumas(2, 33, 47, 1)
    both = np.asarray(run(*network, luma))
    assert both.shape == (2, 33, 47, 2) and np.isfinite(both).all() and both.std() > 0.05
    for i in range(2):
        np.testing.assert_allclose(np.asarray(run(*network, luma[i : i + 1]))[0], both[i], atol=1e-5, rtol=0)


@pytest.mark.parametrize("height, width", [(1, 1), (31, 64)])
def test_odd_sizes_run(height, width):
    chroma = np.asarray(
        forward("resnet_unet", "strided")(*random_network("resnet_unet", "strided"), lumas(1, height, width, 1))
    )
    assert chroma.shape == (1, height, width, 2) and np.isfinite(chroma).all() and np.abs(chroma).max() > 0


@pytest.mark.parametrize("name, stem", DISTINCT)
def test_chroma_is_bounded(name, stem):
    """However far the last layer reaches, chroma stays in -1..1, and it does reach both ends."""
    chroma = np.asarray(forward(name, stem)(*random_network(name, stem, head=1e4), lumas(2, 33, 47, 1)))
    assert (chroma.min(), chroma.max()) == (-1, 1)


@pytest.mark.parametrize("name, stem", DISTINCT)
def test_untrained_network_predicts_exactly_grey(name, stem):
    """The head as `init` makes it (all else would be compiled for long) under a random network."""
    model = settings(name, stem, 8).model
    head = jax.jit(lambda: state.init_network(model, jax.random.key(3))[0]["head"])()
    params, stats = random_network(name, stem)
    luma = lumas(2, 33, 47, 1)
    assert np.asarray(forward(name, stem)(params, stats, luma)).any()
    assert not np.asarray(forward(name, stem)(params | {"head": head}, stats, luma)).any()


@pytest.mark.parametrize("name, stem", DISTINCT[1:])
def test_bfloat16_is_close_to_float32(name, stem):
    network, luma = random_network(name, stem), lumas(2, 33, 47, 1)
    wide, narrow = (forward(name, stem, dtype=dtype)(*network, luma) for dtype in ("float32", "bfloat16"))
    assert narrow.dtype == jnp.float32
    difference = np.linalg.norm(narrow - wide) / np.linalg.norm(wide)
    assert 1e-5 < difference < 0.05  # it is another computation, but of the same function


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_only_training_moves_batch_norm_statistics(mode):
    name, stem = DISTINCT[1]
    graphdef = state.graphdef(settings(name, stem, 8).model)
    params, stats = random_network(name, stem)

    @jax.jit
    def run(params, stats, luma):
        network = nnx.merge(graphdef, params, stats)
        getattr(network, mode)()
        network(luma)
        _, after, stats = nnx.split(network, nnx.Param, ...)
        return nnx.to_pure_dict(after), nnx.to_pure_dict(stats)

    after, moved = run(params, stats, lumas(2, 32, 32, 1))
    same = jax.tree.map(lambda a, b: np.array_equal(a, b), stats, moved)
    assert set(jax.tree.leaves(same)) == {mode == "eval"}
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, params, after)))


# Pooling

POOLED = [(1, 1), (1, 6), (2, 2), (5, 8), (33, 47)]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("height, width", POOLED)
def test_max_pool_is_flax_max_pool(height, width, dtype):
    x = jnp.asarray(lumas(2, height, width, 3) - 1, dtype)  # below 0: padding must never win
    expected = nnx.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
    pooled = max_pool(x, 3)
    assert pooled.shape == expected.shape and pooled.dtype == expected.dtype
    np.testing.assert_array_equal(pooled, expected)


def test_gradient_of_max_pool_is_that_of_flax():
    x, weights = lumas(1, 7, 10, 2), lumas(1, 4, 5, 2, seed=1)
    expected = jax.grad(lambda x: (nnx.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1))) * weights).sum())(x)
    np.testing.assert_allclose(jax.grad(lambda x: (max_pool(x, 3) * weights).sum())(x), expected, rtol=1e-6)


# Errors


@pytest.mark.parametrize(
    ("key", "value", "legal"),
    [
        ("name", "unet", "resnet_unet, shallow"),
        ("stem", "half", "full, strided"),
        ("dtype", "float16", "auto, float32, bfloat16"),
        ("width", 0, "a positive multiple of 4"),
        ("width", -4, "a positive multiple of 4"),
        ("width", 10, "a positive multiple of 4"),
    ],
)
@pytest.mark.parametrize("name", networks.MODELS)
def test_illegal_settings_say_what_is_legal(name, key, value, legal):
    model = settings(name).model
    model[key] = value
    with pytest.raises(ValueError, match=rf"model\.{key}={value!r} .*{legal}$"):
        networks.make(model, nnx.Rngs(0))


# Summary


@pytest.mark.parametrize(
    ("stem", "total", "gflop", "deepest"), [("full", "14,184,258", 116.6, 32), ("strided", "14,319,618", 11.6, 8)]
)
def test_summary_tells_parameters_maps_and_cost(stem, total, gflop, deepest):
    text = summary.describe(settings(stem=stem))
    counts = {name: int(count.replace(",", "")) for name, count in re.findall(r"^  (\S+) +([\d,]+)$", text, re.M)}
    assert f"{counts.pop('total'):,}" == total == f"{sum(counts.values()):,}"
    assert re.search(rf"^  layer4 +{deepest} x {deepest} x 512$", text, re.M)
    assert re.search(r"^  chroma +256 x 256 x 2$", text, re.M)
    assert float(re.search(r"^([\d.]+) GFLOP a picture", text, re.M)[1]) == pytest.approx(gflop, rel=0.02)


def test_summary_tells_the_resolution_of_the_answer():
    config = settings(stem="strided")
    config.model.update(answer=4, guided=True)
    text = summary.describe(config)
    assert text.splitlines()[0] == "resnet_unet, stem=strided, width=64, chroma at 1/4 of the resolution, follows hints"
    assert re.search(r"^  chroma +64 x 64 x 2$", text, re.M)


def test_summary_of_the_shallow_network():
    config = settings("shallow")
    config.image_size = 100
    text = summary.describe(config)
    assert text.startswith("shallow, width=64, chroma at full resolution\n")
    assert re.search(r"^  bottleneck +25 x 25 x 256$", text, re.M)
    assert f"{count_parameters(shapes_of(config.model)[0]):,}" in text


# Configs


def config_of(name):
    return importlib.import_module(f"configs.{name}").get_config()


def test_there_are_configs():
    assert {"base", "unet", "unet_fast", "shallow", "quick"} <= set(CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
def test_config_is_complete(name):
    """No key more and none less than base.py has, each of the same type."""

    def kinds(config):
        leaves = jax.tree_util.tree_leaves_with_path(config.to_dict(), is_leaf=lambda value: isinstance(value, tuple))
        return {jax.tree_util.keystr(path): type(leaf) for path, leaf in leaves}

    assert kinds(config_of(name)) == kinds(base.get_config())


@pytest.mark.parametrize("name", CONFIGS)
def test_config_builds(name):
    """Network, optimiser and state take shape, and the state is one that a step of training can start from."""
    config = config_of(name)
    optimizers = optim.make(config, 10)
    now = jax.eval_shape(lambda: state.init(config, optimizers))
    assert now.step.shape == () and now.step.dtype == jnp.int32
    luma = jax.ShapeDtypeStruct((1, config.image_size, config.image_size, 1), jnp.float32)
    run = state.predict(state.graphdef(config.model))
    side = config.image_size // config.model.answer
    assert jax.eval_shape(run, now.params, now.stats, luma).shape == (1, side, side, 2)
    mesh = sharding.make_mesh()
    shape = (config.batch_size, config.image_size, config.image_size)
    batch = {"luma": (*shape, 1), "chroma": (*shape, 2), "mask": shape[:1]}
    batch = {key: jax.ShapeDtypeStruct(value, jnp.float32) for key, value in batch.items()}
    after, scalars = jax.eval_shape(steps.make(config, optimizers, mesh, np.zeros(bins.COUNT)), now, batch)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(lambda x: (x.shape, x.dtype), now)
    assert {"loss", "l1", "grad_norm", "lost"} <= scalars.keys()
    assert config.batch_size > 0 and config.eval_batch_size > 0 and config.epochs > 0


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "base"])
def test_config_opens_with_its_command(name):
    assert f"python train.py --config=configs/{name}.py --workdir=" in importlib.import_module(f"configs.{name}").__doc__


def test_configs_differ_from_each_other():
    """Each has a reason to be there, and building one leaves no trace in another."""
    built = {name: config_of(name).to_json() for name in CONFIGS}
    assert len(set(built.values())) == len(CONFIGS)
    assert {name: config_of(name).to_json() for name in reversed(CONFIGS)} == built


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_double_is_flax_transposed_convolution(dtype):
    from colorjax.networks.unet import Double

    theirs = nnx.ConvTranspose(3, 5, (2, 2), strides=(2, 2), dtype=dtype, rngs=nnx.Rngs(0))
    ours = Double(3, 5, dtype=dtype, rngs=nnx.Rngs(1))
    theirs.bias[...] = jnp.arange(5.0)
    ours.kernel[...], ours.bias[...] = theirs.kernel[...], theirs.bias[...]
    x = jnp.asarray(lumas(2, 4, 7, 3), dtype)
    assert ours(x).dtype == dtype
    tolerance = 1e-5 if dtype == jnp.float32 else 3e-2
    np.testing.assert_allclose(ours(x).astype(jnp.float32), theirs(x).astype(jnp.float32), atol=tolerance)
