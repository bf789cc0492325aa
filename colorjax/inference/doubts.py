"""Where the colour is a guess: how far off it may be, from what the network itself says, and a table of how far off it was.

`benchmarks/quality/calibrate.py` makes the table of a released folder, from photographs that nothing was trained on.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from colorjax.inference.pixels import resized
from colorjax.science import bins

SCALES = (0.75, 1.0, 1.25)  # of the working size, over which `spread` looks


def expected(likely: Float[np.ndarray, "h w n"], ab: Float[np.ndarray, "h w 2"]) -> Float[np.ndarray, "h w"]:
    """The mean distance of a colour from those that a palette holds for likely, Lab units. likely: shares of `bins`."""
    away = (np.linalg.norm(bins.centres() - row[:, None], axis=-1) for row in ab)
    return np.stack([(shares * row).sum(-1, dtype=np.float32) for shares, row in zip(likely, away, strict=True)])


def spread(answers: Sequence[Float[np.ndarray, "_ _ 2"]]) -> Float[np.ndarray, "h w"]:
    """The standard deviation of several answers at the scale of the largest, root of the sum over a* and b*, Lab units."""
    shape = max((answer.shape[:2] for answer in answers), key=lambda shape: shape[0])
    deviation = np.stack([resized(answer, shape, Image.Resampling.BICUBIC) for answer in answers]).std(axis=0)
    return np.sqrt((deviation**2).sum(axis=-1))


def calibrated(doubt: Float[np.ndarray, "h w"], table: dict[str, Any]) -> Float[np.ndarray, "h w"]:
    """The mean error of pixels of which the network said that, ab distance in Lab units."""
    return np.interp(doubt, table["said"], table["error"]).astype(np.float32)
