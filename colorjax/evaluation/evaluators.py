"""Metrics over a set of pictures: every picture counted once, in all and by group, with bootstrap intervals."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from colorjax.platform import sharding

BOOTSTRAP_ROUNDS = 1000
# What is told of a set: (heading, decimals). Means over pictures, or made of such means (DERIVED).
HEADINGS = {
    "l1": ("L1 (ab/128)", 4),
    "psnr": ("PSNR dB", 2),
    "ssim": ("SSIM (RGB)", 4),
    "ssim_ab": ("SSIM (ab)", 4),
    "delta_e": ("Delta E 2000", 2),
    "lpips_alex": ("LPIPS (alex)", 4),
    "lpips_squeeze": ("LPIPS (squeeze)", 4),
    "colourfulness_ratio": ("colourfulness ratio", 3),
    "bias_a": ("bias a*", 2),
    "bias_b": ("bias b*", 2),
    "warm": ("warm pixels", 3),
    "warm_target": ("truly warm", 3),
}
PROTOCOL_HEADINGS = {
    "colourfulness": ("CF signed", 2),
    "colourfulness_target": ("true CF signed", 2),
    "delta_cf": ("delta-CF of the means, signed", 2),
    "delta_cf_each": ("mean delta-CF, signed", 2),
    "colourfulness_abs": ("CF absolute", 2),
    "colourfulness_abs_target": ("true CF absolute", 2),
    "delta_cf_abs": ("delta-CF of the means, absolute", 2),
    "delta_cf_abs_each": ("mean delta-CF, absolute", 2),
    "cast_a": ("|bias a*|", 2),
    "cast_b": ("|bias b*|", 2),
}
# name: (the means it is made of, how)
DERIVED: dict[str, tuple[tuple[str, ...], Callable[..., np.ndarray]]] = {
    "colourfulness_ratio": (("colourfulness", "colourfulness_target"), lambda ours, true: ours / np.maximum(true, 1e-9)),
    "delta_cf": (("colourfulness", "colourfulness_target"), lambda ours, true: np.abs(ours - true)),
    "delta_cf_abs": (("colourfulness_abs", "colourfulness_abs_target"), lambda ours, true: np.abs(ours - true)),
    "cast_a": (("bias_a",), np.abs),
    "cast_b": (("bias_b",), np.abs),
}

Values = dict[str, np.ndarray]
Visit = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]


class NothingToEvaluate(ValueError):
    """There is no photograph, or none that can be read any more."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics by picture. values: metric -> (n,). group, index: (n,), as in the batches. panels: (luma, pred, target),
    each (k, H, W, .), pictures to show; panel_indices (k,) says which. lost: pictures that could not be read."""

    values: Values
    group: np.ndarray
    index: np.ndarray
    panels: tuple[np.ndarray, np.ndarray, np.ndarray]
    panel_indices: np.ndarray
    lost: int = 0


FEW = 30  # pictures; intervals over fewer are too narrow to decide by


def run(
    step: Callable[[dict], dict],
    batches: Iterable[dict],
    put: Callable[[dict], dict],
    show: set[int],
    visit: Visit | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Evaluation | None:
    """Evaluate every picture whose mask is 1; None where `stop`, which is asked before each batch, said so.

    step: batch on the device -> metrics by picture and the predicted "chroma". put: batch -> batch on the device.
    show: indices of the pictures to keep for the panels. visit: called with (index, luma, pred, target) of the pictures of
    each batch. Raises NothingToEvaluate where no picture is left.
    """
    rows: list[Values] = []
    shown: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = []
    lost = 0
    for batch in batches:
        if stop():
            return None
        result = step(put({key: batch[key] for key in ("luma", "chroma", "index")}))
        pred = result.pop("chroma")
        about = sharding.whole({key: batch[key] for key in ("mask", "group", "index")})
        real, index = about["mask"] > 0, about["index"]
        lost += int((~real & (index >= 0)).sum())
        values = jax.device_get(result) | {"group": about["group"], "index": index}
        rows.append({key: np.asarray(value)[real] for key, value in values.items()})
        wanted = [i for i in np.flatnonzero(real) if int(index[i]) in show]
        if not (wanted or visit):
            continue
        pred, true = np.asarray(pred), sharding.whole({key: batch[key] for key in ("luma", "chroma")})
        if visit:
            visit(*(array[real] for array in (index, true["luma"], pred, true["chroma"])))
        shown += [(int(index[i]), true["luma"][i], pred[i], true["chroma"][i]) for i in wanted]
    values = {key: np.concatenate([row[key] for row in rows]) for key in rows[0]} if rows else {}
    if not len(values.get("index", ())):
        raise NothingToEvaluate("no photograph to evaluate on")
    group, index = values.pop("group"), values.pop("index")
    indices, *panels = (np.stack(column) for column in zip(*shown, strict=True)) if shown else [np.zeros(0)] * 4
    return Evaluation(values, group, index, tuple(panels), indices, lost)


def spread(indices: np.ndarray, count: int) -> set[int]:
    """`count` of the pictures, evenly spread over the set."""
    positions = np.linspace(0, len(indices) - 1, min(count, len(indices))).round().astype(int)
    return {int(i) for i in np.asarray(indices)[positions]}


def means(values: Values) -> dict[str, float]:
    """Mean of each metric, and those of DERIVED, as `colourfulness_ratio`: mean predicted over mean true colourfulness."""
    weights = np.full((1, len(next(iter(values.values())))), 1.0)
    return {name: float(value[0]) for name, value in _weighted(values, weights).items()}


def _weighted(values: Values, weights: np.ndarray) -> Values:
    """Weighted means, (rounds,) each, for weights (rounds, n)."""
    total = weights.sum(1)
    result = {name: weights @ value.astype(np.float64) / total for name, value in values.items()}
    made = {n: how(*(result[p] for p in parts)) for n, (parts, how) in DERIVED.items() if result.keys() >= set(parts)}
    return result | made


def intervals(values: Values, seed: int = 0) -> dict[str, dict[str, float]]:
    """Mean and 95 % percentile bootstrap interval over pictures (Efron 1979): metric -> {"mean", "low", "high"}."""
    result = _bootstrap(lambda weights: _weighted(values, weights), len(next(iter(values.values()))), seed)
    for cast, bias in (("cast_a", "bias_a"), ("cast_b", "bias_b")):
        if cast in result:  # percentiles of an absolute value near 0 would leave 0 out
            ends = sorted(abs(result[bias][end]) for end in ("low", "high"))
            spans = result[bias]["low"] <= 0 <= result[bias]["high"]
            result[cast] |= {"low": 0.0 if spans else ends[0], "high": ends[1]}
    return result


def differences(values: Values, baseline: Values, seed: int = 0) -> dict[str, dict[str, float]]:
    """`values` minus `baseline` as `intervals`, paired: both of the same pictures, which each draw takes or leaves together.

    Those of cast_a and cast_b say little where the bias itself may be 0: the difference of absolute values is then skewed.
    """

    def difference(weights: np.ndarray) -> Values:
        ours, theirs = _weighted(values, weights), _weighted(baseline, weights)
        return {name: ours[name] - theirs[name] for name in ours.keys() & theirs.keys()}

    return _bootstrap(difference, len(next(iter(values.values()))), seed)


def _bootstrap(statistic: Callable[[np.ndarray], Values], count: int, seed: int) -> dict[str, dict[str, float]]:
    rng = np.random.default_rng(seed)
    draws: dict[str, list[np.ndarray]] = {}
    for _ in range(0, BOOTSTRAP_ROUNDS, 100):  # in parts: weights are (rounds, pictures)
        weights = rng.multinomial(count, np.full(count, 1 / count), size=100).astype(np.float64)
        for name, value in statistic(weights).items():
            draws.setdefault(name, []).append(value)
    result = {}
    for name, point in statistic(np.ones((1, count))).items():
        low, high = np.percentile(np.concatenate(draws[name]), [2.5, 97.5])
        result[name] = {"mean": float(point[0]), "low": float(low), "high": float(high)}
    return result


def table(evaluation: Evaluation, groups: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Intervals of every metric and the number of pictures, for "all" and for each group that has pictures."""
    return {
        name: {"pictures": int(chosen.sum()), **intervals(_chosen(evaluation, chosen))}
        for name, chosen in _by_group(evaluation, groups)
    }


def difference_table(
    evaluation: Evaluation, baseline: Evaluation, groups: tuple[str, ...]
) -> dict[str, dict[str, dict[str, float]]]:
    """`differences` in all and by group. Raises ValueError where the two are not of the same pictures."""
    if not np.array_equal(evaluation.index, baseline.index):
        raise ValueError("the two evaluations are not of the same pictures")
    return {
        name: differences(_chosen(evaluation, chosen), _chosen(baseline, chosen))
        for name, chosen in _by_group(evaluation, groups)
    }


def _by_group(evaluation: Evaluation, groups: tuple[str, ...]) -> list[tuple[str, np.ndarray]]:
    """("all", which pictures), and the same for each group that has some; one that is called all is told as "all/"."""
    names = ["all/" if name == "all" else name for name in groups]
    found = [(name, evaluation.group == number) for number, name in enumerate(names) if len(groups) > 1]
    return [("all", np.ones(len(evaluation.index), bool)), *((name, chosen) for name, chosen in found if chosen.any())]


def _chosen(evaluation: Evaluation, chosen: np.ndarray) -> Values:
    return {name: value[chosen] for name, value in evaluation.values.items()}
