"""`colorjax colorize`: from its arguments to its exit code; what it says while it works."""

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from colorjax import checkpoint, photos
from colorjax.archive import colorize_cluster, colorize_many, marks, places, provenance, transfer, urls
from colorjax.archive.plan import IN_COLOUR, LEFT_IN_COLOUR, NEGATIVE, NO_NEGATIVE, THERE, Job, Options, Outcome
from colorjax.archive.urls import Url
from colorjax.inference.colorizer import MAX_STRENGTH
from colorjax.platform import caching
from colorjax.science import hints, toning

_LOOK_LIKE = "look like negatives, taken together"
_TOLD_TOGETHER = {IN_COLOUR, NEGATIVE, NO_NEGATIVE}  # of all photographs, at the end


def run(args: argparse.Namespace) -> int:
    """Colour what the arguments name. Returns 0, or 1 where some photographs failed; raises ValueError for wrong usage."""
    options, given = _options(args), _hints(args)
    photos.allow_large(options.max_pixels)
    warnings.filterwarnings("ignore", module="PIL")  # it reports damage that it tolerates
    args.out, named = urls.place(args.out), [urls.place(path) for path in args.paths]
    missing = [place for place in named if not (urls.exists(place) if isinstance(place, Url) else os.path.exists(place))]
    passed_over = photos.PassedOver()
    found = list(places.strangers(_found([place for place in named if place not in missing], passed_over), passed_over))
    if not found:
        raise ValueError(_nothing(args.paths, missing, passed_over))
    jobs = places.jobs(found, args.out, options) + [
        Job(path, args.out / (path.name or "missing"), "no such file or folder") for path in missing
    ]
    if given:
        if len(jobs) != 1:
            raise ValueError(f"--hint is of one photograph, and here are {len(jobs)}; {hints.SUFFIX} files are of many")
        jobs = [replace(jobs[0], hints=given)]
    _check_report(args.report, jobs)
    if isinstance(args.out, Path) and not args.dry_run:
        _check_out(args.out)
    outcomes: list[Outcome] = []
    report = {"interrupted": True, "passed_over": dict(passed_over), "passed_over_names": passed_over.names}
    start = time.perf_counter()
    with _stopped_by_sigterm():
        try:
            if args.dry_run:
                outcomes += transfer.foresee(jobs, options)
                _tell_foreseen(outcomes, args.json)
            else:
                _work(jobs, _outcomes(args, jobs, options), args.json, outcomes)
            report["interrupted"] = False
            _tell_summary(args, outcomes, passed_over)
        finally:
            if args.report:
                _write_report(args.report, outcomes, report | {"seconds": round(time.perf_counter() - start, 3)})
    return 1 if any(outcome.status == "failed" for outcome in outcomes) else 0


def _nothing(paths: list[str], missing: list[Path | Url], passed_over: photos.PassedOver) -> str:
    """What to say where there is no photograph."""
    reason = f"{missing[0]}: no such file or folder; " if missing else ""
    shown = paths if len(paths) <= 3 else [*paths[:3], f"{len(paths) - 3} more"]
    besides = "".join(f"; passed over {number} {what}" for what, number in sorted(passed_over.items()))
    suffixes = ", ".join(suffixes[0] for suffixes in photos.FORMATS.values())
    return f"{reason}no photographs in {', '.join(shown)} (looked for {suffixes} and the like){besides}"


def _found(named: list[Path | Url], passed_over: photos.PassedOver) -> Iterator[tuple[Path | Url, Path | Url]]:
    for place in named:
        for root, path in urls.find(place, passed_over) if isinstance(place, Url) else photos.find([place], passed_over):
            if not path.name.endswith(hints.SUFFIX):  # as FOLDER/* names them, too
                yield root, path


