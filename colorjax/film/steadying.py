"""The colour of a shot without flicker.

The network sees key frames alone. Each frame's colour is the mean of what the key frames around it say of the same things,
fetched along the flow of the lightness from before and after: near and sure ones count most. What only one key frame shows
keeps that one's colour. The light's flicker is taken from what the network sees, never from the film.
"""

import math
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Float

from colorjax.film import carrying, flow
from colorjax.film.following import Frame, followed
from colorjax.film.shots import find, find_shots
from colorjax.inference import framing
from colorjax.inference.colorizer import Colorizer, NoColorError
from colorjax.inference.upsampling import Upsampler
from colorjax.science import color

__all__ = ["Settings", "color_shot", "find", "find_shots"]

Hints = Mapping[int, Sequence[carrying.Point]]
_UNSEEN = 0.02  # weight of a key frame that does not show a thing, beside one that does
_FORGOTTEN = 0.8  # factor of that weight for each frame between them: then the nearest one counts
_LEAST_SEEN = 0.02  # mean trust, below which a key frame has nothing to do with a frame
_DULL = 15.0  # standard deviation of L*, below which a key frame counts less: in fades the network sees nothing
_LEAST = 0.01  # weight of a black one
_MOST_GAIN = 1.3  # of chroma


@dataclass(frozen=True)
class Settings:
    """How a shot is coloured.

    size: long side of the frames that `color_shot` takes, pixels, at most. flow: that at which things are followed. spacing:
    frames from one key frame to the next, at most; sooner where more than the share `changed` of the picture is new, but
    `closest` at least. reach: frames to each side from which colour comes. cast: how far a key frame's cast is brought to that
    of those before, 0..1.
    """

    size: int = 512
    flow: int = 256
    spacing: int = 8
    closest: int = 3
    changed: float = 0.15
    reach: int = 32
    cast: float = 0.5

    def __post_init__(self) -> None:
        """Raises ValueError for numbers that make no sense."""
        if not 1 <= self.closest <= self.spacing <= self.reach:
            raise ValueError(f"closest={self.closest}, spacing={self.spacing}, reach={self.reach} must be 1 or more and rise")
        if self.flow < flow.SMALLEST or not 0 <= self.changed <= 1 or not 0 <= self.cast <= 1:
            raise ValueError(f"flow={self.flow} must be {flow.SMALLEST} or more, changed={self.changed}, cast={self.cast} 0..1")


def color_shot(
    luma: Iterable[Float[np.ndarray, "H W"]],
    colorizer: Colorizer,
    settings: Settings = Settings(),
    hints: Hints | None = None,
    told: Callable[[carrying.Span], None] | None = None,
    mixed: Container[int] = (),
) -> Iterator[Float[np.ndarray, "H W 2"]]:
    """The ab of each frame of one shot, Lab units, float32, in order and of the size of the frames.

    luma: L* in 0..100, float32, of one size. Some `settings.reach` frames are held, however long the shot is. hints: of frames
    of the shot, from 0, each a `carrying.Point`, or (x, y, a, b) as there; they need a guided network. They hold
    wherever the flow carries them, before and after, and `told` hears how far each came before the first frame is answered.
    For them all frames of the shot go through a temporary file. mixed: frames, from 0, that show another shot as well: the
    network does not see them, and they have the colours of those before and behind.
    Raises ValueError for frames of other sizes and hints of frames that there are not, hints.HintError as the colorizer does.
    """
    if hints:
        with carrying.Spool(luma) as spool:
            points, spans = carrying.carried(spool, hints, settings.flow)
            for span in spans if told else ():
                told(span)
            yield from _colored(spool, _Shot(colorizer, settings, points, frozenset(hints), mixed))
    else:
        yield from _colored(luma, _Shot(colorizer, settings, {}, frozenset(), mixed))


def _colored(luma: Iterable[np.ndarray], shot: "_Shot") -> Iterator[np.ndarray]:
    for frame in followed(luma, shot.settings.flow, shot.mixed):
        shot.take(frame)
        if shot.keys and len(shot.window) > shot.settings.reach:
            yield shot.finished()
    while shot.window:
        yield shot.finished()


@dataclass(eq=False, slots=True)
class _Told:
    """A frame in the window. sums: of a* and b* times weight, and of weight, (h, w, 3). chroma: a key frame's own, mean."""

    frame: Frame
    sums: np.ndarray
    chroma: float | None = None


@dataclass(eq=False, slots=True)
class _Key:
    """A key frame. planes: L*, a*, b* (h, w, 3). way: to it from the frame that was told last."""

    frame: Frame
    planes: np.ndarray
    weight: float
    way: flow.Way


