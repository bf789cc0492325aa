"""The frames of a shot, each beside its neighbours: where its things were before and are next, and in which light."""

from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from colorjax.film import flow

_STEADY = 8  # frames to each side, over which the light of a scene changes evenly: what is quicker is flicker


@dataclass(eq=False, slots=True)
class Frame:
    """index: from 0 in the shot. luma: L* as it came, (H, W) float16. small: at the size of the flow, (h, w) float32.

    onward, back: the ways to the next and the last frame, None at the shot's ends. exposure: see `flow`, beside the first
    frame's. light: the exposure that it would have if the light did not flicker.
    """

    index: int
    luma: Float[np.ndarray, "H W"]
    small: flow.Plane
    onward: flow.Way | None = None
    back: flow.Way | None = None
    exposure: float = 0.0
    light: float = 0.0

    @property
    def flicker(self) -> float:
        """What of the exposure is not the light's."""
        return self.exposure - self.light


def small(luma: Float[np.ndarray, "H W"], side: int) -> flow.Plane:
    """A frame's L* at the size of the flow, whose long side is at most `side` pixels, float32."""
    scale = min(1.0, side / max(luma.shape))
    height, width = (max(flow.SMALLEST, round(length * scale)) for length in luma.shape)
    return cv2.resize(luma.astype(np.float32, copy=False), (width, height), interpolation=cv2.INTER_AREA)


def followed(luma: Iterable[Float[np.ndarray, "H W"]], side: int, mixed: Container[int] = ()) -> Iterator[Frame]:
    """The frames of a shot, L* in 0..100, in order, each as soon as the frames that its light is told by are there.

    side: long side of the flow. mixed: frames that show another shot as well, whose light is not this one's.
    Raises ValueError where a frame has another size than the first.
    """
    window: deque[Frame] = deque()
    waiting = 0  # place in the window of the first frame whose light is not told
    for frame in _linked(luma, side, mixed):
        window.append(frame)
        if len(window) - waiting > _STEADY:
            yield _lit(window, waiting)
            waiting += 1
        if waiting > _STEADY:
            window.popleft()
            waiting -= 1
    for place in range(waiting, len(window)):
        yield _lit(window, place)


def _linked(luma: Iterable[Float[np.ndarray, "H W"]], side: int, mixed: Container[int]) -> Iterator[Frame]:
    """The frames with the ways between them and their exposures."""
    last = None
    for index, plane in enumerate(luma):
        if last is not None and plane.shape != last.luma.shape:
            raise ValueError(f"frame {index} of the shot has shape {plane.shape}; it must be {last.luma.shape}, as before")
        frame = Frame(index, plane.astype(np.float16), small(plane, side))
        if last is not None:
            last.onward, frame.back, change = flow.between(last.small, frame.small)
            frame.exposure = last.exposure + (0.0 if index in mixed or last.index in mixed else change)
            yield last
        last = frame
    if last is not None:
        yield last


def _lit(window: Sequence[Frame], place: int) -> Frame:
    """The frame at this place, its light told: a line through the exposures of its neighbours, near ones foremost."""
    frame, first = window[place], max(0, place - _STEADY)
    near = [window[i].exposure for i in range(first, min(place + _STEADY + 1, len(window)))]
    away = np.arange(len(near)) + first - place
    weights = np.sqrt(1 - np.abs(away) / (_STEADY + 1))
    frame.light = float(np.polyfit(away, near, 1, w=weights)[1]) if len(near) > 2 else frame.exposure
    return frame
