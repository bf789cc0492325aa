"""How much hints help: guided networks measured with more and more true colours given at random points."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from colorjax import checkpoint
from colorjax.evaluation import evaluators, measuring
from colorjax.platform import sharding
from colorjax.science import hints

METRICS = ("psnr", "ssim", "delta_e", "l1", "colourfulness_ratio")
AT_HINTS = "delta_e_at_hints"
Curve = list[dict[str, Any]]


def counts_of(text: str) -> tuple[int, ...]:
    """Numbers of hints written as "0,1,5,10,50". Raises ValueError, for numbers outside 0..hints.LIMIT too."""
    try:
        counts = tuple(int(part) for part in text.split(",")) if text.strip() else ()
    except ValueError:
        raise ValueError(f"hints={text!r} must be whole numbers with commas between, as 0,1,5,10,50") from None
    _check(counts)
    return counts


def _check(counts: Sequence[int]) -> None:
    if not all(0 <= count <= hints.LIMIT for count in counts):
        raise ValueError(f"hints={','.join(map(str, counts))} must be numbers of 0..{hints.LIMIT}")


def guided(networks: dict[str, checkpoint.Network]) -> dict[str, checkpoint.Network]:
    """Those of the networks that follow hints. Raises ValueError where none does."""
    found = {name: network for name, network in networks.items() if network.config.model.guided}
    if not found:
        raise ValueError(f"no network here follows hints: {', '.join(networks)} (model.guided=True trains such)")
    return found


def curve(network: checkpoint.Network, photographs: Any, mesh: Mesh, counts: Sequence[int]) -> Curve:
    """A row for each number of hints: `hints`, METRICS with their intervals as `evaluators.intervals`, and AT_HINTS, the median
    over all hints of the Delta E between hint and answer (None without hints).

    The hints are true colours at points of `simulation.for_measuring`; those of a smaller number are among those of a larger.
    Raises ValueError for numbers outside 0..hints.LIMIT.
    """
    _check(counts)
    numbers = jax.device_put((network.params, network.stats), sharding.replicated(mesh))
    rows = []
    for count in sorted(set(counts)):
        step = measuring.step_of(network.config.model, mesh, {}, count)
        evaluation = evaluators.run(
            lambda batch, step=step: step(*numbers, batch),
            photographs.validation(),
            lambda batch: sharding.put(batch, mesh),
            set(),
        )
        values = dict(evaluation.values)
        met = values.pop("at_hints", None)
        found = evaluators.intervals(values)
        rows.append({"hints": count, **{name: found[name] for name in METRICS}})
        rows[-1][AT_HINTS] = None if met is None else float(np.median(met))
    return rows
