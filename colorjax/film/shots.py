"""Where a film is cut: the first frames of its shots.

At a cut no flow brings one frame to the next. Light that flickers changes that as little as scratches and fast pans do, and a
flash or a damaged frame is no cut, for the shot goes on behind it. In a dissolve the frames are mixtures of one before and one
after. A fade is no cut: a shot may rise from black. Only where something else comes after the black are there two shots.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8

from colorjax.film import flow

_EXPLAINED = 0.62  # share of the picture that the flow brings over, below which it is another shot
_NEAR = 20  # grey levels, of contrast made equal, within which a pixel is explained
_FLAT = 3.0  # standard deviation in grey levels of a frame that shows nothing: black, white, leader
_FLASH = 2  # frames, at most, that may be unlike those around them
_THUMB, _CONTRAST = 96, 5.0  # width at which dissolves are looked for; standard deviation that a frame in one has at least
_REACH = (6, 9, 13, 19)  # frames from the middle of a dissolve to those before and after
_EVERY = 3  # frames from one that is looked at to the next
_SEEN = 0.3  # share of the picture that does not leave it in the meantime, at least
_UNLIKE = 0.4  # share of that in which the frames before and after agree, at most
_MIXED, _BETTER = 0.85, 0.3  # share of the picture that a mixture explains; what it leaves, beside what one of them leaves
_APART = 12  # frames within which dissolves are one
_LONGEST = 60  # frames of a dissolve
_USUAL, _FEW = 24, 2  # frames of most; frames that are few
_TELLING, _LIKELY = 0.1, 0.002  # spread of progress that says how long a dissolve is; else what a frame more or less costs


class Found(NamedTuple):
    """Where a film is cut. firsts: the first frames of its shots, [0, ...]; of a dissolve its middle. dissolves: of each the
    first frame that is a mixture of two shots, and the first behind these."""

    firsts: list[int]
    dissolves: list[tuple[int, int]]


def find_shots(small: Iterable[UInt8[np.ndarray, "h w"]]) -> list[int]:
    """The first frames of the shots, as `find` has them."""
    return find(small).firsts


def find(small: Iterable[UInt8[np.ndarray, "h w"]]) -> Found:
    """Cuts and dissolves.

    small: the frames in grey, of one size, about 160 wide. Only some forty are held at a time.
    """
    cuts, dissolves = _Cuts(), _Dissolves()
    for index, frame in enumerate(small):
        if frame.std() >= _FLAT:
            cuts.see(index, frame)
        dissolves.see(index, frame)
    cuts.end()
    dissolves.end()
    mixed = [_extent(group) for group in dissolves.groups(cuts.found)]
    return Found(sorted({0, *cuts.found, *((first + end) // 2 for first, end in mixed)}), mixed)


class _Cuts:
    """Finds hard cuts among the frames that show something."""

    def __init__(self) -> None:
        self.found: list[int] = []
        self._frames: deque[tuple[int, np.ndarray]] = deque(maxlen=2 * _FLASH + 2)
        self._seen = 0

    def see(self, index: int, frame: np.ndarray) -> None:
        self._frames.append((index, frame))
        self._seen += 1
        if self._seen > _FLASH + 1:
            self._decide(len(self._frames) - 1 - _FLASH)

    def end(self) -> None:
        """Decide on the last frames, which have fewer after them."""
        for at in range(max(1, len(self._frames) - _FLASH), len(self._frames)):
            self._decide(at)

    def _decide(self, at: int) -> None:
        """Whether a shot begins with the frame at this place in the window."""
        frames = self._frames
        (last, before), (first, frame) = frames[at - 1], frames[at]
        if _alike(before, frame):
            return
        later = [frames[i][1] for i in range(at + 1, min(at + 1 + _FLASH, len(frames)))]
        earlier = [
            frames[i][1] for i in range(max(0, at - 1 - _FLASH), at - 1) if not self.found or frames[i][0] >= self.found[-1]
        ]
        if any(_alike(before, other) for other in later) or any(_alike(other, frame) for other in earlier):
            return
        self.found.append(first if first == last + 1 else (last + 1 + first) // 2)


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the flow brings one frame to the other."""
    one, other = flow.levels(one), flow.levels(other)
    brought = flow.fetch(one, flow.quick(other, one))
    difference = cv2.blur(cv2.absdiff(brought, other), (5, 5))
    return float((difference < _NEAR).mean()) > _EXPLAINED


class _Thumb(NamedTuple):
    """A frame made small. picture: uint8, of equal contrast. contrast: what it had. onward, back: ways to its neighbours."""

    index: int
    picture: np.ndarray
    contrast: float
    onward: flow.Way | None
    back: flow.Way | None


class _Mixture(NamedTuple):
    """A frame that is a mixture of those `reach` frames before and after. progress: 0 all of the first, 1 all of the last."""

    index: int
    reach: int
    progress: float


