"""The formats that are written, and what names them: suffixes, and what somebody calls them."""

import os
from pathlib import Path

from colorjax.photos.metadata import PhotoError

# Every format that can be written, by the suffixes that name it; the first is the one that --format gives.
FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif", ".hif"),
    "JPEG2000": (".jp2",),
    "JXL": (".jxl",),
    "BMP": (".bmp",),
}
BARE = ("BMP",)  # without room for the mark of a copy


def file_format(path: str | os.PathLike) -> str:
    """Pillow's name of the format that the suffix of `path` names. Raises PhotoError where it is none of `FORMATS`."""
    suffix = Path(path).suffix.lower()
    for name, suffixes in FORMATS.items():
        if suffix in suffixes:
            return name
    legal = ", ".join(suffix for suffixes in FORMATS.values() for suffix in suffixes)
    raise PhotoError(f"cannot write {suffix!r}; legal suffixes are {legal}")


def format_of(text: str) -> str:
    """Pillow's name of a format that copies may have, by its name or one of its suffixes, as "tiff" and "jpg".

    Raises ValueError for others.
    """
    asked = str(text).lower()
    for name, suffixes in FORMATS.items():
        if (asked == name.lower() or f".{asked.removeprefix('.')}" in suffixes) and name not in BARE:
            return name
    raise ValueError(f"{text!r} is unknown; legal are jpeg, png, tiff, webp, avif, heif, jp2, jxl")
