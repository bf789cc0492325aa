"""Where a film is cut: the first frames of its shots.

At a cut no flow brings one frame to the next. Light that flickers changes that as little as scratches and fast pans do, and a
flash or a damaged frame is no cut, for the shot goes on behind it. In a dissolve the frames are mixtures of one before and one
after. A fade is no cut: a shot may rise from black. Only where something else comes after the black are there two shots.
"""

from collections import deque
from collections.abc import Iterable

import cv2
import numpy as np
from jaxtyping import UInt8

from colorjax.film import flow

_EXPLAINED = 0.62  # share of the picture that the flow brings over, below which it is another shot
_NEAR = 20  # grey levels, of contrast made equal, within which a pixel is explained
_FLAT = 3.0  # standard deviation in grey levels of a frame that shows nothing: black, white, leader
_FLASH = 2  # frames, at most, that may be unlike those around them
_CONTRAST = 8.0  # the same, of the frames on both sides of a dissolve
_THUMB = 80  # width at which mixtures are looked for
_WINDOWS = (6, 9, 13, 19)  # frames from the middle of a dissolve to a frame on each side
_UNLIKE = 0.7  # correlation of these frames, above which they may be the same shot
_MIXED, _BETTER, _GAIN = 0.85, 0.47, 0.04  # of a mixture: explained; left unexplained, beside one frame alone; gained
_APART = 12  # frames within which dissolves are one


def find_shots(small: Iterable[UInt8[np.ndarray, "h w"]]) -> list[int]:
    """The first frames of the shots, [0, ...]; of a dissolve its middle.

    small: the frames in grey, of one size, about 160 wide. Only some forty are held at a time.
    """
    cuts, mixtures = _Cuts(), _Mixtures()
    for index, frame in enumerate(small):
        if frame.std() >= _FLAT:
            cuts.see(index, frame)
        mixtures.see(index, frame)
    cuts.end()
    return sorted({0, *cuts.found, *mixtures.middles(cuts.found)})


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


class _Mixtures:
    """Finds dissolves: frames that two others, before and after, explain together and neither of them alone."""

    def __init__(self) -> None:
        self._thumbs: deque[np.ndarray] = deque(maxlen=2 * _WINDOWS[-1] + 1)
        self._found: list[
            tuple[int, int, int]
        ] = []  # the frames looked at, first and last, and where one gives way to the other

    def see(self, index: int, frame: np.ndarray) -> None:
        height = max(8, round(_THUMB * frame.shape[0] / frame.shape[1]))
        thumb = cv2.resize(frame.astype(np.float32), (_THUMB, height), interpolation=cv2.INTER_AREA)
        thumb = cv2.GaussianBlur(thumb, (0, 0), 2).ravel()
        self._thumbs.append(thumb - thumb.mean())
        for window in _WINDOWS:
            if index % 2 == 0 and len(self._thumbs) > 2 * window:
                change = _change(list(self._thumbs)[-2 * window - 1 :])
                if change is not None:
                    self._found.append((index - 2 * window, index, index - 2 * window + change))

    def middles(self, cuts: list[int]) -> list[int]:
        """The middles of the dissolves, but where a cut explains them."""
        found = sorted(middle for first, last, middle in self._found if not any(first < cut <= last for cut in cuts))
        groups: list[list[int]] = []
        for middle in found:
            if groups and middle - groups[-1][-1] <= _APART:
                groups[-1].append(middle)
            else:
                groups.append([middle])
        return [int(np.median(group)) for group in groups if len(group) > 1]


def _change(frames: list[np.ndarray]) -> int | None:
    """Which frame is the first that has more of the last one than of the first; None where they are no dissolve.

    frames: each its pixels, of mean 0.
    """
    ends = np.stack([frames[0], frames[-1]])
    power = ends @ ends.T
    if min(power.diagonal()) < ends.shape[1] * _CONTRAST**2 or power[0, 1] > _UNLIKE * np.sqrt(power.diagonal().prod()):
        return None
    between = np.stack(frames[1:-1])
    total = np.maximum((between**2).sum(1), 1)
    shares = np.linalg.solve(power, ends @ between.T).T
    both = 1 - ((between - shares @ ends) ** 2).sum(1) / total
    alone = ((between @ ends.T) ** 2 / (ends**2).sum(1)).max(1) / total
    quarter = len(between) // 4
    middle = slice(quarter, len(between) - quarter)
    explained, single = float(np.median(both[middle])), float(np.median(alone[middle]))
    mixed = explained > _MIXED and 1 - explained < _BETTER * (1 - single) and explained - single > _GAIN
    before, after = shares[:quarter].mean(0), shares[-quarter:].mean(0)
    if not (mixed and before[0] > before[1] and after[1] > after[0]):
        return None
    return 1 + int(np.argmax(shares[:, 1] >= shares[:, 0]))
