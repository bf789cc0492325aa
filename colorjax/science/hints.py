"""Hints: colours that somebody chose for points of a photograph. Read, checked, and drawn as what a network sees of them."""

import json
import math
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from reprlib import repr as brief
from typing import Any, NamedTuple

import numpy as np

from colorjax import photos
from colorjax.science import color

SUFFIX = photos.HINTS  # after the whole name of a photograph
LIMIT = 1000  # hints of one photograph
OBJECT, SOFT = REACHES = ("object", "soft")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,3})?) ?%", re.ASCII)
_WRITTEN = "X,Y,#RRGGBB, as 120,340,#23408e, and may go on with soft or object, and a radius as 20%"
_LARGEST_FILE = 2**20  # bytes
_SIDE = 5 / 256  # see `side`


class HintError(ValueError):
    """A hint that is malformed, or outside its photograph, or that a network cannot follow."""


class Hint(NamedTuple):
    """At column x and row y, from 0, of the upright photograph, the colour is `rgb` (three of 0..255, sRGB).

    Its a* and b* count; the lightness there is the photograph's. reach: "object", its colour goes as far as what lies at its
    point; "soft", as far as the network likes. radius: no farther than that, in any case; up to 1 it is a share of the
    photograph's shorter side, above in pixels; None for no such bound.
    """

    x: int
    y: int
    rgb: tuple[int, int, int]
    reach: str = OBJECT
    radius: float | None = None

    @property
    def is_bounded(self) -> bool:
        """Whether its colour stops somewhere, by itself."""
        return self.reach == OBJECT or self.radius is not None

    def radius_in(self, shape: tuple[int, ...]) -> float:
        """Its radius in pixels of a photograph (H, W, ...); infinite for none."""
        if self.radius is None:
            return math.inf
        return self.radius * min(shape[:2]) if self.radius <= 1 else self.radius

    @property
    def color(self) -> str:
        """As "#23408e"."""
        return "#{:02x}{:02x}{:02x}".format(*self.rgb)

    def as_dict(self) -> dict[str, Any]:
        """As in a file of hints."""
        how = {"reach": self.reach} if self.reach != OBJECT else {}
        return {"x": self.x, "y": self.y, "color": self.color} | how | ({} if self.radius is None else {"radius": self.radius})


def parse(text: str) -> Hint:
    """A hint written as "120,340,#23408e"; behind that may stand "soft" and a radius, as "120,340,#23408e,soft,20%".

    Raises HintError.
    """
    parts = [part.strip() for part in text.split(",")]
    x, y, rgb, *more = parts if len(parts) >= 3 else ("", "", "")
    reach = [part for part in more if part in REACHES]
    share = [found for part in more if (found := _SHARE.fullmatch(part))]
    numbers = all(re.fullmatch(r"\d{1,9}", part, re.ASCII) for part in (x, y))
    if not numbers or max(len(reach), len(share)) > 1 or len(reach) + len(share) < len(more):
        raise HintError(f"hint {text!r} is not valid; it is written as {_WRITTEN}")
    radius = _radius(float(share[0][1]) / 100) if share else None
    return Hint(int(x), int(y), _rgb(rgb), reach[0] if reach else OBJECT, radius)


def read(path: str | os.PathLike) -> tuple[Hint, ...]:
    """The hints in a file: {"hints": [{"x": 120, "y": 340, "color": "#23408e"}, ...]}. Raises HintError, OSError."""
    with open(path, "rb") as stream:
        data = stream.read(_LARGEST_FILE + 1)
    name = Path(path).name
    if len(data) > _LARGEST_FILE:
        raise HintError(f"{name} is larger than a file of hints can be ({_LARGEST_FILE} bytes)")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise HintError(f"{name} is no JSON: {error}") from error
    rows = content.get("hints") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise HintError(f'{name} holds no hints; it is written as {{"hints": [{{"x": 120, "y": 340, "color": "#23408e"}}]}}')
    try:
        return tuple(of(row) for row in rows)
    except HintError as error:
        raise HintError(f"{name}: {error}") from error


