"""Many photographs to colour: planned first, then read, coloured and written side by side; one that fails is named. And one
alone, for programs."""

import functools
import os
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from colorjax import checkpoint, photos
from colorjax.archive import places, transfer, urls
from colorjax.archive.colorize_one import Copier, Page, Reading
from colorjax.archive.plan import Job, Options, Outcome, foresee
from colorjax.archive.urls import Url
from colorjax.inference.colorizer import Colorizer
from colorjax.platform import usage
from colorjax.science import hints as chosen

T = TypeVar("T")
_IN_FLIGHT_PIXELS = 24 * 2**20  # read, not yet written: together no more than so many, or one photograph
_AHEAD = 4  # photographs that may wait to be coloured, and as many to be written


def load(ckpt: str, size: int | None, flip: bool, engine: str = "auto") -> Colorizer:
    """The `Colorizer` of a checkpoint, by path, URL or "pretrained". Raises as `Colorizer.from_checkpoint` does."""
    if ckpt == checkpoint.PRETRAINED:
        return Colorizer.pretrained(size, flip=flip, engine=engine)
    if not isinstance(url := urls.place(ckpt), Url):
        return Colorizer.from_checkpoint(url, size, flip=flip, engine=engine)
    with tempfile.TemporaryDirectory(prefix="colorjax-") as folder:
        return Colorizer.from_checkpoint(urls.fetch_folder(url, Path(folder)), size, flip=flip, engine=engine)


def colorize_file(
    source: str | os.PathLike,
    target: str | os.PathLike | None = None,
    *,
    colorizer: Colorizer | None = None,
    hints: Iterable[Any] | None = None,
    **settings: Any,
) -> Outcome:
    """Colour one file, with all that `colorjax colorize` promises of its copies: size, bit depth, lightness, metadata, mark,
    sidecar; whole or not at all; never in the place of another photograph.

        colorjax.colorize_file("photo.jpg")                                # photo.colorized.jpg beside it
        colorjax.colorize_file("photo.jpg", "result.png", strength=0.8)    # or a folder

    source, target: paths or URLs. colorizer: default the weights inside the package. hints: as `Colorizer` takes them; None
    for those in photo.jpg.hints.json, if there are some. settings: those of `plan.Options`, as overwrite=True.
    Returns what became of it: `job.target` is the copy, `status` "coloured", or "skipped" where the copy is there already.
    Raises FileNotFoundError, ValueError for settings that make no sense and what is no file, TypeError for other types, and
    photos.PhotoError, which says why, where it cannot be coloured.
    """
    known = [setting.name for setting in fields(Options)]
    if unknown := next((name for name in settings if name not in known), None):
        raise TypeError(f"colorize_file has no setting {unknown}{usage.meant(unknown, known)}")
    path, options = _place(source, "source"), Options(**settings)
    out = None if target is None else _place(target, "target")
    photos.allow_large(options.max_pixels)
    if isinstance(path, Path) and not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if isinstance(path, Path) and path.is_dir():
        raise ValueError(f"{path} is a folder; the command colorjax colorize {path} colours what is in it")
    if not list(places.strangers([(path.parent, path)], photos.PassedOver())):
        raise photos.PhotoError(f"{path} is a copy that colorjax made; name the photograph itself")
    if options.variants:
        raise ValueError("variants are made by the command colorjax colorize, or by Colorizer.variants")
    try:
        (job,) = places.planned([(path.parent, path)], [path], out, options)
    except ValueError as error:
        raise ValueError(_of_python(str(error))) from error
    job = replace(job, hints=None if hints is None else chosen.checked(hints, None))
    sweep([job])
    (outcome,) = run([job], colorizer or _pretrained(), options)
    if outcome.status == "failed":
        raise photos.PhotoError(f"{path}: {_of_python(outcome.reason)}")
    return replace(outcome, reason=_of_python(outcome.reason))


def _place(value: str | os.PathLike, name: str) -> Path | Url:
    """What a program names. Raises TypeError for what is no path, ValueError for none at all."""
    if not isinstance(value, str | os.PathLike):
        way = "; Colorizer colours pixels" if hasattr(value, "shape") or hasattr(value, "mode") else ""
        raise TypeError(f"{name} is of type {type(value).__name__}; it must be the path or URL of a file{way}")
    if not os.fspath(value):
        raise ValueError(f"{name} is empty; it must be the path or URL of a file")
    return urls.place(os.fsdecode(value))


