"""Where a copy may lie, so that nothing is lost: not the film, nor what was there before."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from colorjax import photos
from colorjax.archive import sidecar
from colorjax.archive.plan import IN_ITS_PLACE
from colorjax.archive.proof import manifests, signatures
from colorjax.film import sequences
from colorjax.film.jobs import checking

_TOLD = 5  # strange files that are named one by one
ANEW = "{} is there already; --overwrite makes it anew"
_AWAY = "name another --out, or move the folder away"


def beside(out: Path) -> tuple[Path, Path, Path]:
    """What may lie beside a copy: its sidecar, the sidecar's signature and the manifest."""
    about = out.with_name(out.name + sidecar.SUFFIX)
    return about, about.with_name(about.name + signatures.SUFFIX), manifests.beside(out)


def check(film: Path, out: Path, work: Path, written: dict[str, Path], read: Iterable[Path]) -> None:
    """Raises ValueError where something that is written would take the place of the film, or of another file that is read.

    work: the folder of what is done. written: the files beside the copy, by what they are called. read: those beside the film.
    """
    for what, path in (("--out", out), ("the folder of what is done,", work)):
        if _same(path, film):
            raise ValueError(f"{what} {path} is the film itself; name another --out")
        if _lies_in(film, path):
            raise ValueError(f"{what} {path} holds the film {film}; name another --out")
    for what, path in {"--out": out, "the folder of what is done,": work, **written}.items():
        if _lies_in(path, film):
            raise ValueError(f"{what} {path} lies inside the film {film}, of which nothing is changed; name another place")
        for other in (film, *read):
            if _same(path, other):
                raise ValueError(f"{what} {path} would take the place of {other}, which is read; name another place")
    for what, path in written.items():
        if path.is_dir():
            raise ValueError(f"{what} {path} cannot be written: a folder is in its place")


def check_report(path: Path, out: Path, work: Path) -> None:
    """Make the folder of a report. Raises ValueError where the report could not be written there."""
    if _same(path.parent, out) or _lies_in(path.parent, out) or _same(path.parent, work):
        raise ValueError(f"--report {path} lies inside the copy; name a place beside it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ValueError(f"--report {path} cannot be written: {photos.in_words(error)}") from error


def told(out: Path) -> dict[str, Any] | None:
    """What the sidecar says of the copy of a film; None where none is there, or none of colorjax."""
    with contextlib.suppress(sidecar.SidecarError):
        return sidecar.loaded(beside(out)[0], checking.SCHEMA, checking.SHAPE)
    return None


def taken(out: Path, source: Any, overwrite: bool) -> str:
    """Why a copy may not take this place, in words, "" where it may. source: see `job.Work`. Raises OSError.

    overwrite: whether a copy of the same film, or a single file of anybody, may be replaced. A folder with anything but the
    pictures of that copy may not.
    """
    there, about = [path for path in (out, *beside(out)) if os.path.lexists(path)], told(out)
    if not there:
        return ""
    if about is None:
        return _by_others(out, there, overwrite)
    known = beside(out)[0].parent / about["source"]["path"].removeprefix("file://")
    if not _same(known, source.path) and (known.exists() or source.digest() != about["source"]["sha256"]):
        return IN_ITS_PLACE.format(about["source"]["path"])
    if not os.path.lexists(out):
        return ""
    if not overwrite:
        return ANEW.format(out)
    return _strange(out, about) if out.is_dir() else ""


def _by_others(out: Path, there: list[Path], overwrite: bool) -> str:
    if out.is_dir():
        if any(out.iterdir()):
            return f"{out} is a folder that is there already, and no copy by colorjax: {_AWAY}"
        return "" if overwrite else ANEW.format(out)
    return "" if overwrite else f"{there[0]} is there already, and not by colorjax; --overwrite replaces it"


def _strange(out: Path, about: dict[str, Any]) -> str:
    """What is in the folder of a copy beside its own pictures, in words."""
    mine = set(sequences.pictures(out))
    others = sorted(path.name for path in out.iterdir() if path not in mine or path.is_symlink() or not path.is_file())
    if others:
        names = f"{', '.join(others[:_TOLD])}{', ...' * (len(others) > _TOLD)}"
        return f"{out} holds more than the pictures of the copy ({names}), which --overwrite would delete: {_AWAY}"
    if mine and sequences.digest(out) != about["copy"]["sha256"]:
        return f"{out} has other pictures than those that colorjax put there, which --overwrite would delete: {_AWAY}"
    return ""


@contextlib.contextmanager
def replaced(out: Path, whole: Path) -> Iterator[None]:
    """What is done within writes the files beside a copy; then the copy `whole` appears at `out`.

    What was there before is kept beside `whole` meanwhile, and comes back where anything fails. Raises OSError.
    """
    aside = _aside(whole)
    unfinished = aside.with_name(f"{aside.name}.part")
    for folder in (unfinished, aside):
        shutil.rmtree(folder, ignore_errors=True)
    unfinished.mkdir()
    for path in beside(out):
        if path.is_file():
            shutil.copy2(path, unfinished / path.name)
    os.replace(unfinished, aside)  # from here on `put_back` knows what was there
    try:
        if out.is_dir():  # a folder takes no other's place; and no sidecar of another copy lies beside it
            os.replace(out, aside / out.name)
        yield
        os.replace(whole, out)
    except BaseException:
        put_back(out, whole)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def put_back(out: Path, whole: Path) -> bool:
    """Undo what a `replaced` began that did not come to its end; whether there was something to undo."""
    aside = _aside(whole)
    if not whole.exists():  # the copy has appeared, or none was ready
        shutil.rmtree(aside, ignore_errors=True)
    if not aside.is_dir():
        return False
    for path in beside(out):
        if (aside / path.name).is_file():
            os.replace(aside / path.name, path)
        else:
            path.unlink(missing_ok=True)
    if os.path.lexists(aside / out.name):
        os.replace(aside / out.name, out)
    shutil.rmtree(aside)
    return True


def _aside(whole: Path) -> Path:
    return whole.with_name("aside")


def _same(one: Path, other: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samefile(one, other)
    return one.resolve() == other.resolve()


def _lies_in(path: Path, folder: Path) -> bool:
    """Whether a place is inside a folder, by its name or by where a link leads."""
    ways = {path.resolve(), path.parent.resolve() / path.name}
    return any(_same(parent, folder) for way in ways for parent in way.parents)
