"""Files that lie elsewhere, named by URL: `s3://`, `gs://` and whatever else fsspec knows; found, fetched, put."""

import contextlib
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import fsspec

from colorjax import photos

_WHOLE_OBJECTS = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss")  # an object appears whole or not at all
_NO_NAMES = {"", ".", ".."}  # parts of a key that no folder could have


class Url(PurePosixPath):
    """`s3://bucket/folder/a.jpg`, as a path whose first part is its protocol."""

    def __str__(self) -> str:
        protocol, *rest = self.parts
        return f"{protocol}//{'/'.join(rest)}"

    def relative_to(self, other: PurePosixPath) -> PurePosixPath:
        return PurePosixPath(*self.parts).relative_to(PurePosixPath(*other.parts))


def place(text: str) -> Path | Url:
    """What a user's path or URL names: `file://` is a path of this machine.

    Raises ValueError for a URL of a protocol that is unknown, or whose package is not installed.
    """
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        return Path(text)
    if local := re.match(r"(?:file|local)://(?:localhost(?=/))?", text):
        if text[local.end() :][:1] != "/":
            raise ValueError(f"{text}: a file of this machine is file:///PATH, with three slashes")
        return Path(text[local.end() :])
    if re.match(r"(hdfs|webhdfs|sftp|ssh|smb|ftp):///", text):
        raise ValueError(f"{text}: it must name the host, as {text.partition(':')[0]}://HOST/PATH")
    url = Url(text)
    try:
        _files(url)
    except (ImportError, ValueError) as error:
        raise ValueError(f"{url}: {error}") from error
    return url


def _files(url: Url) -> tuple[fsspec.AbstractFileSystem, str]:
    return fsspec.core.url_to_fs(str(url))


@contextlib.contextmanager
def _named(url: Url) -> Iterator[None]:
    """Whatever a file system raises becomes an OSError that names the URL; a file that is not there stays one."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # each file system has its own
        raise OSError(f"{url}: {' '.join(str(error).split()) or type(error).__name__}") from error


def exists(url: Url) -> bool:
    """Whether there is a file, or a folder with something in it. Raises OSError where that cannot be known."""
    files, key = _files(url)
    with _named(url):
        try:
            files.info(key)
        except (FileNotFoundError, NotADirectoryError):
            return False
    return True


def size(url: Url) -> int | None:
    """Of a file, in bytes; None where there is none. Raises OSError where that cannot be known."""
    files, key = _files(url)
    with _named(url):
        try:
            return files.info(key)["size"]
        except (FileNotFoundError, NotADirectoryError):
            return None


def find(url: Url, passed_over: photos.PassedOver) -> Iterator[tuple[Url, Url]]:
    """Every photograph below a URL, as `photos.find` gives them: (root, URL), in sorted order; counts what is passed over.

    Raises OSError where it cannot be listed.
    """
    files, key = _files(url)
    with _named(url):
        single, keys = files.isfile(key), []
        if not single:
            keys = files.find(key)
            files.invalidate_cache()  # what is there is asked anew from here on
    if single:
        yield url.parent, url
        return
    names, unwanted = {found.removeprefix(key).strip("/") for found in keys}, {}
    for name in sorted(names, key=lambda name: name.split("/")):
        parts = name.split("/")
        depth = next((i for i, part in enumerate(parts[:-1]) if photos.unwanted(part) and part not in _NO_NAMES), None)
        wanted = photos.is_photograph(parts[-1])
        if depth is not None:
            unwanted[url.joinpath(*parts[: depth + 1])] = photos.unwanted(parts[depth])
        elif _NO_NAMES.intersection(parts):
            passed_over.note("keys that are no path", f"{url}/{name}")
        elif wanted:
            yield url, url.joinpath(*parts)
        elif wanted is False:
            passed_over.note(photos.other(parts[-1]), url.joinpath(*parts))
        elif photos.is_astray(name, names):
            passed_over.note(photos.ASTRAY, url.joinpath(*parts))
    for folder, what in unwanted.items():
        passed_over.note(what, folder)


def listed(url: Url) -> set[Url]:
    """Every file below a URL; none where there is nothing. Raises OSError where it cannot be listed."""
    files, key = _files(url)
    with _named(url):
        keys = files.find(key)
        files.invalidate_cache()
    parts = (found.removeprefix(key).strip("/").split("/") for found in keys)
    return {url.joinpath(*one) for one in parts if not _NO_NAMES.intersection(one)}


def fetch(url: Url, path: Path) -> None:
    """Copy a file to this machine. Raises FileNotFoundError, or OSError where it cannot be had."""
    files, key = _files(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _named(url):
        files.get_file(key, str(path))


def fetch_folder(url: Url, folder: Path) -> Path:
    """Copy all that is below a URL into a folder of this machine; returns where it is, called as there. Raises as `fetch`."""
    place = folder / url.parent.name / url.name
    for file in sorted(listed(url)):
        fetch(file, place / file.relative_to(url))
    return place


def fetch_small(url: Url) -> bytes | None:
    """The content of a file, None where there is none. Raises OSError where it cannot be had.

    A store whose folders may not be listed says "forbidden" of what is not there; so that counts as none.
    """
    files, key = _files(url)
    with _named(url), contextlib.suppress(FileNotFoundError, PermissionError):
        return files.cat_file(key)
    return None


def put(path: Path, url: Url) -> None:
    """Copy a file of this machine to a URL, where it appears whole: an object store sees to that, elsewhere it is renamed.

    Raises OSError where it cannot.
    """
    files, key = _files(url)
    with _named(url):
        if url.parts[0].removesuffix(":") in _WHOLE_OBJECTS:
            files.put_file(str(path), key)
            return
        folder = key.rpartition("/")[0]
        temporary = f"{folder}/.{uuid.uuid4().hex}.part"
        files.makedirs(folder, exist_ok=True)
        try:
            files.put_file(str(path), temporary)
            _rename(files, temporary, key)
        except BaseException:
            with contextlib.suppress(Exception):
                files.rm_file(temporary)
            raise


def _rename(files: fsspec.AbstractFileSystem, old: str, new: str) -> None:
    if type(files).mv is fsspec.AbstractFileSystem.mv:  # it takes brackets in a name for a pattern
        files.cp_file(old, new)
        files.rm_file(old)
        return
    aside = f"{old}.before" if files.exists(new) else None  # some file systems do not rename onto a file, a few without a word
    if aside:
        files.mv(new, aside)
    try:
        files.mv(old, new)
        files.invalidate_cache()
        if files.exists(old):
            raise OSError(f"{old} could not be renamed to {new}")
    except BaseException:
        if aside:
            files.mv(aside, new)
        raise
    if aside:
        files.rm_file(aside)


def remove(url: Url) -> None:
    """Remove a file. Raises OSError where it cannot."""
    files, key = _files(url)
    with _named(url):
        files.rm_file(key)


def joined(folder: Path | Url, text: str) -> Path | Url:
    """Where a relative path, or a URL, leads from a folder, without looking."""
    if "://" in text:
        return place(text)
    if isinstance(folder, Path):
        return Path(os.path.normpath(folder / text))
    return Url(*PurePosixPath(os.path.normpath(PurePosixPath("/", *folder.parts) / text)).parts[1:])
