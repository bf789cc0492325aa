"""Content credentials (C2PA) of films: inside MP4 and MOV, beside Matroska. However large a film is, none of it is held."""

import io
from pathlib import Path
from typing import Any

from colorjax.archive.proof import manifests
from colorjax.archive.proof.keys import Keys
from colorjax.archive.proof.manifests import Story


def sign(unsigned: Path, target: Path, keys: Keys, story: Story) -> bytes | None:
    """Write a film into `target` with its manifest inside; of Matroska, which has no room for one, give it and write nothing.
    Raises photos.PhotoError where it cannot be signed, OSError."""
    name = manifests.kind_of(unsigned)
    with open(unsigned, "rb") as before:
        if name == "MKV":
            return manifests.sign_into(before, _Nowhere(), name, keys, story, inside=False)
        with open(target, "w+b") as stream:
            return manifests.sign(before, stream, name, keys, story, inside=True)


class _Nowhere(io.RawIOBase):
    """Takes what c2pa writes of a film that stays as it is, which is all of it, and keeps nothing."""

    def __init__(self) -> None:
        self._at = self._end = 0

    def write(self, data: Any) -> int:
        """Counts alone."""
        self._at += len(data)
        self._end = max(self._end, self._at)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of a file of so many bytes."""
        self._at = (0, self._at, self._end)[whence] + offset
        return self._at

    def tell(self) -> int:
        """As of a file."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Nothing was kept. Raises UnsupportedOperation."""
        raise io.UnsupportedOperation("nothing of it was kept")
