"""The compiled step that measures: a batch in, every metric of each of its pictures out."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh

from colorjax import networks
from colorjax.networks import state as states
from colorjax.networks.perceptual import Perceptual
from colorjax.platform import sharding
from colorjax.science import color, metrics, simulation

Batch = dict[str, jax.Array]


def step_of(
    model: Any, mesh: Mesh, lpips: dict[str, Perceptual], hints: int = 0
) -> Callable[[Any, Any, Batch], dict[str, jax.Array]]:
    """(params, stats, batch) -> every metric of `metrics.compare`, (B,) each, and the predicted `chroma`.

    model: `config.model`; None stands for the grey picture, whose params and stats are not looked at.
    lpips: adds `lpips_NET` for each, see `perceptual.given`.
    hints: of a guided network, so many that `simulation.for_measuring` takes from the truth; adds `at_hints` (B, hints), the
    Delta E between each hint and the answer in its middle.
    """
    run = states.predict(states.graphdef(model)) if model is not None else lambda _, __, luma, ___: 0 * luma.repeat(2, axis=-1)
    everywhere = sharding.replicated(mesh)
    weights = jax.device_put({net: one.weights for net, one in lpips.items()}, everywhere)

    def step(params: Any, stats: Any, batch: Batch, weights: Any) -> dict[str, jax.Array]:
        luma, target = batch["luma"], batch["chroma"]
        given, own, middle = simulation.for_measuring(target, batch["index"], hints) if hints else (None, None, None)
        pred = run(params, stats, luma, given)
        pred = networks.full_size(pred, luma.shape[1:3], model.answer if model is not None else 1)
        rgb, rgb_target = (color.lab_to_rgb(metrics.to_lab(luma, chroma)) for chroma in (pred, target))
        far = {f"lpips_{net}": one.distance(weights[net], rgb, rgb_target) for net, one in lpips.items()}
        met = {"at_hints": metrics.at_points(luma, pred, own, middle)} if hints else {}
        return metrics.compare(luma, pred, target) | far | met | {"chroma": pred}

    jitted = jax.jit(step, out_shardings=everywhere)
    return lambda params, stats, batch: jitted(params, stats, batch, weights)
