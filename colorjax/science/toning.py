"""What a picture is by its pixels: in colour already, or of one tone as sepia and faded prints are; a negative or not.

It is said of whole pictures only: a photograph in colour is left as it is (`colorize --only-grey`) or painted over, and nothing
keeps some of its colours. Those of a grey print are its tone, its stains and its fading, and which of its pixels hold others,
as a hand-tinted cheek or a stamp, cannot be told from those well enough to promise that the rest is predicted.
"""

from collections.abc import Sequence

import numpy as np

from colorjax.science import color

_SIDE = 96  # pixels of the longer side of what is looked at: grain and a JPEG's blocks are gone there
_TONES = 16  # steps of lightness, equally full, in each of which a print has one tone
_TOGETHER, _LEAST = 8, 24  # pictures of a folder, and pixels of the shorter side, from which it can be said
_EDGE = 6  # a part of so many along each edge may hold a colour card or a stamp
IN_COLOUR = 4.5  # square Lab units; see `colour_area`
NEGATIVE = 2.0  # see `negative_score`


def colour_area(image: np.ndarray) -> float:
    """How far ab is spread among pixels of equal lightness: long times short half-axis of its ellipse, in square Lab units.

    image: (H, W) or (H, W, 3), uint8 or uint16, sRGB-encoded. A toned print has one tone at each lightness (of two, in split
    toning), and where it faded or is stained, more or less of one hue: the ellipse is narrow or small. It is looked for in
    the picture without each of its four edges in turn, and the smallest counts, so that a colour card does not.

    Of 1,333 photographs in colour that it was not chosen on, 97.4 % have more than IN_COLOUR; the others are all but grey, as
    snow and fog. Of 1,561 prints made of them (grey, sepia, cyanotype, faded, split toned, stained, with a colour card; with
    grain, as JPEG of 50 to 95) 0.4 %, most of them cyanotypes; of 97 old photographs none (`benchmarks/quality/toning.py`).
    """
    if image.ndim == 2 or min(image.shape[:2]) < _EDGE:
        return 0.0
    lab = color.rgb_to_lab(_small(image))
    rows, columns = (side // _EDGE for side in lab.shape[:2])
    parts = (lab[rows:], lab[: len(lab) - rows], lab[:, columns:], lab[:, : lab.shape[1] - columns])
    return min(_area(part.reshape(-1, 3)) for part in parts)


def is_in_colour(image: np.ndarray) -> bool:
    """Whether a picture, as `colour_area` takes it, is a photograph in colour."""
    return colour_area(image) > IN_COLOUR


def negative_score(image: np.ndarray) -> float:
    """How likely it is that the lightness of a picture is inverted: the logarithm of the odds, 0 for even ones.

    image: as `colour_area` takes it. A negative is light, its bottom lighter than its top, its edges lighter than its middle,
    and it has its texture where it is light: a logistic regression of those four, of 1,329 photographs and their inverses.
    Of 1,333 others it is right for 77 %, which is not much for a single one: of photographs 1 % are above NEGATIVE, of
    negatives 18 % (`benchmarks/quality/toning.py`). `are_negatives` is surer of many.
    """
    small = _small(image)
    lightness = color.grey_to_lightness(small) if image.ndim == 2 else color.rgb_to_lab(small)[..., 0]
    height, width = lightness.shape
    if min(height, width) < _LEAST or np.ptp(lightness) < 1:
        return 0.0
    even = (lightness - lightness.mean()) / lightness.std()
    third, edge = height // 3, max(1, min(height, width) // 12)
    middle = np.zeros(even.shape, bool)
    middle[edge:-edge, edge:-edge] = True
    smooth = _smoothed(even)
    texture = np.sqrt(np.maximum(_smoothed((even - smooth) ** 2), 0))
    weighed = [
        2.24 * (lightness.mean() - 50) / 20,
        -0.61 * (even[:third].mean() - even[-third:].mean()),
        1.17 * (even[~middle].mean() - even[middle].mean()),
        3.23 * np.corrcoef(np.log(texture + 1e-3).ravel(), smooth.ravel())[0, 1],
    ]
    return float(np.nan_to_num(sum(weighed) - 0.08))


def are_negatives(scores: Sequence[float]) -> bool:
    """Whether photographs that belong together are negatives, by their `negative_score`: at least `_TOGETHER` of them.

    The margin is such that of 18 sources of photographs none is taken for negatives, and of their inverses 14 are.
    """
    return len(scores) >= _TOGETHER and float(np.mean(scores)) > 0.4 + len(scores) ** -0.5


def _smoothed(plane: np.ndarray) -> np.ndarray:
    """Means of 3 x 3."""
    padded = np.pad(plane, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9


def _area(lab: np.ndarray) -> float:
    """Of pixels (n, 3): the half-axes of what is left of ab beside the tone of each lightness, multiplied."""
    lab = lab[np.argsort(lab[:, 0])]
    steps = [np.median(step, axis=0) for step in np.array_split(lab, min(_TONES, len(lab)))]
    lightness, *tone = np.transpose(steps)
    rest = lab[:, 1:] - np.stack([np.interp(lab[:, 0], lightness, one) for one in tone], axis=-1)
    return float(np.sqrt(max(0.0, np.linalg.det(rest.T @ rest / len(rest)))))


def _small(image: np.ndarray) -> np.ndarray:
    """Means of squares of pixels, float32 in 0..1; of a large picture, of some of the pixels in each."""
    step = max(1, -(-max(image.shape[:2]) // _SIDE))
    every = max(1, step // 8)
    image, step = image[::every, ::every], step // every
    height, width = (max(1, side // step) for side in image.shape[:2])
    rows, columns = min(step, image.shape[0]), min(step, image.shape[1])
    squares = image[: height * rows, : width * columns].reshape(height, rows, width, columns, *image.shape[2:])
    return squares.mean((1, 3), dtype=np.float32) / np.float32(np.iinfo(image.dtype).max)


def flat_tone(image: np.ndarray) -> str:
    """ "black" or "white" where at most one value in a thousand is further from that than a fiftieth; else "".

    image: (H, W, ...) uint8 or uint16.
    """
    top, few = np.iinfo(image.dtype).max, image.size // 1000
    if sum(np.count_nonzero(row > top // 50) for row in image) <= few:
        return "black"
    return "white" if sum(np.count_nonzero(row < top - top // 50) for row in image) <= few else ""
