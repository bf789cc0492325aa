"""Where each photograph's copy goes, and under names that stay apart; where sources that moved are now."""

import contextlib
import itertools
import os
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from colorjax import photos
from colorjax.archive import marks, provenance, sidecar
from colorjax.archive.plan import Job, Options
from colorjax.archive.proof import manifests, signatures
from colorjax.archive.urls import Url

OWN = "copies by colorjax"
OWN_FOLDER = "-colorized"  # after the name of a folder: where the copies of what is in it go, unless --out says otherwise
_NEAR = 3  # folders above a photograph whose names a copy's folder may have; more only where they are needed
_LONGEST = 255  # bytes of a file's name, on every common file system

Place = Path | Url


def strangers(found: Iterable[tuple[Place, Place]], passed_over: photos.PassedOver) -> Iterator[tuple[Place, Place]]:
    """Those of (root, path) that colorjax did not make, by what the file says of itself: it may have any name."""
    for root, path in found:
        if isinstance(path, Path) and (provenance.is_copy(path) or marks.is_map(path) or _is_companion(path)):
            passed_over.note(OWN, path)
        else:
            yield root, path


def _is_companion(path: Path) -> bool:
    """Whether it lies beside a copy and belongs to it, as FOLDER/* names it, too."""
    of_copy = path.suffix == manifests.SUFFIX and provenance.is_copy(path.with_suffix(""))
    return of_copy or sidecar.is_own(path.with_name(path.name.removesuffix(signatures.SUFFIX)))


def planned(found: list[tuple[Place, Place]], named: list[Place], out: Place | None, options: Options) -> list[Job]:
    """A job for each photograph that was found in what was named, with or without --out: a folder, or the one copy itself.

    Raises ValueError where --out names one copy and there are more, or another format, and as `jobs`.
    """
    if out is None or not is_file(out):
        return jobs(found, out, options, named)
    if len(named) > 1 or named != [path for _, path in found]:
        here = f"{named[0]} is a folder" if len(named) == 1 else f"{len(named)} photographs or folders are named"
        raise ValueError(f"--out {out} names one photograph's copy, and {here}; name a folder with --out")
    if options.format not in (None, photos.file_format(out)):
        raise ValueError(f"--out {out} and --format {options.format.lower()} contradict each other; leave --format out")
    signed = options.sign_key is not None
    return [one(named[0], _numbered(out, number), number, signed) for number in _numbers(options)]


def jobs(found: list[tuple[Place, Place]], out: Place | None, options: Options, named: Container[Place] = ()) -> list[Job]:
    """A job for each (root, path) that `photos.find` or `urls.find` gave; one that is named twice is coloured once.

    out: a folder, in which what is below root is mirrored. None: the copies of photographs that are among `named` go beside
    them, and those of what is below a folder DIR into DIR-colorized. Raises ValueError where there is no such place.
    """
    once = {place_of(path): (root, path) for root, path in reversed(found)}
    once = {place_of(path): once[place_of(path)] for _, path in found}
    below = {path: _beside(root, path, path in named) if out is None else out for root, path in once.values()}
    plain = {path: below[path] / _copy_of(path, path.relative_to(root), options) for root, path in once.values()}
    kept = {path: there for path, target in plain.items() if (there := _copy_there(path, target, below[path]))}
    targets = _apart(plain, below) | kept
    held = {place_of(target): path for path, target in kept.items()}
    for path, target in targets.items():
        if held.get(place_of(target), path) != path:
            targets[path] = _whole(path, target)
    sources = set(once) | {path.resolve() for path in plain if isinstance(path, Path)}
    made, taken = [], {}
    for path, number in itertools.product(plain, _numbers(options)):
        job = Job(path, _numbered(targets[path], number), variant=number)
        place = place_of(job.target)
        made.append(replace(job, problem=_problem(job, sources, taken.get(place), options.sign_key is not None)))
        taken.setdefault(place, path)
    return made


def _numbers(options: Options) -> range:
    """Those of the copies of a photograph."""
    return range(1, options.variants + 1) if options.variants else range(1)


def _numbered(target: Place, number: int) -> Place:
    """photo.colorized.2.jpg instead of photo.colorized.jpg; 0: no number."""
    return target.with_name(f"{target.stem}.{number}{target.suffix}") if number else target


def _beside(root: Place, path: Place, alone: bool) -> Place:
    """Where copies go without --out. alone: the photograph itself was named, and not a folder in which it is."""
    if isinstance(path, Url):
        raise ValueError(f"{path}: say where its copy goes, with --out and a folder or its URL")
    if alone:
        return path.parent
    folder = root if root.name not in ("", "..") else root.resolve()
    if not folder.name:
        raise ValueError(f"{folder} has no folder beside it for the copies; name one with --out")
    return folder.with_name(folder.name + OWN_FOLDER)


def folders(named: Iterable[Place], out: Place | None) -> list[Place]:
    """The folders in or below which the copies of what was named go."""
    if out is not None:
        return [out.parent if is_file(out) else out]
    return list(dict.fromkeys(_beside(place, place, not os.path.isdir(place)) for place in named))


def in_words(named: Iterable[Place], out: Place | None) -> str:
    """Where the copies of what was named go, as "into coloured"."""
    if out is not None:
        return f"into {out}"
    named = list(named)
    into = [str(folder) for folder in folders(filter(os.path.isdir, named), None)]
    into = into if len(into) <= 3 else [f"{len(into)} folders NAME{OWN_FOLDER}"]
    words = [f"into {', '.join(into)}"] if into else []
    words += [] if all(map(os.path.isdir, named)) else [f"beside the original{'s' * (len(named) > 1)}"]
    return " and ".join(words)


def one(path: Place, target: Place, variant: int = 0, signed: bool = False) -> Job:
    """The job of one photograph whose copy is `target` itself; what is there and not by colorjax is never replaced.

    signed: whether there is a key.
    """
    sources = {place_of(path)} | ({path.resolve()} if isinstance(path, Path) else set())
    job = Job(path, target, variant=variant)
    there = isinstance(target, Path) and os.path.lexists(target) and not provenance.is_copy(target)
    taken = f"{target} is there already, and not by colorjax; name another --out" if there else ""
    return replace(job, problem=_problem(job, sources, None, signed) or taken)


def is_file(out: Place) -> bool:
    """Whether --out names the copy itself, and no folder for copies. Raises ValueError for what is not written here."""
    suffix = out.suffix.lower()
    if (isinstance(out, Path) and out.is_dir()) or suffix not in (*photos.SUFFIXES, *photos.PICTURES):
        return False
    legal = [suffixes for name, suffixes in photos.FORMATS.items() if name != "BMP"]  # which has no room for the mark
    if not any(suffix in suffixes for suffixes in legal):
        names = ", ".join(suffixes[0] for suffixes in legal)
        raise ValueError(f"--out {out}: no {suffix} is written here; name one of {names}, or a folder")
    return True


def place_of(path: Place) -> Place:
    """Where a file lies, however its folder is spelled; of a link, its own place."""
    return path if isinstance(path, Url) else Path(os.path.realpath(path.parent)) / path.name


def _problem(job: Job, sources: set[Place], other: Place | None, signed: bool) -> str:
    """Why a photograph cannot have its copy there, "" where it can."""
    beside = (job.signature,) if signed else ()
    outputs = [place_of(file) for file in (job.target, job.sidecar, job.map(1), *beside)]
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


def _apart(plain: dict[Place, Place], below: dict[Place, Place]) -> dict[Place, Place]:
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
                target = below[path].joinpath(*prefixes[folder], plain[path].name) if prefixes else plain[path]
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
