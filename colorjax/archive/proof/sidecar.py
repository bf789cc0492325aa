"""The sidecar of a coloured copy: what it was made of and how, and whether that still holds."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from colorjax import photos
from colorjax.archive.proof import likeness, marks
from colorjax.archive.proof.likeness import SidecarError
from colorjax.platform.version import VERSION

SUFFIX = ".json"  # after the whole name of the copy
SCHEMA, FILM_SCHEMA, FILMS = "colorjax-sidecar-1", "colorjax-sidecar-film-1", (".mkv", ".mov", ".mp4", ".m4v")
COMMON = {  # to what every sidecar says, of which type
    "colorjax": str,
    "settings": dict,
    "digital_source_type": str,
    "source": {"name": str, "path": str, "sha256": str},
    "copy": {"name": str, "sha256": str},
    "weights": {"name": str, "sha256": str},
}
_SHAPE = COMMON | {"device": dict, "not_carried": list, "pages": list}
_GREY = 0.5  # mean chroma below which there is no colour to speak of

# From (a sidecar, where its source was, max_pixels) to where it is.
Search = Callable[[dict[str, Any], Path, int], Path | None]


def digest(stream: BinaryIO) -> str:
    """SHA-256 of a stream from its start."""
    stream.seek(0)
    return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as stream:
        return digest(stream)


def fed(pages: Iterable[photos.Photo], pixels: Any) -> Iterator[photos.Photo]:
    """The pages; on its way each one's pixels and transparency are fed to a digest: what a file says does not count in it."""
    for photo in pages:
        for plane in (photo.image, photo.alpha):
            pixels.update(repr(None if plane is None else (plane.shape, plane.dtype.str)).encode())
            pixels.update(b"" if plane is None else np.ascontiguousarray(plane))
        yield photo


def source_pages(
    path: Path, about: dict[str, Any], max_pixels: int, left_out: list[str] | None = None
) -> Iterator[photos.Photo]:
    """The pages of a source that were coloured, as its sidecar tells: not those of an unsupported kind, which are named in
    `left_out`, and what is left of one that is cut short."""
    truncated = any(page.get("truncated") for page in about["pages"])
    return photos.pages(path, max_pixels, [] if left_out is None else left_out, truncated)


def way_to_refresh(about: dict[str, Any]) -> str:
    """What to do where only the metadata of a source changed since its copy was made, by its sidecar."""
    can = photos.can_refresh(about["settings"].get("format"))
    return "--refresh-metadata carries them over" if can else "--overwrite makes the copy anew"


def inverted(photo: photos.Photo) -> photos.Photo:
    """The same page, dark where it was light: a negative as its print."""
    return replace(photo, image=np.iinfo(photo.image.dtype).max - photo.image)


def pixel_digest_of(path: Path, about: dict[str, Any], max_pixels: int) -> str:
    """SHA-256 of the pixels of a source that a sidecar tells of, as `fed` has it. Raises PhotoError where it cannot be read."""
    pixels = hashlib.sha256()
    for _ in fed(source_pages(path, about, max_pixels), pixels):
        pass
    return pixels.hexdigest()


def of_source(source: Any, origin: str, sha256: str, pixels_sha256: str) -> dict[str, Any]:
    """What a sidecar says of the source. origin: what it calls it, "" for the relative path to it."""
    return {"name": source.name, "sha256": sha256, "pixels_sha256": pixels_sha256} | ({"path": origin} if origin else {})


def of_copy(target: Any, stream: BinaryIO) -> dict[str, Any]:
    """What a sidecar says of the copy, which is in the stream."""
    return {"name": target.name, "sha256": digest(stream), "bytes": stream.seek(0, os.SEEK_END)}


def greyness(pages: list[dict[str, Any]]) -> str:
    """Which of a copy's pages have no colour to speak of, in words; "" where each has some. A page may be of text alone."""
    grey = [str(page.get("page", number)) for number, page in enumerate(pages, 1) if page["mean_chroma"] < _GREY]
    if not grey:
        return ""
    some = f"as good as grey in its copy: page{'s' * (len(grey) > 1)} {', '.join(grey)}"
    return some if len(grey) < len(pages) else "its copy is as good as grey"


