"""How far the colour of skin is off, by its lightness; a part of `judge.py`.

Which pixels look like skin by their true colour is what `metrics.is_skin` says.

These pixels are split into three by their true L*, the same number in each. The bounds between them stay what they are in each
draw of the bootstrap. Errors and chroma are means over the pixels, in Lab units.
"""

import numpy as np

from colorjax.evaluation import evaluators
from colorjax.science import metrics

LIGHTNESS_STEP = 0.1  # of the bins in which skin is counted: the thirds are equal up to one
THIRDS = ("dark", "middle", "light")
MEASURED = {
    "error": "mean chroma error",
    "chroma_target": "true chroma",
    "chroma": "predicted chroma",
    "error_a": "signed error a*",
    "error_b": "signed error b*",
}


def counted(rgb: np.ndarray, lab: np.ndarray, ab: np.ndarray) -> np.ndarray:
    """Of the pixels that look like skin, by bins of L*: their number, and the sums of what MEASURED names, (bins, 6)."""
    skin = np.asarray(metrics.is_skin(rgb.astype(np.float32) / 255))
    true, ours = lab[skin], ab[skin]
    off = ours - true[:, 1:]
    columns = (np.linalg.norm(off, axis=-1), np.linalg.norm(true[:, 1:], axis=-1), np.linalg.norm(ours, axis=-1), *off.T)
    bins = round(100 / LIGHTNESS_STEP)
    where = np.clip(true[:, 0] / LIGHTNESS_STEP, 0, bins - 1).astype(int)
    sums = [np.bincount(where, weights, bins) for weights in (np.ones(len(true)), *columns)]
    return np.stack(sums, axis=-1)


def ratios(over: np.ndarray, under: np.ndarray) -> list[dict[str, float]]:
    """Sums (n, k) over sums (n,): the ratio of each column with its 95 % bootstrap interval over the n photographs."""
    rng, count = np.random.default_rng(0), len(under)
    draws = rng.multinomial(count, np.full(count, 1 / count), size=evaluators.BOOTSTRAP_ROUNDS).astype(np.float64)
    drawn = draws @ under
    some = drawn > 0
    means = over.sum(0) / under.sum()
    low, high = np.percentile((draws @ over)[some] / drawn[some, None], [2.5, 97.5], axis=0)
    return [{"mean": float(m), "low": float(x), "high": float(y)} for m, x, y in zip(means, low, high, strict=True)]


def by_lightness(counts: np.ndarray) -> dict[str, dict]:
    """(photographs, bins, 6) of `counted` -> by third of lightness what MEASURED names, with the numbers behind it."""
    total = counts[..., 0].sum(0).cumsum()
    if not total[-1]:
        return {}
    edges = [0, *(int(np.searchsorted(total, total[-1] * part / 3)) + 1 for part in (1, 2)), len(total)]
    table = {}
    for name, low, high in zip(("all", *THIRDS), (0, *edges[:-1]), (len(total), *edges[1:]), strict=True):
        part = counts[:, low:high].sum(1)
        if not part[:, 0].sum():
            continue
        table[name] = {"pixels": int(part[:, 0].sum()), "photographs": int((part[:, 0] > 0).sum())}
        table[name] |= {"lightness": [round(low * LIGHTNESS_STEP, 1), round(high * LIGHTNESS_STEP, 1)]}
        table[name] |= dict(zip(MEASURED, ratios(part[:, 1:], part[:, 0]), strict=True))
    return table