def of(value: Any) -> Hint:
    """A hint of a `Hint`, of (x, y, (r, g, b)), of (x, y, "#rrggbb") or of {"x", "y", "color"}. Raises HintError.

    A reach may follow, and a radius; in a dictionary as "reach" and "radius".
    """
    if isinstance(value, dict) and value.keys() >= {"x", "y", "color"}:  # and what somebody may have noted beside them
        how = value.get("reach"), value.get("radius")
        value = (value["x"], value["y"], value["color"], OBJECT if how[0] is None else how[0], how[1])
    if not isinstance(value, Sequence) or isinstance(value, str) or not 3 <= len(value) <= 5:
        way = "; hints.parse reads one that is written" if isinstance(value, str) else ""
        raise HintError(f"hint {brief(value)} is not valid; it has x, y and a color{way}")
    x, y, rgb, *more = value
    reach, radius = (more + [OBJECT, None][len(more) :])[:2]
    if not (_is_integer(x) and _is_integer(y)):
        raise HintError(f"hint {brief(value)}: x and y must be whole numbers of pixels")
    if reach not in REACHES:
        raise HintError(f"hint's reach {brief(reach)} is unknown; it is {' or '.join(REACHES)}")
    return Hint(int(x), int(y), _rgb(rgb), reach, None if radius is None else _radius(radius))


def _radius(value: Any) -> float:
    sound = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not (sound and 0 < value < 10**6):
        raise HintError(
            f"hint's radius {brief(value)} is not valid; it is a share of the shorter side, as 0.2, or above 1 in pixels"
        )
    return float(value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _rgb(value: Any) -> tuple[int, int, int]:
    if isinstance(value, str):
        if not _COLOR.fullmatch(value):
            raise HintError(f"hint's color {brief(value)} is not valid; it is written as #RRGGBB, as #23408e")
        red, green, blue = bytes.fromhex(value[1:])
        return red, green, blue
    levels = tuple(value) if isinstance(value, Sequence | np.ndarray) else ()
    if len(levels) != 3 or not all(_is_integer(level) and 0 <= level <= 255 for level in levels):
        raise HintError(f"hint's color {brief(value)} is not valid; it is (r, g, b), three whole numbers of 0..255")
    red, green, blue = map(int, levels)
    return red, green, blue


def checked(values: Iterable[Any] | None, shape: tuple[int, ...] | None) -> tuple[Hint, ...]:
    """Hints, each as `of` takes it, of a photograph (H, W, ...); of several at one point the last. Raises HintError.

    shape: None where it is not known yet.
    """
    if isinstance(values, str | dict) or (isinstance(values, Sequence) and len(values) > 1 and _is_integer(values[0])):
        raise HintError(f"hints {brief(values)} is one hint alone; give a list of them, as [(120, 340, '#23408e')]")
    hints = {(hint.x, hint.y): hint for hint in map(of, () if values is None else values)}
    if len(hints) > LIMIT:
        raise HintError(f"{len(hints)} hints are too many; a photograph may have {LIMIT}")
    height, width = shape[:2] if shape else (math.inf, math.inf)
    for hint in hints.values():
        if not (0 <= hint.x < width and 0 <= hint.y < height):
            size = f" of {width}x{height} pixels" if shape else ""
            raise HintError(f"hint {hint.x},{hint.y},{hint.color} is outside the photograph{size}")
    return tuple(hints.values())


def side(shape: tuple[int, int]) -> int:
    """Side of the square that one hint colours in what a network sees, (h, w) pixels: about 1/50 of it, odd, at least 3."""
    return max(3, round(_SIDE * min(shape)) | 1)


def drawn(hints: Sequence[Hint], shape: tuple[int, int], onto: tuple[int, int]) -> np.ndarray:
    """What a network sees of hints: (h, w, 3) float32, chroma (ab/110) and 1 where there is a hint, 0 elsewhere.

    shape: (H, W) of the photograph. onto: (h, w) of the network's copy of it. Each hint colours a square of `side`; where
    squares of different hints meet, the nearer one counts.
    """
    result, nearest = np.zeros((*onto, 3), np.float32), np.full(onto, np.inf, np.float32)
    reach = side(onto) // 2
    colors = color.rgb_to_lab(np.array([hint.rgb for hint in hints], np.float32).reshape(-1, 3) / 255)[:, 1:] / 110
    for hint, chroma in zip(hints, colors, strict=True):
        # Of pixels' centres: that of the photograph's first pixel lies at 0.5.
        places = ((at + 0.5) * small / large - 0.5 for at, small, large in zip(hint[1::-1], onto, shape, strict=True))
        y, x = (min(max(round(place), 0), small - 1) for place, small in zip(places, onto, strict=True))
        square = slice(max(0, y - reach), y + reach + 1), slice(max(0, x - reach), x + reach + 1)
        rows, columns = np.ogrid[square]
        height, width = nearest[square].shape
        distance = np.hypot(rows[:height] - y, columns[:, :width] - x)
        closer = distance < nearest[square]
        nearest[square][closer] = distance[closer]
        result[square][closer] = (*chroma, 1)
    return result
