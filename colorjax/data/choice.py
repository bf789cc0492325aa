"""Which of a source's photographs are used: those that are worth training on, or as many of them as the limits say."""

from collections import Counter
from typing import Any

import numpy as np

from colorjax.data import prepare, sources
from colorjax.data.facts import UNUSUAL, Table

_SALT = "subset"


def choose(store: prepare.Store, data: Any, table: Table, progress: bool) -> tuple[np.ndarray, dict]:
    """The usable pictures with the smallest hashes: `limit_per_group` of each group and `limit` in all (0 = no limit).

    Returns their indices in order, (n,) int64, and the report: that of `prepare.scan`, which fills `table`, with `found`,
    `passed_over` (other files) and `passed_over_kinds`, `looked_at`, and `kept_kinds`, what was unusual about those that are
    kept. Only as many are looked at as it takes.
    """
    names, groups = store.source.names, store.source.groups
    limited = data.limit or data.limit_per_group
    remaining = np.argsort(sources.unit_hashes(names, _SALT), kind="stable") if limited else np.arange(len(names))
    kept = np.empty(0, np.int64)
    left_out: list[dict] = []
    looked_at = 0
    while len(wanted := _next(groups, kept, remaining, data) if limited else remaining):
        good, bad = prepare.scan(store, np.sort(wanted), data.min_size, data.min_chroma, table, progress)
        kept, left_out, looked_at = np.concatenate([kept, good]), left_out + bad, looked_at + len(wanted)
        remaining = remaining[~np.isin(remaining, wanted)]
    reasons = Counter(row["reason"] for row in left_out)
    unusual = {name: int((table.rows["unusual"][kept] >> bit & 1).sum()) for bit, name in enumerate(UNUSUAL)}
    others = store.source.passed_over
    report = {"found": len(names), "passed_over": others.total(), "passed_over_kinds": dict(sorted(others.items()))}
    report |= {"looked_at": looked_at, "kept": len(kept)}
    report["kept_kinds"] = {name: count for name, count in sorted(unusual.items()) if count}
    report["left_out"] = dict(sorted(reasons.items()))
    return np.sort(kept), report | {"files_left_out": left_out}


def _next(groups: Any, kept: np.ndarray, remaining: np.ndarray, data: Any) -> np.ndarray:
    """Those of `remaining` that fill up the limits, if they are all usable."""
    counts = Counter(groups[i] for i in kept.tolist())
    wanted: list[int] = []
    for index in remaining.tolist():
        if data.limit and len(kept) + len(wanted) >= data.limit:
            break
        if not data.limit_per_group or counts[groups[index]] < data.limit_per_group:
            counts[groups[index]] += 1
            wanted.append(index)
    return np.array(wanted, np.int64)
