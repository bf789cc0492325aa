"""Photographs and copies that lie elsewhere, brought to this machine and back: between, they are coloured as all others."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from colorjax.archive import marks, plan, provenance, sidecar, urls
from colorjax.archive.plan import Job, Options, Outcome
from colorjax.archive.urls import Url


@dataclass(frozen=True, kw_only=True)
class Staged(Job):
    """A job on this machine that stands for one of URLs, `away`; its files lie below `desk` as they do there."""

    away: Job
    desk: Path


@contextlib.contextmanager
def room(some: list[Job]) -> Iterator[Path | None]:
    """A temporary folder for the jobs among these that need one; None where none does."""
    if not any(isinstance(place, Url) for job in some for place in (job.source, job.target)):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="colorjax-") as folder:
        yield Path(folder)


def foresee(some: list[Job], options: Options) -> Iterator[Outcome]:
    """`plan.foresee` for each, wherever it lies."""
    with room(some) as folder:
        for job in some:
            yield told(plan.foresee(fetched(job, folder, options), options))


def fetched(job: Job, folder: Path | None, options: Options) -> Job:
    """The same job on this machine, below a new folder in `folder`: what of it lies elsewhere is there now.

    What cannot be fetched is the problem of the job that is returned. Of a copy that is there already, only the sidecar is
    fetched; an empty file of its size stands for it, unless that is not the size that the sidecar says.
    """
    places = (job.source, job.target)
    if job.problem or not any(isinstance(place, Url) for place in places):
        return job
    try:
        desk = Path(tempfile.mkdtemp(dir=folder))
    except OSError as error:
        return replace(job, problem=Outcome(job, "failed").failed(error).reason)
    source, target = (_on(desk, place) if isinstance(place, Url) else place for place in places)
    beside = all(isinstance(place, Url) for place in places) and job.source.parts[:2] == job.target.parts[:2]
    origin = "" if beside else _uri(job.source)
    here = Staged(source, target, origin=origin, free=job.free, hints=job.hints, away=job, desk=desk)
    try:
        if isinstance(job.target, Url):
            _fetch_copy(here, options)
        problem = _of_another(here)
        if isinstance(job.source, Url) and not problem:
            urls.fetch(job.source, source)
            problem = "it is a copy that colorjax made; name the photograph itself" if provenance.is_copy(source) else ""
            if options.hint_files and job.hints is None and (found := urls.fetch_small(job.hint_file)) is not None:
                here.hint_file.write_bytes(found)
    except FileNotFoundError:
        problem = "the file is not there"
    except Exception as error:  # whatever a file system does, it must not end the others
        problem = Outcome(job, "failed").failed(error).reason
    return replace(here, problem=problem)


def _on(desk: Path, url: Url) -> Path:
    return desk.joinpath(url.parts[0].removesuffix(":"), *url.parts[1:])


def _uri(place: Path | Url) -> str:
    return str(place) if isinstance(place, Url) else f"file://{(place.parent.resolve() / place.name).as_posix()}"


def _fetch_copy(here: Staged, options: Options) -> None:
    """What `plan.foresee` looks at in the place of the copy."""
    here.target.parent.mkdir(parents=True, exist_ok=True)
    if (about := urls.fetch_small(here.away.sidecar)) is not None:
        here.sidecar.write_bytes(about)
    size = urls.size(here.away.target)
    if size is not None and (options.refresh_metadata or size != _size_said(here.sidecar, size)):
        urls.fetch(here.away.target, here.target)
    elif size is not None:
        here.target.touch()
        os.truncate(here.target, size)
    if options.uncertainty and (found := urls.fetch_small(here.away.map(1))) is not None:
        here.map(1).write_bytes(found)


def _size_said(path: Path, otherwise: int) -> int:
    """Of the copy, by its sidecar."""
    try:
        return sidecar.read(path)["copy"].get("bytes", otherwise)
    except sidecar.SidecarError:
        return otherwise


def _of_another(here: Staged) -> str:
    """What to say where another photograph, which is there still, has its copy in this place; "" where none has."""
    try:
        path = sidecar.read(here.sidecar)["source"]["path"]
    except sidecar.SidecarError:
        return ""
    job = here.away
    known = urls.joined(job.sidecar.parent, path)
    if _uri(known) == _uri(job.source):
        return ""
    if isinstance(known, Path):
        there = known.exists()
    else:  # what a sidecar names is asked for only where the photograph or its copy is
        near = [place.parts[:2] for place in (job.source, job.target) if isinstance(place, Url)]
        there = known.parts[:2] in near and urls.exists(known)
    return plan.IN_ITS_PLACE.format(path) if there else ""


def delivered(outcome: Outcome) -> Outcome:
    """A coloured outcome as it is, once its copy has been brought where it belongs: the copy last, so that all is there.

    Raises OSError where it cannot be brought; then the sidecar is what it was.
    """
    here = outcome.job
    if not (isinstance(here, Staged) and isinstance(here.away.target, Url)):
        return outcome
    previous, maps = urls.fetch_small(here.away.sidecar), sidecar.maps(here.sidecar.read_bytes())
    for name in (name for name in maps if here.target.with_name(name).exists()):  # those of a refreshed copy stay there
        urls.put(here.target.with_name(name), here.away.target.with_name(name))
    beside = _signing(here, previous)
    before = {there: urls.fetch_small(there) for there in beside.values()} | {here.away.sidecar: previous}
    try:
        urls.put(here.sidecar, here.away.sidecar)
        for file, there in beside.items():
            _settle(there, file.read_bytes() if file.is_file() else None, before[there], file)
        urls.put(here.target, here.away.target)
    except BaseException:
        for there, content in before.items():
            with contextlib.suppress(OSError):
                _settle(there, content, b"", here.desk / "before")
        raise
    for name in sidecar.maps(previous) - maps:  # of the copy that was there before
        with contextlib.suppress(FileNotFoundError):
            urls.fetch(here.away.target.with_name(name), here.desk / "map")
            if marks.is_map(here.desk / "map"):
                urls.remove(here.away.target.with_name(name))
    return outcome


def _signing(here: Staged, previous: bytes | None) -> dict[Path, Url]:
    """What only signed copies have beside them, where it is here: and where it belongs. previous: the sidecar of before."""
    now, before = sidecar.signed(here.sidecar.read_bytes()), sidecar.signed(previous)
    files = {here.signature: here.away.signature} if now or before else {}
    return files | ({here.manifest: here.away.manifest} if "manifest" in now or "manifest" in before else {})


def _settle(there: Url, content: bytes | None, was: bytes | None, file: Path) -> None:
    """Have a small file there, by way of one here, or have none. was: what there is now, None for nothing."""
    if content is not None:
        file.write_bytes(content)
        urls.put(file, there)
    elif was is not None:
        urls.remove(there)


def told(outcome: Outcome) -> Outcome:
    """The outcome in the names of the job that was asked for; what was brought to this machine for it is gone."""
    here = outcome.job
    if not isinstance(here, Staged):
        return outcome
    shutil.rmtree(here.desk, ignore_errors=True)
    reason = outcome.reason
    for place in (here.away.source, here.away.target):
        if isinstance(place, Url):
            reason = reason.replace(f"{_on(here.desk, Url(place.parts[0]))}{os.sep}", f"{place.parts[0]}//")
    return replace(outcome, job=here.away, reason=reason)
