"""The sidecar of a coloured film: whether what it says is so."""

import functools
import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from colorjax import photos
from colorjax.archive import provenance, sidecar
from colorjax.film import sequences
from colorjax.film.containers import marks, planes, reading
from colorjax.film.containers.reading import FilmError
from colorjax.inference import pixels

SCHEMA = sidecar.FILM_SCHEMA
SHAPE = sidecar.COMMON | {"film": dict, "shots": list}
_LEAST = 0.5  # |dL*| that rounding to 8 bits may cause, of copies in RGB; of more bits less


def of_copy(path: Path) -> dict[str, Any]:
    """What a sidecar says of a copy: SHA-256 and bytes of a file; of a folder, those of its files together."""
    if path.is_dir():
        return {
            "sha256": sequences.digest(path),
            "bytes": sum(file.stat().st_size for file in path.iterdir() if file.is_file()),
        }
    return {"sha256": sidecar.digest_of(path), "bytes": path.stat().st_size}


@functools.lru_cache(4096)
def _digest(path: Path, _changed: int) -> str:
    """SHA-256 of a film; once, however many sidecars ask for it."""
    return of_copy(path)["sha256"]


def _found(about: dict[str, Any], before: Path, below: Path) -> Path:
    """Where a source is: where it was, or a file or folder `below` with the same bytes; `before` where there is none.

    Those of its name come first, then those of its suffix: films are large, and all others would be read for nothing.
    """
    name, suffix = about["source"]["name"], Path(about["source"]["name"]).suffix.lower()
    is_folder = "pixels" not in about["film"]  # which films in a file have
    kind = Path.is_dir if is_folder else Path.is_file
    others = sorted(path for path in (below, *below.rglob("*")) if kind(path) and (is_folder or path.suffix.lower() == suffix))
    near = [*([before] if kind(before) else []), *(path for path in others if path.name == name)]
    for path in dict.fromkeys([*near, *others]):
        if _digest(path, path.stat().st_mtime_ns) == about["source"]["sha256"]:
            return path
    return before


def verify(path: Path, weights: str | None = None, below: Path | None = None) -> sidecar.Verdict:
    """Whether what a film's sidecar says is so.

    SHA-256 of copy and source, of the weights where `weights` gives theirs, the mark in the copy's tags, the number of frames,
    and of each shot Y' of source and copy: the same, sample by sample, where the codec loses nothing; of RGB the lightness.
    below: the folder in which a source is looked for that is not where it was, or is another file now.
    Raises SidecarError where the file is no sidecar, or a damaged one.
    """
    about = sidecar.loaded(path, SCHEMA, SHAPE)
    copy, source = path.parent / about["copy"]["name"], path.parent / about["source"]["path"].removeprefix("file://")
    source = _found(about, source, below) if below else source
    problems = []
    for kind, file in (("copy", copy), ("source", source)):
        if not file.exists():
            problems.append(f"the {kind} {file} is not there")
        elif (actual := of_copy(file)["sha256"]) != about[kind]["sha256"]:
            problems.append(f"the {kind} {file} has changed: SHA-256 is {actual[:12]}, not {about[kind]['sha256'][:12]}")
    if weights is not None and weights != about["weights"]["sha256"]:
        problems.append(f"other weights: SHA-256 is {weights[:12]}, not {about['weights']['sha256'][:12]}")
    if copy.exists() and source.exists():
        try:
            problems += _frames(source, copy, about)
        except (KeyError, TypeError, AttributeError) as error:
            raise sidecar.SidecarError(f"{path} is damaged ({type(error).__name__}: {error})") from error
        except (FilmError, photos.PhotoError, OSError) as error:
            problems.append(f"the pictures cannot be compared: {photos.in_words(error)}")
    notes = [] if about["settings"].get("keeps_luma") else ["its luma was encoded anew, and is not compared"]
    left_out = about["film"].get("left_out", ())
    named = f"{', '.join(left_out[: sequences.TOLD])}{', ...' * (len(left_out) > sequences.TOLD)}"
    notes += [f"pictures of the source that have no copy, which was told: {named}"] if left_out else []
    return sidecar.Verdict(problems, notes)


