"""`colorjax film`: from its arguments to its exit code."""

import argparse
import csv
import io
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from colorjax import photos
from colorjax.archive import colorize_many, companions, provenance, sidecar
from colorjax.archive.colorize_command import signing, stopped_by_sigterm
from colorjax.archive.plan import Options
from colorjax.film import lists, sequences, steadying
from colorjax.film.containers import reel
from colorjax.film.containers.reading import FilmError
from colorjax.film.jobs import job, places
from colorjax.platform import caching
from colorjax.science import hints
from colorjax.science.hints import HintError
from colorjax.science.tints import MAX_STRENGTH

_SIDES = 64, 2048  # least and most of --long-side
_NEEDED = "first", "end", "start", "mean_chroma", "lightness_moved", "seconds"  # of each shot, for the report
_COLUMNS = (
    "shot",
    "first",
    "end",
    "frames",
    "start",
    "dissolve",
    "mean_chroma",
    "lightness_moved",
    "hints",
    "carried",
    "seconds",
)
_TOLD = 20  # hints of which each has a line of its own


def run(args: argparse.Namespace) -> int:
    """Colour a film. Returns 0, 1 where something of it could not be read or coloured, 130 where it was stopped.

    Raises ValueError for wrong usage.
    """
    work = _work(args)
    if not args.only_shots and (words := places.taken(args.out, work.source, args.overwrite)):
        if args.report and words == places.ANEW.format(args.out) and (about := places.told(args.out)):
            return _report_again(work, args, about)
        raise ValueError(words)
    try:
        with stopped_by_sigterm(), work.locked() as came_back:
            if came_back and not args.only_shots and (words := places.taken(args.out, work.source, args.overwrite)):
                raise ValueError(words)
            return _coloured(work, args)
    except KeyboardInterrupt:
        _say(f"stopped; what is done is kept in {work.folder}, and the same command goes on")
        return 130
    except (FilmError, HintError, lists.ShotError, photos.PhotoError) as error:
        _say(f"{work.source.path}: {photos.in_words(error)}")
        _clean(work)
        return 1
    except job.BusyError:
        raise
    except OSError as error:
        _say(job.in_words(error, work))
        return 1


def _coloured(work: job.Work, args: argparse.Namespace) -> int:
    survey, found, sha256 = work.survey()
    for line in (*survey.problems, *survey.notes):
        _say(f"{work.source.path}: {line}")
    many = f"{len(found)} shot{'s' * (len(found) > 1)}, {survey.count} frames"
    if work.corrected:
        _say(f"{work.list_of_shots} was corrected: its {many} are taken; remove it to have the shots found anew")
    elif not args.shots:
        _say(f"{many}; their list: {work.list_of_shots}")
    if args.only_shots:
        print(photos.legible(f"{'kept' if work.corrected else 'found'} {many} -> {work.list_of_shots}"))
        return 1 if survey.problems else 0
    caching.keep_compiled()
    work.colorizer = colorize_many.load(args.ckpt, args.size, args.flip, args.engine)
    about = job.run(work, sha256, survey, found, _say)
    for words in about["not_carried"]:
        _say(f"{work.source.path}: not carried: {words}")
    for line in _hints(about["shots"]):
        _say(line)
    failed = bool(survey.problems)
    if args.report:
        try:
            report(args.report, about["shots"])
        except OSError as error:
            failed, again = True, "the copy is done, and the same command writes the report"
            _say(f"--report {args.report} cannot be written: {photos.in_words(error, with_name=False)}; {again}")
    moved = sum(row["lightness_moved"] * (row["end"] - row["first"]) for row in about["shots"]) / survey.count
    kept = "every sample of luma is the source's" if about["settings"]["keeps_luma"] else "luma was encoded anew"
    kept = "lightness is the source's" if about["settings"]["chroma"] == "rgb" and about["settings"]["keeps_luma"] else kept
    print(photos.legible(f"coloured {work.source.path} -> {work.out}: {many}, {kept}, L* moved by {moved:.2f} on average"))
    return 1 if failed else 0


def _work(args: argparse.Namespace) -> job.Work:
    """What is to be done. Raises ValueError or OSError for wrong usage, and FilmError for a film that cannot be coloured."""
    if not 0 <= args.strength <= MAX_STRENGTH:
        raise ValueError(f"--strength {args.strength} must be in 0..{MAX_STRENGTH}")
    if not _SIDES[0] <= args.long_side <= _SIDES[1]:
        raise ValueError(f"--long-side {args.long_side} must be at least {_SIDES[0]} pixels and at most {_SIDES[1]}")
    if args.shots and args.only_shots:
        raise ValueError("--shots and --only-shots contradict each other")
    if args.hints and args.no_hints:
        raise ValueError("--hints and --no-hints contradict each other")
    if args.report and args.report.suffix.lower() != ".csv":
        raise ValueError(f"--report {args.report} must end in .csv")
    provenance.source_type_uri(args.source_type)
    if not args.film.exists():
        raise ValueError(f"{args.film}: no such file or folder")
    if not (args.film.is_file() or args.film.is_dir()):
        raise ValueError(f"{args.film} is a pipe or a device, and a film is read several times: write it into a file first")
    if args.out.name in ("", ".."):
        raise ValueError(f"--out {args.out} has no name of its own: name a file, or a new folder")
    try:
        source = _source(args)
    except (FilmError, photos.PhotoError) as error:
        raise ValueError(f"{args.film}: {photos.in_words(error)}") from error
    given = None if args.no_hints else args.hints or lists.hints_file(args.film)
    settings = steadying.Settings(size=args.long_side)
    options = job.Options(args.strength, args.source_type, settings, args.shots, given, args.overwrite)
    work = job.Work(source, args.out, options)
    _check_places(work, args)
    _check_lists(work.options)
    work.keys = companions.keys_of(Options(**signing(args)))
    return work


