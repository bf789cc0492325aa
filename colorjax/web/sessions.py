"""Visitors of the page and their photographs: whose they are, how much there may be, and when they are deleted."""

import contextlib
import secrets
import shutil
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from colorjax import photos
from colorjax.web.addresses import is_local
from colorjax.web.films.limits import FilmLimits

_VISITORS = 2000  # who may have a place at once; beyond, those with nothing or next to nothing give theirs up
_OF_ONE = 200  # of them, who have come from one address
_TINY = 300_000  # bytes: next to nothing, as a picture of 300 x 300 pixels
_LONGEST_NAME = 120  # bytes of UTF-8
_NOT_HERE = "this photograph is not here (any more)"
_NOT_IN_NAMES = '<>:"/\\|?*%#'


class Refused(Exception):
    """What a visitor asks for is not done. status: of HTTP. The words are for people."""

    def __init__(self, status: int, words: str):
        super().__init__(words)
        self.status = status


@dataclass(frozen=True)
class Limits:
    """upload: bytes of a file. pixels: of its first page. seconds: that one piece of work may take.

    photographs, held: how many photographs, and bytes with their copies, a visitor may have. total: bytes of all visitors.
    idle: seconds without a word of a visitor after which what is theirs is deleted.
    films: see `FilmLimits`.
    """

    upload: int = 200 * 10**6
    pixels: int = photos.MAX_PIXELS
    seconds: float = 120.0
    photographs: int = 50
    held: int = 10**9
    total: int = 4 * 10**9
    idle: float = 3600.0
    films: FilmLimits = field(default_factory=FilmLimits)


@dataclass
class Copy:
    """The coloured copy of a photograph: what was asked for, and what became of it.

    state: "waiting", "ready" or "failed"; task: the work. notes: what the copy does not carry. warnings: what may be
    wrong with it. beside: what belongs to a signed one, but its sidecar.
    """

    asked: Any
    task: Any = None
    state: str = "waiting"
    reason: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    target: Path | None = None
    sidecar: Path | None = None
    beside: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All of a copy that is ready."""
        return (self.target, self.sidecar, *self.beside)

    def named(self, name: str) -> Path:
        """What is beside a signed one, by its name. Raises Refused where there is no such file."""
        found = next((path for path in self.beside if path.name == name), None)
        if found is None:
            raise Refused(404, "there is no such file beside this copy")
        return found


@dataclass(eq=False)
class Photograph:
    """A photograph of one visitor, in a folder of its own. name: for people, and of its file.

    width, height: upright; 0 until it has been opened. held: bytes on the disk, copied: those of its copy.
    """

    id: str
    name: str
    folder: Path
    visitor: "Visitor"
    width: int = 0
    height: int = 0
    bits: int = 8
    pages: int = 1
    held: int = 0
    copied: int = 0
    copy: Copy | None = None

    @property
    def source(self) -> Path:
        """The file as it came."""
        return self.folder / "source" / self.name

    @property
    def out(self) -> Path:
        """The folder of its copy."""
        return self.folder / "copy"

    @property
    def view(self) -> Path:
        """What of it is worked with: (h, w, 3) uint8, in NumPy's format."""
        return self.folder / "view.npy"

    @property
    def is_busy(self) -> bool:
        """Whether its visitor may come back for it: it is still coming, or a copy is being made."""
        return not self.width or (self.copy is not None and self.copy.state == "waiting")

    def check(self) -> None:
        """Raises Refused where it has been removed."""
        if self.visitor.photographs.get(self.id) is not self:
            raise Refused(404, _NOT_HERE)

    def as_dict(self) -> dict[str, Any]:
        """For the page."""
        about = {"id": self.id, "name": self.name, "width": self.width, "height": self.height}
        return about | {"bits": self.bits, "pages": self.pages}


@dataclass(eq=False)
class Visitor:
    """Who has the cookie `id`, and came first from `address`. films: see `films.shelf`."""

    id: str
    folder: Path
    address: str = ""
    photographs: dict[str, Photograph] = field(default_factory=dict)
    films: dict[str, Any] = field(default_factory=dict)
    seen: float = field(default_factory=time.monotonic)

    @property
    def held(self) -> int:
        """Bytes of the photographs."""
        return sum(photograph.held for photograph in list(self.photographs.values()))

    @property
    def all(self) -> list[Any]:
        """Photographs and films."""
        return [*self.photographs.values(), *self.films.values()]

    @property
    def brings(self) -> bool:
        """Whether a photograph is just coming, or being opened, or a film is here."""
        return bool(self.films) or any(not photograph.width for photograph in list(self.photographs.values()))


