"""The photographs that a run began with: every further start has the same ones, in the same places.

In the workdir it is JSON, a line for each photograph (of before: all in one line):
{"train" | "validation": {name: [version, group, short side, mean chroma, mean b*]}}.
"""

import json
import operator
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from colorjax import photos
from colorjax.data.facts import ROW, Table
from colorjax.data.sources import Source

_SIDES = ("train", "validation")
_FIRST, _BETWEEN, _LAST = '{"train": {\n', '}, "validation": {\n', "}}\n"
_SAME = 0.05  # chroma and b* of one photograph may differ by so much between two releases of a decoder
_MOST_GONE = 0.5  # where a larger share is gone, it is the folder that is wrong
_BLOCK = 10_000  # rows that are written at a time
_PIECE = 1 << 16  # characters that are read at a time: so few rows do not wake the garbage collector


@dataclass(frozen=True)
class Roster:
    """names, versions, groups, rows (facts.ROW, of which `unusual` is not kept) of each: first those to train on, `training`
    in number, then those for validation. written: it stands like that in the workdir.
    """

    names: Sequence[str]
    versions: Sequence[str]
    groups: Sequence[str]
    rows: np.ndarray
    training: int
    written: bool = False


class _Texts(Sequence[str]):
    """Texts in little memory: those of a block are one, with NUL between them, which no name of a file has."""

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._starts = [0]
        self._open: tuple[int, list[str]] = (-1, [])  # the block that was asked for last

    def extend(self, texts: Sequence[str]) -> None:
        """Add one block, which is not empty."""
        self._blocks.append("\0".join(texts))
        self._starts.append(self._starts[-1] + len(texts))

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[str]:
        for block in self._blocks:
            yield from block.split("\0")

    def __getitem__(self, index: int) -> str:
        number = bisect_right(self._starts, index) - 1
        block, texts = self._open
        if block != number:
            texts = self._blocks[number].split("\0")
            self._open = number, texts
        return texts[index - self._starts[number]]


@dataclass(frozen=True)
class _Chosen(Sequence[str]):
    """Some texts of others."""

    texts: Sequence[str]
    indices: array

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: int) -> str:
        return self.texts[self.indices[place]]


def make(source: Source, table: Table, train: np.ndarray, validation: np.ndarray) -> Roster:
    """The roster of a new run."""
    chosen = np.concatenate([train, validation])
    names, groups = ([texts[index] for index in chosen.tolist()] for texts in (source.names, source.groups))
    versions = _Chosen(source.versions, array("q", chosen.tobytes()))
    return Roster(names, versions, groups, table.rows[chosen], len(train))


def read(path: Path) -> Roster:
    """The roster of a workdir. Raises OSError, and ValueError where it is damaged."""
    try:
        return _collected(_lines(path), written=True)
    except ValueError:
        whole = json.loads(path.read_text())
    try:
        return _collected(((side, whole[side]) for side in _SIDES), written=False)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"is not a list of photographs: {type(error).__name__}, {error}") from error


def _lines(path: Path) -> Iterator[tuple[str, dict[str, list]]]:
    """The rows of each side, block by block. Raises ValueError where they are not as `write` writes them."""
    sides = zip(_SIDES, (_BETWEEN, _LAST), strict=True)
    side, end = next(sides)
    with open(path, encoding="utf-8") as stream:
        if stream.readline(len(_FIRST)) != _FIRST:
            raise ValueError("is not written in lines")
        while lines := stream.readlines(_PIECE):
            while end in lines:
                last = lines.index(end)
                yield side, _block(lines[:last])
                lines = lines[last + 1 :]
                side, end = next(sides, ("", ""))
            if not side and lines:
                raise ValueError("goes on after its end")
            yield side, _block(lines)
    if side:
        raise ValueError("ends before its end")


def _block(lines: list[str]) -> dict[str, list]:
    return json.loads("{" + "".join(lines).rstrip(",\n") + "}")


def _collected(blocks: Iterable[tuple[str, dict[str, list]]], written: bool) -> Roster:
    names, versions, groups, training = _Texts(), _Texts(), [], 0
    rows = [np.empty(0, ROW)]
    for side, block in blocks:
        if block:
            version, group, *numbers = zip(*block.values(), strict=True)
            names.extend(list(block))
            versions.extend(version)
            groups.extend(map(sys.intern, group))
            rows.append(np.zeros(len(block), ROW))
            rows[-1]["short_side"], rows[-1]["chroma"], rows[-1]["mean_b"] = numbers
            training += len(block) if side == _SIDES[0] else 0
    return Roster(names, versions, groups, np.concatenate(rows), training, written)


def write(stream: Any, roster: Roster) -> None:
    """Write a roster into a binary stream."""
    stream.write(_FIRST.encode())
    ends = (roster.training, len(roster.names))
    for start, end, after in zip((0, roster.training), ends, (_BETWEEN, _LAST), strict=True):
        for first in range(start, end, _BLOCK):
            last = min(first + _BLOCK, end)
            lines = ",\n".join(_row(roster, first, last))
            stream.write((lines + (",\n" if last < end else "\n")).encode())
        stream.write(after.encode())


