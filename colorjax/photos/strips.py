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


def reduced(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Pixels (H, W, C) at a smaller height and width: each is the mean of those that it stands for."""
    rows, columns = (np.arange(new + 1) * old // new for new, old in zip(shape, pixels.shape, strict=False))
    out = np.empty((*shape, *pixels.shape[2:]), pixels.dtype)
    step = max(1, _VALUES // max(1, pixels[: rows[1]].size))
    for top in range(0, shape[0], step):
        edges = rows[top : top + step + 1]
        sums = np.add.reduceat(pixels[edges[0] : edges[-1]].astype(np.float32), edges[:-1] - edges[0], axis=0)
        sums = np.add.reduceat(sums, columns[:-1], axis=1)
        areas = np.outer(np.diff(edges), np.diff(columns)).astype(np.float32)[..., None]
        out[top : top + step] = np.round(sums / areas)
    return out
