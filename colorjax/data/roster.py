"""The photographs that a run began with: every further start has the same ones, in the same places.

A roster is {"train" | "validation": {name: [version, group, short side, mean chroma, mean b*]}}, kept in the workdir.
"""

from typing import Any

import numpy as np

from colorjax import bins, photos
from colorjax.data.prepare import Facts
from colorjax.data.sources import Source

Roster = dict[str, dict[str, list]]
_SIDES = ("train", "validation")
_SAME = 0.05  # chroma and b* of one photograph may differ by so much between two releases of a decoder
_MOST_GONE = 0.5  # where a larger share is gone, it is the folder that is wrong


def make(source: Source, facts: dict[int, Facts], train: np.ndarray, validation: np.ndarray) -> Roster:
    """The roster of a new run."""

    def row(index: int) -> list:
        one = facts[index]
        numbers = [one.short_side, round(float(one.chroma), 3), round(float(one.mean_b), 3)]
        return [str(source.versions[index]), source.groups[index], *numbers]

    chosen = zip(_SIDES, (train, validation), strict=True)
    return {side: {source.names[i]: row(i) for i in indices.tolist()} for side, indices in chosen}


def _rows(roster: Roster) -> dict[str, list]:
    return {name: row for side in _SIDES for name, row in roster[side].items()}


def source(now: Source, roster: Roster) -> Source:
    """The photographs of a roster, in its order, out of those that are there now; reading one that is gone raises PhotoError.

    A photograph that is gone keeps its version, so that the cache may still have it.
    """
    place, rows = {name: index for index, name in enumerate(now.names)}, _rows(roster)
    names = list(rows)
    versions = [now.versions[place[name]] if name in place else rows[name][0] for name in names]

    def read(index: int, at_least: int | None) -> Any:
        if names[index] not in place:
            raise photos.PhotoError("the file is not there any more", "missing")
        return now.read(place[names[index]], at_least)

    held_out = [name in roster["validation"] for name in names]
    return Source(names, [rows[name][1] for name in names], versions, read, held_out, now.passed_over)


def compare(roster: Roster, facts: dict[str, Facts], now: Source, report: dict, may_lose: bool) -> None:
    """Raise ValueError, with the difference, where the photographs are not those that the run began with.

    facts: by name, of those of the roster that can be read. now: all that are there. report: that of the run's start.
    may_lose: files may have gone meanwhile.
    """
    rows = _rows(roster)
    gone = [name for name in rows if name not in facts]
    left_out = {row["name"] for row in report["files_left_out"]}
    all_known = report["looked_at"] == report["found"]  # with a limit, what was not taken is not listed
    added = sorted(set(now.names) - rows.keys() - left_out) if all_known else []
    changed = [name for name, one in facts.items() if not _same(rows[name], one)]
    told = [f"{len(added)} are new ({_some(added)})"] if added else []
    told += [f"{len(changed)} have changed ({_some(changed)})"] if changed else []
    told += [f"{len(gone)} of {len(rows)} are gone ({_some(gone)})"] if gone else []
    if added or changed or (gone and not may_lose) or len(gone) > _MOST_GONE * len(rows):
        raise ValueError(
            f"the workdir holds a run on other photographs: {', '.join(told)}. Make them as they were, or name another "
            "--workdir (--config.init_from=THIS_WORKDIR starts from what was learnt)"
        )


def _same(row: list, one: Facts) -> bool:
    _, _, short_side, chroma, mean_b = row
    return short_side == one.short_side and abs(chroma - one.chroma) < _SAME and abs(mean_b - one.mean_b) < _SAME


def _some(names: list[str]) -> str:
    return photos.legible(", ".join(names[:5]) + (", ..." if len(names) > 5 else ""))


def remembered(source: Source, roster: Roster, facts: dict[int, Facts], colours: bool) -> dict[int, Facts]:
    """`facts` with what the roster knows of the others. Raises ValueError where their colours are needed, which it does not."""
    missing = [index for index in range(len(source)) if index not in facts]
    if colours and missing:
        names = _some([source.names[index] for index in missing])
        raise ValueError(
            f"{len(missing)} photographs of this run are gone ({names}); with data.balance=histogram or loss.rarity it "
            "cannot go on without their colours: put them back"
        )
    nothing = np.zeros(bins.COUNT, np.uint16)
    rows = _rows(roster)
    return facts | {index: Facts(*rows[source.names[index]][2:], nothing) for index in missing}
