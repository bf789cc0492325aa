"""`colorjax colorize`: from its arguments to its exit code. `telling`: what it says."""

import argparse
import contextlib
import json
import os
import signal
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from colorjax import checkpoint, photos
from colorjax.archive import colorize_cluster, colorize_many, companions, places, transfer, urls
from colorjax.archive.colorize_command import telling
from colorjax.archive.plan import Job, Options, Outcome
from colorjax.archive.urls import Url
from colorjax.inference import engines
from colorjax.platform import caching, usage
from colorjax.science import hints


def run(args: argparse.Namespace) -> int:
    """Colour what the arguments name. Returns 0, or 1 where some photographs failed; raises ValueError for wrong usage."""
    options, given = _options(args), _hints(args)
    if args.example:
        args.paths = [str(_example(args))]
    photos.allow_large(options.max_pixels)
    warnings.filterwarnings("ignore", module="PIL")  # it reports damage that it tolerates
    named, out = [urls.place(path) for path in args.paths], None if args.out is None else urls.place(args.out)
    missing = [place for place in named if not (urls.exists(place) if isinstance(place, Url) else os.path.exists(place))]
    there, passed_over = [place for place in named if place not in missing], photos.PassedOver()
    found = list(places.strangers(_found(there, passed_over), passed_over))
    if not found:
        raise ValueError(_nothing(args.paths, missing, passed_over))
    jobs = places.planned(found, named, out, options) + [
        Job(path, (out or path.parent) / (path.name or "missing"), "no such file or folder") for path in missing
    ]
    if given:
        if (number := len({job.source for job in jobs})) != 1:
            raise ValueError(f"--hint is of one photograph, and here are {number}; {hints.SUFFIX} files are of many")
        jobs = [replace(job, hints=given) for job in jobs]
    _check_report(args.report, jobs)
    folders = places.folders(there, out)
    for folder in () if args.dry_run else folders:
        _check_out(folder, named=out is not None)
    outcomes: list[Outcome] = []
    report = {"interrupted": True, "passed_over": dict(passed_over), "passed_over_names": passed_over.names}
    start = time.perf_counter()
    with stopped_by_sigterm():
        try:
            if args.dry_run:
                outcomes += transfer.foresee(jobs, options)
                telling.foreseen(outcomes, args.json)
            else:
                telling.work(jobs, _outcomes(args, jobs, options, folders), args.json, outcomes)
            report["interrupted"] = False
            if args.json:
                for verdict in telling.negatives(outcomes):
                    print(json.dumps(verdict))
            else:
                telling.summary(outcomes, passed_over, places.in_words(there, out), args.dry_run)
        finally:
            if args.report:
                _write_report(args.report, outcomes, report | {"seconds": round(time.perf_counter() - start, 3)})
    return 1 if any(outcome.status == "failed" for outcome in outcomes) else 0


def _example(args: argparse.Namespace) -> Path:
    """The photograph that the package brings, put where the user stands, so that it lies beside its copy as any other does."""
    if args.paths or args.dry_run:
        other = args.paths[0] if args.paths else "--dry-run"
        raise ValueError(f"--example and {other} contradict each other; --example puts a photograph here and colours it")
    path, content = Path("example.jpg"), (resources.files("colorjax.archive") / "example" / "example.jpg").read_bytes()
    if not os.path.lexists(path):
        with photos.atomic(path) as stream:
            stream.write(content)
    elif path.read_bytes() != content:
        raise ValueError(f"{path} is there already and is another file; go to an empty folder, and ask again")
    return path


def _nothing(paths: list[str], missing: list[Path | Url], passed_over: photos.PassedOver) -> str:
    """What to say where there is no photograph."""
    reason = f"{missing[0]}: no such file or folder" if missing else ""
    if len(missing) == len(paths):
        return reason
    reason += "; " if missing else ""
    shown = paths if len(paths) <= 3 else [*paths[:3], f"{len(paths) - 3} more"]
    besides = "".join(f"; {words}" for words in telling.passed(passed_over))
    suffixes = ", ".join(suffixes[0] for suffixes in photos.FORMATS.values())
    return f"{reason}no photographs in {', '.join(shown)} (looked for {suffixes} and the like){besides}"


def _found(named: list[Path | Url], passed_over: photos.PassedOver) -> Iterator[tuple[Path | Url, Path | Url]]:
    for place in named:
        for root, path in urls.find(place, passed_over) if isinstance(place, Url) else photos.find([place], passed_over):
            if not path.name.endswith(hints.SUFFIX):  # as FOLDER/* names them, too
                yield root, path


