"""Work on large pictures a few rows at a time, so that no second picture of their size is made on the way."""

from collections.abc import Callable

import numpy as np

_VALUES = 2**21  # in a strip


def by_rows(work: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray, out: np.ndarray) -> np.ndarray:
    """`out` (H, ...), filled with what the work makes of the rows of `pixels` (H, ...); it may be `pixels` itself."""
    step = max(1, _VALUES // max(1, pixels[:1].size))
    for top in range(0, len(pixels), step):
        out[top : top + step] = work(pixels[top : top + step])
    return out