def _check_places(work: job.Work, args: argparse.Namespace) -> None:
    """Raises ValueError where something could not be written to its place, or would take that of a file which is read."""
    about, signature, manifest = places.beside(args.out)
    written = {"the sidecar": about, "its signature": signature, "the manifest": manifest}
    written |= {} if args.shots else {"the list of shots": work.list_of_shots}
    written |= {"--report": args.report} if args.report else {}
    read = [args.shots, work.options.hints, *(path and Path(path).expanduser() for path in (args.sign_key, args.sign_cert))]
    places.check(args.film, args.out, work.folder, written, [path for path in read if path])
    if args.report:
        places.check_report(args.report, args.out, work.folder)


def _check_lists(options: job.Options) -> None:
    """Read what somebody wrote before anything is looked at, which may take hours. Raises ShotError, HintError, OSError."""
    if options.shots and not options.shots.is_fifo():  # which can be read once
        lists.read(options.shots, lists.LONGEST_FILM)
    if options.hints and not options.hints.is_fifo():
        hints.read(options.hints)


def _source(args: argparse.Namespace) -> Any:
    if args.film.is_dir():
        if args.codec or args.chroma:
            raise FilmError("a folder of pictures becomes one of the same kind: --codec and --chroma are for films in a file")
        if args.out.suffix.lower() in sidecar.FILMS or args.out.is_file():
            raise FilmError(f"it is a folder of pictures, and so is its copy: {args.out} must be a folder")
        return sequences.Sequence(args.film)
    if args.out.is_dir():
        raise FilmError(f"--out {args.out} is a folder: name a file")
    return reel.Reel(args.film, args.out, args.codec, args.chroma)


def _report_again(work: job.Work, args: argparse.Namespace, about: dict[str, Any]) -> int:
    """Write the report of a copy that is there already, by its sidecar. Raises ValueError where that does not hold enough."""
    try:
        lacking = sorted({name for name in _NEEDED for row in about["shots"] if row.get(name) is None})
        if not lacking:
            report(args.report, about["shots"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{args.out} is there already, and its sidecar is damaged; --overwrite makes both anew") from error
    if lacking:
        words = f"its sidecar does not have what the report needs ({', '.join(lacking)})"
        raise ValueError(f"{args.out} is there already, and {words}; --overwrite makes both anew")
    asked = {"strength": args.strength, "steadying": json.loads(json.dumps(asdict(work.options.steadying)))}
    asked |= {"codec": work.source.settings["codec"]}
    others = [name for name, value in asked.items() if about["settings"].get(name) != value]
    with_others = f" with another {', '.join(others)}" if others else ""
    _say(f"{args.out} is there already{with_others}; --overwrite makes it anew")
    print(photos.legible(f"wrote the report of {args.out}, by its sidecar -> {args.report}"))
    return 0


def _hints(rows: list[dict[str, Any]]) -> list[str]:
    """How far each hint was carried, in lines; of many the first ones."""
    lines = [lists.in_words(way, lists.Shot(row["first"], row["end"])) for row in rows for way in row.get("carried", ())]
    more = [f"{len(lines) - _TOLD} more hints: the sidecar says how far each was carried"] if len(lines) > _TOLD else []
    return lines[:_TOLD] + more


def report(path: Path, rows: list[dict[str, Any]]) -> None:
    """A row for each shot."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", restval="")
    writer.writeheader()
    for number, row in enumerate(rows, 1):
        ways = (
            f"{way['x']},{way['y']} of {way['frame']}{lists.how_far(way)}: {way['first']}-{way['last']}"
            for way in row.get("carried", ())
        )
        more = {"shot": number, "frames": row["end"] - row["first"], "hints": row.get("hints", 0), "carried": "; ".join(ways)}
        more["dissolve"] = "-".join(map(str, row.get("dissolve", ())))
        writer.writerow(row | more)
    with photos.atomic(path) as stream:
        stream.write(text.getvalue().encode())


def _clean(work: job.Work) -> None:
    """Leave no folder in which nothing is done."""
    if not any(path.suffix == ".json" and path.stem[0].isdigit() for path in work.folder.glob("*.json")):
        shutil.rmtree(work.folder, ignore_errors=True)


def _say(words: str) -> None:
    print(photos.legible(words), file=sys.stderr, flush=True)
