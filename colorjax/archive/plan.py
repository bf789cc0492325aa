"""What there is to colour: a photograph and the place of its copy, what is asked for, what became of it or would."""

import hashlib
import json
import os
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from colorjax import photos
from colorjax.archive import marks, provenance, sidecar
from colorjax.archive.proof import manifests, signatures
from colorjax.archive.urls import Url
from colorjax.inference import variants as likely
from colorjax.platform import usage
from colorjax.science import hints
from colorjax.science.hints import Hint, HintError
from colorjax.science.tints import Tint

THERE = "its copy is there already"
IN_COLOUR = "it is in colour already: its own colours are painted over"
LEFT_IN_COLOUR = "it is in colour already"
NEGATIVE, NO_NEGATIVE = "it looks like a negative", "inverted, it looks like a negative"
UNCALIBRATED = "the uncertainty of this network is not calibrated: it shows where, not how far"
IN_ITS_PLACE = "the copy of {} is in its place; name another --out"


@dataclass(frozen=True)
class Options:
    """What a run asks for, beside the `Colorizer`'s own settings.

    strength, warmth, saturation: see `Tint`. variants: how many copies of each photograph, with other likely colours each; 0:
    one, that bears no number. format: as `photos.format_of` takes it, None for that of the source. hint_files: whether those
    beside photographs count. sign_key, sign_cert: PEM files of the key that signs copies, and of its certificates; sign_tsa:
    URL of a time-stamp authority. Raises ValueError for values out of range, TypeError for those of another type, naming them.
    """

    strength: float = 1.0
    warmth: float = 0.0
    saturation: float = 0.0
    variants: int = 0
    format: str | None = None
    quality: int = 95
    source_type: str = provenance.SOURCE_TYPES[0]
    uncertainty: bool = False
    burn_in: str | None = None
    overwrite: bool = False
    hint_files: bool = True
    accept_truncated: bool = False
    refresh_metadata: bool = False
    only_grey: bool = False
    negative: bool = False
    max_pixels: int = photos.MAX_PIXELS
    sign_key: str | None = None
    sign_cert: str | None = None
    sign_tsa: str = ""

    def __post_init__(self):
        if (self.sign_key is None) != (self.sign_cert is None):
            raise ValueError("sign-key and --sign-cert go together: the key, and the certificates that say whose it is")
        if self.sign_tsa and not (self.sign_key and self.sign_tsa.startswith(("http://", "https://"))):
            raise ValueError(f"sign-tsa {self.sign_tsa!r} must be the URL of a time-stamp authority, and needs sign-key")
        self.tint.check(link=" ")
        usage.within("variants ", self.variants, 0, likely.MOST, whole=True)
        usage.within("quality ", self.quality, 1, 100, whole=True)
        for setting in fields(self):  # "no" would count as yes
            if setting.type is bool and (value := getattr(self, setting.name)) not in (True, False):
                raise TypeError(f"{setting.name} {value!r} must be True or False")
        if self.format is not None:
            try:
                object.__setattr__(self, "format", photos.format_of(self.format))
            except ValueError as error:
                raise ValueError(f"format {error}") from error
        provenance.source_type_uri(self.source_type)
        if self.burn_in and (missing := marks.not_drawn(self.burn_in)):
            raise ValueError(f"burn-in: the font (DejaVu Sans) has no {photos.legible(missing)!r}; say it in other letters")

    @property
    def tint(self) -> Tint:
        """How strong, warm and saturated its colours are."""
        return Tint(self.strength, self.warmth, self.saturation)


@dataclass(frozen=True)
class Job:
    """One photograph and where its copy goes.

    problem: why it cannot, known before anything is read. origin: what the sidecar calls the source, "" for the relative
    path to it. free: nothing was in the place of the copy when the run began, so that a copy there is one of this run. hints:
    of its upright pixels, None for those in `hint_file`. variant: which of the likely colours, from 1; 0 where only one is
    asked for.
    """

    source: Path | Url
    target: Path | Url
    problem: str = ""
    origin: str = ""
    free: bool = False
    hints: tuple[Hint, ...] | None = None
    variant: int = 0

    @property
    def hint_file(self) -> Path | Url:
        """Where the hints for the photograph are, if it has some."""
        return self.source.with_name(self.source.name + hints.SUFFIX)

    @property
    def sidecar(self) -> Path | Url:
        """Where the sidecar of the copy goes."""
        return self.target.with_name(self.target.name + sidecar.SUFFIX)

    @property
    def signature(self) -> Path | Url:
        """Where the signature of the sidecar goes, where there is a key."""
        return self.sidecar.with_name(self.sidecar.name + signatures.SUFFIX)

    @property
    def manifest(self) -> Path | Url:
        """Where the manifest of a copy goes that has no room for one."""
        return manifests.beside(self.target)

    def map(self, page: int) -> Path | Url:
        """Where the uncertainty map of a page goes."""
        name = self.source.name + (f".{self.variant}" if self.variant else "") + ("" if page == 1 else f".page{page}")
        return self.target.with_name(f"{name}{photos.OWN_MAP}.png")


