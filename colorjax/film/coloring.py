"""Pictures of a film through the network, with decoding before it and encoding behind it at the same time."""

import functools
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

import cv2
import numpy as np

from colorjax.film import carrying, chroma, steadying
from colorjax.film.dissolves import Dissolves
from colorjax.film.lists import Shot
from colorjax.inference import pixels
from colorjax.inference.upsampling import Upsampler
from colorjax.science import color

AHEAD = 8  # frames that wait between two stages
Item = TypeVar("Item")


class Picture(Protocol):
    """A frame that waits for its colours: what it is reduced to, and all that is needed to write it."""

    def seen(self, size: int) -> np.ndarray:
        """L* 0..100 (h, w) float32, its long side at most `size` pixels, upright."""


class Pose(NamedTuple):
    """How a stored picture comes upright: by quarter turns, anticlockwise, and then as in a mirror, left to right, or not."""

    turns: int = 0
    mirrored: bool = False

    def shown(self, plane: np.ndarray) -> np.ndarray:
        """A plane (h, w, ...) as players show it."""
        turned = np.rot90(plane, self.turns)
        return np.ascontiguousarray(turned[:, ::-1] if self.mirrored else turned)

    def stored(self, plane: np.ndarray) -> np.ndarray:
        """A plane that is shown, as it is stored."""
        return np.ascontiguousarray(np.rot90(plane[:, ::-1] if self.mirrored else plane, -self.turns))


UPRIGHT = Pose()  # of a picture that is stored as it is shown


class Coloured(NamedTuple):
    """A frame of a shot, and what the network says of it: L* (h, w) that it saw, ab (h, w, 2)."""

    shot: Shot
    picture: Any
    lightness: np.ndarray
    ab: np.ndarray


def coloured(
    pictures: Callable[[list[Shot]], Iterable[Picture]],
    shots: list[Shot],
    colorizer: Any,
    settings: steadying.Settings,
    hints: Callable[[Shot], dict[int, list]],
    told: Callable[[Shot, carrying.Span], None],
) -> Iterator[Coloured]:
    """Every frame of these shots in turn; `pictures` gives those of some shots. Shots with hints are asked for twice: all their
    frames are looked at before the first has its colours, and would not fit into memory. So are those around dissolves.

    Frames are read, and the network and what steadies it work, in threads of their own. told: hears how far each hint of a
    shot came, before the shot's first frame is there.
    """

    def looked_at() -> Iterator[tuple[Picture, np.ndarray]]:
        for picture in pictures(shots):
            yield _looked_at(picture, settings)

    def lightness(parts: list[Shot]) -> Generator[np.ndarray]:
        for picture in pictures(parts):
            yield picture.seen(settings.size)

    def answers() -> Iterator[Coloured]:
        again = iter(pictures([shot for shot in shots if hints(shot)]))
        with ahead(looked_at()) as frames, Dissolves(lightness, shots, colorizer, settings, hints) as dissolves:
            for shot in shots:
                own = _shot(frames, again, shot, colorizer, settings, hints(shot), functools.partial(told, shot))
                for number, answer in enumerate(own, shot.first):
                    yield answer._replace(ab=dissolves.mixed(shot, number, answer.ab))

    with ahead(answers()) as found:
        yield from found


def _shot(
    frames: Iterator[tuple[Picture, np.ndarray]],
    again: Iterator[Picture],
    shot: Shot,
    colorizer: Any,
    settings: steadying.Settings,
    hints: dict,
    told: Callable[[carrying.Span], None],
) -> Iterator[Coloured]:
    waiting: deque[tuple[Picture, np.ndarray] | None] = deque()

    def luma() -> Iterator[np.ndarray]:
        for _ in range(shot.end - shot.first):
            frame = next(frames, None)
            if frame is None:
                return
            waiting.append(None if hints else frame)
            yield frame[1]

    for ab in steadying.color_shot(luma(), colorizer, settings, hints or None, told=told):
        picture, lightness = waiting.popleft() or _looked_at(next(again), settings)
        yield Coloured(shot, picture, lightness, ab)
    if waiting:
        raise RuntimeError(f"{len(waiting)} frames of the shot at {shot.first} were given no colour")


def _looked_at(picture: Picture, settings: steadying.Settings) -> tuple[Picture, np.ndarray]:
    return picture, picture.seen(settings.size)


