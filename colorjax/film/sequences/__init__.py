"""A folder of DPX, TIFF or PNG as a film: a sequence in, a sequence of the same names out. `dpx`: that format."""

import contextlib
import hashlib
import itertools
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from colorjax import photos
from colorjax.archive import provenance, sidecar
from colorjax.film import coloring
from colorjax.film.containers import assembling, looks, reel, writing
from colorjax.film.containers.reading import FilmError
from colorjax.film.lists import Shot
from colorjax.film.sequences import dpx
from colorjax.science import toning

_SUFFIXES = (".dpx", ".tif", ".tiff", ".png")
_FRAMES = ".frames"
TOLD = 5  # gaps, and files, that are named one by one


def pictures(folder: Path) -> list[Path]:
    """What may be pictures of a sequence, in no order."""
    return [path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.name[0] != "." and not path.is_dir()]


def files(folder: Path) -> list[Path]:
    """The pictures of a sequence, by the numbers in their names. Raises FilmError where it is none."""
    found = pictures(folder)
    kinds = Counter(path.suffix.lower() for path in found)
    if not found:
        raise FilmError(
            f"holds no {', '.join(_SUFFIXES)} pictures: a folder is coloured as a film where its frames are such files"
        )
    if len(kinds) > 1:
        raise FilmError(f"holds {' and '.join(f'{n} {kind}' for kind, n in kinds.items())} files: one sequence has one kind")
    return sorted(found, key=lambda path: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)])