@dataclass(frozen=True)
class Guide:
    """The hints for a photograph. file: name and SHA-256 of the file that they were in, None for none."""

    hints: tuple[Hint, ...] = ()
    file: dict[str, str] | None = None

    @property
    def as_dicts(self) -> list[dict[str, Any]]:
        """As in a file of hints."""
        return [hint.as_dict() for hint in self.hints]

    @property
    def digest(self) -> str:
        """SHA-256 of the hints themselves."""
        return digest_of_hints(self.as_dicts)

    def of_page(self) -> dict[str, Any]:
        """What the sidecar says of them, nothing where there are none."""
        if not self.hints:
            return {}
        return {"hints": self.as_dicts} | ({"hints_from": self.file} if self.file else {})


def digest_of_hints(hints: list[dict[str, Any]]) -> str:
    """SHA-256 of hints as they stand in a file or a sidecar."""
    return hashlib.sha256(json.dumps(hints).encode()).hexdigest()


@dataclass
class Outcome:
    """What became of a job, and why: "coloured", "refreshed" (its copy has the metadata that its source has now), "skipped"
    (its copy is there already) or "failed"; before, "to colour" or "to refresh".

    seconds: of the stages read, colour and write. uncertainty: mean over the picture, Lab units, where it was asked for. guide:
    what its colours follow, or would. warnings: what may be wrong with it. negative_score: of its first page, see `toning`.
    """

    job: Job
    status: str
    reason: str = ""
    notes: tuple[str, ...] = ()
    pages: int = 0
    pixels: int = 0
    uncertainty: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    guide: Guide = Guide()
    warnings: tuple[str, ...] = ()
    negative_score: float | None = None

    def failed(self, error: BaseException) -> "Outcome":
        """The same job, failed for this reason."""
        reason = photos.in_words(error)
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in reason:  # NumPy's way to say it, and XLA's
            reason = "not enough memory"
        return replace(self, status="failed", reason=reason)


def foresee(job: Job, options: Options, made_with: dict[str, Any] | None = None) -> Outcome:
    """What would become of a job ("to colour", "skipped", "failed"), as far as can be known without decoding anything.

    made_with: size, flip and weights of the `Colorizer`, where there is one.
    """
    if job.problem:
        return Outcome(job, "failed", job.problem)
    try:
        pixels = photos.measure(job.source, options.max_pixels)
        photos.file_format(job.target)
        guide = _guide(job, options)
        outcome = _there_already(job, options, made_with or {}, guide) or Outcome(job, "to colour")
        return replace(outcome, pixels=pixels, guide=guide) if outcome.status in ("to colour", "coloured") else outcome
    except Exception as error:  # whatever a file does to its decoder, it must not end the others
        return Outcome(job, "failed").failed(error)


def _guide(job: Job, options: Options) -> Guide:
    """The hints for a photograph: what its job says, or the file beside it. Raises HintError where they are malformed."""
    file = job.hint_file
    if job.hints is not None:
        return Guide(hints.checked(job.hints, None))
    if not (options.hint_files and os.path.lexists(file)):
        return Guide()
    if not os.path.isfile(file):  # opening a pipe might wait for ever
        raise HintError(f"{file.name} is no file")
    try:
        found = hints.read(file)
        return Guide(hints.checked(found, None), {"name": file.name, "sha256": sidecar.digest_of(file)})
    except OSError as error:
        raise HintError(f"{file.name} cannot be read: {photos.in_words(error, with_name=False)}") from error