def _of_python(words: str) -> str:
    """Words of the console, with the names that its options have here."""
    return words.replace("--out", "target").replace("--overwrite", "overwrite=True")


@functools.cache
def _pretrained() -> Colorizer:
    return Colorizer.pretrained()


def sweep(jobs: list[Job]) -> None:
    """Remove what runs that were killed have left where these copies go."""
    for folder in {job.target.parent for job in jobs if not job.problem and isinstance(job.target, Path)}:
        photos.sweep(folder)


def run(jobs: list[Job], colorizer: Colorizer, options: Options) -> Iterator[Outcome]:
    """Do the jobs; yields what became of each, in their order.

    While one photograph is coloured, others are read and written by threads. Raises FloatingPointError where the weights,
    and not a photograph, are broken.
    """
    copier, room = Copier(colorizer, options), _Room(_IN_FLIGHT_PIXELS)
    waiting: deque[Future] = deque()
    writing: deque[Future] = deque()
    remaining = iter(jobs)

    def read(job: Job) -> Outcome | Reading:
        outcome = foresee(transfer.fetched(job, folder, options), options, copier.made_with)
        if outcome.status == "to refresh":
            return _guarded(lambda: transfer.delivered(copier.refresh(outcome)), outcome, room)
        if outcome.status != "to colour":
            return outcome
        room.enter(outcome.pixels)
        found = _guarded(lambda: copier.read(outcome), outcome, room)
        if isinstance(found, Outcome) and found.status == "skipped":
            room.leave(outcome.pixels)
        return found

    with transfer.room(jobs) as folder, ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(2) as writer:
        try:
            while True:
                while len(waiting) < _AHEAD and (job := next(remaining, None)) is not None:
                    waiting.append(reader.submit(read, job))
                if waiting:
                    writing.append(_colour(waiting.popleft().result(), copier, room, writer))
                while writing and (len(writing) > _AHEAD or not waiting or writing[0].done()):
                    yield transfer.told(writing.popleft().result())
                if not waiting and not writing:
                    return
        finally:
            room.open()
            for future in (*waiting, *writing):
                future.cancel()


def _colour(found: Outcome | Reading, copier: Copier, room: "_Room", writer: ThreadPoolExecutor) -> Future:
    """Colour what was read and have it written; the future of its outcome."""
    done: Future = Future()
    if isinstance(found, Outcome):
        done.set_result(found)
        return done
    outcome = found.outcome

    def write(pages: Iterator[Page]) -> Outcome:
        written = _guarded(lambda: transfer.delivered(copier.write(found, pages)), outcome, room)
        if written.status == "coloured":
            room.leave(outcome.pixels)
        return written

    pages = copier.colour(found)
    if outcome.pages > 1:  # they are written as they are coloured, so that one at a time is in memory
        done.set_result(write(pages))
        return done
    first = _guarded(lambda: next(pages), outcome, room)
    if isinstance(first, Outcome):
        done.set_result(first)
        return done
    return writer.submit(lambda: write(iter([first])))


def _guarded(work: Callable[[], T], outcome: Outcome, room: "_Room") -> T | Outcome:
    """What the work gives; a failed outcome, whose pixels leave the room, where a photograph makes it fail."""
    try:
        return work()
    except FloatingPointError:
        raise  # the weights are broken, not this photograph
    except Exception as error:  # whatever one does to the libraries under it, it must not end the others
        room.leave(outcome.pixels)
        return outcome.failed(error)


class _Room:
    """Lets in so many pixels at once, or one photograph alone."""

    def __init__(self, pixels: float):
        self._limit, self._inside, self._changed = pixels, 0, threading.Condition()

    def enter(self, pixels: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._inside or self._inside + pixels <= self._limit)
            self._inside += pixels

    def leave(self, pixels: int) -> None:
        with self._changed:
            self._inside -= pixels
            self._changed.notify_all()

    def open(self) -> None:
        """Let everyone in: nobody will leave any more."""
        with self._changed:
            self._limit = float("inf")
            self._changed.notify_all()
