"""Which files are photographs."""

import os
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from pathlib import Path, PurePath

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif", ".hif")
SUFFIXES += (".jp2", ".j2k", ".jpf", ".jpx", ".jxl")
# What is named when it is passed over, for it is a picture: by its suffixes.
_PICTURES = {".gif": "GIFs (save them as PNG)"}
_PICTURES |= dict.fromkeys((".psd", ".psb"), "Photoshop documents (export them as TIFF)")
_RAW = ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .kdc .mos .mrw .nef .nrw .orf .pef .raf .raw .rw2 .rwl .srw .x3f"
_PICTURES |= dict.fromkeys(_RAW.split(), "raw files of cameras (develop them to TIFF)")
OWN_COPY = ".colorized"  # before the suffix of every copy that colorjax makes
OWN_MAP = ".uncertainty"  # and of every map
HINTS = ".hints.json"  # after the whole name of a photograph: the file of hints that belongs to it
ASTRAY = "files of hints without their photograph"


def find(paths: Sequence[str | os.PathLike], passed_over: Counter | None = None) -> Iterator[tuple[Path, Path]]:
    """Every photograph under `paths`, files as named and folders recursively in sorted order, as (root, path).

    Hidden files and folders, linked folders and what colorjax made (NAME.colorized.jpg, NAME.uncertainty.png) are passed over
    in folders, and other files; `passed_over` counts them in words, but no hints beside their photograph. A folder that may not
    be read is given as it is.
    `path.relative_to(root)` is where a mirrored copy belongs. Raises FileNotFoundError for a path that does not exist.
    """
    passed_over = Counter() if passed_over is None else passed_over
    for given in map(Path, paths):
        if given.is_dir():
            yield from ((given if path != given else given.parent, path) for path in _walk(given, passed_over))
        elif given.exists():
            yield given.parent, given
        else:
            raise FileNotFoundError(f"{given}: no such file or folder")


def is_photograph(name: str) -> bool | None:
    """Whether a file in a folder is a photograph to colour, by its name alone; None for what colorjax made, and hints."""
    if PurePath(name).stem.endswith((OWN_COPY, OWN_MAP)) or OWN_COPY + "." in name or name.endswith(HINTS):
        return None
    return PurePath(name).suffix.lower() in SUFFIXES and not name.startswith(".")


def is_astray(name: str, names: Container[str]) -> bool:
    """Whether a file of hints has no photograph beside it among these names, as where its own name is misspelt."""
    return name.endswith(HINTS) and name.removesuffix(HINTS) not in names


def _walk(folder: Path, passed_over: Counter) -> Iterator[Path]:
    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=lambda error: found.append(Path(error.filename))):
        for name in folders:
            kind = "hidden" if name.startswith(".") else "linked" if os.path.islink(os.path.join(place, name)) else ""
            passed_over.update([f"{kind} folders"] if kind else [])
        folders[:] = [name for name in folders if not name.startswith(".")]  # os.walk does not follow links
        there = set(names)
        for name in names:
            if is_photograph(name):  # a dangling link is to be named
                found.append(Path(place, name))
            elif is_photograph(name) is False:
                passed_over[_PICTURES.get(PurePath(name).suffix.lower(), "other files")] += 1
            elif is_astray(name, there):
                passed_over[ASTRAY] += 1
    return iter(sorted(found))


def legible(text: str) -> str:
    """A file name, or words with one in them, as it can be shown anywhere: no control characters, no broken UTF-8."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text.encode("utf-8", "replace").decode())