def _frames(source: Path, copy: Path, about: dict[str, Any]) -> Iterator[str]:
    """What of the frames, or of the mark, is not as it should be."""
    if source.is_dir():
        yield from _of_sequence(source, copy, about)
        return
    before, after = reading.opened(source), reading.opened(copy)
    try:
        if about["digital_source_type"] not in after.container.metadata.values() or not marks.is_tagged(
            dict(after.container.metadata)
        ):
            yield f"the copy does not bear the mark {about['digital_source_type']}"
        if before.facts.kind == "rgb" and about["settings"]["keeps_luma"]:
            yield from _lightness(map(planes.rgb, before.frames()), map(planes.rgb, after.frames()), about, after.facts.bits)
        else:
            yield from _luma(before, after, about)
    finally:
        before.close()
        after.close()


def _luma(before: reading.Film, after: reading.Film, about: dict[str, Any]) -> Iterator[str]:
    sides, exact = {"source": before.frames(), "copy": after.frames()}, about["settings"]["keeps_luma"]
    for number, shot in enumerate(about["shots"], 1):
        for side, frames in sides.items():
            digest, count = hashlib.sha256(), 0
            for frame in itertools.islice(frames, shot["end"] - shot["first"]):
                count += 1
                if exact or (side == "source" and before.facts.kind != "rgb"):
                    digest.update(np.ascontiguousarray(planes.luma(frame)))
            if count != shot["end"] - shot["first"]:
                yield f"shot {number}: the {side} ends {shot['end'] - shot['first'] - count} frames early"
                return
            if digest.digest() != hashlib.sha256().digest() and digest.hexdigest() != shot["planes_sha256"]:
                yield f"shot {number}: Y' of the {side} is not what it was"
    if next(sides["copy"], None) is not None:
        yield "the copy has more frames than its sidecar says"


def _lightness(before: Iterator[np.ndarray], after: Iterator[np.ndarray], about: dict[str, Any], bits: int) -> Iterator[str]:
    largest, bound = 0.0, _LEAST if bits == 8 else 4 * _LEAST / 2 ** (bits - 8)
    count = about["shots"][-1]["end"]
    for number in range(count):
        pair = next(before, None), next(after, None)
        if pair[0] is None or pair[1] is None:
            yield f"the {'source' if pair[0] is None else 'copy'} has {number} frames, not {count}"
            return
        one, other = (_as_deep(image, bits) for image in pair)
        largest = max(largest, pixels.lightness_difference(one, other)[0])
    if largest > bound:
        yield f"L* differs by up to {largest:.2f}"


def _as_deep(image: np.ndarray, bits: int) -> np.ndarray:
    """Levels of so many bits as those of 8 or 16."""
    if image.dtype == np.uint8 or bits == 16:
        return image
    return (image.astype(np.uint32) * 65535 // (2**bits - 1)).astype(np.uint16)


def _of_sequence(source: Path, copy: Path, about: dict[str, Any]) -> Iterator[str]:
    mark = about["digital_source_type"].rpartition("/")[2]
    left_out = about["film"].get("left_out", ())
    files = [path for path in sequences.files(source) if path.name not in left_out]
    files = files[: about["shots"][-1]["end"]]
    for path in files:
        twin = copy / path.name
        if not twin.is_file():
            yield f"{twin} is not there"
            return
        if path.suffix.lower() != ".dpx" and provenance.source_type(photos.read(twin).metadata.xmp) not in (
            mark,
            about["digital_source_type"],
        ):
            yield f"{twin} does not bear the mark {mark}"
            return
    bits = about["film"]["bits"]
    yield from _lightness(
        (sequences.image(path) for path in files), (sequences.image(copy / path.name) for path in files), about, bits
    )