def _there_already(job: Job, options: Options, made_with: dict[str, Any], guide: Guide) -> Outcome | None:
    """What is to be said where the place of the copy is taken; None where it is free, or may be taken."""
    try:
        about = sidecar.read(job.sidecar)
    except sidecar.SidecarError:
        beside = [job.manifest] if options.sign_key and not manifests.embeds(photos.file_format(job.target), 2, True) else []
        taken = [file for file in (job.target, job.sidecar, *beside) if os.path.lexists(file)]
        taken += [job.map(1)] if options.uncertainty and job.map(1).exists() and not marks.is_map(job.map(1)) else []
        if taken and not options.overwrite:
            return Outcome(job, "failed", f"{taken[0]} is there already, and not by colorjax; --overwrite replaces it")
        return None
    known = (job.sidecar.parent / about["source"]["path"]).resolve()
    if known != job.source.resolve() and known.exists():
        return Outcome(job, "failed", IN_ITS_PLACE.format(about["source"]["path"]))
    if options.overwrite or not os.path.lexists(job.target):
        return None
    changed = sidecar.digest_of(job.source) != about["source"]["sha256"]
    if job.free and not changed:
        return _told_again(job, about)
    if reason := _damage(job, about, options):
        return Outcome(job, "failed", reason)
    others = _others(about, options, made_with, guide)
    if changed:
        return _changed(job, about, options, others)
    return Outcome(job, "skipped", THERE + (f", with another {', '.join(others)}; --overwrite makes it anew" if others else ""))


def _others(about: dict[str, Any], options: Options, made_with: dict[str, Any], guide: Guide) -> list[str]:
    """The settings of a copy that are other ones than those that are asked for, in words."""
    asked = {"strength": options.strength, "quality": options.quality, "burn_in": options.burn_in} | made_with
    said = about["settings"] | {"weights": about["weights"]["sha256"]}
    others = [name for name, value in asked.items() if said.get(name) != value]
    others += [name for name in ("warmth", "saturation") if said.get(name, 0.0) != getattr(options, name)]
    others += ["negative"] if bool(said.get("negative")) != options.negative else []
    others += ["mark"] if about["digital_source_type"] != provenance.source_type_uri(options.source_type) else []
    others += ["signature"] if bool(about.get("signed")) != bool(options.sign_key) else []
    others += ["set of hints"] if about["pages"][0].get("hints", []) != guide.as_dicts else []
    return others + (["uncertainty"] if options.uncertainty and "map" not in about["pages"][0] else [])


def _changed(job: Job, about: dict[str, Any], options: Options, others: list[str]) -> Outcome:
    """What is to be said of a photograph that is another file than its copy was made of: are its pixels the same?

    others: the settings of the copy that are not those asked for; they stay.
    """
    pixels = about["source"].get("pixels_sha256")
    if pixels is None or sidecar.pixel_digest_of(job.source, about, options.max_pixels) != pixels:
        return Outcome(job, "failed", "it has changed since its copy was made; --overwrite makes it anew")
    if options.refresh_metadata:
        return Outcome(job, "to refresh", f"its copy keeps another {', '.join(others)}" if others else "")
    there = THERE + (f", with another {', '.join(others)}" if others else "")
    return Outcome(job, "skipped", f"{there}; its metadata changed since: {sidecar.way_to_refresh(about)}")


def _damage(job: Job, about: dict[str, Any], options: Options) -> str:
    """What happened to a copy that is not whole any more, "" for none: it is read only where its size is another."""
    size = os.path.getsize(job.target)
    if size == 0:
        return "its copy is empty; --overwrite makes it anew"
    if size != about["copy"].get("bytes", size):
        try:
            for _ in photos.pages(job.target, options.max_pixels):
                pass
        except photos.PhotoError as error:
            return f"its copy cannot be read any more ({error}); --overwrite makes it anew"
    return ""


def _told_again(job: Job, about: dict[str, Any]) -> Outcome:
    """The outcome of a copy that this run made, from its sidecar: the worker that made it died before it could tell."""
    pages = about["pages"]
    guesses = [page["uncertainty"] for page in pages if "uncertainty" in page]
    return Outcome(
        job,
        "coloured",
        sidecar.greyness(pages),
        tuple(about["not_carried"]),
        len(pages),
        uncertainty=round(sum(guesses) / len(guesses), 3) if guesses else None,
        warnings=tuple(dict.fromkeys(warning for page in pages for warning in page.get("warnings", ()))),
    )
