"""One photograph and its coloured copy: read, coloured page by page, marked, written together with its sidecar."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from colorjax import marks, photos, provenance, sidecar
from colorjax.colorizer import Colorizer


@dataclass(frozen=True)
class Options:
    """What a run asks for, beside the `Colorizer`'s own settings. format: Pillow's name, None for that of the source."""

    strength: float = 1.0
    format: str | None = None
    quality: int = 95
    source_type: str = provenance.SOURCE_TYPES[0]
    uncertainty: bool = False
    burn_in: str | None = None
    overwrite: bool = False
    max_pixels: int = photos.MAX_PIXELS


@dataclass(frozen=True)
class Job:
    """One photograph and where its copy goes. problem: why it cannot, known before anything is read."""

    source: Path
    target: Path
    problem: str = ""

    @property
    def sidecar(self) -> Path:
        """Where the sidecar of the copy goes."""
        return self.target.with_name(self.target.name + sidecar.SUFFIX)

    def map(self, page: int) -> Path:
        """Where the uncertainty map of a page goes."""
        name = self.source.name + ("" if page == 1 else f".page{page}")
        return self.target.with_name(f"{name}{photos.OWN_MAP}.png")


@dataclass
class Outcome:
    """What became of a job: "coloured", "skipped" (its copy is there already) or "failed", and why.

    seconds: of the stages read, colour and write. uncertainty: mean over the picture, Lab units, where it was asked for.
    """

    job: Job
    status: str
    reason: str = ""
    notes: tuple[str, ...] = ()
    pages: int = 0
    pixels: int = 0
    uncertainty: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For a report."""
        return {
            "source": str(self.job.source),
            "copy": str(self.job.target),
            "status": self.status,
            "reason": self.reason,
            "not_carried": list(self.notes),
            "pages": self.pages,
            "megapixels": round(self.pixels / 1e6, 3),
            "uncertainty": self.uncertainty,
            "seconds": {stage: round(seconds, 4) for stage, seconds in self.seconds.items()},
        }

    def failed(self, error: BaseException) -> "Outcome":
        """The same job, failed for this reason."""
        reason = "not enough memory" if isinstance(error, MemoryError) else str(error) or type(error).__name__
        return replace(self, status="failed", reason=" ".join(reason.split()))


def foresee(job: Job, options: Options) -> Outcome:
    """What would become of a job ("to colour", "skipped", "failed"), as far as can be known without decoding anything."""
    if job.problem:
        return Outcome(job, "failed", job.problem)
    if os.path.lexists(job.target) and not options.overwrite:
        return Outcome(job, "skipped", "its copy is there already")
    try:
        return Outcome(job, "to colour", pixels=photos.measure(job.source, options.max_pixels))
    except photos.PhotoError as error:
        return Outcome(job, "failed", str(error))


@dataclass
class Reading:
    """A photograph whose first page is read. source_sha256: of its file."""

    outcome: Outcome
    pages: Iterator[photos.Photo]
    first: photos.Photo | None
    source_sha256: str


@dataclass
class Page:
    """A coloured page: pixels (H, W, 3), the photo whose metadata they carry, and what its sidecar says of it."""

    image: np.ndarray
    photo: photos.Photo
    about: dict[str, Any]


