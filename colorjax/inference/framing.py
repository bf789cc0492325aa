"""What of a photograph the network is shown: no plain mount, a long one in parts, the halves of a stereo card each alone.

And where paper shows beside pictures: around ovals, between the prints of a page, under captions and text.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image
from scipy.spatial import ConvexHull

from colorjax.inference import pixels

LONG = 2.5  # times as long as wide: what is longer is shown in parts, and no part is longer, but for padding
LONGEST = 16  # what is longer still is shown at a smaller scale
MULTIPLE = 32  # the network's coarsest map, to which sizes are padded
_SHARED = 0.4  # of the short side, at least: what two parts both show
LOOKED_AT = 192  # pixels of the short side of the copy in which mounts and twins are looked for
_PLAIN, _OF_A_LINE = 0.05, 0.92  # a line of a mount: so near to one grey, in so much of it
_ALIKE = 0.12  # greys of the four sides of one mount
_THINNEST, _WIDEST = 0.015, 0.3  # of a side of the photograph: mounts
_THIN, _MOUNTS = 2, 3  # lines of ink between two mounts, at most; mounts in one another: a scanner's bed, card, white margin
_TWINS = 0.8  # correlation of the halves of a stereo card, beside what each row has in common: any sky is like itself
_FARTHEST = 0.12  # of the width of a half: how far one of them lies from the other
_FINER = 4  # times as fine as that is a copy in which paper is looked for: there is some between lines of text
_RING = 12  # of its pixels around a frame show the grey of the mount
_WRITING = 40  # of its pixels, across: what is narrower on paper is no picture
_BLANK = 0.6  # of a line of writing, at least, is blank
_NOTHING = 0.03  # contrast of a page on which there is nothing
_FULL = 0.9  # of its box, at least, in a picture that is a rectangle: an oval fills 0.79
_UNLIKE = 0.06  # of its box, at most: where an oval or a tilted print is not as in a mirror, or upside down
_LITTLE = 0.002  # of what is inside of a mount: so little paper is none
_STAYS = 0.05  # weight of the wish that a part keeps its colour, against that of agreeing with its neighbours


class Frame(NamedTuple):
    """top, left, bottom, right: pixels of the photograph without its mount. twins: it is a stereo card."""

    top: int
    left: int
    bottom: int
    right: int
    twins: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width inside."""
        return self.bottom - self.top, self.right - self.left

    def scaled(self, onto: tuple[int, int], shape: tuple[int, int], multiple: int) -> tuple[slice, slice]:
        """Rows and columns of it in a copy of shape `onto` of a photograph of `shape`, in whole multiples."""
        edges = ((self.top, self.bottom), (self.left, self.right))
        spans = []
        for (first, last), small, large in zip(edges, onto, shape, strict=True):
            low, high = (round(edge * small / large / multiple) * multiple for edge in (first, last))
            spans.append(slice(min(low, small - multiple), max(high, min(low, small - multiple) + multiple)))
        return spans[0], spans[1]


def of(image: np.ndarray) -> Frame:
    """The frame of a photograph as `Colorizer` takes it."""
    shape = height, width = image.shape[:2]
    if _is_odd(shape):
        return Frame(0, 0, height, width)
    small = _glance(image)
    box = _without_mount(small)
    twins = _are_twins(small[box.top : box.bottom, box.left : box.right])
    if box.shape == small.shape:
        return Frame(0, 0, height, width, twins)
    up = [side / little for side, little in zip(shape, small.shape, strict=True)]
    return Frame(*(round(edge * up[i % 2]) for i, edge in enumerate(box[:4])), twins)


