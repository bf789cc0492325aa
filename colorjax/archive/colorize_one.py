"""One photograph and its coloured copy: read, coloured page by page, marked, written together with its sidecar."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from colorjax import photos
from colorjax.archive import marks, provenance, sidecar
from colorjax.archive.companions import Companions, keys_of
from colorjax.archive.plan import (
    IN_COLOUR,
    LEFT_IN_COLOUR,
    NEGATIVE,
    NO_NEGATIVE,
    UNCALIBRATED,
    Guide,
    Options,
    Outcome,
    digest_of_hints,
)
from colorjax.archive.proof import likeness
from colorjax.inference import pixels as shown
from colorjax.inference.colorizer import Colorizer
from colorjax.platform import sharding
from colorjax.science import hints, toning
from colorjax.science.hints import HintError

_LARGEST_TIFF = 4e9  # bytes of pixels


def _version(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


@dataclass
class Reading:
    """A photograph whose first page is read. source_sha256: of its file. pixels: a digest, of the pages read so far.

    left_out: pages that cannot be read, in words. origin: of the copy, once its first page is coloured.
    """

    outcome: Outcome
    pages: Iterator[photos.Photo]
    first: photos.Photo | None
    source_sha256: str
    pixels: Any
    left_out: list[str]
    origin: provenance.Origin | None = None


@dataclass
class Page:
    """A coloured page: pixels (H, W, 3), the photo whose metadata they carry, what its sidecar says, and its uncertainty."""

    image: np.ndarray
    photo: photos.Photo
    about: dict[str, Any]
    spread: np.ndarray | None


class Copier:
    """Makes copies with one `Colorizer` and one set of options; `read` and `write` may run in threads beside `colour`.

    Raises ValueError where there is to be signed and the key cannot do that.
    """

    def __init__(self, colorizer: Colorizer, options: Options):
        self._keys = keys_of(options)
        self._colorizer, self._options = colorizer, options
        self._settings = {"size": colorizer.size, "flip": colorizer.flip, "strength": options.strength}
        self._settings |= {"quality": options.quality, "burn_in": options.burn_in}
        self._settings |= {
            name: getattr(options, name) for name in ("negative", "warmth", "saturation") if getattr(options, name)
        }
        self.made_with = {"size": colorizer.size, "flip": colorizer.flip, "weights": colorizer.network.digest}
        self._device = sharding.device() | colorizer.engine.about
        self._weights = {"name": colorizer.network.source.name, "sha256": colorizer.network.digest}

    def read(self, outcome: Outcome) -> Reading | Outcome:
        """The first page, and the hash of the file; an `Outcome` where it is not to be coloured.

        Raises whatever a damaged file makes its decoder raise.
        """
        start, before = time.perf_counter(), _version(outcome.job.source)
        left_out: list[str] = []
        how = (self._options.max_pixels, left_out, self._options.accept_truncated, True)  # compared with another reader
        pixels = hashlib.sha256()
        pages = sidecar.fed(photos.pages(outcome.job.source, *how), pixels)
        pages = map(sidecar.inverted, pages) if self._options.negative else pages
        first = next(pages)
        if self._options.only_grey and toning.is_in_colour(first.image):
            return replace(outcome, status="skipped", reason=LEFT_IN_COLOUR)
        outcome = replace(outcome, pages=first.pages)
        self._check_hints(outcome.guide, first)
        name = photos.file_format(outcome.job.target)
        if first.pages > 1 and name != "TIFF":
            way_out = "a TIFF can: --format tiff, or a name for --out that ends in .tif"
            raise photos.PhotoError(f"has {first.pages} pages, which {name} cannot hold; {way_out}")
        size = first.pages * 3 * first.image.shape[0] * first.image.shape[1] * first.image.itemsize
        size *= 4 / 3 if first.stored is not None and first.stored.smaller else 1  # at most, of halves and halves again
        if name == "TIFF" and size > _LARGEST_TIFF:
            raise photos.PhotoError(f"its {first.pages} pages in colour take more than the 4 GB of a TIFF; split it")
        sha256 = sidecar.digest_of(outcome.job.source)
        if _version(outcome.job.source) != before:
            raise photos.PhotoError("it changed while it was read")
        outcome.seconds = {"read": time.perf_counter() - start, "colour": 0.0, "write": 0.0}
        return Reading(outcome, pages, first, sha256, pixels, left_out)

    def _check_hints(self, guide: Guide, first: photos.Photo) -> None:
        """Raises HintError where there are hints that cannot be followed."""
        if not guide.hints:
            return
        if not self._colorizer.guided:
            way_out = "; --no-hints does without" if guide.file else ""
            raise HintError(f"it has hints, and this network was not trained to follow any{way_out}")
        if first.pages > 1:
            raise HintError(f"it has hints and {first.pages} pages: which one they are of is not known; split it")
        hints.checked(guide.hints, first.image.shape)

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
            photo = next(reading.pages, None)

    def _page(self, photo: photos.Photo, number: int, reading: Reading) -> Page:
        pixels, job, guide = photo.image, reading.outcome.job, reading.outcome.guide
        warnings = (*photo.warnings, *self._doubts(pixels, number, reading.outcome))
        prediction = self._colorizer.variant(pixels, job.variant, guide.hints)
        about: dict[str, Any] = {"width": pixels.shape[1], "height": pixels.shape[0], "bits": 8 * pixels.dtype.itemsize}
        about |= {"digital_source_type": provenance.source_type(photo.metadata.xmp)} | guide.of_page()
        spread = None
        if self._options.uncertainty:
            of = {"of": prediction} if job.variant > 1 else {}
            spread = self._colorizer.uncertainty(pixels, guide.hints, **of)
            about |= {"uncertainty": round(float(spread.mean()), 3), "map": job.map(number).name}
            about |= {"uncertainty_calibrated": self._colorizer.calibrated and not of}
            warnings += () if self._colorizer.calibrated else (UNCALIBRATED,)
        before = toning.flat_tone(pixels)
        in_place = pixels if pixels.ndim == 3 and pixels.flags.writeable else None
        image = self._colorizer.paint(pixels, prediction, **self._options.tint._asdict(), out=in_place)
        about |= {"page": photo.number} if photo.number != number else {}
        about |= {"truncated": True} if photo.truncated else {}
        warnings = (*warnings, *_flatness(before, image))
        about |= {"warnings": list(warnings)} if warnings else {}
        reading.outcome.warnings = tuple(dict.fromkeys((*reading.outcome.warnings, *warnings)))
        about["mean_chroma"] = shown.mean_chroma(image)
        if self._options.burn_in:
            image, about["burnt_in"] = marks.burn_in(image, self._options.burn_in)
        name = photos.file_format(job.target)
        settings = self._settings_of(reading.outcome) | {"weights": self._weights["sha256"]}
        settings |= {"hints_sha256": guide.digest} if guide.hints else {}
        origin = provenance.Origin(job.source.name, reading.source_sha256, self._options.source_type, settings)
        reading.origin = reading.origin or origin
        about |= {"smaller": len(photo.stored.smaller)} if photo.stored is not None else {}
        xmp, notes = provenance.marked(photo.metadata.xmp, origin)
        notes = (*photo.notes, *notes, *photos.not_carried(name, photo))
        reading.outcome.notes = tuple(dict.fromkeys((*reading.outcome.notes, *notes)))
        return Page(image, replace(photo, image=image, metadata=replace(photo.metadata, xmp=xmp)), about, spread)

    def _doubts(self, pixels: np.ndarray, number: int, outcome: Outcome) -> list[str]:
        """Whether a page is in colour already, or a negative."""
        score = toning.negative_score(pixels)
        outcome.negative_score = score if number == 1 else outcome.negative_score
        found = [IN_COLOUR] if toning.is_in_colour(pixels) else []
        found += [NO_NEGATIVE if self._options.negative else NEGATIVE] if score > toning.NEGATIVE else []
        return found

    def _settings_of(self, outcome: Outcome) -> dict[str, Any]:
        """Those of one copy."""
        number = len(outcome.guide.hints)
        settings = self._settings | {"format": photos.file_format(outcome.job.target)} | ({"hints": number} if number else {})
        return settings | ({"variant": outcome.job.variant} if outcome.job.variant else {})

    def write(self, reading: Reading, pages: Iterator[Page]) -> Outcome:
        """The copy and its sidecar; the copy appears last: where it is, all is there."""
        outcome, job, about, start = reading.outcome, reading.outcome.job, [], time.perf_counter()
        before, name, image = outcome.seconds["colour"], photos.file_format(job.target), None
        files = Companions(job, self._keys)

        def drained() -> Iterator[tuple[np.ndarray, photos.Photo]]:
            nonlocal image
            for page in pages:
                about.append(page.about)
                if page.spread is not None:
                    files.write_map(len(about), page.spread, page.image.shape[:2])
                image = page.image if name in photos.LOSSY else None
                yield page.image, page.photo

        try:
            with photos.atomic(job.target) as stream, files.unsigned(stream) as plain:
                photos.encode(plain, name, drained(), self._options.quality)
                files.sign(plain, stream, reading.origin, self._weights, about)
                stream.flush()
                outcome.notes, outcome.pages = (*outcome.notes, *reading.left_out), len(about)
                outcome.notes, warnings = files.credentials(outcome.notes)
                warnings += tuple(f"left out of its copy: {words}" for words in reading.left_out)
                outcome.warnings += warnings
                if image is not None:  # what a lossy format did to it, as anyone will read it
                    stream.seek(0)
                    copy = photos.read(stream.read(), self._options.max_pixels)
                    about[0]["lightness_lost"] = round(likeness.difference(image, copy)[1], 4)
                files.write_sidecar(self._sidecar(reading, about, sidecar.of_copy(job.target, stream)))
        except BaseException:
            files.undo()
            raise
        files.clear(about)
        guesses = [page["uncertainty"] for page in about if "uncertainty" in page]
        outcome.uncertainty = round(float(np.mean(guesses)), 3) if guesses else None
        outcome.seconds["write"] = time.perf_counter() - start - (outcome.seconds["colour"] - before)
        return replace(outcome, status="coloured", reason=sidecar.greyness(about))

    def _sidecar(self, reading: Reading, pages: list[dict[str, Any]], copy: dict[str, Any]) -> dict[str, Any]:
        return {
            "source": sidecar.of_source(
                reading.outcome.job.source, reading.outcome.job.origin, reading.source_sha256, reading.pixels.hexdigest()
            ),
            "copy": copy,
            "weights": self._weights,
            "settings": self._settings_of(reading.outcome),
            "digital_source_type": provenance.source_type_uri(self._options.source_type),
            "device": self._device,
            "pages": pages,
            "not_carried": list(reading.outcome.notes),
        }

    def refresh(self, outcome: Outcome) -> Outcome:
        """Carry to a copy the metadata that its source has now; its pixels stay, in a lossy format byte by byte.

        Raises PhotoError where the copy is not the one that was made, or is of a format of which that cannot be done.
        """
        job, files, name = outcome.job, Companions(outcome.job, self._keys), photos.file_format(outcome.job.target)
        about, origins = sidecar.read(job.sidecar), []
        if about.get("signed") and self._keys is None:
            raise photos.PhotoError("its copy is signed, which a refreshed one would not be; give --sign-key and --sign-cert")
        if sidecar.digest_of(job.target) != about["copy"]["sha256"]:
            raise photos.PhotoError("its copy has changed since it was made; --overwrite makes it anew")
        sha256, pixels, notes, left_out = sidecar.digest_of(job.source), about["source"]["pixels_sha256"], [], []

        def joined() -> Iterator[tuple[np.ndarray, photos.Photo]]:
            sources = sidecar.source_pages(job.source, about, self._options.max_pixels, left_out)
            copies = photos.pages(job.target, self._options.max_pixels)
            for source, copy, page in zip(sources, copies, about["pages"], strict=True):
                settings = about["settings"] | {"weights": about["weights"]["sha256"]}
                settings |= {"hints_sha256": digest_of_hints(page["hints"])} if "hints" in page else {}
                mark = about["digital_source_type"].rpartition("/")[2]
                origins.append(provenance.Origin(job.source.name, sha256, mark, settings))
                xmp, lost = provenance.marked(source.metadata.xmp, origins[-1])
                page |= {"smaller": len(source.stored.smaller)} if source.stored is not None else {}
                page["digital_source_type"] = provenance.source_type(source.metadata.xmp)
                notes.extend((*source.notes, *lost, *photos.not_carried(name, source)))
                yield copy.image, replace(copy, metadata=replace(source.metadata, xmp=xmp), stored=source.stored)

        try:
            with photos.atomic(job.target) as stream, files.unsigned(stream) as plain:
                if name in photos.LOSSY:
                    photos.graft(plain, name, job.target.read_bytes(), next(joined())[1])
                else:
                    photos.encode(plain, name, joined(), self._options.quality)
                files.sign(plain, stream, origins[0], about["weights"], about["pages"])
                stream.flush()
                about |= {
                    "source": sidecar.of_source(job.source, job.origin, sha256, pixels),
                    "copy": sidecar.of_copy(job.target, stream),
                }
                notes, warnings = files.credentials(tuple(dict.fromkeys((*notes, *left_out))))
                about["not_carried"] = list(notes)
                files.write_sidecar(about)
        except BaseException:
            files.undo()
            raise
        files.clear(about["pages"])
        outcome = replace(outcome, warnings=(*outcome.warnings, *warnings))
        return replace(outcome, status="refreshed", notes=tuple(about["not_carried"]), pages=len(about["pages"]))


def _flatness(of_source: str, copy: np.ndarray) -> tuple[str, ...]:
    """What to say of a copy (H, W, 3) that is all black or all white, by the tone of its source."""
    tone = toning.flat_tone(copy)
    return (f"its copy is all {tone}, and the photograph is not",) if tone and tone != of_source else ()
