"""The SHA-256 of every file of a folder, kept in it: what tells a whole checkpoint from a damaged one."""

import hashlib
import json
from pathlib import Path
from typing import Any

from colorjax import photos

CHECKSUMS = "checksums.json"


class CheckpointError(ValueError):
    """There is nothing to load where it was looked for, or what is there is damaged or does not fit."""


def write(folder: Path, **about: Any) -> dict[str, str]:
    """Write `checksums.json` over every file below `folder`; returns {relative path: SHA-256}. about: further keys of it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / CHECKSUMS)
    sums = {path.relative_to(folder).as_posix(): _sha256(path) for path in files}
    with photos.atomic(folder / CHECKSUMS) as stream:
        stream.write(json.dumps({"sha256": sums, "all": digest(sums)} | about, indent=2).encode())
    return sums


def digest(sums: dict[str, str]) -> str:
    """SHA-256 of the checksums of a folder: that of the folder."""
    return hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()


def verify(folder: Path) -> dict[str, str]:
    """The checksums of a folder whose files are as they were written.

    Raises CheckpointError, naming the first that is not; OSError where a file is there but cannot be read.
    """
    path = folder / CHECKSUMS
    try:
        stored = json.loads(path.read_text())
        sums = dict(stored["sha256"])
        if stored["all"] != digest(sums):
            raise ValueError("its own SHA-256 is another")
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: the folder was not written to its end") from None
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged ({type(error).__name__}: {error})") from error
    for name, expected in sums.items():
        try:
            actual = _sha256(folder / name)
        except (FileNotFoundError, NotADirectoryError):
            raise CheckpointError(f"{folder / name} is damaged: the file is missing") from None
        if actual != expected:
            raise CheckpointError(f"{folder / name} is damaged: SHA-256 is {actual[:12]}, not {expected[:12]}")
    return sums


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