def _row(roster: Roster, first: int, last: int) -> Iterator[str]:
    """Rows as JSON, with chroma and b* to three places."""
    quoted = json.JSONEncoder().encode
    sizes = roster.rows["short_side"][first:last].tolist()
    numbers = (_rounded(roster.rows[key][first:last]).tolist() for key in ("chroma", "mean_b"))
    for place, short_side, chroma, mean_b in zip(range(first, last), sizes, *numbers, strict=True):
        version, group = quoted(roster.versions[place]), quoted(roster.groups[place])
        yield f"{quoted(roster.names[place])}: [{version}, {group}, {short_side}, {chroma!r}, {mean_b!r}]"


def _rounded(numbers: np.ndarray) -> np.ndarray:
    return np.round(numbers.astype(np.float64), 3)


def equal(one: Roster, other: Roster) -> bool:
    """Whether the files of two rosters of the same names and groups would say the same."""
    return (
        np.array_equal(one.rows["short_side"], other.rows["short_side"])
        and all(np.array_equal(_rounded(one.rows[key]), _rounded(other.rows[key])) for key in ("chroma", "mean_b"))
        and all(map(operator.eq, one.versions, other.versions))
    )


def source(now: Source, roster: Roster) -> Source:
    """The photographs of a roster, in its order, out of those that are there now; reading one that is gone raises PhotoError.

    A photograph that is gone keeps its version, so that the cache may still have it.
    """
    place = dict(zip(now.names, range(len(now)), strict=True))
    places = array("q", map(place.get, roster.names, repeat(-1)))
    names = [now.names[place] if place >= 0 else roster.names[index] for index, place in enumerate(places)]

    def read(index: int, at_least: int | None) -> Any:
        if places[index] < 0:
            raise photos.PhotoError("the file is not there any more", "missing")
        return now.read(places[index], at_least)

    held_out = np.arange(len(names)) >= roster.training
    gone = np.frombuffer(places, np.int64) < 0
    return Source(names, roster.groups, _Versions(now, roster, places), read, held_out, now.passed_over, gone)


@dataclass(frozen=True)
class _Versions(Sequence[str]):
    """As they are now; as they were, of photographs that are gone."""

    now: Source
    roster: Roster
    places: array

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> str:
        place = self.places[index]
        return self.now.versions[place] if place >= 0 else self.roster.versions[index]


def compare(roster: Roster, chosen: Source, table: Table, kept: np.ndarray, now: Source, report: dict, may_lose: bool) -> None:
    """Raise ValueError, with the difference, where the photographs are not those that the run began with.

    chosen: those of the roster, see `source`; table: what is known of them now; kept: which of them can be read and used.
    now: all that are there. report: that of the run's start. may_lose: files may have gone meanwhile.
    """
    names, count = chosen.names, len(chosen)
    is_kept = np.zeros(count, bool)
    is_kept[kept] = True
    gone = [names[index] for index in np.flatnonzero(~is_kept).tolist()]
    all_known = report["looked_at"] == report["found"]  # with a limit, what was not taken is not listed
    added: list[str] = []
    if all_known:
        known = {row["name"] for row in report["files_left_out"]}.union(names)
        added = sorted(name for name in now.names if name not in known)
    same = table.rows["short_side"] == roster.rows["short_side"]
    for key in ("chroma", "mean_b"):
        same &= np.abs(roster.rows[key].astype(np.float64) - table.rows[key]) < _SAME
    changed = [names[index] for index in np.flatnonzero(is_kept & ~same).tolist()]
    told = [f"{len(added)} are new ({_some(added)})"] if added else []
    told += [f"{len(changed)} have changed ({_some(changed)})"] if changed else []
    told += [f"{len(gone)} of {count} are gone ({_some(gone)})"] if gone else []
    if added or changed or (gone and not may_lose) or len(gone) > _MOST_GONE * count:
        raise ValueError(
            f"the workdir holds a run on other photographs: {', '.join(told)}. Make them as they were, or name another "
            "--workdir (--config.init_from=THIS_WORKDIR starts from what was learnt)"
        )


def _some(names: list[str]) -> str:
    return photos.legible(", ".join(names[:5]) + (", ..." if len(names) > 5 else ""))


def remember(roster: Roster, chosen: Source, table: Table, kept: np.ndarray) -> None:
    """Fill a table with what the roster knows of those not kept. Raises ValueError where colours are needed: it has none."""
    missing = np.ones(len(chosen), bool)
    missing[kept] = False
    if table.colours is not None and missing.any():
        names = [chosen.names[index] for index in np.flatnonzero(missing).tolist()]
        raise ValueError(
            f"{len(names)} photographs of this run are gone ({_some(names)}); with data.balance=histogram or loss.rarity it "
            "cannot go on without their colours: put them back"
        )
    table.rows[missing] = roster.rows[missing]
