"""Which files are photographs."""

import errno
import os
import re
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from pathlib import Path, PurePath

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif", ".hif")
SUFFIXES += (".jp2", ".j2k", ".jpf", ".jpx", ".jxl")
# What is named when it is passed over, for it is a picture: by its suffixes.
PICTURES = {".gif": "GIFs (save them as PNG)"}
PICTURES |= dict.fromkeys((".psd", ".psb"), "Photoshop documents (export them as TIFF)")
_RAW = ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .kdc .mos .mrw .nef .nrw .orf .pef .raf .raw .rw2 .rwl .srw .x3f"
PICTURES |= dict.fromkeys(_RAW.split(), "raw files of cameras (develop them to TIFF)")
OWN_COPY = ".colorized"  # before the suffix of every copy that colorjax makes
OWN_MAP = ".uncertainty"  # and of every map
HINTS = ".hints.json"  # after the whole name of a photograph: the file of hints that belongs to it
ASTRAY = "files of hints without their photograph"
# Folders in which storage servers and systems keep thumbnails, versions of before and what was thrown away.
_SYSTEM_FOLDERS = ("@eaDir", "@Recycle", "@Recently-Snapshot", "#recycle", "#snapshot", "$RECYCLE.BIN", "__MACOSX")

_SAID = {  # by the system, in words for people
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EROFS: "it can be read, but not written",
    errno.ENOENT: "no such file or folder",
    errno.ENOTDIR: "a part of this path is a file, not a folder",
    errno.EISDIR: "a folder is in its place",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ELOOP: "its links lead round in a circle",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "no more room is granted on the disk",
    errno.EIO: "the disk fails",
    errno.EMFILE: "too many files are open",
}
_UNFINISHED = re.compile(r"\.[0-9a-f]{32}\.part")  # the name of a file that is not complete yet


class PassedOver(Counter):
    """How many files and folders were not looked at, by what they are, in words; `names` has them by name."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, list[str]] = {}

    def note(self, what: str, name: object) -> None:
        """One more, by its name."""
        self[what] += 1
        self.names.setdefault(what, []).append(str(name))


def find(paths: Sequence[str | os.PathLike], passed_over: PassedOver | None = None) -> Iterator[tuple[Path, Path]]:
    """Every photograph under `paths`, files as named and folders recursively in sorted order, as (root, path).

    Hidden files and folders, those of a storage server (@eaDir), linked folders and what colorjax made (NAME.colorized.jpg,
    NAME.uncertainty.png) are passed over in folders, and other files; `passed_over` counts and names them, but no hints beside
    their photograph. A folder that may not be read is given as it is.
    `path.relative_to(root)` is where a mirrored copy belongs. Raises FileNotFoundError for a path that does not exist.
    """
    passed_over = PassedOver() if passed_over is None else passed_over
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


def other(name: str) -> str:
    """What a file that is no photograph to colour is counted as, in words, by its name alone."""
    return PICTURES.get(PurePath(name).suffix.lower(), "other files")


def unwanted(folder: str) -> str:
    """What a folder of this name is, in words, where it is to be passed over; "" where not."""
    return "hidden folders" if folder.startswith(".") else "folders of the system" if folder in _SYSTEM_FOLDERS else ""


def is_astray(name: str, names: Container[str]) -> bool:
    """Whether a file of hints has no photograph beside it among these names, as where its own name is misspelt."""
    return name.endswith(HINTS) and name.removesuffix(HINTS) not in names


def _walk(folder: Path, passed_over: PassedOver) -> Iterator[Path]:
    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=lambda error: found.append(Path(error.filename))):
        for name in folders:
            path = os.path.join(place, name)
            if what := unwanted(name) or ("linked folders" if os.path.islink(path) else ""):
                passed_over.note(what, path)
        folders[:] = [name for name in folders if not unwanted(name)]  # os.walk does not follow links
        there = set(names)
        for name in names:
            if is_photograph(name):  # a dangling link is to be named
                found.append(Path(place, name))
            elif is_photograph(name) is False:
                passed_over.note(other(name), Path(place, name))
            elif is_astray(name, there):
                passed_over.note(ASTRAY, Path(place, name))
    return iter(sorted(found))


def legible(text: str) -> str:
    """A file name, or words with one in them, as it can be shown anywhere: no control characters, no broken UTF-8."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text.encode("utf-8", "replace").decode())


def in_words(error: BaseException, with_name: bool = True) -> str:
    """An error in one line for people: which file, where that is known and wanted, and what is wrong."""
    if not isinstance(error, OSError) or error.errno is None:
        return " ".join(str(error).split()) or type(error).__name__
    what = _SAID.get(error.errno) or (error.strerror or type(error).__name__)
    named = error.filename2 or error.filename
    if not with_name or not isinstance(named, str | bytes | os.PathLike):
        return what
    path = Path(os.fsdecode(named))
    return f"{path.parent if _UNFINISHED.fullmatch(path.name) else path}: {what}"
