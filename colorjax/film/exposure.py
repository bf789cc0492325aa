"""The light of a shot: how much each frame was exposed, and what of that is flicker.

Exposure is the logarithm of (L* + 16), on which a change of light adds the same to every pixel but the darkest: L* + 16 is the cube root
of the light, times 116 (CIE 15). So it scales a* and b* by the same factor.
"""

from collections.abc import Sequence

import numpy as np

TOE = 16.0  # of L*
_WINDOW = 8  # frames to each side, over which the light of a scene changes steadily


def change(here: np.ndarray, there: np.ndarray, trust: np.ndarray) -> float:
    """By how much the exposure of `there` is above that of `here`: L* of the same things in two frames, (h, w) each."""
    seen = trust[::3, ::3] > 0.5
    if not seen.any():
        return 0.0
    return float(np.median(np.log((there[::3, ::3][seen] + TOE) / (here[::3, ::3][seen] + TOE))))


def steady(exposures: Sequence[float], at: int) -> float:
    """The exposure that frame `at` would have without flicker: the line through its neighbours."""
    first = max(0, at - WINDOW)
    near = np.asarray(exposures[first : at + WINDOW + 1])
    if len(near) < 3:
        return float(near[at - first])
    places = np.arange(len(near)) + first - at
    weights = 1 - np.abs(places) / (WINDOW + 1)
    slope, level = np.polyfit(places, near, 1, w=np.sqrt(weights))
    return float(level)


def exposed(lightness: np.ndarray, by: float) -> np.ndarray:
    """L* of the same frame in other light."""
    return np.clip((lightness + TOE) * np.float32(np.exp(by)) - TOE, 0, 100)


WINDOW = _WINDOW
