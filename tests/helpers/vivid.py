"""A network that paints without having been trained."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from colorjax import checkpoint
from colorjax.networks import state
from helpers.tiny import config as tiny

SIZE = 64


def vivid_network(**changes):
    """The smallest network with random weights, its head too, so that much of what it paints is outside sRGB.

    They come from NumPy because XLA takes eight seconds to compile Flax's initialisers.
    """
    config, rng = tiny(**{"model__name": "shallow", "image_size": SIZE} | changes), np.random.default_rng(5)
    shapes, stats = jax.eval_shape(lambda: state.init_network(config.model, jax.random.key(0)))

    def random(leaf):
        scale = np.prod(leaf.shape[:-1]) ** -0.5 if len(leaf.shape) > 1 else 0.05
        return jnp.asarray(rng.normal(0, scale, leaf.shape), jnp.float32)

    params = jax.tree.map(random, shapes)
    params["head"]["kernel"] *= 15
    return checkpoint.Network(config, params, stats, Path("random"))