def gaps(found: list[Path]) -> list[str]:
    """What the numbers in the names of a sequence's files say is not there, or not in its place; in words."""
    parts = [re.fullmatch(r"(.*?)(\d+)(\D*)", path.name) for path in found]
    names = sorted({f"{part[1]}#{part[3]}" for part in parts if part})
    if len(found) > 1 and (len(names) > 1 or not all(parts)):
        more = f" ({', '.join(names[:3])}{', ...' * (len(names) > 3)})" if all(parts) else ""
        return [f"its files are not of one name with numbers{more}: they are taken one after the other, as one film"]
    numbers = [int(part[2]) for part in parts if part]
    step = min((after - before for before, after in itertools.pairwise(numbers)), default=1)
    holes = [(before + step, after - step) for before, after in itertools.pairwise(numbers) if after - before > step > 0]
    if not holes:
        return []
    told = [f"{first}" if first == last else f"{first} to {last}" for first, last in holes[:TOLD]]
    count = sum((last - first) // step + 1 for first, last in holes)
    words = "1 file is" if count == 1 else f"{count} files are"
    return [f"{words} missing by their numbers ({', '.join(told)}{', ...' * (len(holes) > TOLD)}): the copy has none for them"]


def image(path: Path) -> np.ndarray:
    """The levels of one picture, (H, W) or (H, W, 3). Raises FilmError or PhotoError."""
    return dpx.read(path) if path.suffix.lower() == ".dpx" else photos.read(path).image


def digest(folder: Path) -> str:
    """SHA-256 of a folder's files: of their names and their own SHA-256, by name; "unreadable" for what no disk gives."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in _SUFFIXES):
        try:
            own = sidecar.digest_of(path)
        except OSError:
            own = "unreadable"
        whole.update(f"{own}  {path.name}\n".encode())
    return whole.hexdigest()


def _in_words(error: Exception, path: Path) -> str:
    """An error in one sentence that begins with the name of its file."""
    words = photos.in_words(error)
    return words if words.startswith(path.name) else f"{path.name}: {words}"


class _Facts(NamedTuple):
    upright: tuple[int, int]


class _How(NamedTuple):
    keeps_luma: bool


class Sequence:
    """A folder as a job takes it; see `reel.Reel`. rate: frames a second, for the times in lists and reports alone.

    A picture that cannot be read is left out; those behind it keep their time. Frames count the pictures that are taken.
    """

    def __init__(self, path: Path, rate: Fraction = Fraction(24)):
        self.path, self._rate, self.how, self.suffix = path, rate, _How(True), _FRAMES
        self.origin: Any = None  # which the job tells before the first picture is written
        self._files = files(path)
        first = self._first()
        self._shape, self._bits = first.image.shape[:2], first.bits
        _, self._about = first.about
        self.facts, self._notes = _Facts(self._shape), self._lost()

    def _first(self) -> coloring.Levels:
        """The first picture that can be read; all others must be like it. Raises FilmError where there is none."""
        problems = []
        for path in self._files:
            try:
                return self._read(path)
            except (FilmError, photos.PhotoError, OSError) as error:
                problems.append(_in_words(error, path))
        raise FilmError(problems[0] if len(problems) == 1 else f"none of its pictures can be read: {problems[0]}")

    def _read(self, path: Path) -> coloring.Levels:
        if path.suffix.lower() == ".dpx":
            head = dpx.header(path)
            return coloring.Levels(dpx.read(path), head.bits, about=(path, head))
        photo = photos.read(path)
        if photo.pages > 1:
            raise FilmError(f"{path.name} has {photo.pages} pages: in a sequence a file is a frame")
        pixels, bare = photo.image, replace(photo, image=photo.image[:0])  # its words alone: pixels are large
        return coloring.Levels(pixels, 8 * pixels.dtype.itemsize, about=(path, bare))

    def _lost(self) -> list[str]:
        mine = {path.name for path in self._files}
        others = sorted(path.name for path in self.path.iterdir() if path.name not in mine and not path.name.startswith("."))
        named = f"{', '.join(others[:TOLD])}{', ...' * (len(others) > TOLD)}"
        lost = [f"what else is in the folder: {named}"] if others else []
        if not isinstance(self._about, dpx.Header):
            return lost
        lost += ["the mark in its pictures: headers of DPX stay as they are, so it is in the sidecar alone"]
        return lost + (["its transparency"] if dpx.has_alpha(self._about) else [])

    def look_through(self, survey: dict[str, Any]) -> Iterator[np.ndarray]:
        """Small grey frames; see `reel.Reel.look_through`."""
        problems, kept, coloured = [], [], []
        for number, path in enumerate(self._files):
            try:
                frame = self._read(path)
            except (FilmError, photos.PhotoError, OSError) as error:
                problems.append(f"{_in_words(error, path)}: the copy has none for it")
                continue
            if frame.image.shape[:2] != self._shape or frame.bits != self._bits:
                problems.append(f"{path.name} is of another size or depth than the first: the copy ends before it")
                break
            kept.append(number)
            if number % looks.OFTEN == 0:
                coloured.append(toning.is_in_colour(frame.image))
            yield np.round(frame.seen(160) * 2.55).astype(np.uint8)
        clock = assembling.Clock(1 / self._rate, kept, 1)
        logarithmic = isinstance(self._about, dpx.Header) and dpx.is_logarithmic(self._about)
        notes = ["its levels are logarithmic, and are taken as they are: look at the colours"] if logarithmic else []
        notes += looks.doubts(coloured)
        survey |= reel.Survey(len(kept), clock, "", problems, [*gaps(self._files), *notes]).as_dict()

    def settle(self, survey: reel.Survey) -> list[str]:
        """See `reel.Reel.settle`."""
        self._survey, kept = survey, set(survey.clock.pts)
        self._kept = [path for number, path in enumerate(self._files) if number in kept]
        self._left_out = [path.name for number, path in enumerate(self._files) if number not in kept]
        return list(self._notes)

    @property
    def settings(self) -> dict[str, Any]:
        """How it is written, for the sidecar."""
        return {"codec": self._files[0].suffix.lower()[1:], "chroma": "rgb"}

    @property
    def about(self) -> dict[str, Any]:
        """What it is, for the sidecar."""
        height, width = self._shape
        about = {"width": width, "height": height, "bits": self._bits, "frames": self._survey.count}
        return about | ({"left_out": self._left_out} if self._left_out else {})

    def pictures(self, shots: list[Shot]) -> Iterator[coloring.Levels]:
        """The frames of these shots."""
        for shot in shots:
            for path in self._kept[shot.first : shot.end]:
                yield self._read(path)

    def part(self, path: Path) -> "Part":
        """A place for a shot's frames."""
        return Part(path, self.origin)

    def assemble(self, parts: list[Path], out: Path) -> list[str]:
        """All pictures in one folder."""
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        for path in (path for part in parts for path in part.iterdir()):
            try:
                os.link(path, out / path.name)
            except OSError:  # no two names for a file on this disk
                shutil.copy2(path, out / path.name)
        return []

    def digest(self) -> str:
        """SHA-256 of all files."""
        return digest(self.path)

    def version(self) -> list[Any]:
        """Another one where some file may have changed."""
        stats = [path.stat() for path in self._files if path.exists()]  # a link may lead nowhere
        return [len(self._files), max(stat.st_mtime_ns for stat in stats), sum(stat.st_size for stat in stats)]


class Part:
    """The pictures of a shot on their way into a folder."""

    def __init__(self, path: Path, origin: provenance.Origin):
        self._path, self._unfinished, self._digest = path, path.with_suffix(".part"), hashlib.sha256()
        self._origin = origin
        self._unfinished.mkdir()

    def write(self, answer: coloring.Coloured, strength: float) -> tuple[float, float]:
        """Give a picture its colour, and write it; returns mean |dL*| and mean chroma."""
        picture = answer.picture
        path, about = picture.about
        self._digest.update(np.ascontiguousarray(picture.image))
        result, moved, colour = picture.painted(answer, strength)
        target = self._unfinished / path.name
        if isinstance(about, dpx.Header):
            target.write_bytes(dpx.written(about, result))
        else:
            origin = replace(self._origin, name=path.name, sha256=sidecar.digest_of(path))
            xmp, _ = provenance.marked(about.metadata.xmp, origin)
            photos.write(target, result, replace(about, image=result, metadata=replace(about.metadata, xmp=xmp)))
        return moved, colour

    def close(self, about: dict[str, Any]) -> None:
        """Finish it; `about` is what else is known of the shot."""
        shutil.rmtree(self._path, ignore_errors=True)
        os.replace(self._unfinished, self._path)
        writing.write_json(writing.about_of(self._path), about | {"planes_sha256": self._digest.hexdigest()})

    def discard(self) -> None:
        """Leave nothing of it."""
        with contextlib.suppress(OSError):
            shutil.rmtree(self._unfinished)
