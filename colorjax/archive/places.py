"""Where each photograph's copy goes, below --out and under names that stay apart; where sources that moved are now."""

import contextlib
import itertools
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from colorjax import photos
from colorjax.archive import marks, provenance, sidecar
from colorjax.archive.plan import Job, Options
from colorjax.archive.urls import Url

OWN = "copies by colorjax"
_NEAR = 3  # folders above a photograph whose names a copy's folder may have; more only where they are needed
_LONGEST = 255  # bytes of a file's name, on every common file system

Place = Path | Url


def strangers(found: Iterable[tuple[Place, Place]], passed_over: photos.PassedOver) -> Iterator[tuple[Place, Place]]:
    """Those of (root, path) that colorjax did not make, by what the file says of itself: it may have any name."""
    for root, path in found:
        if isinstance(path, Path) and (provenance.is_copy(path) or marks.is_map(path)):
            passed_over.note(OWN, path)
        else:
            yield root, path


def jobs(found: list[tuple[Place, Place]], out: Place, options: Options) -> list[Job]:
    """A job for each (root, path) that `photos.find` or `urls.find` gave; one that is named twice is coloured once."""
    once = {place_of(path): (root, path) for root, path in reversed(found)}
    once = {place_of(path): once[place_of(path)] for _, path in found}
    plain = {path: out / _copy_of(path, path.relative_to(root), options) for root, path in once.values()}
    kept = {path: there for path, target in plain.items() if (there := _copy_there(path, target, out))}
    targets = _apart(plain, out) | kept
    held = {place_of(target): path for path, target in kept.items()}
    for path, target in targets.items():
        if held.get(place_of(target), path) != path:
            targets[path] = _whole(path, target)
    sources = set(once) | {path.resolve() for path in plain if isinstance(path, Path)}
    planned, taken = [], {}
    for path in plain:
        job = Job(path, targets[path])
        place = place_of(job.target)
        planned.append(replace(job, problem=_problem(job, sources, taken.get(place))))
        taken.setdefault(place, path)
    return planned


def place_of(path: Place) -> Place:
    """Where a file lies, however its folder is spelled; of a link, its own place."""
    return path if isinstance(path, Url) else Path(os.path.realpath(path.parent)) / path.name


def _problem(job: Job, sources: set[Place], other: Place | None) -> str:
    """Why a photograph cannot have its copy there, "" where it can."""
    outputs = [place_of(file) for file in (job.target, job.sidecar, job.map(1))]
    if overwritten := next((file for file in outputs if file in sources), None):
        return f"its copy would overwrite the photograph {overwritten}; name another --out"
    if other is not None:
        return f"another photograph of this run becomes {job.target} already: {other}"
    longest = max(len(os.fsencode(file.name)) for file in outputs)
    if longest > _LONGEST and isinstance(job.target, Path):
        return (
            f"the name of its copy or its sidecar is too long: {longest} bytes, of {_LONGEST} at most; give it a shorter name"
        )
    return ""


def _copy_of(path: Place, relative: PurePath, options: Options) -> PurePath:
    """Where the copy goes below --out: its suffix is that of the format asked for, or of what the file is.

    What lies elsewhere is not read for that: its own suffix is believed. A BMP becomes a PNG, for it has no room for the
    mark of a copy.
    """
    relative = relative if relative.name else Path(path.resolve().name or "folder")
    name = options.format or (None if isinstance(path, Url) else photos.kind(path))
    name = "PNG" if name == "BMP" or (name is None and path.suffix.lower() == ".bmp") else name
    suffix = path.suffix if name is None or path.suffix.lower() in photos.FORMATS[name] else photos.FORMATS[name][0]
    stem = relative.stem if path.suffix.lower() in photos.SUFFIXES else relative.name
    return relative.with_name(f"{stem}{photos.OWN_COPY}{suffix}")


def _whole(path: Place, target: Place) -> Place:
    """The same place under the photograph's whole name: x.bmp.colorized.png beside x.colorized.png."""
    return target.with_name(f"{path.name}{photos.OWN_COPY}{target.suffix}")


def _copy_there(path: Place, target: Place, out: Place) -> Place | None:
    """The place in which a photograph has its copy already, among those that it could have been given."""
    if not isinstance(path, Path) or not isinstance(target, Path):
        return None
    above = place_of(path).parent.parts[1:][-_NEAR:]
    folders = [target.parent, *(out.joinpath(*above[-count:]) for count in range(1, len(above) + 1))]
    for folder in folders:
        for place in (folder / target.name, _whole(path, folder / target.name)):
            if sidecar.is_of(place.with_name(place.name + sidecar.SUFFIX), path):
                return place
    return None


def _apart(plain: dict[Place, Place], out: Place) -> dict[Place, Place]:
    """The place of each copy: its plain one; where several photographs want it, one that says which it is, in any order.

    Photographs of several folders keep the names of their folders, as many as tell them apart. Of those of one folder, the
    one that has the suffix of the copy keeps its plain name, and the others their whole one.
    """
    wanted = defaultdict(list)
    for path, target in plain.items():
        wanted[place_of(target)].append(path)
    found = {}
    for rivals in wanted.values():
        folders = {place_of(path).parent for path in rivals}
        prefixes = _told_apart(folders) if len(folders) > 1 else {}
        for folder in folders:
            together = [path for path in rivals if place_of(path).parent == folder]
            first = min(together, key=lambda path: (path.suffix != plain[path].suffix, path.name))
            for path in together:
                target = out.joinpath(*prefixes[folder], plain[path].name) if prefixes else plain[path]
                found[path] = target if path is first else _whole(path, target)
    return found


def _told_apart(folders: set[Place]) -> dict[Place, tuple[str, ...]]:
    """The last names of each folder, as few as make them differ."""
    for count in itertools.count(1):
        names = {folder: folder.parts[1:][-count:] for folder in folders}
        if len(set(names.values())) == len(folders):
            return names
    raise AssertionError  # different folders differ somewhere


class Sources:
    """The files below a folder, among which photographs that have moved or were renamed are found again."""

    def __init__(self, folder: Path):
        """Raises ValueError where it is no folder."""
        if not folder.is_dir():
            raise ValueError(f"--source {folder} is no folder")
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._digests: dict[Any, str] = {}  # of files and, with whether they may be cut short, of their pixels
        for _, path in photos.find([folder]):
            self._by_name[path.name].append(path)

    def find(self, about: dict[str, Any], before: Path, max_pixels: int) -> Path | None:
        """Where the source of a sidecar is: the same file, where it was `before`, under its own name or another; or one with
        the same pixels, where it was or under its own name. Each file is read and decoded once, however many ask."""
        source = about["source"]
        near = [*([before] if before.is_file() else []), *self._by_name.get(source["name"], [])]
        for path in itertools.chain(near, *self._by_name.values()):
            if self._digest(path) == source["sha256"]:
                return path
        pixels = source.get("pixels_sha256")
        return next((path for path in near if pixels and self._pixels(path, about, max_pixels) == pixels), None)

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            self._digests[path] = ""
            with contextlib.suppress(OSError):
                self._digests[path] = sidecar.digest_of(path)
        return self._digests[path]

    def _pixels(self, path: Path, about: dict[str, Any], max_pixels: int) -> str:
        key = path, any(page.get("truncated") for page in about["pages"])
        if key not in self._digests:
            self._digests[key] = ""
            with contextlib.suppress(photos.PhotoError):
                self._digests[key] = sidecar.pixel_digest_of(path, about, max_pixels)
        return self._digests[key]
