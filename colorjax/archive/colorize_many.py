"""Many photographs to colour: planned first, then read, coloured and written side by side; one that fails is named."""

import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from colorjax import checkpoint, photos
from colorjax.archive import transfer, urls
from colorjax.archive.colorize_one import Copier, Page, Reading
from colorjax.archive.plan import Job, Options, Outcome, foresee
from colorjax.archive.urls import Url
from colorjax.inference.colorizer import Colorizer

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