def _outcomes(args: argparse.Namespace, jobs: list[Job], options: Options, folders: list[places.Place]) -> Iterator[Outcome]:
    """Do the jobs, here or on the cluster."""
    colorize_many.sweep(jobs)
    if args.cluster is None:
        caching.keep_compiled()
        return colorize_many.run(jobs, colorize_many.load(args.ckpt, args.size, args.flip, args.engine), options)
    ckpt = args.ckpt if args.ckpt == checkpoint.PRETRAINED else urls.place(args.ckpt)
    ckpt = ckpt.expanduser().absolute() if isinstance(ckpt, Path) else ckpt
    named = [place for place in (*map(urls.place, args.paths), ckpt) if isinstance(place, Path) and os.path.lexists(place)]
    seen = {str((path if path.is_dir() else path.parent).absolute()): str(path) for path in named}
    seen |= {path: f"the key's file {path}" for path in (options.sign_key, options.sign_cert) if path}
    setup = colorize_cluster.Setup(str(ckpt), args.size, args.flip, options, args.engine, seen)
    return colorize_cluster.run(jobs, args.cluster, args.workers, setup, folders)


@contextlib.contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM stops as Ctrl-C does: nothing half written is left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check_report(path: Path | None, jobs: list[Job]) -> None:
    """Raises ValueError or OSError where the report could not be written, or would take the place of a picture."""
    if path is None:
        return
    files = (file for job in jobs for file in (job.source, job.target, job.sidecar, job.map(1)) if isinstance(file, Path))
    other = path.suffix.lower() in photos.SUFFIXES or path.name.endswith(hints.SUFFIX)
    if other or path.resolve() in {file.resolve() for file in files}:
        raise ValueError(f"--report {path} would take the place of a picture, its sidecar or its hints; name a .json file")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise ValueError(f"--report {path} cannot be written")


def _check_out(folder: places.Place, named: bool) -> None:
    """Raises ValueError where no copy could be written there: once, instead of for each photograph. Leaves nothing.

    named: whether the user did, with --out.
    """
    if isinstance(folder, Url):
        return
    try:
        there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        reason = "it is a file, not a folder" if folder.is_file() else photos.in_words(error, with_name=False)
        if named:
            raise ValueError(f"--out {folder} cannot be written: {reason}") from error
        raise ValueError(f"no copy can be written into {folder}: {reason}; name another folder with --out") from error


def _options(args: argparse.Namespace) -> Options:
    if args.workers is not None and (args.cluster is None or args.workers < 1):
        raise ValueError(f"--workers {args.workers} must be positive, and needs --cluster")
    same = ("strength", "format", "quality", "source_type", "uncertainty", "burn_in", "overwrite", "accept_truncated")
    same += ("refresh_metadata", "only_grey", "negative", "warmth", "saturation", "variants")
    settings = {name: getattr(args, name) for name in same} | {"max_pixels": usage.pixels(args.max_megapixels)} | signing(args)
    try:
        return Options(**settings, hint_files=not args.no_hints)
    except ValueError as error:  # it begins with the name of the value
        raise ValueError(f"--{error}") from error


def signing(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of `Options` for --sign-key and its like, once that key has signed something; the paths hold wherever a
    worker runs. Raises ValueError, naming the option, where it cannot sign."""
    key, chain = (path and os.path.abspath(os.path.expanduser(path)) for path in (args.sign_key, args.sign_cert))
    settings = {"sign_key": key, "sign_cert": chain, "sign_tsa": args.sign_tsa}
    try:
        companions.keys_of(Options(**settings))
    except engines.MissingPackageError:
        raise
    except ValueError as error:  # it begins with the name of the option
        raise ValueError(f"--{error}") from error
    return settings


def _hints(args: argparse.Namespace) -> tuple[hints.Hint, ...]:
    """Those of --hint."""
    if args.hint and args.no_hints:
        raise ValueError("--hint and --no-hints contradict each other")
    found = []
    for text in args.hint or ():
        try:
            found.append(hints.parse(text))
        except hints.HintError as error:
            said = f": {error}".removeprefix(f": hint {text!r}")  # which is named already
            raise ValueError(f"--hint {photos.legible(text)}{said}") from error
    return hints.checked(found, None)


def _write_report(path: Path, outcomes: list[Outcome], about: dict[str, Any]) -> None:
    stages: dict[str, float] = {}
    for outcome in outcomes:
        for stage, spent in outcome.seconds.items():
            stages[stage] = round(stages.get(stage, 0.0) + spent, 3)
    about = about | {"counts": dict(Counter(outcome.status for outcome in outcomes)), "seconds_by_stage": stages}
    about |= {"folders": telling.negatives(outcomes)}
    about |= {"processors": os.cpu_count(), "photographs": [telling.as_dict(outcome) for outcome in outcomes]}
    with photos.atomic(path) as stream:
        stream.write(json.dumps(about, indent=2).encode() + b"\n")
