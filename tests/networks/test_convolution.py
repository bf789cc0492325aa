"""Convolutions as Flax's, also where they are computed in another way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from colorjax.networks.convolution import Conv, Double
from colorjax.platform import sharding


def pair(size, stride, padding, dtype=jnp.float32):
    """Flax's convolution and ours with the same numbers."""
    options = {"strides": (stride, stride), "padding": padding, "dtype": dtype}
    ours, theirs = (kind(3, 5, (size, size), **options, rngs=nnx.Rngs(0)) for kind in (Conv, nnx.Conv))
    ours.bias[...] = theirs.bias[...] = jnp.arange(5.0)
    return ours, theirs


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 1), (2, 7), (6, 9)])
@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(3, 1, "SAME"), (3, 2, ((1, 1), (1, 1))), (1, 2, "SAME"), (4, 2, "SAME")]
)
def test_small_maps_are_convolved_as_by_flax(shape, size, stride, padding):
    ours, theirs = pair(size, stride, padding)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, *shape, 3)), jnp.float32)
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)
    (ours_dx, ours_dk), (theirs_dx, theirs_dk) = (
        jax.grad(lambda x, kernel, one=one: jnp.sin(_with(one, kernel)(x)).sum(), (0, 1))(x, one.kernel[...])
        for one in (ours, theirs)
    )
    np.testing.assert_allclose(ours_dx, theirs_dx, atol=1e-4)
    np.testing.assert_allclose(ours_dk, theirs_dk, atol=1e-4)


def _with(one, kernel):
    graphdef, params = nnx.split(one)
    params["kernel"] = nnx.Param(kernel)
    return nnx.merge(graphdef, params)


def test_no_small_map_is_left_to_the_slow_convolution():
    """XLA takes a hundred times as long for maps that are smaller than the kernel, forward and back."""
    ours, _ = pair(3, 1, "SAME")
    for side, slow in ((2, False), (3, True)):
        assert ("conv_general_dilated" in str(jax.make_jaxpr(ours)(jnp.zeros((1, side, 64, 3))))) == slow


@pytest.mark.parametrize("kind", [Conv, Double])
def test_gradients_of_biases_are_right_in_bfloat16(kind):
    """A sum over all pixels, which bfloat16 with its 8 bits cannot hold."""
    size = {"kernel_size": (3, 3)} if kind is Conv else {}
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 64, 64, 3)), jnp.float32)
    side = 64 if kind is Conv else 128
    weights = jnp.asarray(np.random.default_rng(1).uniform(0, 1, (2, side, side, 5)), jnp.float32)

    def gradient(dtype):
        one = kind(3, 5, **size, dtype=dtype, rngs=nnx.Rngs(0))

        graphdef, params = nnx.split(one)
        loss = lambda params: (nnx.merge(graphdef, params)(x).astype(jnp.float32) * weights).sum()  # noqa: E731
        return jax.jit(jax.grad(loss))(params)["bias"][...]

    np.testing.assert_allclose(gradient(jnp.bfloat16), gradient(jnp.float32), rtol=0.002)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(3, 1, "SAME"), (3, 2, ((1, 1), (1, 1))), (7, 2, "SAME"), (1, 2, "SAME")]
)
def test_gradients_of_large_maps_are_flaxs(size, stride, padding, dtype):
    """Summed picture by picture on a CPU."""
    ours, theirs = pair(size, stride, padding, dtype)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(jax.device_count(), 34, 40, 3)), jnp.float32)

    def gradients(one):
        return jax.jit(jax.grad(lambda x, kernel: jnp.sin(_with(one, kernel)(x)).sum(), (0, 1)))(x, one.kernel[...])

    assert "scan" in str(jax.make_jaxpr(jax.grad(lambda kernel: _with(ours, kernel)(x).sum()))(ours.kernel[...]))
    for a, b in zip(gradients(ours), gradients(theirs), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, **({"atol": 2e-3} if dtype == jnp.float32 else {"rtol": 0.05, "atol": 1.0}))


def test_each_device_sums_the_gradients_of_its_own_pictures():
    """Nothing but the sum of a kernel's size travels between devices."""
    ours, _ = pair(3, 1, "SAME")
    mesh = sharding.make_mesh()
    x = sharding.put({"x": np.zeros((2 * mesh.size, 32, 32, 3), np.float32)}, mesh)["x"]
    step = jax.jit(jax.grad(lambda kernel, x: jnp.sin(_with(ours, kernel)(x)).sum()), out_shardings=sharding.replicated(mesh))
    compiled = step.lower(jax.device_put(ours.kernel[...], sharding.replicated(mesh)), x).compile().as_text()
    assert mesh.size == 4 and "all-reduce" in compiled and "all-gather" not in compiled and "while" in compiled