@dataclass(eq=False)
class _Shot:
    colorizer: Colorizer
    settings: Settings
    hints: Hints  # of every frame
    hinted: frozenset[int]  # frames for which hints were given
    mixed: Container[int]  # frames that show another shot as well
    window: deque[_Told] = field(default_factory=deque)
    keys: deque[_Key] = field(default_factory=deque)
    shown: framing.Frame | None = None  # what of the frames the network is shown
    asked: float = 0.0  # chroma of the key frames, by the network
    kept: float = 0.0  # and of the same frames when they were finished

    def take(self, frame: Frame) -> None:
        """Tell the next frame what the key frames before it say, and, if it is one itself, those in the window what it says."""
        told = _Told(frame, np.zeros((*frame.small.shape, 3), np.float32))
        self.window.append(told)
        trust = None
        for key in list(self.keys):
            key.way = flow.join(frame.back, key.way)
            trust = self._tell(told, key)
            if key is not self.keys[-1] and self._is_over(key, told, trust):
                self.keys.remove(key)
        if self._is_key(frame, trust):
            self._add_key(told, trust)

    def finished(self) -> np.ndarray:
        """The ab of the first frame of the window, which leaves it.

        A mean of colours is paler than they are: the shot's chroma is brought back to what the network gave its key frames.
        """
        told = self.window.popleft()
        ab = told.sums[..., :2] / told.sums[..., 2:]
        if told.chroma is not None:
            self.asked += told.chroma
            self.kept += _chroma(ab)
        gain = min(max(self.asked / self.kept, 1.0), _MOST_GAIN) if self.kept else 1.0
        return cv2.resize(ab * np.float32(gain), told.frame.luma.shape[::-1], interpolation=cv2.INTER_LINEAR)

    def _is_over(self, key: _Key, told: _Told, trust: np.ndarray) -> bool:
        """Whether a key frame has no more to say to frames beyond this one."""
        return abs(told.frame.index - key.frame.index) >= self.settings.reach or float(trust.mean()) < _LEAST_SEEN

    def _is_key(self, frame: Frame, trust: np.ndarray | None) -> bool:
        """trust: that in the last key frame."""
        is_last = frame.onward is None
        if frame.index in self.hinted or (is_last and not self.keys):
            return True
        if frame.index in self.mixed:
            return False
        if trust is None:
            return True
        away = frame.index - self.keys[-1].frame.index
        if away < self.settings.closest:
            return False
        is_last = is_last or frame.index + 1 in self.mixed
        return is_last or away >= self.settings.spacing or float((trust < flow.SURE).mean()) > self.settings.changed

    def _add_key(self, told: _Told, trust: np.ndarray | None) -> None:
        """Ask the network for a frame, and tell those before it and itself what it says."""
        frame = told.frame
        ab = self._ask(frame)
        told.chroma = _chroma(ab)
        if trust is not None:
            ab += np.float32(self.settings.cast) * _shift(ab, told.sums, trust > flow.SURE)
        weight = min(max(float(frame.small.std()) / _DULL, _LEAST), 1.0)
        planes = np.concatenate([frame.small[..., None], ab], axis=-1)
        key = _Key(frame, planes, weight, flow.stay(frame.small.shape))
        self._tell(told, key)
        for earlier in list(self.window)[-2::-1]:
            key.way = flow.join(earlier.frame.onward, key.way)
            trust = self._tell(earlier, key)
            is_known = self.keys and frame.index - earlier.frame.index >= self.settings.spacing
            if is_known and self._is_over(key, earlier, trust):
                break
        key.way = flow.stay(frame.small.shape)
        self.keys.append(key)

    def _tell(self, told: _Told, key: _Key) -> np.ndarray:
        """Add what a key frame says of a frame's things; returns how far it shows them, (h, w) in 0..1."""
        frame, away = told.frame, abs(told.frame.index - key.frame.index)
        fetched = flow.fetch(key.planes, key.way)
        there = flow.exposed(fetched[..., 0], frame.exposure - key.frame.exposure)
        trust = np.minimum(key.way[..., 2], flow.fit(frame.small, there))
        near = min(away, self.settings.reach) / (self.settings.reach + 1)
        share = key.weight * math.cos(math.pi / 2 * near) ** 2
        weight = np.float32(share) * (trust + np.float32(_UNSEEN * _FORGOTTEN**away))
        lit = np.float32(math.exp(frame.light - key.frame.light))
        told.sums[..., :2] += fetched[..., 1:] * (weight * lit)[..., None]
        told.sums[..., 2] += weight
        return trust

    def _ask(self, frame: Frame) -> Float[np.ndarray, "h w 2"]:
        """The network's ab for a frame without its flicker, at the size of the flow; 0 where it has no colour for it."""
        luma = flow.exposed(frame.luma.astype(np.float32), -frame.flicker)
        image = np.round(np.clip(color.lightness_to_grey(luma), 0, 1) * np.float32(65535)).astype(np.uint16)
        if self.shown is None and luma.std() > _DULL / 2:
            self.shown = framing.of(image)
        points = carrying.given(self.hints.get(frame.index, ()), image.shape)
        try:
            prediction = self.colorizer.predict(image, points, self.shown)
        except NoColorError:
            return np.zeros((*frame.small.shape, 2), np.float32)
        scaled = Upsampler(prediction.lightness, prediction.ab, frame.small.shape)
        return scaled.rows(slice(0, frame.small.shape[0]), flow.exposed(frame.small, -frame.flicker)).astype(np.float32)


def _chroma(ab: np.ndarray) -> float:
    return float(cv2.magnitude(np.ascontiguousarray(ab[..., 0]), np.ascontiguousarray(ab[..., 1])).mean())


def _shift(ab: np.ndarray, sums: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """By how much a key frame's colours differ from what it was told before, of the same things: the median, (2,)."""
    if not sure.any():
        return np.zeros(2, np.float32)
    known = sums[..., :2][sure] / sums[..., 2:][sure]
    return (float(sure.mean()) * np.median(known - ab[sure], axis=0)).astype(np.float32)
