"""What people write about a film: where its shots begin, and which colours some points have."""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from colorjax import photos
from colorjax.film.carrying import Point, Span
from colorjax.science import color, hints

SUFFIX = ".shots.txt"  # after the name of a film
LONGEST = 120  # frames of a dissolve
_HEAD = """# The shots of {name}, {count} frames, as colorjax found them.
# A line is the number of the first frame of a shot, from 0, and when it is shown.
# Correct it by hand: a line that is taken out joins two shots, a new line with the number of a frame is a cut.
# dissolve 36-65 behind it: these frames show both shots, and their colours are mixed. Without these words it is a cut.
# Then give the same command again: colorjax film takes it as it is. Remove it to have the shots found anew.
"""
_SEAL = "# As colorjax wrote it: "  # and a digest of what stands above
_OF = re.compile(r"# The shots of (.*), (\d+) frames, as colorjax")
_DISSOLVE = re.compile(r"\bdissolve\s+(\d{1,9})(?:\s*[-\u2013]\s*(\d{1,9})\b)?", re.ASCII)
LONGEST_FILM = 10**9  # frames: more than a line can name


class Dissolve(NamedTuple):
    """Frames from `first` up to, not including, `end` that show two shots.

    cut: the first of them that is counted to the second. before, after: from `before` up to `first` the first shot is seen
    alone, from `end` up to `after` the second.
    """

    first: int
    end: int
    cut: int
    before: int
    after: int

    def share(self, frame: int) -> float:
        """How much of the second shot is in a frame, 0..1: they are mixed evenly."""
        return min(max((frame - self.first + 1) / (self.end - self.first + 1), 0.0), 1.0)


class Shot(NamedTuple):
    """Frames from `first` up to, not including, `end`; the dissolves that it begins and ends in."""

    first: int
    end: int
    opening: Dissolve | None = None
    closing: Dissolve | None = None


class ShotError(ValueError):
    """A list of shots that cannot be followed."""


def write(path: Path, name: str, shots: Sequence[Shot], seconds: Sequence[Fraction]) -> None:
    """Write the list of a film's shots, so that `is_as_written` knows it again. seconds: when each frame is shown."""
    lines = []
    for shot in shots:
        mixed = f" dissolve {shot.opening.first}-{shot.opening.end - 1}" if shot.opening else ""
        lines.append(f"{shot.first:<8} {clock(seconds[shot.first])}{mixed}\n")
    with photos.atomic(path) as stream:
        text = (_HEAD.format(name=photos.legible(name), count=shots[-1].end) + "".join(lines)).encode()
        stream.write(text + f"{_SEAL}{_digest(text)}\n".encode())


def is_as_written(path: Path) -> bool:
    """Whether nobody changed a list since `write` wrote it. Raises OSError."""
    text, seal, digest = path.read_bytes().rpartition(_SEAL.encode())
    return bool(seal) and digest == f"{_digest(text)}\n".encode()


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]


def settled(path: Path, name: str, found: list[Shot], seconds: Sequence[Fraction]) -> tuple[list[Shot], bool]:
    """The shots of a film, and whether they are others than those that were found: those of a list that somebody corrected.

    Without such a list theirs is written. Raises ShotError where it cannot be followed, OSError.
    """
    if not path.exists() or is_as_written(path):
        write(path, name, found, seconds)
        return found, False
    count = found[-1].end
    if (said := _OF.match(path.read_text(encoding="utf-8-sig", errors="replace"))) and said.groups() != (
        photos.legible(name),
        str(count),
    ):
        raise ShotError(
            f"{path} was corrected, and is of {said[1]} with {said[2]} frames; this is {photos.legible(name)} with {count}: "
            "move the list away, or correct its first line, too"
        )
    try:
        corrected = read(path, count)
    except ShotError as error:
        raise ShotError(f"{error}; correct the list, or remove it to have the shots found anew") from error
    return corrected, corrected != found


def read(path: Path, count: int) -> list[Shot]:
    """The shots in a list, of a film of `count` frames. Raises ShotError, OSError."""
    firsts, dissolves = [], {}
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        line = line.partition("#")[0]
        words = line.split()
        if not words:
            continue
        if not re.fullmatch(r"\d{1,9}", words[0], re.ASCII):
            raise ShotError(f"{path}, line {number}: {words[0]!r} is not the number of a frame")
        firsts.append(int(words[0]))
        if firsts[-1] >= count:
            raise ShotError(f"{path}, line {number}: there is no frame {words[0]}; the film has {count}, the first is 0")
        if found := _DISSOLVE.search(line):
            if found[2] is None:
                raise ShotError(f"{path}, line {number}: {found[0]!r} lacks its last frame; it is written as dissolve 121-147")
            first, last = map(int, found.groups())
            if not first <= firsts[-1] <= last or last - first >= LONGEST:
                words = f"the dissolve {first}-{last} must have frame {firsts[-1]} in it, and at most {LONGEST} frames"
                raise ShotError(f"{path}, line {number}: {words}")
            dissolves[first, last + 1] = number
    shots = of(firsts, count, dissolves)
    if lost := dissolves.keys() - {shot.opening[:2] for shot in shots if shot.opening}:
        first, end = min(lost)
        where = f"{path}, line {dissolves[first, end]}"
        raise ShotError(f"{where}: the dissolve {first}-{end - 1} leaves a shot beside it no frame that it has to itself")
    return shots