class ahead(Iterator[Item]):
    """An iterator that a thread runs a few items ahead. Use it in a `with`: then the thread ends with the block."""

    def __init__(self, items: Iterator[Item], size: int = AHEAD):
        self._items, self._queue, self._stopped = items, queue.Queue(size), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "ahead[Item]":
        self._thread.start()
        return self

    def _put(self, item: tuple[str, Any]) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put(("item", item)):
                    break
            else:
                self._put(("end", None))
        except BaseException as error:
            self._put(("error", error))
        finally:
            close = getattr(self._items, "close", None)
            if close:
                close()

    def __next__(self) -> Item:
        kind, value = self._queue.get()
        if kind == "item":
            return value
        self._queue.put((kind, value))  # for whoever asks again
        if kind == "error":
            raise value
        raise StopIteration

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()


def working_shape(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """(h, w) of what a frame (H, W) is reduced to: its long side is `size` pixels, or as it is."""
    scale = min(1.0, size / max(shape))
    height, width = (max(1, round(side * scale)) for side in shape)
    return height, width


@dataclass
class Video:
    """A frame whose Y' stays: its plane, how its codes are to be read, and how it comes upright."""

    luma: np.ndarray
    coding: chroma.Coding
    pose: Pose
    pts: int
    is_interlaced: bool

    def seen(self, size: int) -> np.ndarray:
        """See `Picture`."""
        shape = working_shape(self.luma.shape, size)
        small = cv2.resize(self.luma, shape[::-1], interpolation=cv2.INTER_AREA)
        return self.pose.shown(chroma.lightness_table(self.coding)[small])

    def painted(self, answer: Coloured, strength: float, coding: chroma.Coding, layout: str) -> chroma.Painted:
        """Cb and Cr for it; in strips, which bounds the memory."""
        lightness, ab = map(self.pose.stored, (answer.lightness, answer.ab))
        scaled, own, luma = Upsampler(lightness, ab, self.luma.shape), chroma.lightness_table(self.coding), self.recoded(coding)
        found: dict[int, chroma.Painted] = {}

        def strip(rows: slice) -> None:
            full = np.float32(strength) * scaled.rows(rows, own[self.luma[rows]])
            found[rows.start] = chroma.paint(luma[rows], full, coding, layout)

        pixels.each(strip, pixels.strips(luma.shape, multiple=2))
        cb, cr, moved, colour = zip(*(found[top] for top in sorted(found)), strict=True)
        share = np.array([len(plane) for plane in cb]) / sum(map(len, cb))
        return chroma.Painted(np.concatenate(cb), np.concatenate(cr), float(share @ moved), float(share @ colour))

    def recoded(self, coding: chroma.Coding) -> np.ndarray:
        """Y' in the codes of a target; the plane itself where they are the same."""
        if (coding.full, coding.bits) == (self.coding.full, self.coding.bits):
            return self.luma
        (black, white), (low, high) = self.coding.luma, coding.luma
        codes = np.arange(2**self.coding.bits) - black
        table = np.clip(np.round(codes * ((high - low) / (white - black)) + low), 0, 2**coding.bits - 1)
        return table.astype(coding.dtype)[self.luma]


@dataclass
class Levels:
    """A frame whose L* stays: grey (H, W) or RGB (H, W, 3), of so many bits."""

    image: np.ndarray
    bits: int
    pose: Pose = UPRIGHT
    pts: int = 0
    is_interlaced: bool = False
    about: Any = field(default=None, repr=False)  # what else is needed to write it

    def __post_init__(self) -> None:
        if self.bits not in (8, 16):  # levels of 16 bits, as photographs have them
            self.image = ((self.image.astype(np.uint32) * 65535 + self._top // 2) // self._top).astype(np.uint16)

    @property
    def _top(self) -> int:
        return 2**self.bits - 1

    def seen(self, size: int) -> np.ndarray:
        """See `Picture`."""
        small = pixels.small_grey(self.image, working_shape(self.image.shape[:2], size))
        return self.pose.shown(color.grey_to_lightness(small))

    def painted(self, answer: Coloured, strength: float) -> tuple[np.ndarray, float, float]:
        """(R, G and B as levels of its own bits (H, W, 3), mean |dL*|, mean chroma)."""
        lightness, ab = map(self.pose.stored, (answer.lightness, answer.ab))
        image, scaled = self.image, Upsampler(lightness, ab, self.image.shape[:2])
        result = np.empty((*image.shape[:2], 3), image.dtype)

        def strip(rows: slice) -> None:
            own = pixels.lightness(image[rows])
            result[rows] = pixels.join(own, strength * scaled.rows(rows, own), image.dtype)

        pixels.each(strip, pixels.strips(image.shape[:2]))
        if self.bits not in (8, 16):
            result = ((result.astype(np.uint32) * self._top + 32767) // 65535).astype(np.uint16)
            shown = (result.astype(np.uint32) * 65535 // self._top).astype(np.uint16)
        else:
            shown = result
        moved = pixels.lightness_difference(image, shown)[1]
        return result, moved, pixels.mean_chroma(shown)