def _outcomes(args: argparse.Namespace, jobs: list[Job], options: Options) -> Iterator[Outcome]:
    """Do the jobs, here or on the cluster."""
    colorize_many.sweep(jobs)
    if args.cluster is None:
        caching.keep_compiled()
        return colorize_many.run(jobs, colorize_many.load(args.ckpt, args.size, args.flip, args.engine), options)
    ckpt = args.ckpt if args.ckpt == checkpoint.PRETRAINED else urls.place(args.ckpt)
    ckpt = ckpt.expanduser().absolute() if isinstance(ckpt, Path) else ckpt
    named = [place for place in (*map(urls.place, args.paths), ckpt) if isinstance(place, Path) and os.path.lexists(place)]
    seen = {str((path if path.is_dir() else path.parent).absolute()): str(path) for path in named}
    setup = colorize_cluster.Setup(str(ckpt), args.size, args.flip, options, args.engine, seen)
    return colorize_cluster.run(jobs, args.cluster, args.workers, setup, args.out)


@contextlib.contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
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


def _check_out(out: Path) -> None:
    """Raises ValueError where no copy could be written there: once, instead of for each photograph. Leaves nothing."""
    try:
        there = next(place for place in (out.absolute(), *out.absolute().parents) if place.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        reason = "it is a file, not a folder" if out.is_file() else photos.in_words(error, with_name=False)
        raise ValueError(f"--out {out} cannot be written: {reason}") from error


def _options(args: argparse.Namespace) -> Options:
    if not 0 <= args.strength <= MAX_STRENGTH:
        raise ValueError(f"--strength {args.strength} must be in 0..{MAX_STRENGTH}")
    if not 1 <= args.quality <= 100:
        raise ValueError(f"--quality {args.quality} must be in 1..100")
    if not args.max_megapixels > 0:
        raise ValueError(f"--max-megapixels {args.max_megapixels} must be positive")
    if args.workers is not None and (args.cluster is None or args.workers < 1):
        raise ValueError(f"--workers {args.workers} must be positive, and needs --cluster")
    provenance.source_type_uri(args.source_type)
    if args.burn_in and (missing := marks.not_drawn(args.burn_in)):
        raise ValueError(f"--burn-in: the font (DejaVu Sans) has no {photos.legible(missing)!r}; say it in other letters")
    return Options(
        strength=args.strength,
        format=args.format,
        quality=args.quality,
        source_type=args.source_type,
        uncertainty=args.uncertainty,
        burn_in=args.burn_in,
        overwrite=args.overwrite,
        hint_files=not args.no_hints,
        accept_truncated=args.accept_truncated,
        refresh_metadata=args.refresh_metadata,
        only_grey=args.only_grey,
        negative=args.negative,
        max_pixels=round(args.max_megapixels * 1e6),
    )


def _hints(args: argparse.Namespace) -> tuple[hints.Hint, ...]:
    """Those of --hint."""
    if args.hint and args.no_hints:
        raise ValueError("--hint and --no-hints contradict each other")
    found = []
    for text in args.hint or ():
        try:
            found.append(hints.parse(text))
        except hints.HintError as error:
            raise ValueError(f"--hint {photos.legible(text)}: {error}") from error
    return hints.checked(found, None)


def _tell_foreseen(outcomes: list[Outcome], as_json: bool) -> None:
    for outcome in outcomes:
        reason = f" ({outcome.reason})" if outcome.reason else ""
        words = f"{outcome.status}{reason}: {outcome.job.source} -> {outcome.job.target}"
        print(json.dumps(outcome.as_dict()) if as_json else photos.legible(words))


def _work(jobs: list[Job], work: Iterable[Outcome], as_json: bool, outcomes: list[Outcome]) -> None:
    """Say what became of each job as it is done; `outcomes` grows meanwhile, and is in the order of the jobs at the end."""
    out = sys.stdout  # while a cluster works, what others print goes to stderr
    quiet = True if as_json else None  # None: tqdm is silent unless stderr is a terminal
    bar = tqdm(total=len(jobs), desc="colouring", unit="photo", disable=quiet)
    with bar, contextlib.closing(work) as done:
        for outcome in done:
            outcomes.append(outcome)
            bar.set_postfix_str(photos.legible(outcome.job.source.name)[-30:], refresh=False)
            bar.update()
            if as_json:
                print(json.dumps(outcome.as_dict()), file=out, flush=True)
                continue
            told = outcome.status != "skipped" or outcome.reason not in (THERE, LEFT_IN_COLOUR)
            lines = [outcome.reason] if outcome.reason and told else []
            lines += [f"not carried: {', '.join(outcome.notes)}"] if outcome.notes else []
            lines += [f"warning: {warning}" for warning in outcome.warnings if warning not in _TOLD_TOGETHER]
            for line in lines:
                tqdm.write(photos.legible(f"{outcome.job.source}: {line}"), file=sys.stderr)
    order = {job: number for number, job in enumerate(jobs)}
    outcomes.sort(key=lambda outcome: order[outcome.job])


def _tell_summary(args: argparse.Namespace, outcomes: list[Outcome], passed_over: photos.PassedOver) -> None:
    if args.json:
        for verdict in _negatives(outcomes):
            print(json.dumps(verdict))
        return
    counts = Counter(outcome.status for outcome in outcomes)
    done = f"{counts['to colour']} photographs would be" if args.dry_run else f"{counts['coloured']} photographs"
    words = [f"{done} coloured into {args.out}"]
    refreshed = counts["refreshed"] + counts["to refresh"]
    words += [f"the metadata of {refreshed} carried over"] if refreshed else []
    left = sum(outcome.reason == LEFT_IN_COLOUR for outcome in outcomes)
    words += [f"{counts['skipped'] - left} there already"] if counts["skipped"] > left else []
    words += [f"{left} left as they are, in colour already"] if left else []
    words += [f"{counts['failed']} failed"] if counts["failed"] else []
    warned = sum(not set(outcome.warnings) <= _TOLD_TOGETHER for outcome in outcomes)
    words += [f"{warned} to be looked at"] if warned else []
    words += [f"passed over {number} {what}" for what, number in sorted(passed_over.items())]
    print(photos.legible(", ".join(words)))
    for line in _doubts(outcomes):
        print(photos.legible(line))


def _doubts(outcomes: list[Outcome]) -> Iterator[str]:
    """What may be wrong with photographs of a run, in a line for each kind of doubt."""
    warned = Counter(warning for outcome in outcomes for warning in outcome.warnings)
    if number := warned[IN_COLOUR]:
        yield f"in colour already and painted over: {number}; --only-grey leaves such photographs as they are"
    if number := warned[NEGATIVE]:
        yield f"look like negatives: {number}; --negative inverts all that it is given"
    if number := warned[NO_NEGATIVE]:
        yield f"look like negatives now that they are inverted: {number}; without --negative they stay as they are"
    for verdict in _negatives(outcomes):
        yield f"the {verdict['photographs']} photographs of {verdict['folder']} {verdict['warning']}"


def _negatives(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """Each folder whose photographs are negatives, taken together: {"folder", "photographs" (how many), "warning"}."""
    folders = defaultdict(list)
    for outcome in outcomes:
        if outcome.negative_score is not None:
            folders[outcome.job.source.parent].append(outcome.negative_score)
    found = {str(folder): len(scores) for folder, scores in folders.items() if toning.are_negatives(scores)}
    return [{"folder": folder, "photographs": number, "warning": _LOOK_LIKE} for folder, number in found.items()]


def _write_report(path: Path, outcomes: list[Outcome], about: dict[str, Any]) -> None:
    stages: dict[str, float] = {}
    for outcome in outcomes:
        for stage, spent in outcome.seconds.items():
            stages[stage] = round(stages.get(stage, 0.0) + spent, 3)
    about = about | {"counts": dict(Counter(outcome.status for outcome in outcomes)), "seconds_by_stage": stages}
    about |= {"folders": _negatives(outcomes)}
    about |= {"processors": os.cpu_count(), "photographs": [outcome.as_dict() for outcome in outcomes]}
    with photos.atomic(path) as stream:
        stream.write(json.dumps(about, indent=2).encode() + b"\n")
