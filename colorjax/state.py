"""All that training changes, as one tree of arrays, and its abstract form (shapes only)."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from colorjax import models


class Optimizers(NamedTuple):
    """Of the network, and of the discriminator where there is one."""

    network: optax.GradientTransformation
    discriminator: optax.GradientTransformation | None = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class TrainState:
    """step: how many updates were made (int32). params, stats: nested dicts of the network's parameters and of its
    BatchNorm statistics. opt_state: of the optimiser. key: root of all randomness; never changes, steps fold into it.
    discriminator: the same {"params", "stats", "opt_state"} of the other player; empty where there is none."""

    step: jax.Array
    params: Any
    stats: Any
    opt_state: Any
    key: jax.Array
    discriminator: dict[str, Any] = dataclasses.field(default_factory=dict)


def graphdef(model_config: Any) -> nnx.GraphDef:
    """The network's structure without its numbers: `nnx.merge(graphdef, params, stats)` makes the network."""
    return _structure(lambda: models.make(model_config, nnx.Rngs(0)))


def discriminator_graphdef(config: Any) -> nnx.GraphDef:
    """The same of the discriminator."""
    return _structure(lambda: models.make_discriminator(config.discriminator, config.model.dtype, nnx.Rngs(0)))


def _structure(make: Callable[[], nnx.Module]) -> nnx.GraphDef:
    return nnx.split(nnx.eval_shape(make), nnx.Param, ...)[0]


def init_network(model_config: Any, key: jax.Array) -> tuple[Any, Any]:
    """Random (params, stats) of the network that `config.model` describes."""
    return _numbers(models.make(model_config, _rngs(key)))


def init_discriminator(config: Any, key: jax.Array) -> tuple[Any, Any]:
    """The same of the network that `config.discriminator` describes."""
    return _numbers(models.make_discriminator(config.discriminator, config.model.dtype, _rngs(key)))


def _rngs(key: jax.Array) -> nnx.Rngs:
    # XLA's own generator: JAX's default one takes XLA ten seconds to compile, once for every kernel's shape.
    return nnx.Rngs(params=jax.random.wrap_key_data(jnp.tile(jax.random.key_data(key), 2), impl="rbg"))


def _numbers(model: nnx.Module) -> tuple[Any, Any]:
    _, params, stats = nnx.split(model, nnx.Param, ...)
    return nnx.to_pure_dict(params), nnx.to_pure_dict(stats)


def init(config: Any, optimizers: Optimizers) -> TrainState:
    """The state before the first step; a pure function of `config.seed`."""
    key = jax.random.key(config.seed)
    params, stats = init_network(config.model, jax.random.fold_in(key, 0))
    discriminator = {}
    if optimizers.discriminator is not None:
        other, other_stats = init_discriminator(config, jax.random.fold_in(key, 1))
        discriminator = {"params": other, "stats": other_stats, "opt_state": optimizers.discriminator.init(other)}
    opt_state = optimizers.network.init(params)
    # The key is stored as its plain numbers: checkpoints of such arrays are read by every version.
    return TrainState(jnp.int32(0), params, stats, opt_state, jax.random.key_data(key), discriminator)