def on_paper(image: np.ndarray) -> tuple[Frame, Bool[np.ndarray, "h w"] | None]:
    """The frame of a photograph, close around its pictures, and on a small copy of all of it where paper shows; None: nowhere.

    Within a mount all that is of its grey in whole lines between pictures is paper, too, with what is written on it, and so
    are the corners around an oval. Of a picture of one grey, an empty page with or without writing, all is paper.
    """
    frame, shape = of(image), image.shape[:2]
    if _is_odd(shape):
        return frame, None
    if frame.shape == shape:
        return frame, _empty_page(image)
    grey = _glance(image, _FINER)
    small = (grey.shape[0] // _FINER, grey.shape[1] // _FINER)
    box = frame.scaled(grey.shape, shape, _FINER)
    around = tuple(slice(max(0, span.start - _RING), span.stop + _RING) for span in box)
    ring = grey.copy()
    ring[box] = np.nan
    plain = np.abs(grey - np.nanmedian(ring[around])) < _PLAIN
    paper = np.ones(small, bool)
    for place in _pictures(plain, box):
        _spare(paper, plain, place)
    inside = paper[tuple(slice(span.start // _FINER, span.stop // _FINER) for span in box)]
    if inside.mean() < _LITTLE:
        return frame, None
    return frame if inside.all() else _closer(frame, ~inside), paper


def _empty_page(image: np.ndarray) -> Bool[np.ndarray, "h w"] | None:
    """All of a small copy of a picture that is of one grey but for darker writing, as a photograph's back; None: it is not."""
    small = _glance(image)
    if (np.abs(small - np.median(small)) < _PLAIN).mean() < _BLANK or (np.ptp(small) > 0.5 > np.median(small)):
        return None  # lights at night are no writing
    grey = _glance(image, _FINER)
    plain = np.abs(grey - np.median(grey)) < _PLAIN
    places = _pictures(plain, (slice(0, grey.shape[0]), slice(0, grey.shape[1])))
    return None if any(plain[place].mean() < _BLANK for place in places) else np.ones(small.shape, bool)


def _pictures(plain: Bool[np.ndarray, "h w"], box: tuple[slice, slice], whole: int = 0) -> list[tuple[slice, slice]]:
    """Boxes of what no plain line crosses, inside of a box; none of writing. Nagy and Seth 1984: recursive cuts of a page.

    whole: along how many axes it was found to be in one piece.
    """
    if whole == 2:
        return [box]
    lines = np.pad(plain[box].mean(axis=1) <= _OF_A_LINE, 1)
    edges = np.flatnonzero(lines[1:] != lines[:-1]) + box[0].start
    spans = [slice(first, last) for first, last in edges.reshape(-1, 2) if last - first >= _WRITING]
    whole = whole + 1 if spans == [box[0]] else 0
    parts = (_pictures(plain.T, (box[1], span), whole) for span in spans)
    return [(rows, columns) for part in parts for columns, rows in part]


def _spare(paper: Bool[np.ndarray, "h w"], plain: Bool[np.ndarray, "H W"], place: tuple[slice, slice]) -> None:
    """Leave a picture's box out of the paper; of an oval, an arch or a tilted print the convex hull of what is not plain.

    These are like their mirror image, or like themselves upside down. A sky as white as the paper in one corner is not.
    """
    top, left = (span.start // _FINER for span in place)
    bottom, right = (-(-span.stop // _FINER) for span in place)
    part = plain[top * _FINER : bottom * _FINER, left * _FINER : right * _FINER]
    other = part.reshape(bottom - top, _FINER, right - left, _FINER).mean((1, 3)) <= 0.5
    points = np.argwhere(other)
    if np.linalg.matrix_rank(points - points[:1]) < 2:
        return
    hull = ConvexHull(points).equations
    grid = np.moveaxis(np.indices(other.shape), 0, -1)
    inside = (grid @ hull[:, :2].T + hull[:, 2] < 1e-6).all(-1)
    unlike = min((inside != inside[:, ::-1]).mean(), (inside != inside[::-1, ::-1]).mean())
    paper[top:bottom, left:right] &= ~inside if inside.mean() < _FULL and unlike < _UNLIKE else False


def _closer(frame: Frame, pictures: Bool[np.ndarray, "h w"]) -> Frame:
    """A frame without the rows and columns at its edges in which there are no pictures."""
    down, right = (np.flatnonzero(pictures.any(axis)) for axis in (1, 0))
    up, across = (side / small for side, small in zip(frame.shape, pictures.shape, strict=True))
    top, left = frame.top + round(down[0] * up), frame.left + round(right[0] * across)
    return frame._replace(
        top=top,
        left=left,
        bottom=frame.top + round((down[-1] + 1) * up),
        right=frame.left + round((right[-1] + 1) * across),
    )


def _is_odd(shape: tuple[int, ...]) -> bool:
    """Whether a photograph is too small or too long for a mount."""
    return min(shape) < 16 or max(shape) > LONGEST * min(shape)


def _glance(image: np.ndarray, finer: int = 1) -> Float[np.ndarray, "h w"]:
    """A small grey copy, or one so many times finer; of a large photograph a part of the pixels will do.

    Its contrast is the whole of it: what has faded to nearly one grey is no mount and no empty page.
    """
    shape = image.shape[:2]
    step = max(1, min(shape) // (4 * LOOKED_AT))
    scale = min(1.0, LOOKED_AT / min(shape))
    grey = pixels.small_grey(image[::step, ::step], tuple(finer * round(side * scale) for side in shape))
    low, high = np.percentile(grey, (0.1, 99.9))
    return grey if high - low < _NOTHING else (grey - low) / (high - low)


def _without_mount(grey: Float[np.ndarray, "h w"]) -> Frame:
    """The frame inside of a mount, of others in that, and of lines of ink on them; all where there is none.

    A mount is plain on all four sides, of about one grey: a plain sky or backdrop is none.
    """
    box = Frame(0, 0, *grey.shape)
    for _ in range(_MOUNTS):
        inside = grey[box.top : box.bottom, box.left : box.right]
        sides = [_plain_lines(lines) for lines in (inside, inside.T, inside[::-1], inside.T[::-1])]
        greys = [level for _, level in sides]
        if any(count == 0 for count, _ in sides) or max(greys) - min(greys) > _ALIKE:
            break
        top, left, bottom, right = (count for count, _ in sides)
        box = Frame(box.top + top, box.left + left, box.bottom - bottom, box.right - right)
    return box


def _plain_lines(lines: Float[np.ndarray, "n k"]) -> tuple[int, float]:
    """How many of the first lines are a mount, and its grey; 0 where they are too few, or more than a mount may have.

    A mount may begin with a thin line of ink, or with the slope of another one's window.
    """
    for skipped in (0, _THIN):
        rest = lines[skipped:]
        level = float(np.median(rest[: max(1, round(_THINNEST * len(lines)))]))
        plain = (np.abs(rest - level) < _PLAIN).mean(axis=1) > _OF_A_LINE
        count = len(rest) if plain.all() else int(np.argmin(plain))
        if count and _THINNEST * len(lines) <= count and skipped + count <= _WIDEST * len(lines):
            return skipped + count, level
    return 0, 0.0


def _are_twins(grey: Float[np.ndarray, "h w"]) -> bool:
    """Whether the halves are two views of one scene, side by side: those of a stereo card."""
    height, width = grey.shape
    if not 1.4 <= width / height <= LONG:
        return False
    size = (2 * round(24 * width / height), 48)
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    half = small.shape[1] // 2
    reach = max(1, round(_FARTHEST * half))
    middle = small[:, reach : half - reach]
    shifted = (small[:, half + at : half + at + middle.shape[1]] for at in range(2 * reach + 1))
    return max(_correlation(middle, other) for other in shifted) > _TWINS


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = (view - view.mean(axis=1, keepdims=True) for view in (one, other))
    return float((one * other).sum() / max(np.sqrt((one**2).sum() * (other**2).sum()), 1e-6))


def parts(shape: tuple[int, int], twins: bool, multiple: int) -> list[slice]:
    """Where along its long side what the network sees, of this shape, is shown in parts, which overlap; whole: one.

    As few as there can be, all of one length: that to which they would be padded. multiple: of which they begin and end.
    """
    length, short = max(shape), min(shape)
    wide = max(short, MULTIPLE)
    if twins:
        half = round(length / 2 / multiple) * multiple
        return [slice(0, half), slice(half, length)]
    if length <= LONG * wide:
        return [slice(0, length)]
    count = math.ceil((length / wide - _SHARED) / (LONG - _SHARED))
    part = (length + (count - 1) * _SHARED * wide) / count
    part = min(length, math.ceil(part / padded(short)) * padded(short))
    starts = [round(at / multiple) * multiple for at in np.linspace(0, length - part, count)]
    return [slice(start, min(start + part, length)) for start in starts]


def padded(short: int) -> int:
    """Of what the longer side is a multiple as the network sees it: a dozen lengths for a width, so that few are compiled."""
    return -(-short // (4 * MULTIPLE)) * MULTIPLE


def answered(
    seen: Float[np.ndarray, "h w c"], twins: bool, answer: int, ask: Callable[[np.ndarray], np.ndarray]
) -> Float[np.ndarray, "_ _ 2"]:
    """The network's answer for all that is seen, put together from those for its parts; h and w are multiples of `answer`.

    ask: what is seen (h, w, c) -> the answer (h / answer, w / answer, 2). Each part is shifted in colour so that it agrees
    with its neighbours where they overlap, as far as that takes little (Brown and Lowe 2007, section 6: gain compensation).
    """
    upright = seen.shape[0] > seen.shape[1] and not twins
    spans = parts(seen.shape[:2], twins, answer)
    if len(spans) == 1:
        return ask(seen)
    axis = 0 if upright else 1
    views = [seen[span] if upright else seen[:, span] for span in spans]
    answers = [np.moveaxis(ask(view), axis, 0) for view in views]
    places = [slice(span.start // answer, span.stop // answer) for span in spans]
    offsets = _offsets(answers, places, twins)
    length, across = seen.shape[axis] // answer, answers[0].shape[1]
    total, weights = np.zeros((length, across, 2), np.float32), np.zeros((length, 1, 1), np.float32)
    for part, place, offset in zip(answers, places, offsets, strict=True):
        count = len(part)
        rise = np.minimum(np.arange(count) + 0.5, count - np.arange(count) - 0.5).astype(np.float32)[:, None, None]
        weight = np.ones_like(rise) if twins else rise
        total[place] += weight * (part + offset)
        weights[place] += weight
    return np.moveaxis(total / weights, 0, axis)


def _offsets(answers: list[np.ndarray], places: list[slice], twins: bool) -> Float[np.ndarray, "n 2"]:
    """What is added to each part's chroma: least squares of the differences where parts overlap; twins get one mean."""
    means = np.stack([answer.mean((0, 1)) for answer in answers])
    if twins:
        return (means.mean(0) - means).astype(np.float32)
    system, wanted = [], []
    for i in range(len(answers) - 1):
        low, high = places[i + 1].start, places[i].stop
        one = answers[i][low - places[i].start : high - places[i].start].mean((0, 1))
        other = answers[i + 1][: high - low].mean((0, 1))
        row = np.zeros(len(answers))
        row[i], row[i + 1] = 1, -1
        system.append(row)
        wanted.append(other - one)
    system += list(np.sqrt(_STAYS) * np.eye(len(answers)))
    wanted += [np.zeros(2)] * len(answers)
    return np.linalg.lstsq(np.stack(system), np.stack(wanted), rcond=None)[0].astype(np.float32)