class Copier:
    """Makes copies with one `Colorizer` and one set of options; `read` and `write` may run in threads beside `colour`."""

    def __init__(self, colorizer: Colorizer, options: Options):
        self._colorizer, self._options = colorizer, options
        self._settings = {"size": colorizer.size, "flip": colorizer.flip, "strength": options.strength}
        self._settings |= {"quality": options.quality, "burn_in": options.burn_in}
        self._weights = {"name": colorizer.network.source.name, "sha256": colorizer.network.digest}

    def read(self, outcome: Outcome) -> Reading:
        """The first page, and the hash of the file. Raises whatever a damaged file makes its decoder raise."""
        start = time.perf_counter()
        pages = photos.pages(outcome.job.source, self._options.max_pixels)
        first = next(pages)
        outcome = replace(outcome, pages=first.pages)
        name = photos.file_format(outcome.job.target)
        if first.pages > 1 and name != "TIFF":
            raise photos.PhotoError(f"has {first.pages} pages, which {name} cannot hold; --format tiff can")
        sha256 = sidecar.digest_of(outcome.job.source)
        outcome.seconds = {"read": time.perf_counter() - start, "colour": 0.0, "write": 0.0}
        return Reading(outcome, pages, first, sha256)

    def colour(self, reading: Reading) -> Iterator[Page]:
        """Each page in colour, one at a time."""
        number, photo, outcome = 1, reading.first, reading.outcome
        reading.first = None  # nothing of a page outlives its writing
        while photo is not None:
            start = time.perf_counter()
            page = self._page(photo, number, reading)
            outcome.seconds["colour"] += time.perf_counter() - start
            yield page
            number, page = number + 1, None
            photo = next(reading.pages) if number <= outcome.pages else None

    def _page(self, photo: photos.Photo, number: int, reading: Reading) -> Page:
        pixels, job = photo.image, reading.outcome.job
        prediction = self._colorizer.predict(pixels)
        chroma = float(np.hypot(*np.moveaxis(prediction.ab, -1, 0)).mean())
        about: dict[str, Any] = {"width": pixels.shape[1], "height": pixels.shape[0], "bits": 8 * pixels.dtype.itemsize}
        about |= {"mean_chroma": round(chroma, 2), "digital_source_type": provenance.source_type(photo.metadata.xmp)}
        if self._options.uncertainty:
            spread = self._colorizer.uncertainty(pixels)
            marks.write_uncertainty(job.map(number), spread, pixels.shape[:2])
            about |= {"uncertainty": round(float(spread.mean()), 3), "map": job.map(number).name}
        in_place = pixels if pixels.ndim == 3 and pixels.flags.writeable else None
        image = self._colorizer.paint(pixels, prediction, strength=self._options.strength, out=in_place)
        if self._options.burn_in:
            image, about["burnt_in"] = marks.burn_in(image, self._options.burn_in)
        name = photos.file_format(job.target)
        settings = self._settings | {"format": name, "weights": self._weights["sha256"]}
        origin = provenance.Origin(job.source.name, reading.source_sha256, self._options.source_type, settings)
        xmp, notes = provenance.marked(photo.metadata.xmp, origin)
        notes = (*photo.notes, *notes, *photos.not_carried(name, photo))
        reading.outcome.notes = tuple(dict.fromkeys((*reading.outcome.notes, *notes)))
        return Page(image, replace(photo, image=image, metadata=replace(photo.metadata, xmp=xmp)), about)

    def write(self, reading: Reading, pages: Iterator[Page]) -> Outcome:
        """The copy and its sidecar; the copy appears last: where it is, all is there."""
        outcome, job, about, start = reading.outcome, reading.outcome.job, [], time.perf_counter()
        before, name, image = outcome.seconds["colour"], photos.file_format(job.target), None

        def drained() -> Iterator[tuple[np.ndarray, photos.Photo]]:
            nonlocal image
            for page in pages:
                about.append(page.about)
                image = page.image if name in photos.LOSSY else None
                yield page.image, page.photo

        try:
            with photos.atomic(job.target) as stream:
                photos.encode(stream, name, drained(), self._options.quality)
                stream.flush()
                if image is not None:  # what a lossy format did to it, as anyone will read it
                    stream.seek(0)
                    copy = photos.read(stream.read(), self._options.max_pixels)
                    about[0]["lightness_lost"] = round(sidecar.difference(image, copy)[1], 4)
                sidecar.write(job.sidecar, job.source, self._sidecar(reading, about, sidecar.digest(stream)))
        except BaseException:
            if not job.target.is_file():
                job.sidecar.unlink(missing_ok=True)
            raise
        guesses = [page["uncertainty"] for page in about if "uncertainty" in page]
        outcome.uncertainty = round(float(np.mean(guesses)), 3) if guesses else None
        outcome.seconds["write"] = time.perf_counter() - start - (outcome.seconds["colour"] - before)
        return replace(outcome, status="coloured")

    def _sidecar(self, reading: Reading, pages: list[dict[str, Any]], sha256: str) -> dict[str, Any]:
        job = reading.outcome.job
        return {
            "source": {"name": job.source.name, "sha256": reading.source_sha256},
            "copy": {"name": job.target.name, "sha256": sha256},
            "weights": self._weights,
            "settings": self._settings | {"format": photos.file_format(job.target)},
            "digital_source_type": provenance.source_type_uri(self._options.source_type),
            "pages": pages,
            "not_carried": list(reading.outcome.notes),
        }
