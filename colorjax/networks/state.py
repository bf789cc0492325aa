"""All that training changes, as one tree of arrays, and its abstract form (shapes only)."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh
from ml_collections import FrozenConfigDict

from colorjax import networks
from colorjax.networks.resnet import STAGES
from colorjax.platform import sharding


class Optimizers(NamedTuple):
    """Of the network, and of the discriminator where there is one."""

    network: optax.GradientTransformation
    discriminator: optax.GradientTransformation | None = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class TrainState:
    """step: how many updates were made (int32). params, stats: nested dicts of the network's parameters and of its
    BatchNorm statistics. opt_state: of the optimiser. key: root of all randomness; never changes, steps fold into it.
    average: {"params", "stats"}, their exponential moving averages; empty without `config.ema`.
    discriminator: {"params", "stats", "opt_state"} of the other player; empty where there is none."""

    step: jax.Array
    params: Any
    stats: Any
    opt_state: Any
    key: jax.Array
    average: dict[str, Any] = dataclasses.field(default_factory=dict)
    discriminator: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def network(self) -> tuple[Any, Any]:
        """(params, stats) of the network to measure and to ship: the average, where there is one."""
        return (self.average["params"], self.average["stats"]) if self.average else (self.params, self.stats)


def graphdef(model_config: Any) -> nnx.GraphDef:
    """The network's structure without its numbers: `nnx.merge(graphdef, params, stats)` makes the network."""
    return _graphdef(FrozenConfigDict(model_config))


@functools.lru_cache(maxsize=8)  # a training asks three times
def _graphdef(model_config: FrozenConfigDict) -> nnx.GraphDef:
    return _structure(lambda: networks.make(model_config, nnx.Rngs(0)))


def discriminator_graphdef(config: Any) -> nnx.GraphDef:
    """The same of the discriminator."""
    return _structure(lambda: networks.make_discriminator(config.discriminator, config.model.dtype, nnx.Rngs(0)))


def _structure(make: Callable[[], nnx.Module]) -> nnx.GraphDef:
    return nnx.split(nnx.eval_shape(make), nnx.Param, ...)[0]


def predict(graphdef: nnx.GraphDef, what: str = "chroma") -> Callable[..., jax.Array]:
    """(params, stats, luma, hints=None) -> chroma, or another of the network's maps, with BatchNorm's running statistics.

    Hints of guided networks alone.
    """

    @jax.jit
    def run(params: Any, stats: Any, luma: jax.Array, hints: jax.Array | None = None) -> jax.Array:
        model = nnx.merge(graphdef, params, stats)
        model.eval()
        return model.feature_maps(luma, hints)[what]

    return run


def frozen_stages(freeze: str) -> tuple[str, ...]:
    """The encoder's stages up to the one that `config.freeze` names; none for "". Raises ValueError for other names."""
    if freeze not in ("", *STAGES):
        raise ValueError(f"freeze={freeze!r} is unknown; legal are {', '.join(STAGES)}, and none")
    return STAGES[: STAGES.index(freeze) + 1] if freeze else ()


def stage_of(name: str) -> str:
    """The stage of the encoder that a part of it belongs to, by the part's name; "" of what sees hints, which none has."""
    return name if name in STAGES else "" if "hints" in name else "stem"


def init_network(model_config: Any, key: jax.Array) -> tuple[Any, Any]:
    """Random (params, stats) of the network that `config.model` describes."""
    return _numbers(networks.make(model_config, _rngs(key)))


def init_discriminator(config: Any, key: jax.Array) -> tuple[Any, Any]:
    """The same of the network that `config.discriminator` describes."""
    return _numbers(networks.make_discriminator(config.discriminator, config.model.dtype, _rngs(key)))


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
    average = {"params": params, "stats": stats} if config.ema else {}
    # The key is stored as its plain numbers: checkpoints of such arrays are read by every version.
    return TrainState(jnp.int32(0), params, stats, opt_state, jax.random.key_data(key), average, discriminator)


def new(config: Any, optimizers: Optimizers) -> TrainState:
    """`init`, as one compiled program."""
    return _program(FrozenConfigDict(config), optimizers)()


@functools.lru_cache(maxsize=4)  # so that it is traced once, for its shapes and for its numbers
def _program(config: FrozenConfigDict, optimizers: Optimizers) -> Any:
    return jax.jit(lambda: init(config, optimizers))


def abstract(config: Any, optimizers: Optimizers, mesh: Mesh) -> TrainState:
    """Shape, type and place (`sharding.layout`) of each array of the state."""
    shapes = _program(FrozenConfigDict(config), optimizers).eval_shape()
    places = sharding.layout(mesh, shapes, config.fsdp)
    return jax.tree.map(lambda leaf, at: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=at), shapes, places)


def averaged(average: dict[str, Any], params: Any, stats: Any, step: jax.Array, decay: float) -> dict[str, Any]:
    """The moving average after one more update; empty where it was.

    The first steps forget faster, (1 + step) / (10 + step), so that the random start does not linger.
    """
    if not average:
        return {}
    kept = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    return jax.tree.map(lambda old, new: kept * old + (1 - kept) * new, average, {"params": params, "stats": stats})
