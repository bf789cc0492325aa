"""A `Colorizer` without a network, for tests of what is around it: quick, and it follows hints."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from PIL import Image

from colorjax.inference.colorizer import Colorizer, Prediction
from colorjax.science import color


class Suggestion(NamedTuple):
    rgb: tuple[int, int, int]
    share: float


def small_lightness(image, shape):
    """L* of uint8 or uint16 pixels at another size."""
    values = image / np.float32(np.iinfo(image.dtype).max)
    lightness = color.grey_to_lightness(values) if image.ndim == 2 else color.rgb_to_lab(values)[..., 0]
    return np.asarray(Image.fromarray(lightness.astype(np.float32)).resize(shape[::-1], Image.Resampling.BOX))


class Painter(Colorizer):
    """Paints warm at the top and cool at the bottom, and each hint's colour around it. `slowly` is waited for."""

    guided = True

    def __init__(self, guided=True, short_side=64):
        self.size, self.flip, self.guided, self.short_side = short_side, False, guided, short_side
        self.network = SimpleNamespace(source=Path("painter"), digest="0" * 64, calibration=None)
        self.engine = SimpleNamespace(name="none", about={"engine": "none"})
        self.seen, self.slowly = [], threading.Event()
        self.slowly.set()

    def predict(self, image, hints=None, frame=None):
        hints = hints or ()
        self.seen.append((image.shape, tuple(hints)))
        self.slowly.wait(10)
        height, width = image.shape[:2]
        scale = self.short_side / min(height, width)
        shape = tuple(max(1, round(side * scale)) for side in (height, width))
        rows, columns = np.mgrid[: shape[0], : shape[1]]
        warmth = 14 - 28 * rows / shape[0]
        ab = np.stack([0.6 * warmth, warmth], axis=-1)
        for hint in hints:
            away = np.hypot(rows - hint.y * scale, columns - hint.x * scale)[..., None] / (0.12 * self.short_side)
            weight = np.exp(-(away**2) / 2) * (0.12 * self.short_side * away < hint.radius_in(image.shape) * scale + 1)
            ab = (1 - weight) * ab + weight * color.rgb_to_lab(np.asarray(hint.rgb, np.float32) / 255)[1:]
        return Prediction(small_lightness(image, shape), ab.astype(np.float32))

    def variants(self, image, count=3, hints=None):
        first = self.predict(image, hints)
        return [first, *(first._replace(ab=first.ab + np.float32((0, 8 * turn))) for turn in range(1, count))]

    def suggest(self, image, x, y, hints=(), count=6):
        colors = [(196, 60, 48), (60, 90, 190), (214, 170, 60), (70, 140, 70), (150, 90, 150), (120, 110, 100)]
        return [Suggestion(rgb, share) for rgb, share in zip(colors, (0.4, 0.2, 0.15, 0.1, 0.1, 0.05), strict=True)][:count]