def write(path: Path, source: Path, about: dict[str, Any]) -> None:
    """Write a sidecar; `about` is everything but the schema, the version and where the source is from here.

    That is the relative path to it, unless `about["source"]["path"]` says otherwise.
    """
    source = source.parent.resolve() / source.name
    try:
        relative = Path(os.path.relpath(source, path.parent.resolve())).as_posix()
    except ValueError:  # on another drive
        relative = source.as_posix()
    about = {"schema": SCHEMA, "colorjax": VERSION} | about
    about["source"] = {"path": relative} | about["source"]
    with photos.atomic(path) as stream:
        stream.write(json.dumps(about, indent=2, sort_keys=True).encode() + b"\n")


def maps(data: bytes | None) -> set[str]:
    """The names of the maps that the content of a sidecar tells of."""
    try:
        return {Path(page["map"]).name for page in json.loads(data or b"{}")["pages"] if "map" in page}
    except (ValueError, KeyError, TypeError):
        return set()


def signed(data: bytes | None) -> dict[str, Any]:
    """What the content of a sidecar says of who signed its copy, nothing where nobody did."""
    try:
        return dict(json.loads(data or b"{}").get("signed") or {})
    except (ValueError, TypeError, AttributeError):
        return {}


def find(folder: Path) -> list[Path]:
    """Every sidecar below a folder, in sorted order: by its name, and of copies that have another one by what it says."""
    found = (path for path in folder.rglob(f"*.*{SUFFIX}") if not path.name.endswith(photos.HINTS))  # a copy may have some
    return sorted(path for path in found if f"{photos.OWN_COPY}." in path.name or _of_other_name(path))


def _of_other_name(path: Path) -> bool:
    """Whether it is a sidecar, as of a copy that was named with --out: other programs write NAME.jpg.json, too."""
    return Path(path.stem).suffix.lower() in (*photos.SUFFIXES, *FILMS) and is_own(path)


def is_own(path: Path) -> bool:
    """Whether a file is a sidecar of ours, of a photograph or a film, by what is in it; `find` looks below folders."""
    with contextlib.suppress(OSError):
        return path.suffix == SUFFIX and path.is_file() and b"colorjax-sidecar-" in path.read_bytes()
    return False


def is_of_film(path: Path) -> bool:
    """Whether a file is the sidecar of a film."""
    return path.is_file() and FILM_SCHEMA.encode() in path.read_bytes()


def named(path: Path) -> list[Path]:
    """The sidecars that a user means: those below a folder, the one itself, or that of a copy."""
    whole = Path(os.path.abspath(path)) if path.name in ("", "..") else path  # "." and ".." have a name, too
    if whole.name and is_of_film(beside := whole.with_name(whole.name + SUFFIX)):  # of a film, or of a folder that is one
        return [beside]
    if path.is_dir():
        return find(path)
    is_copy = path.suffix.lower() in photos.SUFFIXES and not marks.is_map(path)
    return [path.with_name(path.name + SUFFIX)] if is_copy else [path]


def read(path: Path) -> dict[str, Any]:
    """A photograph's sidecar. Raises SidecarError where it is none."""
    return loaded(path, SCHEMA, _SHAPE)


def loaded(path: Path, schema: str, shape: dict[str, Any]) -> dict[str, Any]:
    """A sidecar of this schema and shape. Raises SidecarError where it is none."""
    try:
        about = json.loads(path.read_bytes())
    except OSError as error:
        raise SidecarError(f"{path} cannot be read: {photos.in_words(error, with_name=False)}") from error
    except (ValueError, RecursionError) as error:
        raise SidecarError(f"{path} is no sidecar: {error}") from error
    if not isinstance(about, dict) or about.get("schema") != schema:
        raise SidecarError(f"{path} is no sidecar of colorjax")
    if problem := _misfit(about, shape) or _damage(about):
        raise SidecarError(f"{path} is damaged ({problem})")
    return about


