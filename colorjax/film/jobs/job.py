"""A film, shot by shot: what is done lies in a folder beside the copy, so that the same command goes on from there."""

import contextlib
import errno
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from colorjax import photos
from colorjax.archive import provenance, sidecar
from colorjax.archive.plan import digest_of_hints
from colorjax.archive.proof.keys import Keys
from colorjax.film import coloring, lists, steadying
from colorjax.film.containers import reel, writing
from colorjax.film.containers.reading import FilmError
from colorjax.film.jobs import checking, places, signing
from colorjax.film.jobs.progress import Progress
from colorjax.film.lists import Shot
from colorjax.platform import sharding
from colorjax.science import hints

WORK = ".work"  # after the name of the copy: the folder of what is done


class BusyError(OSError):
    """Another program works at the same copy."""


@dataclass(frozen=True)
class Options:
    """What the user asked for. shots, hints: files, or None. steadying: what keeps the colours still."""

    strength: float
    source_type: str
    steadying: steadying.Settings
    shots: Path | None = None
    hints: Path | None = None
    overwrite: bool = False


@dataclass
class Work:
    """A film that is being coloured. source: a `reel.Reel`, or a folder's `sequences.Sequence`. watch: makes what hears how far
    it is, as a `Progress` of the shots that there are and of those to be coloured; None for the terminal."""

    source: Any
    out: Path
    options: Options
    colorizer: Any = None
    keys: Keys | None = None  # that sign it
    watch: Callable[[list[Shot], list[Shot]], Any] | None = None
    corrected: bool = False  # whether the list of shots beside the copy has others than were found; `survey` tells

    @property
    def folder(self) -> Path:
        """Of what is done."""
        return self.out.with_name(self.out.name + WORK)

    @property
    def whole(self) -> Path:
        """The film that is put together, and not yet at its place."""
        return self.folder / f"whole{self.out.suffix}"

    @property
    def list_of_shots(self) -> Path:
        """Where the shots that were found are written."""
        name = self.out.name if self.source.path.is_dir() else self.out.stem  # reel.001 and reel.002 are two folders
        return self.out.with_name(name + lists.SUFFIX)

    @contextlib.contextmanager
    def locked(self) -> Iterator[bool]:
        """Nobody else works in the folder meanwhile; whether a copy of before came back, after a power cut at the last step.

        Raises BusyError, and ValueError where the folder is not by colorjax.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "lock").exists() and any(self.folder.iterdir()):
            raise ValueError(f"{self.folder} is there already, and not by colorjax: move it away, or name another --out")
        with open(self.folder / "lock", "w") as stream:
            try:
                import fcntl

                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except ImportError:  # Windows, where nothing holds others off
                pass
            except OSError as error:
                raise BusyError(f"{self.folder}: another colorjax works there") from error
            yield places.put_back(self.out, self.whole)

    def survey(self) -> tuple[reel.Survey, list[Shot], str]:
        """One look at all frames: what it told, the shots, and the SHA-256 of the source. Once, for all tries."""
        path, version = self.folder / "survey.json", list(self.source.version())
        with contextlib.suppress(OSError, ValueError, KeyError):
            kept = json.loads(path.read_bytes())
            if kept["version"] == version:
                survey = reel.Survey.of(kept)
                return survey, self._shots(survey, kept["firsts"], kept["dissolves"]), kept["sha256"]
        found: dict[str, Any] = {}
        with _beside(self.source.digest) as digest:
            frames, off = self.source.look_through(found), True if self.watch else None
            frames = tqdm(frames, desc="looking for shots", unit="frame", disable=off, leave=False)
            firsts, dissolves = steadying.find(frames)
            for _ in frames:  # what it did not ask for
                pass
            found |= {"version": version, "firsts": firsts, "dissolves": dissolves, "sha256": digest()}
        survey = reel.Survey.of(found)
        if not survey.count:
            raise FilmError("none of its pictures can be read")
        writing.write_json(path, found)
        return survey, self._shots(survey, firsts, dissolves), found["sha256"]

    def _shots(self, survey: reel.Survey, firsts: list[int], dissolves: list[tuple[int, int]]) -> list[Shot]:
        if self.options.shots:
            return lists.read(self.options.shots, survey.count)
        found = lists.of(firsts, survey.count, dissolves)
        found, self.corrected = lists.settled(self.list_of_shots, self.source.path.name, found, survey.seconds)
        return found

    def settings(self) -> dict[str, Any]:
        """All that the colours depend on, but hints and shots."""
        mine = {"strength": self.options.strength, "steadying": asdict(self.options.steadying)}
        return mine | {"size": self.colorizer.size, "flip": self.colorizer.flip} | self.source.settings

    def begin(self, sha256: str) -> None:
        """Look whether what lies in the folder is of the same command. Raises FilmError where it is not."""
        key = {"source": sha256, "weights": self.colorizer.network.digest} | self.settings()
        key, before, path = json.loads(json.dumps(key)), None, self.folder / "job.json"
        with contextlib.suppress(OSError, ValueError):
            before = json.loads(path.read_bytes())
        if before is not None and before != key:
            changed = ", ".join(sorted(name for name in key if before.get(name) != key[name]))
            raise FilmError(
                f"{self.folder} holds an unfinished copy that was made otherwise ({changed}): give the command of that time "
                "again, or remove the folder"
            )
        writing.write_json(path, key)


@contextlib.contextmanager
def _beside(work: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    """Do something in a thread; what is yielded waits for it."""
    answer: list[Any] = []

    def run() -> None:
        try:
            answer.append((work(), None))
        except Exception as error:
            answer.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def wait() -> Any:
        thread.join()
        value, error = answer[0]
        if error:
            raise error
        return value

    yield wait


def run(work: Work, sha256: str, survey: reel.Survey, found: list[Shot], say: Callable[[str], None]) -> dict[str, Any]:
    """Colour what is not yet coloured, and put the film together; returns what its sidecar says.

    Raises FilmError, OSError (as of a full disk): the shots that are done stay.
    """
    lost = work.source.settle(survey)
    work.begin(sha256)
    settings = work.settings() | {"weights": work.colorizer.network.digest}
    work.source.origin = provenance.Origin(work.source.path.name, sha256, work.options.source_type, settings)
    given = _hints(work, survey)
    parts = {shot: work.folder / f"{shot.first:07}-{shot.end:07}{_mark(given, shot)}{work.source.suffix}" for shot in found}
    for path in work.folder.glob("*.part"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    todo = [shot for shot in found if not writing.about_of(parts[shot]).is_file()]
    if len(todo) < len(found):
        say(f"{len(found) - len(todo)} of {len(found)} shots are there already")
    upright = work.source.facts.upright
    carried: dict[Shot, list[dict[str, Any]]] = {shot: [] for shot in todo}
    answers = coloring.coloured(
        work.source.pictures,
        todo,
        work.colorizer,
        work.options.steadying,
        lambda shot: lists.of_shot(given, shot, upright),
        lambda shot, span: carried[shot].append(lists.way_of(given, shot, span)),
    )
    with contextlib.closing(answers), (work.watch or Progress)(found, todo) as progress:
        for shot, of_shot in groupby(answers, lambda answer: answer.shot):
            _colour(work, shot, of_shot, parts[shot], progress, carried[shot])
    if list(work.source.version()) != json.loads((work.folder / "survey.json").read_bytes())["version"]:
        raise FilmError("it changed while it was coloured; give the command again")
    return _finish(work, sha256, survey, [(shot, parts[shot]) for shot in found], given, lost)


def _hints(work: Work, survey: reel.Survey) -> dict[int, list[hints.Hint]]:
    if work.options.hints is None:
        return {}
    found = lists.read_hints(work.options.hints, survey.count, work.source.facts.upright)
    if found and not work.colorizer.guided:
        raise hints.HintError("it has hints, and this network was not trained to follow any; --no-hints does without")
    return found


def _mark(given: dict[int, list[hints.Hint]], shot: Shot) -> str:
    """What tells shots of other hints and dissolves apart, in their files' names."""
    dissolves = [at for at in (shot.opening, shot.closing) if at]
    first = min([shot.first, *(at.before for at in dissolves)])  # the hints of a shot beside it are seen in its dissolve
    end = max([shot.end, *(at.after for at in dissolves)])
    rows = [hint.as_dict() | {"frame": frame} for frame in range(first, end) for hint in given.get(frame, ())]
    rows += [at._asdict() for at in dissolves]
    return f"-{digest_of_hints(rows)[:12]}" if rows else ""


