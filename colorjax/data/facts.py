"""What is known of photographs: of one, of a million in little memory, and in one file beside their cache."""

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from colorjax import photos
from colorjax.science import bins

UNUSUAL = (*photos.UNUSUAL, "longer than 2:1")
ROW = np.dtype([("short_side", "<u4"), ("chroma", "<f4"), ("mean_b", "<f4"), ("unusual", "u1")])
_ENTRY = np.dtype([("first", "<u8"), ("second", "<u8"), *ROW.descr])
_MAGIC = b"CJF1"
_CHECKSUM = 16  # bytes


@dataclass(frozen=True)
class Facts:
    """What `prepare.scan` learnt of one photograph.

    short_side: of the original, in pixels. chroma, mean_b: means of Lab chroma and of b* over the photograph.
    colours: `bins.histogram` of 4,096 of its pixels, (bins.COUNT,) uint16. unusual: which of UNUSUAL it is.
    """

    short_side: int
    chroma: float
    mean_b: float
    colours: np.ndarray
    unusual: tuple[str, ...] = ()


def bits(unusual: Sequence[str]) -> int:
    """Which of UNUSUAL, as the bits of a number."""
    return sum(1 << bit for bit, name in enumerate(UNUSUAL) if name in unusual)


def unusual(bits: int) -> tuple[str, ...]:
    """The inverse of `bits`."""
    return tuple(name for bit, name in enumerate(UNUSUAL) if bits >> bit & 1)


class Table:
    """Facts by the index of photographs.

    rows: (count,) ROW. colours: (count, bins.COUNT) uint16, where they are asked for; otherwise all are 0.
    """

    def __init__(self, count: int, colours: bool = False):
        self.rows = np.zeros(count, ROW)
        self.colours = np.zeros((count, bins.COUNT), np.uint16) if colours else None

    def __setitem__(self, index: int, facts: Facts) -> None:
        self.rows[index] = (facts.short_side, facts.chroma, facts.mean_b, bits(facts.unusual))
        if self.colours is not None:
            self.colours[index] = facts.colours

    def __getitem__(self, index: int) -> Facts:
        short_side, chroma, mean_b, unusual_bits = self.rows[index].item()
        colours = _NO_COLOURS if self.colours is None else self.colours[index]
        return Facts(short_side, chroma, mean_b, colours, unusual(unusual_bits))


_NO_COLOURS = np.zeros(bins.COUNT, np.uint16)


@dataclass(frozen=True)
class Some(Sequence[Facts]):
    """The facts of some photographs of a table, made one at a time."""

    table: Table
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: int) -> Facts:
        return self.table[self.indices[place]]


class Index:
    """The facts of cached photographs in one file, so that their own files need not be opened; without colours.

    Photographs are told by keys of 16 bytes, (n, 2) uint64. The file is written whole or not at all and holds a checksum:
    where it is missing, damaged or overwritten by another process, that costs time alone. A photograph that is
    known here, and of which neither cached pixels nor file can be read any more, is noticed when its turn comes.

    most: entries, above which those of before are forgotten.
    """

    def __init__(self, path: Path, most: int):
        self._path, self._most = path, most
        self._entries = np.empty(0, _ENTRY)
        with contextlib.suppress(OSError):
            whole = path.read_bytes()
            head, body = whole[: len(_MAGIC) + _CHECKSUM], memoryview(whole)[len(_MAGIC) + _CHECKSUM :]
            if head == _MAGIC + _checksum(body) and len(body) % _ENTRY.itemsize == 0:
                self._entries = np.frombuffer(body, _ENTRY)

    def look_up(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which keys are known, (n,) bool, and the rows of those, (k,) ROW."""
        if not len(self._entries):
            return np.zeros(len(keys), bool), np.empty(0, ROW)
        places = np.searchsorted(np.ascontiguousarray(self._entries["first"]), keys[:, 0])  # they are sorted
        places[places == len(self._entries)] = 0
        known = self._entries["first"][places] == keys[:, 0]
        known &= self._entries["second"][places] == keys[:, 1]
        places = places[known]
        rows = np.empty(len(places), ROW)
        for name in ROW.names:
            rows[name] = self._entries[name][places]
        return known, rows

    def add(self, keys: np.ndarray, rows: np.ndarray) -> None:
        """Know more: rows (n,) ROW by keys (n, 2). A file that cannot be written is done without."""
        if len(self._entries) + len(keys) > self._most:
            self._entries = self._entries[:0]
        entries = np.empty(len(self._entries) + len(keys), _ENTRY)
        entries[: len(self._entries)] = self._entries
        new = entries[len(self._entries) :]
        new["first"], new["second"] = keys[:, 0], keys[:, 1]
        for name in ROW.names:
            new[name] = rows[name]
        self._entries = entries[np.argsort(entries["first"], kind="stable")]
        body = memoryview(self._entries).cast("B") if len(self._entries) else b""
        with contextlib.suppress(OSError), photos.atomic(self._path) as stream:
            stream.write(_MAGIC + _checksum(body))
            stream.write(body)


def _checksum(body: memoryview | bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECKSUM).digest()
