"""All that training changes, as one tree of arrays, and its abstract form (shapes only)."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from colorjax import models


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class TrainState:
    """step: how many updates were made (int32). params, stats: nested dicts of the network's parameters and of its
    BatchNorm statistics. opt_state: of the optimiser. key: root of all randomness; never changes, steps fold into it."""

    step: jax.Array
    params: Any
    stats: Any
    opt_state: Any
    key: jax.Array


def graphdef(model_config: Any) -> nnx.GraphDef:
    """The network's structure without its numbers: `nnx.merge(graphdef, params, stats)` makes the network."""
    model = nnx.eval_shape(lambda: models.make(model_config, nnx.Rngs(0)))
    return nnx.split(model, nnx.Param, ...)[0]


def init_network(model_config: Any, key: jax.Array) -> tuple[Any, Any]:
    """Random (params, stats) of the network that `config.model` describes."""
    # XLA's own generator: JAX's default one takes XLA ten seconds to compile, once for every kernel's shape.
    key = jax.random.wrap_key_data(jnp.tile(jax.random.key_data(key), 2), impl="rbg")
    _, params, stats = nnx.split(models.make(model_config, nnx.Rngs(params=key)), nnx.Param, ...)
    return nnx.to_pure_dict(params), nnx.to_pure_dict(stats)


def init(config: Any, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first step; a pure function of `config.seed`."""
    key = jax.random.key(config.seed)
    params, stats = init_network(config.model, jax.random.fold_in(key, 0))
    # The key is stored as its plain numbers: checkpoints of such arrays are read by every version.
    return TrainState(jnp.int32(0), params, stats, optimizer.init(params), jax.random.key_data(key))
