"""What is done with a film: looked through, shown frame by frame, a shot tried in colour, all of it coloured."""

import contextlib
import hashlib
import importlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from colorjax import photos
from colorjax.film.jobs import arguments
from colorjax.web.answers.sending import jpeg
from colorjax.web.films.shelf import Film, Shelf, Still, Work
from colorjax.web.films.turns import InTurn, Watch, clean, ending
from colorjax.web.lanes import Lane, Task
from colorjax.web.sessions import Refused
from colorjax.web.work import VIEW_SIDE, Studio

_PATIENCE = 1.0  # seconds that each frame waits for others, at most, while they want something
_ENDING = 5.0  # seconds, at most, from the end of the server to that of a lane
_LOOKING = 10  # times as long as a photograph may take: to look through a film, or to try a shot
_STILLS = 60  # single frames of a film that are kept
_QUALITY = 88  # of the frames of a shot that is tried


class Room:
    """Four lanes beside those of photographs. Of films one is coloured at a time, and one looked through, and one shot tried.

    The network is the photographs' own. Before each key frame, and each frame that is read or written, films wait for what
    somebody is looking at: views and openings of photographs first, then single frames, shots that are tried, films that are
    looked through. lacking: why there are no films here, in words for people; "" where there are.
    """

    def __init__(self, studio: Studio, shelf: Shelf, seconds: float):
        """seconds: that one piece of work for a photograph may take."""
        self._studio, self._shelf, self.lacking, self._viewing = studio, shelf, "", None
        self._frames = Lane("frames", seconds)
        self._trials = Lane("shots", _LOOKING * seconds, gentle=True)
        self._looking = Lane("films", _LOOKING * seconds, gentle=True)
        self._copies = Lane("coloured films", shelf.limits.seconds, gentle=True)
        self._lanes = (self._frames, self._trials, self._looking, self._copies)
        try:
            arguments.check()
            self._viewing = importlib.import_module("colorjax.film.jobs.viewing")
        except ValueError as error:
            self.lacking = f"this server does not take films yet: {error}"

    @property
    def formats(self) -> list[dict[str, str]]:
        """In which copies are made; of some films not in all."""
        return self._viewing.formats() if self._viewing else []

    @property
    def works(self) -> bool:
        """Whether all lanes still do what they are asked."""
        return all(lane.works for lane in self._lanes)

    def close(self) -> None:
        """Begin nothing more, and give up what is being done; wait a moment for its end."""
        for lane in self._lanes:
            lane.close()
            lane.forget(lambda key: True)
        for lane in self._lanes:
            lane.until_empty(_ENDING)

    def open(self, film: Film) -> Task:
        """Read the header of a film. The work raises Refused where it is none, or not taken."""

        def work(task: Task) -> None:
            try:
                film.facts = self._view(film).header(self._shelf.limits.pixels)
            except ValueError as error:
                raise Refused(415, clean(film, str(error))) from error

        return self._frames.submit(_of(film, work), film.visitor.id, (film.id, "open"))

    def look(self, film: Film) -> None:
        """Find its shots."""
        film.looked = Work(total=film.facts["promised"])

        def work(task: Task) -> None:
            step = self._step(film, task, self._frames, self._trials)

            def seen() -> None:
                film.looked.done += 1
                step()

            shots, film.looked.told, film.formats = self._view(film).look(seen, self._shelf.limits.frames)
            self._shelf.count(film)
            film.shots = shots  # last: from now on they are there

        self._begin(film, film.looked, self._looking, "look", work)

    def thumb(self, film: Film, number: int) -> bytes:
        """A frame that stands for a shot, as a JPEG. Raises Refused."""
        if not 0 <= number < len(film.shots):
            raise Refused(404, f"there is no shot {number}; the film has {len(film.shots)}")
        return self._view(film).thumb(film.shots[number]).read_bytes()

    def still(self, film: Film, number: int) -> Task:
        """The work gives a frame as a `Still`, which `Studio` takes as a photograph."""
        if not 0 <= number < film.frames:
            raise Refused(404, f"there is no frame {number}; the film has {film.frames}, the first is 0")

        def work(task: Task) -> Still:
            if number in film.stills:
                return film.stills[number]
            grey = self._view(film).still(number, VIEW_SIDE, self._step(film, task))
            still = self._shelf.still(film, number, film.facts["height"], film.facts["width"])
            self._shelf.grow(film, 3 * grey.nbytes)
            np.save(still.view, np.repeat(grey[..., None], 3, axis=-1))
            film.stills[number] = still
            if len(film.stills) > _STILLS:
                self._studio.forget(film.stills.pop(next(iter(film.stills))))
                self._shelf.count(film)  # what is gone counts no more
            return still

        return self._frames.submit(_of(film, work), film.visitor.id, (film.id, "still", number), shared=True)

    def attempt(self, film: Film, frame: int, strength: float) -> Work:
        """Try the shot of a frame in colour, with the film's hints; of a long one the part around that frame.

        Its file holds each frame twice, grey and coloured: the length of a JPEG in four bytes, the JPEG, and so on.
        """
        shot = next((shot for shot in film.shots if shot.first <= frame < shot.end), None)
        if shot is None:
            raise Refused(404, f"there is no frame {frame}; the film has {film.frames}, the first is 0")
        most = self._shelf.limits.shown
        first = max(shot.first, min(frame - most // 2, shot.end - most))
        part = shot._replace(first=first, end=min(shot.end, first + most))
        asked = (part, strength, digest(given(film)))
        if film.tried is not None and film.tried.asked == asked and film.tried.state in ("waiting", "working", "ready"):
            return film.tried
        self.stop(film)
        tried = film.tried = Work(asked, total=part.end - part.first)

        def work(task: Task) -> None:
            target = film.folder / "tried"
            step = self._step(film, task, self._frames)
            network = InTurn(self._studio.colorizer, step)
            frames = self._view(film).tried(part, network, strength, film.hints, step, tried.told.append)
            with photos.atomic(target) as stream:
                for seen in frames:
                    for picture in (seen.before, seen.after):
                        data = jpeg(picture, _QUALITY)
                        stream.write(len(data).to_bytes(4, "big") + data)
                    tried.done += 1
            self._shelf.count(film)
            tried.files = (target,)

        self._begin(film, tried, self._trials, "try", work)
        return tried

    def copy(self, film: Film, format: str, strength: float) -> Work:
        """Have all of it coloured, with its hints; what is asked for in the same way is the one that there is.

        Shots that a cancelled try has left are not coloured again, unless they have other hints by now. A finished copy of
        before stays until the new one is there, if there is room for both.
        """
        asked = (format, strength, digest(given(film)))
        suffix = next(one["suffix"] for one in film.formats if one["name"] == format)
        if film.copy is not None and film.copy.asked == asked and film.copy.state in ("waiting", "working", "ready"):
            return film.copy
        self.cancel(film)
        if self._shelf.take_back(film, asked):
            return film.copy
        if film.copy is not None and film.copy.state == "ready":
            film.kept = self._shelf.put_by(film, film.copy)
        copy = film.copy = Work(asked, total=film.frames)
        place = film.out / f"{format}-{strength:g}"
        out = place / f"{film.source.stem}{photos.OWN_COPY}{suffix}"

        def work(task: Task) -> None:
            copy.asked = (format, strength, digest(given(film)))  # hints that came while it waited are in it
            for other in [*film.out.iterdir(), *(place.iterdir() if place.is_dir() else ())]:
                if other.is_file():
                    other.unlink()
                elif other != place and other.parent == film.out:
                    shutil.rmtree(other)
            place.mkdir(exist_ok=True)
            step = self._step(film, task, self._frames, self._trials, self._looking)
            network = InTurn(self._studio.colorizer, step)
            watch = Watch(copy, step, lambda twice: self._shelf.count_all(film, _size(place) if twice else 0))
            about = self._view(film).colour(
                out, format, network, strength, film.hints, self._studio.keys, step, watch.begin, copy.told.append
            )
            copy.files = (out, *sorted(path for path in place.iterdir() if path.is_file() and path != out))
            task.check()  # from here on it takes the place of the one of before
            self._shelf.let_go(film)
            with contextlib.suppress(Refused):  # it is there now: the next one who asks for room hears it
                self._shelf.count(film)
            copy.told += [f"not carried along: {words}" for words in about["not_carried"]]
            film.visitor.seen = time.monotonic()  # from now on it waits for who has asked for it

        self._begin(film, copy, self._copies, "copy", work)
        return copy

    def stop(self, film: Film) -> None:
        """Give up the shot that is waiting or being tried."""
        self._trials.forget(lambda key: key == (film.id, "try"))

    def cancel(self, film: Film) -> None:
        """Give up the copy that is waiting or being made; its shots that are done stay."""
        self._copies.forget(lambda key: key == (film.id, "copy"))

    def ahead(self, copy: Work) -> int | None:
        """How many films will be coloured before this one; None once it has begun."""
        return self._copies.ahead(copy.task) if copy.task is not None else None

    def forget(self, film: Film) -> None:
        """Delete a film; what is waiting or being done for it comes to nothing."""
        for lane in self._lanes:
            lane.forget(lambda key: key[0] == film.id)
        self._shelf.remove(film)
        for still in list(film.stills.values()):
            self._studio.forget(still)

    def _view(self, film: Film) -> Any:
        return self._viewing.Viewing(film.source, film.found)

    def _step(self, film: Film, task: Task, *before: Lane) -> Callable[[], None]:
        """What is done between frames: others come first, and it ends here where nobody wants it any more."""
        lanes = (self._studio.quick, self._studio.slow, *before) if before else ()

        def step() -> None:
            film.check()
            task.check()
            self._shelf.spare(film)
            for lane in lanes:
                lane.until_empty(_PATIENCE)

        return step

    def _begin(self, film: Film, work: Work, lane: Lane, what: str, done: Callable[[Task], None]) -> None:
        def begun(task: Task) -> None:
            work.state, work.begun = "working", time.monotonic()
            if task.future.done():  # given up just now: this must be the last word
                settle(task.future.exception())
                return
            done(task)

        def settle(error: BaseException | None) -> None:
            work.state, work.reason = ending(film, error)

        work.task = lane.submit(_of(film, begun), film.visitor.id, (film.id, what), 1)
        work.task.future.add_done_callback(lambda future: settle(future.exception()))


def _of(film: Film, work: Callable[[Task], Any]) -> Callable[[Task], Any]:
    """The same work; it raises Refused where the film has been removed before, or meanwhile, and leaves nothing then."""

    def done(task: Task) -> Any:
        film.check()
        try:
            return work(task)
        finally:
            if film.visitor.films.get(film.id) is not film:
                shutil.rmtree(film.folder, ignore_errors=True)

    return done


def _size(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def given(film: Film) -> list[dict[str, Any]]:
    """The hints of a film, as they are kept."""
    return json.loads(film.hints.read_bytes())["hints"] if film.hints.is_file() else []


def digest(rows: list[dict[str, Any]]) -> str:
    """What tells these hints from others."""
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