class _Dissolves:
    """Finds frames that two others, before and after, explain together and neither of them alone, wherever things moved."""

    def __init__(self) -> None:
        self._thumbs: deque[_Thumb] = deque(maxlen=2 * _REACH[-1] + 1)
        self._found: list[_Mixture] = []

    def see(self, index: int, frame: np.ndarray) -> None:
        size = _THUMB, max(flow.SMALLEST // 2, round(_THUMB * frame.shape[0] / frame.shape[1]))
        picture = flow.levels(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))
        back = None
        if self._thumbs:
            last = self._thumbs[-1]
            self._thumbs[-1] = last._replace(onward=flow.quick(last.picture, picture))
            back = flow.quick(picture, last.picture)
        self._thumbs.append(_Thumb(index, picture, float(frame.std()), None, back))
        self._look(len(self._thumbs) - 1 - _REACH[-1])

    def end(self) -> None:
        """Look at the last frames, which have fewer after them."""
        for place in range(max(0, len(self._thumbs) - _REACH[-1]), len(self._thumbs)):
            self._look(place)

    def _look(self, place: int) -> None:
        """Whether the frame at this place is a mixture, of those as far away as possible."""
        thumbs = self._thumbs
        if place < 0 or thumbs[place].index % _EVERY or thumbs[place].contrast < _CONTRAST:
            return
        back = onward = flow.stay(thumbs[place].picture.shape)
        for away in range(1, min(_REACH[-1], place, len(thumbs) - 1 - place) + 1):
            before, after = thumbs[place - away], thumbs[place + away]
            if min(before.contrast, after.contrast) < _CONTRAST:
                break
            back = flow.join(back, thumbs[place - away + 1].back)
            onward = flow.join(onward, thumbs[place + away - 1].onward)
            if away in _REACH:
                progress = _progress(thumbs[place], before, after, back, onward)
                if progress is not None:
                    self._found.append(_Mixture(thumbs[place].index, away, progress))

    def groups(self, cuts: list[int]) -> list[list[_Mixture]]:
        """The mixtures of each dissolve, but where a cut explains them."""
        groups: list[list[_Mixture]] = []
        for found in self._found:
            if any(found.index - found.reach < cut <= found.index + found.reach for cut in cuts):
                continue
            if groups and found.index - groups[-1][-1].index <= _APART:
                groups[-1].append(found)
            else:
                groups.append([found])
        return groups


def _extent(group: list[_Mixture]) -> tuple[int, int]:
    """The first frame of a dissolve and the first behind it: those between which even mixing explains the mixtures best.

    Where all of them are halfway between their neighbours, they say little: then it is about as long as they are seen, and of
    a usual length where few are.
    """
    middle, seen = _middle(group), np.array(group)
    index, reach, progress = seen.T
    span = (index + reach).max() - (index - reach).min()
    span = span if len(set(index)) > _FEW else min(span, _USUAL)
    doubt = _LIKELY if np.ptp(progress) < _TELLING else 0.0

    def missed(way: tuple[int, int]) -> float:
        here, before, after = (_evenly(at, *way) for at in (index, index - reach, index + reach))
        told = (here - before) / np.maximum(after - before, 0.01)
        return float(np.abs(told - progress).mean()) + doubt * abs(way[1] - way[0] - span)

    lengths = range(2, _LONGEST + 1)
    return min(((first, first + n) for n in lengths for first in range(max(1, middle - n + 1), middle + 1)), key=missed)


def _evenly(at: np.ndarray, first: int, end: int) -> np.ndarray:
    """How much of the other shot is in frames, 0..1, where they are mixed evenly from `first` up to `end`."""
    return np.clip((at - first + 1) / (end - first + 1), 0, 1)


def _middle(group: list[_Mixture]) -> int:
    """A frame where about half of the way is gone, by those that look farthest."""
    farthest = max(found.reach for found in group)
    return min((found for found in group if found.reach == farthest), key=lambda found: abs(found.progress - 0.5)).index


def _progress(thumb: _Thumb, before: _Thumb, after: _Thumb, back: flow.Way, onward: flow.Way) -> float | None:
    """How far a frame is from the one before to the one after, 0..1; None where it is no mixture of two that are unlike."""
    height, width = thumb.picture.shape
    inside = np.logical_and.reduce(
        [(way[..., i] > 1) & (way[..., i] < side - 2) for way in (back, onward) for i, side in ((0, width), (1, height))]
    )
    if inside.mean() < _SEEN:
        return None
    pictures = (thumb.picture, flow.fetch(before.picture, back), flow.fetch(after.picture, onward))
    mixed, first, last = (cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.5)[inside] for picture in pictures)
    if (np.abs(first - last) < _NEAR).mean() > _UNLIKE:
        return None
    mixed, first, last = (part - part.mean() for part in (mixed, first, last))
    ends, total = np.stack([first, last]), max(float(mixed @ mixed), 1.0)
    power = ends @ ends.T + np.eye(2, dtype=np.float32)
    shares = np.linalg.solve(power, ends @ mixed)
    left = float(((mixed - shares @ ends) ** 2).sum()) / total
    left_by_one = 1 - max((ends @ mixed) ** 2 / power.diagonal()) / total
    if left > 1 - _MIXED or left > _BETTER * left_by_one or min(shares) <= 0:
        return None
    first_share, last_share = shares / (before.contrast, after.contrast)
    return float(last_share / (first_share + last_share))
