"""What `colorjax colorize` says, while it works and at the end: the last line says where the copies are."""

import contextlib
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from tqdm import tqdm

from colorjax import photos
from colorjax.archive.plan import IN_COLOUR, LEFT_IN_COLOUR, NEGATIVE, NO_NEGATIVE, THERE, UNCALIBRATED, Job, Outcome
from colorjax.science import toning

_LOOK_LIKE = "look like negatives, taken together"
_TOLD_TOGETHER = {IN_COLOUR, NEGATIVE, NO_NEGATIVE, UNCALIBRATED}  # of all photographs, at the end
_ONE = {"files": "file", "folders": "folder", "GIFs": "GIF", "documents": "document", "copies": "copy", "keys": "key"}
_ONE |= {"photographs": "photograph", "are": "is", "them": "it", "their": "its"}


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """What became of a photograph, for a report."""
    return {
        "source": str(outcome.job.source),
        "copy": str(outcome.job.target),
        "status": outcome.status,
        "reason": outcome.reason,
        "not_carried": list(outcome.notes),
        "warnings": list(outcome.warnings),
        "pages": outcome.pages,
        "megapixels": round(outcome.pixels / 1e6, 3),
        "uncertainty": outcome.uncertainty,
        "hints": len(outcome.guide.hints),
        "seconds": {stage: round(seconds, 4) for stage, seconds in outcome.seconds.items()},
    }


def counted(number: int, what: str) -> str:
    """ "2 other files", "1 other file"."""
    one = re.sub(r"\w+", lambda word: _ONE.get(word[0], word[0]), what)
    return f"{number} {one if number == 1 else what}"


def passed(passed_over: photos.PassedOver) -> list[str]:
    """What was passed over, a few words for each kind."""
    return [f"passed over {counted(number, what)}" for what, number in sorted(passed_over.items())]


def foreseen(outcomes: list[Outcome], as_json: bool) -> None:
    """What would become of each photograph."""
    for outcome in outcomes:
        reason = f" ({outcome.reason})" if outcome.reason else ""
        words = f"{outcome.status}{reason}: {outcome.job.source} -> {outcome.job.target}"
        print(json.dumps(as_dict(outcome)) if as_json else photos.legible(words))


def work(jobs: list[Job], work: Iterable[Outcome], as_json: bool, outcomes: list[Outcome]) -> None:
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
                print(json.dumps(as_dict(outcome)), file=out, flush=True)
                continue
            told = outcome.status != "skipped" or outcome.reason not in (THERE, LEFT_IN_COLOUR)
            lines = [outcome.reason] if outcome.reason and told else []
            lines += [f"not carried: {', '.join(outcome.notes)}"] if outcome.notes else []
            lines += [f"warning: {warning}" for warning in outcome.warnings if warning not in _TOLD_TOGETHER]
            for line in lines:
                tqdm.write(photos.legible(f"{outcome.job.source}: {line}"), file=sys.stderr)
    order = {job: number for number, job in enumerate(jobs)}
    outcomes.sort(key=lambda outcome: order[outcome.job])


def summary(outcomes: list[Outcome], passed_over: photos.PassedOver, where: str, dry_run: bool) -> None:
    """What may be wrong, and in the last line what was done. where: in words, as "into coloured"."""
    for line in _doubts(outcomes):
        print(photos.legible(line))
    counts = Counter(outcome.status for outcome in outcomes)
    copies = [outcome.job.source for outcome in outcomes if outcome.status == ("to colour" if dry_run else "coloured")]
    number = len(set(copies))
    done = f"{counted(number, 'photographs')}{' would be' * dry_run} coloured {where}"
    done += f" as {len(copies)} copies" if len(copies) > number else ""  # variants
    if number == 1 and counts["coloured"] == len(outcomes) > 1:
        done = f"coloured {outcomes[0].job.source} -> {', '.join(str(outcome.job.target) for outcome in outcomes)}"
    there = counts["skipped"] - (left := sum(outcome.reason == LEFT_IN_COLOUR for outcome in outcomes))
    if len(outcomes) == 1 and (counts["coloured"] or there):
        job = outcomes[0].job
        done = f"the copy of {job.source} is there already: {job.target}" if there else f"coloured {job.source} -> {job.target}"
        there = 0
    words = [done]
    refreshed = counts["refreshed"] + counts["to refresh"]
    words += [f"the metadata of {refreshed} carried over"] if refreshed else []
    words += [f"{there} there already"] if there else []
    words += [f"{left} left as {'it is' if left == 1 else 'they are'}, in colour already"] if left else []
    words += [f"{counts['failed']} failed"] if counts["failed"] else []
    warned = sum(not set(outcome.warnings) <= _TOLD_TOGETHER for outcome in outcomes)
    words += [f"{warned} to be looked at"] if warned else []
    print(photos.legible(", ".join(words + passed(passed_over))))


def _doubts(outcomes: list[Outcome]) -> Iterator[str]:
    """What may be wrong with photographs of a run, in a line for each kind of doubt."""
    warned = Counter(warning for outcome in outcomes for warning in outcome.warnings)
    if number := warned[IN_COLOUR]:
        yield f"in colour already and painted over: {number}; --only-grey leaves such photographs as they are"
    if number := warned[NEGATIVE]:
        yield f"look like negatives: {number}; --negative inverts all that it is given"
    if number := warned[NO_NEGATIVE]:
        yield f"look like negatives now that they are inverted: {number}; without --negative they stay as they are"
    if warned[UNCALIBRATED]:
        yield UNCALIBRATED
    for verdict in negatives(outcomes):
        yield f"the {verdict['photographs']} photographs of {verdict['folder']} {verdict['warning']}"


def negatives(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """Each folder whose photographs are negatives, taken together: {"folder", "photographs" (how many), "warning"}."""
    folders = defaultdict(list)
    for outcome in outcomes:
        if outcome.negative_score is not None:
            folders[outcome.job.source.parent].append(outcome.negative_score)
    found = {str(folder): len(scores) for folder, scores in folders.items() if toning.are_negatives(scores)}
    return [{"folder": folder, "photographs": number, "warning": _LOOK_LIKE} for folder, number in found.items()]