def is_of(path: Path, source: Path) -> bool:
    """Whether a file is the sidecar of this photograph's copy."""
    with contextlib.suppress(SidecarError, OSError):
        if path.is_file():
            place = path.parent / read(path)["source"]["path"].removeprefix("file://")
            return place.resolve() == source.resolve()
    return False


def _misfit(value: Any, shape: Any, where: str = "") -> str:
    """The key whose value is missing or of another type, "" where there is none."""
    if isinstance(shape, type):
        return "" if isinstance(value, shape) else where
    if not isinstance(value, dict):
        return where
    found = (_misfit(value.get(key), inner, f"{where}.{key}".lstrip(".")) for key, inner in shape.items())
    return next(filter(None, found), "")


def _damage(about: dict[str, Any]) -> str:
    name = about["copy"]["name"]
    if name in ("", "..") or Path(name).name != name:
        return "the copy lies elsewhere"
    pages = about.get("pages", [{}])  # a film has none
    return "" if pages and all(isinstance(page, dict) for page in pages) else "pages"


class Verdict(NamedTuple):
    """problems: what a sidecar says that is not so. notes: what has changed and does no harm."""

    problems: list[str]
    notes: list[str]


def verify(
    path: Path, weights: str | None = None, max_pixels: int = photos.MAX_PIXELS, search: Search | None = None
) -> Verdict:
    """Whether what a sidecar says is so.

    The SHA-256 of copy and source, of the weights where `weights` gives theirs, the mark in the copy, and the lightness of
    copy and source, pixel by pixel: equal up to rounding, of a lossy copy as near as when it was made. A source of which
    only the metadata changed is told in a note, and one that was cut short or inverted. `search`: looks for one that is not
    where it was, or is another file now. Raises SidecarError where the file is no sidecar.
    """
    about = read(path)
    said = about["source"]
    files = {"copy": path.parent / about["copy"]["name"], "source": path.parent / said["path"].removeprefix("file://")}
    if search:
        files["source"] = search(about, files["source"], max_pixels) or files["source"]
    problems, notes, others = [], _asked_for(about), []
    for kind, file in files.items():
        expected = about[kind]["sha256"]
        try:
            actual = digest_of(file) if file.is_file() else None
        except OSError as error:
            problems.append(f"the {kind} {file} cannot be read: {photos.in_words(error, with_name=False)}")
            continue
        if actual is None:
            name = said["path"] if kind == "source" and "://" in said["path"] else file
            problems.append(f"the {kind} {name} is not there")
        elif actual != expected:
            others.append((kind, f"the {kind} {file} has changed: SHA-256 is {actual[:12]}, not {expected[:12]}"))
    unread, pixels, found = bool(problems), hashlib.sha256(), []
    if not unread:
        try:
            pages = fed(source_pages(files["source"], about, max_pixels), pixels)
            pages = map(inverted, pages) if about["settings"].get("negative") else pages
            found = likeness.page_problems(pages, files["copy"], about, max_pixels)
        except (KeyError, TypeError, AttributeError) as error:
            raise SidecarError(f"{path} is damaged ({type(error).__name__}: {error})") from error
    for kind, words in others:
        if kind == "source" and pixels.hexdigest() == said.get("pixels_sha256"):
            notes.append(f"the metadata of {files['source']} changed, its pixels did not: colorize {way_to_refresh(about)}")
        else:
            problems.append(words)
    if weights is not None and weights != about["weights"]["sha256"]:
        problems.append(f"other weights: SHA-256 is {weights[:12]}, not {about['weights']['sha256'][:12]}")
    return Verdict(problems + found, notes)


def _asked_for(about: dict[str, Any]) -> list[str]:
    """What its user let pass, or asked for, and who sees the copy alone should know."""
    cut = any(page.get("truncated") for page in about["pages"])
    notes = ["it is of what was left of a source that is cut short"] if cut else []
    return notes + (["its source was inverted, as a negative"] if about["settings"].get("negative") else [])
