"""The colour of a shot without flicker.

The network sees key frames alone. Each frame's colour is the mean of what the key frames around it say of the same things, fetched
along the flow of the lightness from before and after: nearer and surer ones count more. What no other key frame shows keeps the
colour of the nearest one that does.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Float

from colorjax.film import exposure, flow
from colorjax.film.shots import find_shots
from colorjax.inference import framing
from colorjax.inference.colorizer import Colorizer, NoColorError
from colorjax.inference.upsampling import Upsampler
from colorjax.science import color

__all__ = ["Settings", "color_shot", "find_shots"]

_UNSEEN = 0.02  # weight of a key frame that does not show a thing, against one that does
_MOST_GAIN = 1.3


@dataclass(frozen=True)
class Settings:
    """How a shot is coloured.

    size: long side at which the frames come, pixels, at most. flow: long side at which things are followed. spacing: frames from
    one key frame to the next, at most; where more than the share `changed` of the picture is new, it is sooner, but at least
    `closest`. reach: frames to each side from which colour comes.
    """

    size: int = 512
    flow: int = 256
    spacing: int = 8
    closest: int = 3
    changed: float = 0.15
    reach: int = 32
    cast: float = 0.5


@dataclass(eq=False, slots=True)
class _Frame:
    """A frame in the window. L* full and at the flow's size; ways to its neighbours; what was said of its colour."""

    index: int
    luma: np.ndarray
    small: np.ndarray
    exposure: float = 0.0
    light: float = 0.0  # the exposure without flicker
    back: np.ndarray | None = None
    onward: np.ndarray | None = None
    sums: np.ndarray | None = None  # ab times weight, and weight
    chroma: float | None = None  # of a key frame, mean


@dataclass(eq=False, slots=True)
class _Key:
    frame: _Frame
    planes: np.ndarray  # L*, a*, b* (h, w, 3)
    way: np.ndarray  # from the latest frame to it


def color_shot(luma: Iterable[Float[np.ndarray, "H W"]], colorizer: Colorizer, settings: Settings = Settings(), hints=None):
    shot = _Shot(colorizer, settings)
    for frame in _lit(_followed(luma, settings)):
        yield from shot.take(frame)
    yield from shot.rest()


def _followed(luma: Iterable[np.ndarray], settings: Settings) -> Iterator[_Frame]:
    """The frames, each with its ways to its neighbours and its exposure."""
    before = None
    for index, plane in enumerate(luma):
        scale = min(1.0, settings.flow / max(plane.shape))
        shape = tuple(max(16, round(side * scale)) for side in plane.shape)
        small = cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_AREA)
        frame = _Frame(index, plane.astype(np.float16), small)
        if before is not None:
            before.onward, frame.back = flow.between(before.small, small)
            there = flow.fetch(small, before.onward)
            change = exposure.change(before.small, there, before.onward[..., 2])
            frame.exposure = before.exposure + change
            before.onward[..., 2] *= flow.fit(exposure.exposed(before.small, change), there)
            frame.back[..., 2] *= flow.fit(exposure.exposed(small, -change), flow.fetch(before.small, frame.back))
            yield before
        before = frame
    if before is not None:
        yield before


def _lit(frames: Iterator[_Frame]) -> Iterator[_Frame]:
    """The frames, each with the light that it would have without flicker."""
    window: deque[_Frame] = deque()
    at = 0
    for frame in frames:
        window.append(frame)
        if len(window) - at > exposure.WINDOW:
            window[at].light = exposure.steady([f.exposure for f in window], at)
            yield window[at]
            at += 1
            if at > exposure.WINDOW:
                window.popleft()
                at -= 1
    for place in range(at, len(window)):
        window[place].light = exposure.steady([f.exposure for f in window], place)
        yield window[place]


