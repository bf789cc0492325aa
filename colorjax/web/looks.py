"""How a photograph is to look: its hints, which of the likely colours, strength, warmth, saturation; and its copy's format."""

import functools
import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from colorjax import photos
from colorjax.archive.plan import Options
from colorjax.science import hints
from colorjax.science.hints import Hint
from colorjax.science.tints import RANGES, Tint
from colorjax.web.sessions import Photograph, Refused

VARIANTS = 3  # to choose from


@dataclass(frozen=True)
class Look:
    """hints: in pixels of the photograph. strength, warmth, saturation: see `Tint`. variant: which of the likely colours,
    from 0, the likeliest."""

    hints: tuple[Hint, ...] = ()
    strength: float = 1.0
    warmth: float = 0.0
    saturation: float = 0.0
    variant: int = 0

    @property
    def tint(self) -> Tint:
        """How strong, warm and saturated its colours are."""
        return Tint(self.strength, self.warmth, self.saturation)

    @property
    def settings(self) -> dict[str, Any]:
        """For the mark of a picture."""
        about = {"warmth": self.warmth, "saturation": self.saturation, "variant": self.variant and self.variant + 1}
        return {"strength": self.strength, "hints": len(self.hints)} | {key: value for key, value in about.items() if value}

    def options(self, options: Options, format: str | None, quality: int) -> Options:
        """Those of a copy that looks so."""
        return replace(options, **self.tint._asdict(), format=format, quality=quality)


def asked_for(asked: dict[str, Any], photograph: Photograph, guided: bool) -> Look:
    """The look in the JSON of a request. Raises Refused, HintError."""
    rows = asked.get("hints") or ()
    chosen = hints.checked(rows, (photograph.height, photograph.width))
    if chosen and not guided:
        raise Refused(422, "this network does not follow hints")
    if chosen and photograph.pages > 1:
        raise Refused(422, f"it has {photograph.pages} pages: which one the hints are of is not known")
    tint = {name: number(asked.get(name, getattr(Look, name)), *ends, f"the {name}") for name, ends in RANGES.items()}
    variant = asked.get("variant", 0)
    if variant not in range(VARIANTS) or (variant and not guided):
        raise Refused(422, f"the variant must be in 0..{VARIANTS - 1}" if guided else "this network has no variants")
    return Look(chosen, **tint, variant=variant)


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


def placed_in_view(hints: Sequence[Hint], shape: tuple[int, int], onto: tuple[int, int]) -> tuple[Hint, ...]:
    """Hints of a photograph (H, W) as hints of its view (h, w)."""

    def at(place: int, large: int, small: int) -> int:
        return min(small - 1, int((place + 0.5) * small / large))

    (height, width), (h, w) = shape, onto
    short = min(shape)
    shares = (None if hint.radius is None else min(1.0, hint.radius_in(shape) / short) for hint in hints)
    moved = zip(hints, shares, strict=True)
    return tuple(hint._replace(x=at(hint.x, width, w), y=at(hint.y, height, h), radius=share) for hint, share in moved)