class Sessions:
    """All visitors; what they bring lies below one private folder. Its methods may be called from several threads."""

    def __init__(self, folder: Path, limits: Limits):
        self.limits = limits
        self._folder, self._lock = folder, threading.RLock()
        self._visitors: dict[str, Visitor] = {}

    def find(self, id: str | None) -> Visitor | None:
        """Who has this cookie, and has just been here."""
        with self._lock:
            visitor = self._visitors.get(id or "")
            if visitor is not None:
                visitor.seen = time.monotonic()
            return visitor

    def admit(self, id: str, address: str = "") -> tuple[Visitor, list[Any]]:
        """The visitor with this cookie, who gets a place where there was none; and what must be deleted for that.

        Raises Refused where everybody who could go has something here.
        """
        with self._lock:
            if (visitor := self.find(id)) is not None:
                return visitor, []
            gone = self._who_goes(address)
            if gone is not None:
                del self._visitors[gone.id]
            visitor = self._visitors[id] = Visitor(id, self._folder / secrets.token_hex(16), address)
            return visitor, gone.all if gone is not None else []

    def _who_goes(self, address: str) -> Visitor | None:
        """Who makes room for somebody from this address: who has nothing, or next to it, of where most have come from."""
        crowd = Counter(visitor.address for visitor in self._visitors.values())
        if crowd[address] >= _OF_ONE:
            among = [visitor for visitor in self._visitors.values() if visitor.address == address]
        elif len(self._visitors) >= _VISITORS:
            among = list(self._visitors.values())
        else:
            return None
        leaving = [visitor for visitor in among if visitor.held < _TINY and not visitor.brings]
        if not leaving:
            raise Refused(503, "too many people are here just now; please try again later")
        return min(leaving, key=lambda visitor: (bool(visitor.photographs), -crowd[visitor.address], visitor.seen))

    def photograph(self, visitor: Visitor | None, id: str) -> Photograph:
        """A photograph of this visitor. Raises Refused where there is none, or it is somebody else's."""
        found = visitor.photographs.get(id) if visitor is not None else None
        if found is None or not found.width:
            raise Refused(404, _NOT_HERE)
        return found

    def begin(self, visitor: Visitor, name: str) -> Photograph:
        """A place for a photograph that is about to come. Raises Refused where the visitor has too many."""
        with self._lock:
            if len(visitor.photographs) >= self.limits.photographs:
                words = f"you have {self.limits.photographs} photographs here, as many as may be; remove some first"
                raise Refused(409, words)
            id = secrets.token_urlsafe(16)
            photograph = Photograph(id, display_name(name), visitor.folder / secrets.token_hex(16), visitor)
            for folder in (photograph.source.parent, photograph.out):
                folder.mkdir(mode=0o700, parents=True)
            visitor.photographs[id] = photograph
            return photograph

    def grow(self, photograph: Photograph, size: int) -> None:
        """So many bytes more are on the disk for it. Raises Refused where that is too much for the visitor, or for all."""
        with self._lock:
            if photograph.visitor.held + size > self.limits.held:
                raise Refused(413, f"your photographs take more than {_mega(self.limits.held)} MB here; remove some first")
            if self.held + size > self.limits.total:
                raise Refused(507, "the photographs of all visitors take all the room there is; please try again later")
            if self._from(photograph.visitor.address) + size > self.limits.total / 2:
                raise Refused(507, "the photographs from your network take half the room there is; please remove some first")
            photograph.held += size

    def count_copy(self, photograph: Photograph) -> None:
        """What is in the folder of its copy by now counts. Raises Refused where that is too much."""
        size = sum(file.stat().st_size for file in photograph.out.iterdir())
        self.grow(photograph, size - photograph.copied)
        photograph.copied = size

    def drop_copy(self, photograph: Photograph) -> None:
        """Delete what is in the folder of its copy, where that is there."""
        for file in photograph.out.glob("*"):
            file.unlink(missing_ok=True)
        with self._lock:
            photograph.held, photograph.copied = photograph.held - photograph.copied, 0

    @property
    def held(self) -> int:
        """Bytes of all visitors."""
        with self._lock:
            return sum(visitor.held for visitor in self._visitors.values())

    def _from(self, address: str) -> int:
        """Bytes of all who have come from this address, unless it is this machine."""
        here = [] if not address or is_local(address) else list(self._visitors.values())
        return sum(visitor.held for visitor in here if visitor.address == address)

    def remove(self, photograph: Photograph) -> None:
        """Delete a photograph and all that was made of it."""
        with self._lock:
            photograph.visitor.photographs.pop(photograph.id, None)
        shutil.rmtree(photograph.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            photograph.visitor.folder.rmdir()  # it stays where there are others

    def expired(self) -> list[Any]:
        """What visitors have who have not been here for long, unless something of theirs is busy; forgets these visitors."""
        with self._lock:
            late = time.monotonic() - self.limits.idle
            gone = [visitor for visitor in self._visitors.values() if visitor.seen < late]
            gone = [visitor for visitor in gone if not any(one.is_busy for one in visitor.all)]
            for visitor in gone:
                del self._visitors[visitor.id]
            return [one for visitor in gone for one in visitor.all]

    @property
    def everybody(self) -> list[Visitor]:
        """All who have a place."""
        with self._lock:
            return list(self._visitors.values())


def display_name(name: str) -> str:
    """A plain file name of what a browser calls a file: no folders, nothing that a file system or a terminal minds."""
    name = PurePosixPath(photos.legible(name).replace("\\", "/")).name
    name = "".join("_" if letter in _NOT_IN_NAMES or letter == "\ufffd" else letter for letter in name).strip(". ")
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > 10:
        stem, suffix = name, ""
    stem = stem.encode()[:_LONGEST_NAME].decode(errors="ignore").rstrip(". ") or "photograph"
    return f"{stem}.{suffix}" if suffix else stem


def _mega(size: int) -> int:
    return round(size / 1e6)
