"""How strong, how warm and how saturated colours are shown: the one place for what page, console and Python do to them."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from colorjax.platform import usage

MAX_STRENGTH = 1.5
RANGES = {"strength": (0, MAX_STRENGTH), "warmth": (-1, 1), "saturation": (-1, 1)}
_WARMEST = np.array((4.0, 11.3), np.float32)  # Lab units of a* and b*: the way to candlelight
_PALE = 25.0  # Lab units of chroma, up to which a colour is pale: `saturation` is for these above all


class Tint(NamedTuple):
    """strength: factor of all colour, 0..MAX_STRENGTH. warmth: -1 (cool) to 1. saturation: of pale colours, -1 (none) to 1."""

    strength: float = 1.0
    warmth: float = 0.0
    saturation: float = 0.0

    def check(self, link: str = "=") -> None:
        """Raises ValueError for values out of range, as "strength=2 must be in 0..1.5", TypeError for what is no number.

        link: what stands between.
        """
        for name, (low, high) in RANGES.items():
            usage.within(f"{name}{link}", getattr(self, name), low, high)

    def of(self, ab: Float[np.ndarray, "*hw 2"]) -> Float[np.ndarray, "*hw 2"]:
        """ab (Lab units) so tinted. Where there is no colour at all, as on a mount, there stays none."""
        if self.warmth or self.saturation:
            chroma = np.hypot(ab[..., :1], ab[..., 1:])
            ab = ab * (1 + self.saturation * np.exp(-chroma / _PALE)) + (chroma > 0) * (self.warmth * _WARMEST)
        return np.float32(self.strength) * ab
