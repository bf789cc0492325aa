"""Work that takes long beside others: a network that lets them go first, how far it is, and how it has ended, in words."""

import errno
import logging
import os
from collections.abc import Callable
from typing import Any

from colorjax import photos
from colorjax.web.films.shelf import Film, Work
from colorjax.web.lanes import Superseded, TooLong
from colorjax.web.sessions import Refused

_COUNTED = 25  # frames after which the disk is looked at again
_LOG = logging.getLogger(__name__)


class InTurn:
    """The network, asked for a film: each time others come first."""

    def __init__(self, colorizer: Any, step: Callable[[], None]):
        self._colorizer, self._step = colorizer, step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._colorizer, name)

    def predict(self, *args: Any, **options: Any) -> Any:
        """See `Colorizer.predict`."""
        self._step()
        return self._colorizer.predict(*args, **options)


class Watch:
    """Hears how far a job is, as its `Progress` does. count: looks at the disk, and hears whether all will lie there twice."""

    def __init__(self, copy: Work, step: Callable[[], None], count: Callable[[bool], None]):
        self._copy, self._step, self._count = copy, step, count

    def begin(self, found: list[Any], todo: list[Any]) -> "Watch":
        """Of these shots those are to be coloured."""
        self._copy.done = self._copy.skipped = self._copy.total - sum(shot.end - shot.first for shot in todo)
        return self

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is None:
            self._count(True)  # next it is put together

    def frame(self, shot: Any) -> None:
        """One is written."""
        self._copy.done += 1
        self._step()
        if self._copy.done % _COUNTED == 0:
            self._count(False)

    def shot(self, shot: Any) -> None:
        """One is done."""
        self._count(False)


def ending(film: Film, error: BaseException | None) -> tuple[str, str]:
    """The state of work that has ended so, and why."""
    if error is None:
        return "ready", ""
    if isinstance(error, Superseded):
        return "cancelled", ""
    if isinstance(error, TooLong):
        return "failed", "it took too long, and was given up; please try again, or with a part of the film"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "failed", "no room is left on the disk of this server; please try again later"
    if isinstance(error, Refused | ValueError):  # FilmError, HintError, NoColorError
        return "failed", clean(film, str(error))
    _LOG.error("a film could not be worked on", exc_info=error)
    return "failed", "something went wrong with it; the server's log says what"


def clean(film: Film, words: str) -> str:
    """Words without the places of this machine."""
    for place in (f"{film.out}{os.sep}", f"{film.folder}{os.sep}", str(film.folder)):
        words = words.replace(place, "")
    return photos.legible(words)
