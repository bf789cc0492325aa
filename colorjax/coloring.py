"""`colorjax colorize`: from its arguments to its exit code; what it says while it works."""

import argparse
import json
import os
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from tqdm import tqdm

from colorjax import batch, caching, marks, photos, provenance
from colorjax.colorizer import MAX_STRENGTH, Colorizer
from colorjax.copies import Job, Options, Outcome, foresee


def run(args: argparse.Namespace) -> int:
    """Colour what the arguments name. Returns 0, or 1 where some photographs failed; raises ValueError for wrong usage."""
    options = _options(args)
    photos.allow_large(options.max_pixels)
    warnings.filterwarnings("ignore", module="PIL")  # it reports damage that it tolerates
    found = list(photos.find(args.paths))
    if not found:
        raise ValueError(f"no photographs in {', '.join(args.paths)} (looked for {', '.join(photos.SUFFIXES)})")
    jobs = batch.plan(found, args.out, options)
    start = time.perf_counter()
    if args.dry_run:
        outcomes = _foreseen(jobs, options)
        return _summary(args, outcomes, time.perf_counter() - start)
    caching.keep_compiled()
    load = Colorizer.pretrained if args.ckpt is None else lambda *a, **k: Colorizer.from_checkpoint(args.ckpt, *a, **k)
    colorizer = load(args.size, flip=args.flip)
    outcomes = _worked(jobs, colorizer, options, args.json)
    return _summary(args, outcomes, time.perf_counter() - start)


def _options(args: argparse.Namespace) -> Options:
    if not 0 <= args.strength <= MAX_STRENGTH:
        raise ValueError(f"--strength {args.strength} must be in 0..{MAX_STRENGTH}")
    if not 1 <= args.quality <= 100:
        raise ValueError(f"--quality {args.quality} must be in 1..100")
    if not args.max_megapixels > 0:
        raise ValueError(f"--max-megapixels {args.max_megapixels} must be positive")
    provenance.source_type_uri(args.source_type)
    if args.burn_in and (missing := marks.not_drawn(args.burn_in)):
        raise ValueError(f"--burn-in: its letters have no {photos.legible(missing)!r}; latin ones without accents can be drawn")
    return Options(
        strength=args.strength,
        format=args.format,
        quality=args.quality,
        source_type=args.source_type,
        uncertainty=args.uncertainty,
        burn_in=args.burn_in,
        overwrite=args.overwrite,
        max_pixels=round(args.max_megapixels * 1e6),
    )


def _foreseen(jobs: list[Job], options: Options) -> list[Outcome]:
    outcomes = [foresee(job, options) for job in jobs]
    for outcome in outcomes:
        reason = f" ({outcome.reason})" if outcome.reason else ""
        print(photos.legible(f"{outcome.status}{reason}: {outcome.job.source} -> {outcome.job.target}"))
    return outcomes


def _worked(jobs: list[Job], colorizer: Colorizer, options: Options, as_json: bool) -> list[Outcome]:
    outcomes = []
    quiet = True if as_json else None  # None: tqdm is silent unless stderr is a terminal
    with tqdm(total=len(jobs), desc="colouring", unit="photo", disable=quiet) as bar:
        for outcome in batch.run(jobs, colorizer, options):
            outcomes.append(outcome)
            bar.set_postfix_str(photos.legible(outcome.job.source.name)[-30:], refresh=False)
            bar.update()
            if as_json:
                print(json.dumps(outcome.as_dict()), flush=True)
            elif outcome.status == "failed":
                tqdm.write(photos.legible(f"{outcome.job.source}: {outcome.reason}"), file=sys.stderr)
            elif outcome.notes:
                tqdm.write(photos.legible(f"{outcome.job.source}: not carried: {', '.join(outcome.notes)}"), file=sys.stderr)
    return outcomes


def _summary(args: argparse.Namespace, outcomes: list[Outcome], seconds: float) -> int:
    counts = Counter(outcome.status for outcome in outcomes)
    if args.report:
        _write_report(args.report, outcomes, counts, seconds)
    if args.dry_run:
        words = [f"{counts['to colour']} photographs would be coloured into {args.out}"]
    else:
        words = [f"{counts['coloured']} photographs coloured into {args.out}"]
    words += [f"{counts['skipped']} there already"] if counts["skipped"] else []
    words += [f"{counts['failed']} failed"] if counts["failed"] else []
    if not args.json:
        print(photos.legible(", ".join(words)))
    return 1 if counts["failed"] else 0


def _write_report(path: Path, outcomes: list[Outcome], counts: Counter, seconds: float) -> None:
    stages: dict[str, float] = {}
    for outcome in outcomes:
        for stage, spent in outcome.seconds.items():
            stages[stage] = round(stages.get(stage, 0.0) + spent, 3)
    about: dict[str, Any] = {"counts": dict(counts), "seconds": round(seconds, 3), "seconds_by_stage": stages}
    about |= {"processors": os.cpu_count(), "photographs": [outcome.as_dict() for outcome in outcomes]}
    with photos.atomic(path) as stream:
        stream.write(json.dumps(about, indent=2).encode() + b"\n")
