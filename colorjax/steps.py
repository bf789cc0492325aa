"""The jitted steps: pure functions of a state and a batch."""

from collections.abc import Callable
from typing import Any

import jax
import optax
from flax import nnx
from jax.sharding import Mesh

from colorjax import losses, metrics, sharding
from colorjax.state import TrainState

Batch = dict[str, jax.Array]
TrainStep = Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]]


def regression(graphdef: nnx.GraphDef, optimizer: optax.GradientTransformation, mesh: Mesh) -> TrainStep:
    """(state, batch) -> (state, metrics): one AdamW step on the L1 of chroma.

    The state is donated: the one given is used up. Metrics are scalars on the device: `loss` (L1 of ab/110), `l1` (the
    same in ab/128, as validation reports it), `grad_norm` before clipping, and `lost`, the share of the batch's photographs
    that could not be read.
    """

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
        def loss_fn(params: Any) -> tuple[jax.Array, tuple[Any, jax.Array]]:
            model = nnx.merge(graphdef, params, state.stats)
            model.train()
            pred = model(batch["luma"])
            stats = nnx.to_pure_dict(nnx.split(model, nnx.Param, ...)[2])
            return losses.mean(losses.l1(pred, batch["chroma"]), batch["mask"]), (stats, pred)

        (loss, (stats, pred)), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        scalars = {
            "loss": loss,
            "l1": losses.mean(metrics.l1(pred, batch["chroma"]), batch["mask"]),
            "grad_norm": optax.tree.norm(grads),
            "lost": 1 - batch["mask"].mean(),
        }
        return TrainState(state.step + 1, params, stats, opt_state, state.key), scalars

    everywhere = sharding.replicated(mesh)
    return jax.jit(step, donate_argnums=0, out_shardings=(everywhere, everywhere))


def predict(graphdef: nnx.GraphDef) -> Callable[[Any, Any, jax.Array], jax.Array]:
    """(params, stats, luma) -> chroma, with the running statistics of BatchNorm."""

    @jax.jit
    def run(params: Any, stats: Any, luma: jax.Array) -> jax.Array:
        model = nnx.merge(graphdef, params, stats)
        model.eval()
        return model(luma)

    return run


def evaluate(graphdef: nnx.GraphDef, mesh: Mesh) -> Callable[[Any, Any, Batch], dict[str, jax.Array]]:
    """(params, stats, batch) -> every metric of `metrics.compare`, (B,) each, and the predicted `chroma`."""
    run = predict(graphdef)

    def step(params: Any, stats: Any, batch: Batch) -> dict[str, jax.Array]:
        pred = run(params, stats, batch["luma"])
        return metrics.compare(batch["luma"], pred, batch["chroma"]) | {"chroma": pred}

    return jax.jit(step, out_shardings=sharding.replicated(mesh))
