"""The photographs below a folder: their names in a fixed order, and versions that are looked up when they are asked for."""

import os
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from colorjax import photos

_OWN = "copies and maps that colorjax made"


class Versions(Sequence[str]):
    """Where each file of a listing really lies, with its size and its time of change; as when it was first asked for."""

    def __init__(self, root: Path):
        self.names: list[str] = []
        self._root = str(root)
        # From `_starts[k]` on, names are real paths once `_heads[k]` takes the place of their first `_cuts[k]` characters.
        self._starts, self._heads, self._cuts = [0], [os.path.join(os.path.realpath(root), "")], [0]
        self._links: set[int] = set()  # files that may be links themselves
        self._sizes, self._times = array("q"), array("q")  # a size of -1: not looked up yet
        self._odd: dict[int, str] = {}  # versions that are not made of these

    def enter(self, inside: str, real: str) -> None:
        """The names from here on begin with `inside`, which really is the folder `real`."""
        real = os.path.join(real, "")
        head, cut = self._heads[-1], self._cuts[-1]
        if len(inside) < cut or head + inside[cut:] != real:
            plain = self._heads[0] + inside == real
            self._starts.append(len(self))
            self._heads.append(self._heads[0] if plain else real)
            self._cuts.append(0 if plain else len(inside))

    def add(self, name: str, is_link: bool) -> None:
        """One more file."""
        if is_link:
            self._links.add(len(self))
        self.names.append(name)
        self._sizes.append(-1)
        self._times.append(0)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> str:
        name, size = self.names[index], self._sizes[index]
        if size < 0:
            if index in self._odd:
                return self._odd[index]
            path = f"{self._root}/{name}"
            try:
                status = os.stat(path)
            except OSError:  # a dangling link; reading it will name the reason
                return self._odd.setdefault(index, str(Path(path)))
            if index in self._links or abs(status.st_mtime_ns) >= 2**63:  # a link, or a date that has no room
                version = f"{os.path.realpath(path)} {status.st_size} {status.st_mtime_ns}"
                return self._odd.setdefault(index, version)
            self._times[index] = status.st_mtime_ns
            self._sizes[index] = size = status.st_size  # last, for other threads
        stretch = bisect_right(self._starts, index) - 1
        return f"{self._heads[stretch]}{name[self._cuts[stretch] :]} {size} {self._times[index]}"


@dataclass(frozen=True)
class Listing:
    """names: below the folder, with "/", folder by folder in sorted order. groups: their first-level folders, or the folder's
    own name. passed_over: how many files lie there that are no photographs by their names, by what they are, in words.
    """

    names: list[str]
    groups: list[str]
    versions: Versions
    passed_over: Counter[str]


def below(root: Path) -> Listing:
    """Every file with a suffix of photos.SUFFIXES below a folder; links are followed, each real folder is visited once.

    What colorjax made is no truth to learn from, by its name, as NAME.colorized.jpg. Hidden folders and those of a system, as
    @eaDir, are not entered. A folder that may not be read is listed as if it were a photograph.
    """
    groups: list[str] = []
    versions, passed_over, own_name = Versions(root), Counter[str](), root.resolve().name
    waiting, visited = [("", os.path.realpath(root))], set()  # names begin with the first, which really is the second
    while waiting:
        inside, real = waiting.pop()
        try:
            with os.scandir(os.path.join(root, inside)) as entries:
                here = sorted((entry.name, entry.is_symlink(), _is_folder(entry)) for entry in entries)
        except OSError:
            versions.add(inside[:-1] or ".", is_link=True)
            groups.append(inside.partition("/")[0] if "/" in inside[:-1] else own_name)
            continue
        if real in visited:  # links may form a circle
            continue
        visited.add(real)
        versions.enter(inside, real)
        group = inside.partition("/")[0] or own_name
        for name, is_link, is_folder in here:
            if is_folder:
                continue
            if name.lower().endswith(photos.SUFFIXES) and not name.startswith(".") and not _is_own(name):
                versions.add(inside + name, is_link)
                groups.append(group)
            else:
                passed_over[_OWN if _is_own(name) else photos.other(name)] += 1
        for name, is_link, is_folder in reversed(here):
            if is_folder and not photos.unwanted(name):
                path = os.path.join(real, name)
                waiting.append((f"{inside}{name}/", os.path.realpath(path) if is_link else path))
    return Listing(versions.names, groups, versions, passed_over)


def _is_own(name: str) -> bool:
    """Whether colorjax made a file, by its name; most names take no closer look."""
    return (photos.OWN_COPY in name or photos.OWN_MAP in name) and photos.is_photograph(name) is None


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # as of a link to itself
        return False
