"""Dissolves: their frames show two shots, and have the colours of both.

In the middle of a dissolve the colours of each shot are those of the frames that it has to itself, carried along the flow, past
the cut too; the network sees no mixture for them. Towards its ends they go over into what each shot's own job says, for which
the network has seen mixtures: between a dark shot and a light one these tell more. Both are mixed as the lightness is.

The shots on both sides find the same colours, each for itself: so a shot can be coloured without the other, and at the cut in
the middle nothing jumps. `benchmarks/film/dissolves.py` measures it.
"""

from collections.abc import Callable, Generator, Iterable
from itertools import chain, islice
from typing import Any

import cv2
import numpy as np

from colorjax.film import carrying, following, steadying
from colorjax.film.lists import Dissolve, Shot

Ab = np.ndarray  # a* and b* of a frame, (H, W, 2)


class Dissolves:
    """The colours of the dissolves of some shots. Ask for one shot after the other: one dissolve's are held, small.

    lightness: gives L* of all frames of some shots in turn, as `steadying.color_shot` takes it. hints: of the frames from
    `first` to `end`, by their number from `first`. A shot with hints is coloured as a whole for its dissolves too, so that
    these have the hints; of another one some frames are.
    """

    def __init__(
        self,
        lightness: Callable[[list[Shot]], Generator[np.ndarray]],
        shots: Iterable[Shot],
        colorizer: Any,
        settings: steadying.Settings,
        hints: Callable[[Shot], dict[int, list]],
    ):
        self._colorizer, self._settings, self._hints = colorizer, settings, hints
        pairs = ((shot, at) for shot in shots for at in (shot.opening, shot.closing) if at)
        found = sorted({at for shot, at in pairs if shot.first < at.end and at.first < shot.end})  # a part may not come to it
        self._parts = {dissolve: self._part(dissolve) for dissolve in found}
        self._frames = lightness(_joined(self._parts.values()))
        self._held = Shot(0, 0), carrying.Spool(())  # the frames of a dissolve and of what is around it
        self._last: tuple[Dissolve | None, list[tuple[Ab, Ab]]] = None, []

    def __enter__(self) -> "Dissolves":
        return self

    def __exit__(self, *_: object) -> None:
        self._held[1].close()
        self._frames.close()

    def mixed(self, shot: Shot, frame: int, own: Ab) -> Ab:
        """The ab of a frame of a shot, which has `own` by itself; another one in dissolves alone."""
        if shot.opening and frame < shot.opening.end:
            at = shot.opening
            mine = (frame - at.cut + 1) / (at.end - at.cut + 1)  # none at the cut, all at the end
            before, after = self._colours(at, frame, own.shape)
            after = after + np.float32(mine) * (own - after)
        elif shot.closing and frame >= shot.closing.first:
            at = shot.closing
            mine = (at.cut - frame) / (at.cut - at.first + 1)
            before, after = self._colours(at, frame, own.shape)
            before = before + np.float32(mine) * (own - before)
        else:
            return own
        return before + np.float32(at.share(frame)) * (after - before)

    def _part(self, dissolve: Dissolve) -> Shot:
        """What of the film is looked at for it."""
        first, end = (at - away for at, away in ((dissolve.first, self._settings.reach), (dissolve.end, -self._settings.reach)))
        first = dissolve.before if self._hints(_first_of(dissolve)) else max(first, dissolve.before)
        end = dissolve.after if self._hints(_second_of(dissolve)) else min(end, dissolve.after)
        return Shot(first, end)

    def _colours(self, dissolve: Dissolve, frame: int, shape: tuple[int, ...]) -> list[Ab]:
        """The ab of the shot before and of the one after in one of its frames, which has that shape."""
        if self._last[0] != dissolve:
            part, frames = self._taken(dissolve)
            begin, end = dissolve.first - part.first, dissolve.end - part.first
            hints = _later(self._hints(_first_of(dissolve)), dissolve.before - part.first)
            before = self._colored(islice(frames, end), hints, range(begin, end))
            hints = _later(self._hints(_second_of(dissolve)), dissolve.cut - dissolve.first)
            after = self._colored((frames[at] for at in range(begin, len(frames))), hints, range(end - begin))
            self._last = dissolve, list(zip(before, after, strict=True))
        pair = self._last[1][frame - dissolve.first]
        return [cv2.resize(ab.astype(np.float32), shape[1::-1], interpolation=cv2.INTER_LINEAR) for ab in pair]

    def _colored(self, luma: Iterable[np.ndarray], hints: dict[int, list], mixed: range) -> list[Ab]:
        """The ab of the mixed frames alone, float16, at the size of the flow: it has no more detail."""
        colours = steadying.color_shot(luma, self._colorizer, self._settings, hints or None, mixed=mixed)
        wanted = islice(colours, mixed.start, mixed.stop)
        planes = ([following.small(ab[..., i], self._settings.flow) for i in (0, 1)] for ab in wanted)
        return [np.stack(pair, axis=-1).astype(np.float16) for pair in planes]

    def _taken(self, dissolve: Dissolve) -> tuple[Shot, carrying.Spool]:
        """The frames that are looked at for a dissolve; those that were for the last one too are held."""
        part, (held, spool) = self._parts[dissolve], self._held
        again = (spool[at - held.first] for at in range(part.first, held.end))
        taken = carrying.Spool(chain(again, islice(self._frames, part.end - max(part.first, held.end))))
        spool.close()
        self._held = part, taken
        return self._held


def _first_of(dissolve: Dissolve) -> Shot:
    return Shot(dissolve.before, dissolve.cut)


def _second_of(dissolve: Dissolve) -> Shot:
    return Shot(dissolve.cut, dissolve.after)


def _later(hints: dict[int, list], by: int) -> dict[int, list]:
    """Hints of frames that have other numbers now."""
    return {frame + by: points for frame, points in hints.items()}


def _joined(parts: Iterable[Shot]) -> list[Shot]:
    """Parts of a film, in order, as fewer that share no frame."""
    joined: list[Shot] = []
    for part in parts:
        if joined and part.first <= joined[-1].end:
            joined[-1] = Shot(joined[-1].first, max(part.end, joined[-1].end))
        else:
            joined.append(part)
    return joined
