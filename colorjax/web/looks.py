"""How a photograph is to look: its hints and how far each reaches, strength, warmth and saturation; and its copy's format."""

import functools
import importlib.util
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from colorjax import photos
from colorjax.archive.colorize_one import Copier
from colorjax.archive.plan import Options
from colorjax.inference.colorizer import MAX_STRENGTH, Colorizer, Prediction
from colorjax.science import hints
from colorjax.science.hints import Hint
from colorjax.web.sessions import Photograph, Refused

_WARMEST = np.array((4.0, 11.3), np.float32)  # Lab units of a* and b*: the way to candlelight
_PALE = 25.0  # Lab units of chroma, up to which a colour is pale: `saturation` is for these above all
_FADES = 0.3  # of its radius, over which a hint's reach ends: half before it, half behind


@dataclass(frozen=True)
class Look:
    """strength: factor of all colour, 0..MAX_STRENGTH. warmth: -1 (cool) to 1. saturation: of pale colours, -1 (none) to 1.

    hints: in pixels of the photograph. radii: of each, in the same pixels, None where its colour goes as far as it likes.
    """

    hints: tuple[Hint, ...] = ()
    radii: tuple[float | None, ...] = ()
    strength: float = 1.0
    warmth: float = 0.0
    saturation: float = 0.0

    @property
    def settings(self) -> dict[str, Any]:
        """For a sidecar: what is not told by its hints and its strength."""
        about = {"warmth": self.warmth, "saturation": self.saturation}
        about["hint_radii"] = list(self.radii) if any(radius is not None for radius in self.radii) else None
        return {key: value for key, value in about.items() if value}

    def predict(
        self,
        ask: Callable[[tuple[Hint, ...]], Prediction],
        placed: Sequence[Hint],
        shape: tuple[int, int],
        scale: float = 1.0,
    ) -> Prediction:
        """What `ask(hints)` says, in this look. placed: its hints in a picture (h, w), `scale` times as large."""
        placed, radii = tuple(placed), self.radii or (None,) * len(placed)
        prediction = ask(placed)
        near = [(hint, scale * radius) for hint, radius in zip(placed, radii, strict=True) if radius is not None]
        if near:
            far = ask(tuple(hint for hint, radius in zip(placed, radii, strict=True) if radius is None)).ab
            inside = _reached(near, shape, far.shape[:2])
            prediction = prediction._replace(ab=far + inside * (prediction.ab - far))
        return prediction._replace(ab=self._tinted(prediction.ab))

    def _tinted(self, ab: np.ndarray) -> np.ndarray:
        """Where there is no colour at all, as on a mount, there stays none."""
        if not self.warmth and not self.saturation:
            return ab
        chroma = np.hypot(ab[..., :1], ab[..., 1:])
        return ab * (1 + self.saturation * np.exp(-chroma / _PALE)) + (chroma > 0) * (self.warmth * _WARMEST)


def _reached(near: list[tuple[Hint, float]], shape: tuple[int, int], onto: tuple[int, int]) -> np.ndarray:
    """(h, w, 1) float32: 1 well within the radius of a hint of a picture (H, W), 0 well outside of all."""
    tall, wide = (large / small for large, small in zip(shape, onto, strict=True))
    rows, columns = (np.arange(onto[0])[:, None] + 0.5) * tall, (np.arange(onto[1]) + 0.5) * wide
    inside = np.zeros(onto, np.float32)
    for hint, radius in near:
        away = np.hypot(rows - hint.y - 0.5, columns - hint.x - 0.5) - 0.5 * max(tall, wide)  # to a cell's near side
        inside = np.maximum(inside, np.clip(0.5 - (away - radius) / (_FADES * radius), 0, 1))
    return inside[..., None].astype(np.float32)


def asked_for(asked: dict[str, Any], photograph: Photograph, guided: bool) -> Look:
    """The look in the JSON of a request. Raises Refused, HintError."""
    rows = asked.get("hints") or ()
    chosen = hints.checked(rows, (photograph.height, photograph.width))
    if chosen and not guided:
        raise Refused(422, "this network does not follow hints")
    if chosen and photograph.pages > 1:
        raise Refused(422, f"it has {photograph.pages} pages: which one the hints are of is not known")
    radii = {(row["x"], row["y"]): row.get("radius") for row in rows if isinstance(row, dict)}
    reach = tuple(_radius(radii.get((hint.x, hint.y))) for hint in chosen)
    strength = number(asked.get("strength", 1.0), 0, MAX_STRENGTH, "the strength")
    warmth, saturation = (number(asked.get(name, 0.0), -1, 1, f"the {name}") for name in ("warmth", "saturation"))
    return Look(chosen, reach, strength, warmth, saturation)


def _radius(value: Any) -> float | None:
    return None if value is None else number(value, 1, 10**6, "the radius of a hint")


def number(value: Any, low: float, high: float, name: str) -> float:
    """The same, where it is a number in low..high. Raises Refused."""
    sound = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not sound or not low <= value <= high:
        raise Refused(422, f"{name} must be in {low}..{high}")
    return float(value)


@functools.cache
def formats() -> list[dict[str, Any]]:
    """Those in which copies are made here; a BMP has no room for the mark of a copy."""
    here = {name: suffixes[0] for name, suffixes in photos.FORMATS.items() if name != "BMP"}
    if importlib.util.find_spec("pillow_heif") is None:
        here.pop("HEIF")
    return [{"name": name, "suffix": suffix, "lossy": name in photos.LOSSY} for name, suffix in here.items()]


def format_of(asked: dict[str, Any]) -> tuple[str | None, int]:
    """Format (None for that of the photograph) and quality in the JSON of a request. Raises Refused."""
    name, legal = asked.get("format"), [one["name"] for one in formats()]
    if name is not None and name not in legal:
        raise Refused(422, f"the format must be one of {', '.join(legal)}")
    return name, round(number(asked.get("quality", Options.quality), 1, 100, "the quality"))


class Stylist(Copier):
    """Makes copies, as `colorjax colorize` does, that have a look."""

    def __init__(self, colorizer: Colorizer, options: Options, look: Look):
        super().__init__(_Following(colorizer, look), options)
        self._settings |= look.settings


class _Following:
    """A `Colorizer` whose predictions have a look."""

    def __init__(self, colorizer: Colorizer, look: Look):
        self._colorizer, self._look = colorizer, look

    def __getattr__(self, name: str) -> Any:
        return getattr(self._colorizer, name)

    def predict(self, image: np.ndarray, placed: Sequence[Hint] = ()) -> Prediction:
        """As `Colorizer.predict`, for the photograph at its full size."""
        return self._look.predict(lambda some: self._colorizer.predict(image, some), placed, image.shape[:2])
