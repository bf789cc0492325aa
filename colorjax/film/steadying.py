"""A stand-in: each frame by itself, and a film is one shot. What takes the flicker away takes its place."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from colorjax.science import color


@dataclass(frozen=True)
class Settings:
    """size: long side of what frames are reduced to, in pixels."""

    size: int = 512


def find_shots(small: Iterable[np.ndarray]) -> list[int]:
    """Small grey frames, uint8 -> the first frame of each shot, [0, ...]."""
    for _ in small:
        pass
    return [0]


def color_shot(
    luma: Iterable[np.ndarray], colorizer: Any, settings: Settings, hints: dict[int, list] | None = None
) -> Iterator[np.ndarray]:
    """L* 0..100 (h, w) float32 of a shot's frames -> ab (h, w, 2) float32 of each in turn, Lab units."""
    for frame in luma:
        ab = colorizer.predict(color.lightness_to_grey(frame)).ab
        yield cv2.resize(ab, frame.shape[::-1], interpolation=cv2.INTER_LINEAR)