def _colour(
    work: Work, shot: Shot, answers: Iterable[coloring.Coloured], path: Path, progress: Progress, carried: list
) -> None:
    """carried: how far each hint came; it is filled before the first answer."""
    start, told = time.perf_counter(), []
    part = work.source.part(path)
    try:
        for answer in answers:
            told.append(part.write(answer, work.options.strength))
            progress.frame(shot)
        moved, colour = (round(float(np.mean(column)), 4) for column in zip(*told, strict=True))
        about = {"first": shot.first, "end": shot.end, "lightness_moved": moved, "mean_chroma": colour}
        about |= {"dissolve": [shot.opening.first, shot.opening.end - 1]} if shot.opening else {}
        about |= {"carried": carried} if carried else {}
        part.close(about | {"seconds": round(time.perf_counter() - start, 2)})
    except BaseException:
        part.discard()
        raise
    progress.shot(shot)


def _finish(
    work: Work, sha256: str, survey: reel.Survey, parts: list[tuple[Shot, Path]], given: dict, lost: list[str]
) -> dict[str, Any]:
    """Put the film together, and write its sidecar; the copy appears last."""
    lost = [*lost, *work.source.assemble([path for _, path in parts], work.whole)]
    rows = []
    for shot, path in parts:
        about = json.loads(writing.about_of(path).read_bytes())
        about.pop("order", None)
        about |= {"start": lists.clock(survey.seconds[shot.first])}
        number = sum(len(given.get(frame, ())) for frame in range(shot.first, shot.end))
        rows.append(about | ({"hints": number} if number else {}))
    network = work.colorizer.network
    weights = {"name": network.source.name, "sha256": network.digest}
    companions = signing.Companions(work.out, work.keys)
    number = sum(row.get("hints", 0) for row in rows)
    whole = companions.sign(work.whole, work.source.path, work.source.origin, weights, number, work.source.how.keeps_luma)
    about = {
        "schema": checking.SCHEMA,
        "source": {"name": work.source.path.name, "sha256": sha256},
        "copy": {"name": work.out.name} | checking.of_copy(whole),
        "weights": weights,
        "settings": work.settings() | {"keeps_luma": work.source.how.keeps_luma},
        "digital_source_type": provenance.source_type_uri(work.options.source_type),
        "device": sharding.device() | work.colorizer.engine.about,
        "film": work.source.about,
        "shots": rows,
        "not_carried": lost,
        "warnings": [*survey.problems, *survey.notes],
    }
    beside, *_ = places.beside(work.out)
    if words := places.taken(work.out, work.source, work.options.overwrite):  # by now
        raise FilmError(words)
    with places.replaced(work.out, whole):
        sidecar.write(beside, work.source.path, about | companions.said)
        companions.finish(beside)
    shutil.rmtree(work.folder)
    return about


def in_words(error: Exception, work: Work) -> str:
    """An error in one sentence that also says what is left to do."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if full:
        kept = f"the shots that are done are kept in {work.folder}"
        return f"no room is left for {work.out}; {kept}: make room, and give the command again"
    return f"{work.source.path}: {photos.in_words(error)}"
