"""Which files are photographs."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif")
OWN_COPY = ".colorized"  # before the suffix of every copy that colorjax makes
OWN_MAP = ".uncertainty"  # and of every map


def find(paths: Sequence[str | os.PathLike]) -> Iterator[tuple[Path, Path]]:
    """Every photograph under `paths`, files as named and folders recursively in sorted order, as (root, path).

    Hidden files and what colorjax made (NAME.colorized.jpg, NAME.uncertainty.png) are passed over in folders.
    `path.relative_to(root)` is where a mirrored copy belongs. Raises FileNotFoundError for a path that does not exist.
    """
    for given in map(Path, paths):
        if given.is_dir():
            for path in sorted(given.rglob("*")):
                passed_over = path.name.startswith(".") or path.stem.endswith((OWN_COPY, OWN_MAP)) or path.is_dir()
                if path.suffix.lower() in SUFFIXES and not passed_over:  # a dangling link is to be named, not passed over
                    yield given, path
        elif given.exists():
            yield given.parent, given
        else:
            raise FileNotFoundError(f"{given}: no such file or folder")


def legible(text: str) -> str:
    """A file name, or words with one in them, as it can be shown anywhere: no control characters, no broken UTF-8."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text.encode("utf-8", "replace").decode())
