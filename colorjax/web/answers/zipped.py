"""Copies and their sidecars as one ZIP file, made while it is sent: nothing of it is kept in memory or on disk."""

import contextlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

_BLOCK = 2**20


class _Pipe:
    """A stream that cannot go back; what is written is taken out again."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: bytes) -> int:
        self._written += data
        return len(data)

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        data = bytes(self._written)
        self._written.clear()
        return data


def chunks(copies: list[tuple[Path, ...]]) -> Iterator[bytes]:
    """The bytes of the archive; each copy is with its sidecar, and what else belongs to it. Copies of one name get folders of
    their own."""
    pipe, names = _Pipe(), set()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for files in copies:
            folder, number = "", 2
            while folder + files[0].name.casefold() in names:
                folder, number = f"{number}/", number + 1
            names.add(folder + files[0].name.casefold())
            for path in files:
                with contextlib.suppress(FileNotFoundError):  # it was removed meanwhile
                    yield from _entry(archive, path, folder + path.name, pipe)
    yield pipe.taken()


def _entry(archive: zipfile.ZipFile, path: Path, name: str, pipe: _Pipe) -> Iterator[bytes]:
    with open(path, "rb") as file, archive.open(zipfile.ZipInfo.from_file(path, name), "w", force_zip64=True) as entry:
        while block := file.read(_BLOCK):
            entry.write(block)
            yield pipe.taken()
