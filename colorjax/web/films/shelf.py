"""Films of visitors: whose they are, what is made of them, and the room on the disk that all of it may take."""

import contextlib
import itertools
import secrets
import shutil
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from colorjax.web.addresses import is_local
from colorjax.web.lanes import Task
from colorjax.web.sessions import Photograph, Refused, Sessions, Visitor, display_name

NOT_HERE = "this film is not here (any more)"
_BEHIND = 30.0  # seconds that a film may come later than at the pace of `FilmLimits`, before it creeps


@dataclass
class Work:
    """Something that is made of a film: the list of its shots, a shot that is tried, or all of it in colour.

    state: "waiting", "working", "ready", "failed" or "cancelled". done, total: frames; skipped: of those done, the ones that an
    earlier try has left. asked: what tells it from others. told: what should be known of it, in words.
    """

    asked: Any = None
    task: Task | None = None
    state: str = "waiting"
    reason: str = ""
    done: int = 0
    total: int = 0
    skipped: int = 0
    begun: float = 0.0  # on the clock, when the first frame was to be done
    files: tuple[Path, ...] = ()
    told: list[str] = field(default_factory=list)

    @property
    def seconds_left(self) -> int | None:
        """By what the frames have taken that are done; None where that is not known yet."""
        spent, done = time.monotonic() - self.begun, self.done - self.skipped
        return round(spent / done * (self.total - self.done)) if done > 0 and spent > 1 else None

    def as_dict(self) -> dict[str, Any]:
        """For the page."""
        about = {"state": self.state, "reason": self.reason, "done": self.done, "total": self.total, "told": list(self.told)}
        return about | ({"seconds_left": self.seconds_left} if self.state == "working" else {})


@dataclass(eq=False)
class Still(Photograph):
    """One frame of a film, as a photograph: it is seen, and hints are tried on it, in the same way."""

    film: "Film | None" = None

    def check(self) -> None:
        """Raises Refused where its film has been removed."""
        self.film.check()


@dataclass(eq=False)
class Film:
    """A film of one visitor, in a folder of its own. name: for people, and of its file.

    facts: for the page; empty until its header was read. shots: those that were found. formats: in which it can be coloured,
    known with the shots. looked: how that went. kept: the finished copy of before, until the one that is being made is there.
    held: bytes on the disk, counted when they were last looked at. since: on the clock, when it began to come; None once it is
    here. keeping: a lock for who looks at its hints to keep others.
    """

    id: str
    name: str
    folder: Path
    visitor: Visitor
    facts: dict[str, Any] = field(default_factory=dict)
    shots: list[Any] = field(default_factory=list)
    formats: list[dict[str, str]] = field(default_factory=list)
    looked: Work = field(default_factory=Work)
    tried: Work | None = None
    copy: Work | None = None
    kept: Work | None = None
    stills: dict[int, Still] = field(default_factory=dict)
    held: int = 0
    since: float | None = field(default_factory=time.monotonic)
    keeping: Any = field(default_factory=threading.Lock)

    @property
    def source(self) -> Path:
        """The file as it came."""
        return self.folder / "source" / self.name

    @property
    def found(self) -> Path:
        """The folder of what was found about it."""
        return self.folder / "found"

    @property
    def out(self) -> Path:
        """The folder of its copy."""
        return self.folder / "copy"

    @property
    def finished(self) -> Path:
        """The folder of the copy of before."""
        return self.folder / "finished"

    @property
    def hints(self) -> Path:
        """The file of its hints."""
        return self.folder / "film.hints.json"

    @property
    def frames(self) -> int:
        """How many it has; 0 until it was looked through."""
        return self.shots[-1].end if self.shots else 0

    @property
    def is_busy(self) -> bool:
        """Whether its visitor may come back for it: it is still coming, or is being coloured, or will be."""
        return not self.facts or (self.copy is not None and self.copy.state in ("waiting", "working"))

    def behind(self, pace: float) -> float:
        """Seconds that it comes later than one of so many bytes a second would."""
        return 0.0 if self.since is None else time.monotonic() - self.since - self.held / pace

    def check(self) -> None:
        """Raises Refused where it has been removed."""
        if self.visitor.films.get(self.id) is not self:
            raise Refused(404, NOT_HERE)