class _Shot:
    def __init__(self, colorizer: Colorizer, settings: Settings):
        self.colorizer, self.settings = colorizer, settings
        self.window: deque[_Frame] = deque()
        self.keys: deque[_Key] = deque()
        self.seen, self.kept = 0.0, 0.0
        self.frame_of = None
        self.count = 0

    def take(self, frame: _Frame) -> Iterator[np.ndarray]:
        frame.sums = np.zeros((*frame.small.shape, 3), np.float32)
        self.window.append(frame)
        while self.keys and frame.index - self.keys[0].frame.index > self.settings.reach:
            self.keys.popleft()
        trust = None
        for key in self.keys:
            key.way = flow.join(frame.back, key.way)
            trust = self._tell(frame, key)
        if self._is_key(frame, trust):
            self._add_key(frame, trust)
        if frame.index - self.window[0].index >= self.settings.reach:
            yield self._finished(self.window.popleft())

    def rest(self) -> Iterator[np.ndarray]:
        while self.window:
            yield self._finished(self.window.popleft())

    def _is_key(self, frame, trust) -> bool:
        if trust is None:
            return True
        gap = frame.index - self.keys[-1].frame.index
        if gap >= self.settings.spacing:
            return True
        return gap >= self.settings.closest and (frame.onward is None or float((trust < 0.5).mean()) > self.settings.changed)

    def _add_key(self, frame: _Frame, trust) -> None:
        ab = self._asked(frame)
        frame.chroma = float(np.hypot(ab[..., 0], ab[..., 1]).mean())
        if trust is not None and self.settings.cast:
            sure = trust > 0.5
            if sure.any():
                known = frame.sums[..., :2][sure] / frame.sums[..., 2:][sure]
                ab = ab + self.settings.cast * float(sure.mean()) * np.median(known - ab[sure], axis=0)
        planes = np.concatenate([frame.small[..., None], ab], axis=-1).astype(np.float32)
        key = _Key(frame, planes, flow.stay(frame.small.shape))
        self._tell(frame, key)
        way = key.way
        frames = list(self.window)
        for there in reversed(frames[max(0, len(frames) - 1 - self.settings.reach) : -1]):
            way = flow.join(there.onward, way)
            self._tell(there, key, way)
        self.keys.append(key)
        self.count += 1

    def _tell(self, frame: _Frame, key: _Key, way=None) -> np.ndarray:
        """Tell a frame what a key frame says of its colours."""
        way = key.way if way is None else way
        away = abs(frame.index - key.frame.index)
        fetched = flow.fetch(key.planes, way)
        there = exposure.exposed(fetched[..., 0], frame.exposure - key.frame.exposure)
        trust = np.minimum(way[..., 2], flow.fit(frame.small, there))
        share = math.cos(math.pi / 2 * away / (self.settings.reach + 1)) ** 2
        weight = share * (trust + _UNSEEN * 0.8**away)
        frame.sums[..., :2] += fetched[..., 1:] * (weight * math.exp(frame.light - key.frame.light))[..., None]
        frame.sums[..., 2] += weight
        return trust

    def _asked(self, frame: _Frame) -> np.ndarray:
        luma = exposure.exposed(frame.luma.astype(np.float32), frame.light - frame.exposure)
        image = np.round(np.clip(color.lightness_to_grey(luma), 0, 1) * 65535).astype(np.uint16)
        if self.frame_of is None and luma.std() > 5:
            self.frame_of = framing.of(image)
        try:
            prediction = self.colorizer.predict(image)
        except NoColorError:
            return np.zeros((*frame.small.shape, 2), np.float32)
        scaled = Upsampler(prediction.lightness, prediction.ab, frame.small.shape)
        return scaled.rows(slice(0, frame.small.shape[0]), exposure.exposed(frame.small, frame.light - frame.exposure))

    def _finished(self, frame: _Frame) -> np.ndarray:
        ab = frame.sums[..., :2] / frame.sums[..., 2:]
        if frame.chroma is not None:
            self.seen += frame.chroma
            self.kept += float(np.hypot(ab[..., 0], ab[..., 1]).mean())
        gain = min(max(self.seen / self.kept, 1.0), _MOST_GAIN) if self.kept else 1.0
        return cv2.resize(ab * np.float32(gain), frame.luma.shape[::-1], interpolation=cv2.INTER_LINEAR)
