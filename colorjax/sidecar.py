"""The sidecar of a coloured copy: what it was made of and how, and whether that still holds."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, BinaryIO

import jax
import numpy as np

from colorjax import __version__, colorizer, photos

SUFFIX = ".json"  # after the whole name of the copy
SCHEMA = "colorjax-sidecar-1"
# |L*(copy) - L*(source)| that a copy may have, (at most, on average): rounding alone, or what lossy compression does.
_LIMITS = {8: (0.5, 0.5), 16: (0.01, 0.01)}
_LOSSY_LIMITS = (np.inf, 1.5)


class SidecarError(ValueError):
    """A file that is no sidecar, or a damaged one."""


def digest(stream: BinaryIO) -> str:
    """SHA-256 of a stream from its start."""
    stream.seek(0)
    return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as stream:
        return digest(stream)


def device() -> dict[str, str]:
    """What computed: the same on the same machine."""
    first = jax.devices()[0]
    return {"platform": first.platform, "kind": first.device_kind, "jax": jax.__version__}


def write(path: Path, source: Path, about: dict[str, Any]) -> None:
    """Write a sidecar; `about` is everything but the schema, the version, the device and where the source is from here."""
    try:
        relative = Path(os.path.relpath(source.absolute(), path.absolute().parent)).as_posix()
    except ValueError:  # on another drive
        relative = source.absolute().as_posix()
    about = {"schema": SCHEMA, "colorjax": __version__, "device": device()} | about
    about["source"] = {"path": relative} | about["source"]
    with photos.atomic(path) as stream:
        stream.write(json.dumps(about, indent=2, sort_keys=True).encode() + b"\n")


def find(folder: Path) -> list[Path]:
    """Every sidecar below a folder, in sorted order."""
    return sorted(folder.rglob(f"*{photos.OWN_COPY}.*{SUFFIX}"))


def read(path: Path) -> dict[str, Any]:
    """A sidecar. Raises SidecarError where it is none."""
    try:
        about = json.loads(path.read_bytes())
    except OSError as error:
        raise SidecarError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SidecarError(f"{path} is no sidecar: {error}") from error
    if not isinstance(about, dict) or about.get("schema") != SCHEMA:
        raise SidecarError(f"{path} is no sidecar of colorjax")
    return about


def verify(path: Path, weights: str | None = None) -> list[str]:
    """What a sidecar says that is not so; nothing where all is well.

    The SHA-256 of copy and source, of the weights where `weights` gives theirs, and the lightness of copy and source, pixel
    by pixel: equal up to rounding, of a lossy format on average. Raises SidecarError where the file is no sidecar.
    """
    about = read(path)
    try:
        copy, source = path.parent / about["copy"]["name"], path.parent / about["source"]["path"]
        problems = []
        for kind, file in (("copy", copy), ("source", source)):
            if not file.is_file():
                problems.append(f"the {kind} {file} is not there")
            elif (actual := digest_of(file)) != about[kind]["sha256"]:
                problems.append(f"the {kind} {file} has changed: SHA-256 is {actual[:12]}, not {about[kind]['sha256'][:12]}")
        if weights is not None and weights != about["weights"]["sha256"]:
            problems.append(f"other weights: SHA-256 is {weights[:12]}, not {about['weights']['sha256'][:12]}")
        if not any("is not there" in problem for problem in problems):
            problems += _lightness_problems(source, copy, about["pages"])
    except (KeyError, TypeError, AttributeError) as error:
        raise SidecarError(f"{path} is damaged ({type(error).__name__}: {error})") from error
    return problems


def _lightness_problems(source: Path, copy: Path, about: list[dict[str, Any]]) -> list[str]:
    problems, number = [], 0
    try:
        for before, after in zip(photos.pages(source), photos.pages(copy), strict=True):
            number += 1
            if before.image.shape[:2] != after.image.shape[:2]:
                problems.append(f"page {number}: the copy has another size")
                continue
            largest, mean = colorizer.lightness_difference(before.image, after.image, without=about[number - 1].get("burnt_in"))
            most, on_average = _LIMITS[8 * after.image.dtype.itemsize] if after.lossless else _LOSSY_LIMITS
            if largest > most or mean > on_average:
                problems.append(f"page {number}: L* differs by up to {largest:.2f}, by {mean:.3f} on average")
    except photos.PhotoError as error:
        problems.append(f"the pictures cannot be compared: {error}")
    except ValueError:
        problems.append(f"copy and source have different numbers of pages: {number} are in both")
    return problems