def of(firsts: Iterable[int], count: int, dissolves: Iterable[tuple[int, int]] = ()) -> list[Shot]:
    """The shots that begin with these frames, and with the first, of `count`.

    dissolves: (first, end) of frames that show the shots on both sides of a first frame. They are shortened so that each shot
    has a frame to itself.
    """
    starts = sorted({0, *(int(first) for first in firsts)})
    ends, mixed, begin = [*starts[1:], count], {}, 0
    for last, cut, end in zip(starts, starts[1:], ends[1:], strict=False):
        begin = max(begin, last)  # of what the shot before has to itself
        for first, behind in dissolves:
            if first <= cut <= behind:
                first, behind = max(first, begin + 1), min(behind, end - 1)
                if first <= cut <= behind and first < behind:
                    mixed[cut] = Dissolve(first, behind, cut, begin, end)
                    begin = behind
    for last, cut in pairwise(starts):
        if last in mixed and cut in mixed:
            mixed[last] = mixed[last]._replace(after=mixed[cut].first)
    return [Shot(first, end, mixed.get(first), mixed.get(end)) for first, end in zip(starts, ends, strict=True)]


def clock(seconds: Fraction) -> str:
    """As 00:01:02.500."""
    whole = round(seconds * 1000)
    sign, whole = "-" if whole < 0 else "", abs(whole)
    return f"{sign}{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02}.{whole % 1000:03}"


def hints_file(film: Path) -> Path | None:
    """The hints beside a film: its name, or that without its suffix, and .hints.json; None where there are none."""
    beside = (film.with_name(film.name + photos.HINTS), film.with_name(film.stem + photos.HINTS))
    return next((path for path in beside if path.is_file()), None)


def read_hints(path: Path, count: int, shape: tuple[int, int]) -> dict[int, list[hints.Hint]]:
    """Hints by the number of their frame: {"hints": [{"frame": 12, "x": 120, "y": 340, "color": "#23408e"}, ...]}; "reach" and
    "radius" may follow, as in photographs' hints.

    count: of frames. shape: (height, width) of an upright frame, in whose pixels x and y count. Raises HintError, OSError.
    """
    found = hints.read(path)  # which checks all but the frames
    rows: list[dict[str, Any]] = json.loads(path.read_bytes())["hints"]
    result: dict[int, list[hints.Hint]] = defaultdict(list)
    for hint, row in zip(found, rows, strict=True):
        frame = row.get("frame") if isinstance(row, dict) else None
        if not isinstance(frame, int) or isinstance(frame, bool):
            raise hints.HintError(f'{path.name}: hint {hint.x},{hint.y},{hint.color} does not say its "frame", a number from 0')
        if not 0 <= frame < count:
            raise hints.HintError(f"{path.name}: there is no frame {frame}; the film has {count}, the first is 0")
        result[frame].append(hint)
    try:
        return {frame: list(hints.checked(of_frame, shape)) for frame, of_frame in result.items()}
    except hints.HintError as error:
        raise hints.HintError(f"{path.name}: {error}") from error


def of_shot(found: dict[int, list[hints.Hint]], shot: Shot, shape: tuple[int, int]) -> dict[int, list[Point]]:
    """The hints of a shot as `steadying` takes them: by the frame from its first. shape: see `read_hints`."""
    height, width = shape
    result = {}
    for frame in range(shot.first, shot.end):
        if frame in found:
            lab = color.rgb_to_lab(np.array([hint.rgb for hint in found[frame]], np.float32) / 255)
            result[frame - shot.first] = [
                Point(
                    (hint.x + 0.5) / width, (hint.y + 0.5) / height, float(a), float(b), hint.reach, _share(hint.radius, shape)
                )
                for hint, (_, a, b) in zip(found[frame], lab, strict=True)
            ]
    return result


def _share(radius: float | None, shape: tuple[int, int]) -> float | None:
    """A hint's radius as a share of the shorter side."""
    return radius if radius is None or radius <= 1 else radius / min(shape)


def way_of(found: dict[int, list[hints.Hint]], shot: Shot, span: Span) -> dict[str, Any]:
    """How far a hint of a shot came, for the sidecar: the hint, and the first and the last frame of the film that have it.

    span: as `steadying` tells it, which counts from the first frame of the shot.
    """
    hint, frame = found[shot.first + span.frame][span.number], shot.first + span.frame
    return {"frame": frame} | hint.as_dict() | {"first": shot.first + span.first, "last": shot.first + span.last}


def how_far(way: dict[str, Any]) -> str:
    """The reach and the radius that a hint was given, by what `way_of` gave: " (soft, 20%)", or nothing."""
    radius = way.get("radius")
    how = [way["reach"]] if "reach" in way else []
    how += [] if radius is None else [f"{100 * radius:.4g}%" if radius <= 1 else f"{radius:.4g} pixels"]
    return f" ({', '.join(how)})" if how else ""


def in_words(way: dict[str, Any], shot: Shot) -> str:
    """Where a hint ends, by what `way_of` gave: "... holds for frames 44 to 99, not all of its shot (44 to 133)"."""
    whole = (way["first"], way["last"]) == (shot.first, shot.end - 1)
    hint = f"the hint at {way['x']},{way['y']} of frame {way['frame']}{how_far(way)}"
    holds = f"{hint} holds for frames {way['first']} to {way['last']}"
    return f"{holds}, {'all' if whole else 'not all'} of its shot ({shot.first} to {shot.end - 1})"
