"""Metrics over a set of pictures: every picture counted once, in all and by group, with bootstrap intervals."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from colorjax import metrics

BOOTSTRAP_ROUNDS = 1000


@dataclass(frozen=True)
class Evaluation:
    """Metrics by picture. values: metric -> (n,). group, index: (n,), as in the batches. panels: (luma, pred, target),
    each (k, H, W, .), pictures to show; panel_indices (k,) says which. lost: pictures that could not be read."""

    values: dict[str, np.ndarray]
    group: np.ndarray
    index: np.ndarray
    panels: tuple[np.ndarray, np.ndarray, np.ndarray]
    panel_indices: np.ndarray
    lost: int = 0


def run(step: Callable[[dict], dict], batches: Iterable[dict], put: Callable[[dict], dict], show: set[int]) -> Evaluation:
    """Evaluate every picture whose mask is 1.

    step: batch on the device -> metrics by picture and the predicted "chroma". put: batch -> batch on the device.
    show: indices of the pictures to keep for the panels. Raises ValueError where no picture is left.
    """
    rows: list[dict[str, np.ndarray]] = []
    shown: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = []
    lost = 0
    for batch in batches:
        result = step(put({key: batch[key] for key in ("luma", "chroma")}))
        pred = result.pop("chroma")
        real = batch["mask"] > 0
        lost += int((~real & (batch["index"] >= 0)).sum())
        values = jax.device_get(result) | {"group": batch["group"], "index": batch["index"]}
        rows.append({key: np.asarray(value)[real] for key, value in values.items()})
        wanted = [i for i in np.flatnonzero(real) if int(batch["index"][i]) in show]
        if wanted:
            pred = np.asarray(pred)
            shown += [(int(batch["index"][i]), batch["luma"][i], pred[i], batch["chroma"][i]) for i in wanted]
    values = {key: np.concatenate([row[key] for row in rows]) for key in rows[0]} if rows else {}
    if not len(values.get("index", ())):
        raise ValueError("no photograph to evaluate on")
    group, index = values.pop("group"), values.pop("index")
    indices, *panels = (np.stack(column) for column in zip(*shown, strict=True)) if shown else [np.zeros(0)] * 4
    return Evaluation(values, group, index, tuple(panels), indices, lost)


def spread(indices: np.ndarray, count: int) -> set[int]:
    """`count` of the pictures, evenly spread over the set."""
    positions = np.linspace(0, len(indices) - 1, min(count, len(indices))).round().astype(int)
    return {int(i) for i in np.asarray(indices)[positions]}


def means(values: dict[str, np.ndarray]) -> dict[str, float]:
    """Mean of each metric, and `colourfulness_ratio`: mean predicted over mean true colourfulness (1 = as vivid)."""
    weights = np.full((1, len(next(iter(values.values())))), 1.0)
    return {name: float(value[0]) for name, value in _weighted(values, weights).items()}


def _weighted(values: dict[str, np.ndarray], weights: np.ndarray) -> dict[str, np.ndarray]:
    """Weighted means, (rounds,) each, for weights (rounds, n)."""
    total = weights.sum(1)
    result = {name: weights @ value.astype(np.float64) / total for name, value in values.items()}
    predicted, true = result.pop("colourfulness"), result["colourfulness_target"]
    return result | {"colourfulness": predicted, "colourfulness_ratio": predicted / np.maximum(true, 1e-9)}


def intervals(values: dict[str, np.ndarray], seed: int = 0) -> dict[str, dict[str, Any]]:
    """Mean and 95 % percentile bootstrap interval over pictures (Efron 1979): metric -> {"mean", "low", "high"}."""
    count = len(next(iter(values.values())))
    rng = np.random.default_rng(seed)
    draws: dict[str, list[np.ndarray]] = {}
    for _ in range(0, BOOTSTRAP_ROUNDS, 100):  # in parts: weights are (rounds, pictures)
        weights = rng.multinomial(count, np.full(count, 1 / count), size=100).astype(np.float64)
        for name, value in _weighted(values, weights).items():
            draws.setdefault(name, []).append(value)
    point = means(values)
    result = {}
    for name, parts in draws.items():
        low, high = np.percentile(np.concatenate(parts), [2.5, 97.5])
        result[name] = {"mean": point[name], "low": float(low), "high": float(high)}
    return result


def table(evaluation: Evaluation, groups: tuple[str, ...]) -> dict[str, dict]:
    """Intervals of every metric and the number of pictures, for "all" and for each group that has pictures."""
    result = {"all": {"pictures": len(evaluation.index), **intervals(evaluation.values)}}
    for number, group in enumerate(groups):
        chosen = evaluation.group == number
        if len(groups) > 1 and chosen.any():
            values = {name: value[chosen] for name, value in evaluation.values.items()}
            result[group] = {"pictures": int(chosen.sum()), **intervals(values)}
    return result


HEADINGS = metrics.PER_PICTURE | {"colourfulness_ratio": ("colourfulness ratio", 3)}
