"""Hints of a film: colours that somebody chose for points of some frames, carried along the flow to the others."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from colorjax.film import flow
from colorjax.film.following import small
from colorjax.science import color
from colorjax.science.hints import OBJECT, Hint

_LOST = 0.3  # mean trust around a point, below which what it stood for is not seen any more
_AROUND = 3  # pixels to each side of a point that move with it
_LIGHTNESSES = np.linspace(15, 95, 33, dtype=np.float32)


class Point(NamedTuple):
    """A hint in a film. x, y: in 0..1 of width and height. a, b: Lab units. reach, radius: as `hints.Hint` has them, but the
    radius is always a share of the frame's shorter side."""

    x: float
    y: float
    a: float
    b: float
    reach: str = OBJECT
    radius: float | None = None


class Span(NamedTuple):
    """How far a hint came: given for frame `frame` (the `number`-th there, from 0), it holds from `first` to `last`."""

    frame: int
    number: int
    first: int
    last: int


def carried(
    luma: Sequence[Float[np.ndarray, "H W"]], hints: Mapping[int, Sequence[Point]], side: int
) -> tuple[dict[int, list[Point]], list[Span]]:
    """The hints of every frame that they come to, and how far each comes.

    luma: L* of a shot's frames. side: long side of the flow. Raises ValueError for a frame that the shot has not.
    """
    for frame in hints:
        if not 0 <= frame < len(luma):
            raise ValueError(f"a hint is for frame {frame} of the shot, which has the frames 0 to {len(luma) - 1}")
    told = {frame: [Point(*point) for point in points] for frame, points in hints.items()}
    spans = {(frame, number): [frame, frame] for frame, points in hints.items() for number in range(len(points))}
    for step, end in ((1, 1), (-1, 0)):
        alive: dict[tuple[int, int], Point] = {}
        for frame in range(len(luma))[::step]:
            alive |= {(frame, number): Point(*point) for number, point in enumerate(hints.get(frame, ()))}
            if alive and 0 <= frame + step < len(luma):
                way = flow.between(*(small(luma[at], side) for at in (frame, frame + step)))[0]
                alive = {name: moved for name, point in alive.items() if (moved := _moved(point, way)) is not None}
                told.setdefault(frame + step, []).extend(alive.values())
                for name in alive:
                    spans[name][end] = frame + step
    return told, [Span(*name, *span) for name, span in sorted(spans.items())]


def _moved(point: Point, way: flow.Way) -> Point | None:
    """Where a way brings a point; None where it is lost."""
    height, width = way.shape[:2]
    column, row = min(int(point.x * width), width - 1), min(int(point.y * height), height - 1)
    rows = slice(max(0, row - _AROUND), row + _AROUND + 1)
    columns = slice(max(0, column - _AROUND), column + _AROUND + 1)
    near = way[rows, columns] - flow.stay((height, width))[rows, columns]
    trust = way[rows, columns, 2]
    if trust.mean() < _LOST:
        return None
    right, down = (np.average(near[..., i], weights=trust) for i in (0, 1))
    x, y = point.x + float(right) / width, point.y + float(down) / height
    return point._replace(x=x, y=y) if 0 <= x < 1 and 0 <= y < 1 else None


def given(points: Iterable[Point], shape: tuple[int, int]) -> list[Hint]:
    """Hints as a `Colorizer` takes them, of a picture of `shape`: (H, W).

    Of a colour its a* and b* count, so that it is shown at a lightness at which sRGB has them, or nearly.
    """
    height, width = shape
    hints = []
    for x, y, a, b, reach, radius in (Point(*point) for point in points):
        lab = np.stack([_LIGHTNESSES, np.full_like(_LIGHTNESSES, a), np.full_like(_LIGHTNESSES, b)], axis=-1)
        rgb = np.round(color.lab_to_rgb(color.fit_to_gamut(lab)) * np.float32(255))
        missed = np.hypot(*(color.rgb_to_lab(rgb / np.float32(255))[:, 1:] - lab[:, 1:]).T)
        red, green, blue = (int(level) for level in rgb[missed.argmin()])
        place = min(max(int(x * width), 0), width - 1), min(max(int(y * height), 0), height - 1)
        if radius is not None and radius > 1:  # no share: a hint then has its radius in pixels
            radius *= min(shape)
        hints.append(Hint(*place, (red, green, blue), reach, radius))
    return hints


class Spool:
    """Planes of one shape in a temporary file, in 16 bits: as many as there are, in no memory."""

    def __init__(self, planes: Iterable[Float[np.ndarray, "h w"]]):
        self._file, self._count = tempfile.TemporaryFile(), 0  # noqa: SIM115, it is closed with the spool
        for plane in planes:
            self._shape = plane.shape
            self._file.write(plane.astype(np.float16).tobytes())
            self._count += 1

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Float[np.ndarray, "h w"]:
        """Float32. Raises IndexError outside."""
        if not 0 <= index < self._count:
            raise IndexError(index)
        height, width = self._shape
        self._file.seek(2 * height * width * index)
        return np.frombuffer(self._file.read(2 * height * width), np.float16).reshape(self._shape).astype(np.float32)

    def __iter__(self) -> Iterator[Float[np.ndarray, "h w"]]:
        return (self[index] for index in range(self._count))

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing of it is left."""
        self._file.close()
