"""What is done with a photograph: opened, shown with the hints given, asked for likely colours, copied at full size."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from colorjax import photos
from colorjax.archive import companions, places, plan, provenance, sidecar
from colorjax.archive.colorize_one import Copier
from colorjax.archive.plan import Job, Options, Outcome
from colorjax.archive.proof import manifests
from colorjax.inference.colorizer import Colorizer, Prediction
from colorjax.science.hints import Hint
from colorjax.web.answers import comparing
from colorjax.web.answers.sending import jpeg
from colorjax.web.lanes import Lane, Superseded, Task, TooLong
from colorjax.web.looks import VARIANTS, Look, placed_in_view
from colorjax.web.sessions import Copy, Limits, Photograph, Refused, Sessions

VIEW_SIDE = 1024  # pixels of the longer side of what is worked with
_KEPT = 32  # views, and as many predictions, in memory
_OPENING, _COPYING = 0, 1
_SEEN, _AHEAD = 0, 1  # views that somebody waits for, and those that nobody looks at yet
_LOG = logging.getLogger(__name__)


class Studio:
    """The one network and its two lanes.

    What somebody is looking at (views, suggestions) goes through the quick lane; photographs are opened and copied at full
    size, one at a time, in the slow one: nobody's click waits for somebody's scan of 100 megapixels. A copy is not begun
    while views are waiting, but for a second at most.
    """

    def __init__(self, colorizer: Colorizer, sessions: Sessions, signing: dict[str, Any] | None = None):
        """signing: settings of `Options` for the key that signs what is downloaded. Raises ValueError where it cannot."""
        limits: Limits = sessions.limits
        self.colorizer, self.guided = colorizer, colorizer.guided
        self._sessions, self._options = sessions, Options(max_pixels=limits.pixels, **(signing or {}))
        self.keys = companions.keys_of(self._options)
        self.signed_by = self.keys.who if self.keys else ""
        self._views, self._predictions = _Recent(_KEPT), _Recent(_KEPT)
        self.quick = Lane("views", limits.seconds)
        self.slow = Lane("copies", limits.seconds, before=self.quick)

    def open(self, photograph: Photograph) -> Task:
        """Decode a photograph once and keep a view of it. The work raises PhotoError where it cannot be coloured."""
        work = _while_there(photograph, lambda task: self._open(photograph, task))
        return self.slow.submit(work, photograph.visitor.id, (photograph.id, "open"), _OPENING)

    def before(self, photograph: Photograph) -> Task:
        """The work gives a JPEG of the photograph as it is."""
        return self._quickly(photograph, ("before",), lambda task: jpeg(self._view(photograph)), shared=True)

    def view(self, photograph: Photograph, look: Look, page: str = "", ahead: bool = False) -> Task:
        """The work gives a JPEG of the photograph in colour. page: whose next view takes the place of this one. ahead: nobody
        looks at it yet, and it waits for what somebody looks at."""
        urgency = _AHEAD if ahead else _SEEN
        return self._quickly(photograph, ("view", page), lambda task: jpeg(self._coloured(photograph, look)), urgency=urgency)

    def suggest(self, photograph: Photograph, x: int, y: int, hints: Sequence[Hint], page: str = "") -> Task:
        """The work gives the likely colours of a point: {"color": "#rrggbb", "share": 0 to 1}, the likeliest first."""
        return self._quickly(photograph, ("suggest", page), lambda task: self._suggestions(photograph, x, y, hints))

    def doubt(self, photograph: Photograph, look: Look) -> Task:
        """The work gives a PNG to lay on the view, of where its colours are a guess. It takes six times as long as a view."""
        return self._slowly(photograph, "doubt", lambda task: self._doubt(photograph, look))

    def compare(self, photograph: Photograph, look: Look, kind: str) -> Task:
        """The work gives before and after in one picture, as one of `comparing.KINDS`, marked as made by a machine."""
        return self._slowly(photograph, f"compare as {kind}", lambda task: self._compared(photograph, look, kind))

    def copy(self, photograph: Photograph, look: Look, format: str | None = None, quality: int = Options.quality) -> Copy:
        """Have the copy made; one that was asked for in the same way is the one that there is.

        format: Pillow's name, None for that of the photograph. quality: of lossy ones, 1 to 100.
        """
        asked = (look, format, quality)
        if photograph.copy is not None and photograph.copy.asked == asked and photograph.copy.state != "failed":
            return photograph.copy
        copy = photograph.copy = Copy(asked)
        work = _while_there(photograph, lambda task: self._copy(photograph, copy, task))
        copy.task = self.slow.submit(work, photograph.visitor.id, (photograph.id, "copy"), _COPYING)
        copy.task.future.add_done_callback(lambda future: _settle(copy, future.exception()))
        return copy

    def forget(self, photograph: Photograph) -> None:
        """Delete a photograph; what is waiting or being done for it comes to nothing."""
        for lane in (self.quick, self.slow):
            lane.forget(lambda key: key[0] == photograph.id)
        self._sessions.remove(photograph)

        def forget_seen(task: Task | None = None) -> None:
            for recent in (self._views, self._predictions):
                recent.forget(lambda key: key[0] == photograph.id)

        forget_seen()
        self.quick.submit(forget_seen, photograph.visitor.id, (photograph.id, "forget"))  # a view under way may come after

    @property
    def works(self) -> bool:
        """Whether both lanes still do what they are asked."""
        return self.quick.works and self.slow.works

    def close(self) -> None:
        """Begin nothing more."""
        self.quick.close()
        self.slow.close()

    def _quickly(
        self,
        photograph: Photograph,
        what: tuple[str, ...],
        work: Callable[[Task], Any],
        urgency: int = _SEEN,
        shared: bool = False,
    ) -> Task:
        key = (photograph.id, *what)
        return self.quick.submit(_while_there(photograph, work), photograph.visitor.id, key, urgency, shared)

    def _slowly(self, photograph: Photograph, what: str, work: Callable[[Task], Any]) -> Task:
        """What is small, and would still let a click wait for too long."""
        return self.slow.submit(_while_there(photograph, work), photograph.visitor.id, (photograph.id, what), _OPENING)

    def _open(self, photograph: Photograph, task: Task) -> None:
        photo = photos.read(photograph.source, self._sessions.limits.pixels)
        task.check()
        view = _reduced(photo.image)
        self._sessions.grow(photograph, view.nbytes)
        np.save(photograph.view, view)
        photograph.bits, photograph.pages = 8 * photo.image.dtype.itemsize, photo.pages
        photograph.height, photograph.width = photo.image.shape[:2]  # last: from now on it is there

    def _view(self, photograph: Photograph) -> np.ndarray:
        return self._views.get((photograph.id,), lambda: np.load(photograph.view, allow_pickle=False))

    def _prediction(self, photograph: Photograph, look: Look) -> Prediction:
        """For the view, whichever the tint."""
        view = self._view(photograph)
        placed = placed_in_view(look.hints, (photograph.height, photograph.width), view.shape[:2])

        def variants() -> list[Prediction]:
            return self.colorizer.variants(view, VARIANTS, placed)

        if look.variant:
            return self._predictions.get((photograph.id, "variants", placed), variants)[look.variant]
        return self._predictions.get((photograph.id, placed), lambda: self.colorizer.predict(view, placed))

    def _coloured(self, photograph: Photograph, look: Look) -> np.ndarray:
        prediction = self._prediction(photograph, look)
        return self.colorizer.paint(self._view(photograph), prediction, **look.tint._asdict())

    def _doubt(self, photograph: Photograph, look: Look) -> bytes:
        view = self._view(photograph)
        placed = placed_in_view(look.hints, (photograph.height, photograph.width), view.shape[:2])
        of = {"of": self._prediction(photograph, look)} if look.variant else {}
        return comparing.veil(self.colorizer.uncertainty(view, placed, **of), view.shape[:2])

    def _compared(self, photograph: Photograph, look: Look, kind: str) -> bytes:
        settings = look.settings
        sha256 = sidecar.digest_of(photograph.source)
        origin = provenance.Origin(photograph.name, sha256, provenance.SOURCE_TYPES[0], settings)
        made, media_type, _ = comparing.KINDS[kind]
        picture = made(self._view(photograph), self._coloured(photograph, look), provenance.marked(b"", origin)[0])
        weights = {"name": self.colorizer.network.source.name, "sha256": self.colorizer.network.digest}
        story = manifests.Story("before and after", photograph.source, origin, weights, len(look.hints))
        return manifests.signed(picture, media_type, self.keys, story)

    def _suggestions(self, photograph: Photograph, x: int, y: int, hints: Sequence[Hint]) -> list[dict[str, Any]]:
        view, shape = self._view(photograph), (photograph.height, photograph.width)
        (point,) = placed_in_view([Hint(x, y, (0, 0, 0))], shape, view.shape[:2])
        found = self.colorizer.suggest(view, point.x, point.y, placed_in_view(hints, shape, view.shape[:2]))
        return [{"color": Hint(x, y, tuple(one.rgb)).color, "share": round(float(one.share), 3)} for one in found]

    def _copy(self, photograph: Photograph, copy: Copy, task: Task) -> None:
        """By the code of `colorjax colorize`, whose promises are those of the copy."""
        self._sessions.drop_copy(photograph)  # that of before
        look, format, quality = copy.asked
        options = look.options(self._options, format, quality)
        (job,) = places.jobs([(photograph.source.parent, photograph.source)], photograph.out, options)
        job = replace(job, origin=photograph.name, hints=look.hints, variant=look.variant and look.variant + 1)

        def step() -> None:
            task.check()
            self._sessions.count_copy(photograph)

        try:
            outcome = self._outcome(job, Copier(self.colorizer, options), options, step)
            copy.reason = outcome.reason.replace(str(photograph.folder), "")
            copy.notes, copy.warnings = outcome.notes, outcome.warnings
            if outcome.status != "coloured":
                raise Refused(422, copy.reason)
            step()
        except BaseException:
            self._sessions.drop_copy(photograph)
            raise
        copy.target, copy.sidecar = job.target, job.sidecar
        copy.beside = tuple(path for path in (job.signature, job.manifest) if path.exists())

    def _outcome(self, job: Job, copier: Copier, options: Options, step: Callable[[], None]) -> Outcome:
        """As `colorize_many.run` makes it; `step` is called before each page is written."""
        outcome = plan.foresee(job, options, copier.made_with)
        if outcome.status != "to colour":
            return outcome
        try:
            reading = copier.read(outcome)
            return copier.write(reading, _step_by_step(copier.colour(reading), step))
        except (FloatingPointError, Refused, TooLong, Superseded):
            raise
        except Exception as error:  # whatever a photograph does to the libraries under it
            return outcome.failed(error)


def _while_there(photograph: Photograph, work: Callable[[Task], Any]) -> Callable[[Task], Any]:
    """The same work; it raises Refused where the photograph has been removed before, or meanwhile."""

    def done(task: Task) -> Any:
        photograph.check()
        try:
            return work(task)
        except FileNotFoundError:
            photograph.check()
            raise

    return done


def _step_by_step(pages: Iterator[Any], step: Callable[[], None]) -> Iterator[Any]:
    for page in pages:
        step()
        yield page


def _settle(copy: Copy, error: BaseException | None) -> None:
    copy.state = "ready" if error is None else "failed"
    if isinstance(error, TooLong):
        copy.reason = "it took too long, and was given up"
    elif isinstance(error, Refused):
        copy.reason = str(error)
    elif isinstance(error, Superseded):
        copy.reason = "another copy of it was asked for"
    elif error is not None:
        _LOG.error("a copy could not be made", exc_info=error)
        copy.reason = "something went wrong with it; the server's log says what"


def _reduced(image: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8 or uint16 -> (h, w, 3) uint8, its longer side at most VIEW_SIDE."""
    picture = Image.fromarray(photos.to_u8(image)).convert("RGB")
    scale = min(1.0, VIEW_SIDE / max(picture.size))
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(picture)


class _Recent:
    """The values that were asked for last, by key."""

    def __init__(self, count: int):
        self._count, self._lock = count, threading.Lock()
        self._values: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._count:
                self._values.popitem(last=False)
        return value

    def forget(self, belongs: Callable[[Any], bool]) -> None:
        with self._lock:
            for key in [key for key in self._values if belongs(key)]:
                del self._values[key]