class Shelf:
    """All films; what belongs to one lies below the folder of its visitor. Its methods may be called from several threads."""

    def __init__(self, sessions: Sessions):
        self.limits, self._sessions, self._lock = sessions.limits.films, sessions, threading.RLock()

    @property
    def all(self) -> list[Film]:
        """Of all visitors."""
        return [film for visitor in self._sessions.everybody for film in list(visitor.films.values())]

    def film(self, visitor: Visitor | None, id: str) -> Film:
        """A film of this visitor. Raises Refused where there is none, or it is somebody else's."""
        found = visitor.films.get(id) if visitor is not None else None
        if found is None or not found.facts:
            raise Refused(404, NOT_HERE)
        return found

    def begin(self, visitor: Visitor, name: str) -> Film:
        """A place for a film that is about to come, perhaps that of one that creeps. Raises Refused where there is none."""
        with self._lock:
            if len(visitor.films) >= self.limits.of_one:
                raise Refused(409, f"you have {len(visitor.films)} films here, as many as may be; remove one first")
            if len(self._neighbours(visitor)) >= self.limits.places / 2:
                raise Refused(507, "half of the places for films are taken from your network; please remove one first")
            if len(self.all) >= self.limits.places:
                self._make_room(visitor.address)
            id = secrets.token_urlsafe(16)
            film = Film(id, display_name(name), visitor.folder / secrets.token_hex(16), visitor)
            for folder in (film.source.parent, film.found, film.out):
                folder.mkdir(mode=0o700, parents=True)
            visitor.films[id] = film
            return film

    def _make_room(self, address: str) -> None:
        """Remove a film that creeps, of the address with most films; it must have more than this one, with one more, would.
        Raises Refused where there is none."""
        crowd = Counter(film.visitor.address for film in self.all)
        behind = {film: film.behind(self.limits.pace) for film in self.all if crowd[film.visitor.address] > crowd[address] + 1}
        creeping = [film for film, seconds in behind.items() if seconds > _BEHIND]
        if not creeping:
            raise Refused(507, "as many films are here as this server takes; please try again later")
        self.remove(max(creeping, key=lambda film: (crowd[film.visitor.address], behind[film])))

    def come(self, film: Film, size: int, whole: bool = False) -> None:
        """So many bytes more of it have come; whole: all of it is here. Raises Refused where that is too much, or somebody else
        was given its place."""
        with self._lock:
            if film.visitor.films.get(film.id) is not film:
                words = "it came so slowly that somebody else was given its place; please try again later"
                raise Refused(503, words)
            self.grow(film, size)
            film.since = None if whole else film.since

    def grow(self, film: Film, size: int) -> None:
        """So many bytes more are on the disk for it, or will be. Raises Refused where that is too much."""
        limits = self.limits
        with self._lock:
            mine, others = sum(one.held for one in list(film.visitor.films.values())), self.all
            if mine + size > limits.room:
                words = f"it needs more than the {limits.room / 1e9:.3g} GB that a film may take here with its copies"
                raise Refused(413, f"{words}; a copy for looking at takes less, and colorjax film on a console has no limit")
            if sum(one.held for one in others) + size > 3 * limits.room:
                raise Refused(507, "the films of all visitors take all the room there is; please try again later")
            if sum(one.held for one in self._neighbours(film.visitor)) + size > 2 * limits.room:
                raise Refused(507, "the films from your network take most of the room there is; please remove some first")
            if size > 0:
                self.spare(film, size)
            film.held += size

    def spare(self, film: Film, size: int = 0) -> None:
        """Raises Refused where the disk is nearly full with so many bytes more, whoever fills it: temporary files count nowhere
        else."""
        with contextlib.suppress(FileNotFoundError):  # it is removed just now
            if shutil.disk_usage(film.folder).free - size < self.limits.free:
                raise Refused(507, "the disk of this server is nearly full; please try again later")

    def count(self, film: Film, more: int = 0, but: Path | None = None) -> None:
        """What is in its folder by now counts, and `more` bytes that are going to be. Raises Refused where that is too much.

        but: a folder in it that is going to be deleted.
        """
        size = 0
        for path in film.folder.rglob("*"):
            if path.parent == but:
                continue
            with contextlib.suppress(OSError):  # it may be gone by now
                size += path.stat().st_size if path.is_file() else 0
        self.grow(film, size + more - film.held)

    def count_all(self, film: Film, more: int) -> None:
        """As `count`; where it is too much, the finished copy of before makes room."""
        try:
            self.count(film, more)
        except Refused:
            if film.kept is None:
                raise
            self.count(film, more, film.finished)  # is that enough?
            self.let_go(film)

    def put_by(self, film: Film, copy: Work) -> Work:
        """This finished copy of a film, moved to where the next one is not in its way."""
        if copy.files[0].parent == film.finished:
            return copy
        shutil.rmtree(film.finished, ignore_errors=True)
        film.finished.mkdir(mode=0o700)
        files = tuple(path.rename(film.finished / path.name) for path in copy.files)
        return replace(copy, files=files)

    def let_go(self, film: Film) -> None:
        """Delete the finished copy of before, if there is one."""
        with self._lock:
            if film.kept is not None:
                film.kept = None
                shutil.rmtree(film.finished, ignore_errors=True)

    def take_back(self, film: Film, asked: Any) -> bool:
        """Whether the finished copy of before is the one that is asked for; then it is the film's copy again."""
        with self._lock:
            if film.kept is None or film.kept.asked != asked:
                return False
            film.copy, film.kept = film.kept, None
            return True

    def still(self, film: Film, number: int, height: int, width: int) -> Still:
        """The place of a frame. height, width: of an upright frame."""
        still = Still(f"{film.id}/{number}", film.name, film.folder / "stills" / str(number), film.visitor, width, height)
        still.film = film
        still.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return still

    def remove(self, film: Film) -> None:
        """Delete a film and all that was made of it."""
        film.visitor.films.pop(film.id, None)
        shutil.rmtree(film.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            film.visitor.folder.rmdir()  # it stays where there are others

    def _neighbours(self, visitor: Visitor) -> list[Film]:
        """Films of all who have come from the same address, unless it is this machine."""
        address = visitor.address
        here = [] if not address or is_local(address) else self._sessions.everybody
        return list(itertools.chain.from_iterable(one.films.values() for one in here if one.address == address))
