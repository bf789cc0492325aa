"""The pictures in a TIFF: which of its directories are photographs, and which are masks or smaller versions of them."""

import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

_MOST_DIRECTORIES = 16  # for each page that is allowed, so that it may have smaller versions
_MOST_BELOW, _MOST_TAGS = 64, 4096  # of one directory
_WANTED = {254, 255, 256, 257, 322, 323, 330}  # what a directory is, its size, its tiles, those below it
_SIZES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_REDUCED, _MASK, _NO_PAGE = 1, 4, 0xFD  # bits of NewSubfileType; 2 is a page of several


@dataclass(frozen=True)
class Level:
    """A version of a picture, as it is stored.

    shape: height and width. tile: of its tiles, None where it has strips. place: where its directory is. number: of that in the
    chain of pages, from 1; 0 elsewhere.
    """

    shape: tuple[int, int]
    tile: tuple[int, int] | None = None
    place: int = 0
    number: int = 0

    def turned(self) -> "Level":
        """The same, on its side."""
        return replace(self, shape=self.shape[::-1], tile=self.tile and self.tile[::-1])


@dataclass(frozen=True)
class Picture:
    """A photograph of a TIFF.

    place: where its directory is. own: how it is stored. smaller: its smaller versions. below: whether they are in SubIFDs, and
    not in the chain of pages. left_out: what else is with it, in words. warnings: why it may not be what was meant.
    """

    place: int
    own: Level
    smaller: tuple[Level, ...] = ()
    below: bool = True
    left_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def turned(self) -> "Picture":
        """The same, on its side."""
        return replace(self, own=self.own.turned(), smaller=tuple(level.turned() for level in self.smaller))


@dataclass
class _Directory:
    place: int
    level: Level
    kind: int
    below: "list[_Directory]"

    @property
    def size(self) -> str:
        return f"{self.level.shape[1]}x{self.level.shape[0]}"

    def is_smaller(self, other: "_Directory") -> bool:
        """Whether it may show the same as the other with fewer pixels."""
        (rows, columns), (all_rows, all_columns) = self.level.shape, other.level.shape
        alike = abs(rows * all_columns - columns * all_rows) <= 2 * max(all_rows, all_columns) + rows * all_columns / 100
        return alike and 0 < rows * columns < all_rows * all_columns

    def pictures(self) -> "list[_Directory]":
        """Those below it that are no smaller versions: it is one of theirs."""
        area = self.level.shape[0] * self.level.shape[1]
        larger = [below for below in self.below if below.level.shape[0] * below.level.shape[1] > area]
        return [below for below in larger if not below.kind & _NO_PAGE]


Problem = tuple[str, str]  # in words, and one of PROBLEMS


def pictures(stream: Any, most: int) -> tuple[list[Picture], Problem | None]:
    """The photographs of a TIFF in their order, `most` of them, and what keeps from finding more.

    A smaller version, as directories call themselves, belongs to the picture in its SubIFDs, or to that before it, or, at the
    start, to that after it. Where there are only such, each is a picture.
    """
    found: list[tuple[_Directory, list[_Directory]]] = []  # with what belongs to each
    early: list[_Directory] = []
    problem, in_chain = None, False
    for directory in _chain(stream, most):
        inside = [] if isinstance(directory, tuple) else directory.pictures()
        if isinstance(directory, tuple):
            problem = directory
        elif inside:
            rest = [one for one in directory.below if one not in inside]
            found += [(one, [directory, *rest] if one is inside[0] else []) for one in inside]
            early += [directory] if len(found) == len(inside) else []
        elif not directory.kind & _NO_PAGE:
            found.append((directory, [*directory.below]))
        elif found:
            found[-1][1].append(directory)
            in_chain = in_chain or len(found[-1][1]) == 1
        else:
            early.append(directory)
        if len(found) > most:
            found, problem = found[:most], _too_many(most)
            break
    if not found:
        words = "it calls itself a smaller version of a picture that is not in the file"
        return [replace(_picture(one, [], True), warnings=(words,)) for one in early], problem
    found[0][1].extend(one for one in early if one not in found[0][1])
    pages = [_picture(directory, others, not in_chain) for directory, others in found]
    if early:
        words = (
            f"its first directory is a smaller version, of {early[0].size} pixels; the picture of {found[0][0].size} was taken"
        )
        pages[0] = replace(pages[0], warnings=(words,))
    return pages, problem


def _picture(directory: _Directory, others: list[_Directory], below: bool) -> Picture:
    smaller = [other for other in others if other.kind & _NO_PAGE in (0, _REDUCED) and other.is_smaller(directory)]
    words = {other.place: "a mask" if other.kind & _MASK else "another picture" for other in others if other not in smaller}
    left_out = tuple(f"{words[other.place]} of {other.size} pixels" for other in others if other.place in words)
    levels = sorted((other.level for other in smaller), key=lambda level: level.shape, reverse=True)
    return Picture(directory.place, directory.level, tuple(levels), below, left_out)


def _too_many(most: int) -> Problem:
    return f"has more than {most} pages", "too large"


def _chain(stream: Any, most: int) -> Iterator[_Directory | Problem]:
    """The directories that follow one another, each once; at last what is wrong where one is not there, or for too many."""
    order, big, place, length = _header(stream)
    seen: set[int] = set()
    left = most * _MOST_DIRECTORIES  # to be looked at, those below others too
    while place and place not in seen:
        if place > length - 2 or left <= 0:
            lost = (f"page {len(seen) + 1}: its directory is not there", "truncated")
            if seen:  # else whoever opens the file will say so
                yield lost if place > length - 2 else _too_many(most)
            return
        seen.add(place)
        left -= 1
        tags, following = _tags(stream, place, order, big, length)
        directory = _directory(place, tags, len(seen))
        for inside in dict.fromkeys(tags.get(330, ())):
            if 0 < inside < length - 2 and inside not in seen and left > 0:
                left -= 1
                directory.below.append(_directory(inside, _tags(stream, inside, order, big, length)[0]))
        yield directory
        place = following


def _header(stream: Any) -> tuple[str, bool, int, int]:
    """(byte order, whether it is a BigTIFF, where the first directory is, how long the file is)."""
    length = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    head = stream.read(16).ljust(16, b"\0")
    order, big = ("<" if head[:1] == b"I" else ">"), b"+" in head[2:4]
    return order, big, struct.unpack(order + ("Q" if big else "I"), head[8:16] if big else head[4:8])[0], length


def _directory(place: int, tags: dict[int, tuple[int, ...]], number: int = 0) -> _Directory:
    first = {code: values[0] for code, values in tags.items() if values}
    tile = (first.get(323, 0), first.get(322, 0))
    kind = first.get(254, {2: 1, 3: 2}.get(first.get(255, 0), 0))
    level = Level((first.get(257, 0), first.get(256, 0)), tile if all(tile) else None, place, number)
    return _Directory(place, level, kind, [])


def _tags(stream: Any, place: int, order: str, big: bool, length: int) -> tuple[dict[int, tuple[int, ...]], int]:
    """(the wanted tags of a directory, where the next one is: 0 for nowhere)."""
    count, head, offset = (order + letters for letters in (("Q", "HHQ", "Q") if big else ("H", "HHI", "I")))
    room = struct.calcsize(offset)
    step = struct.calcsize(head) + room
    stream.seek(place)
    number = struct.unpack(count, stream.read(struct.calcsize(count)).ljust(struct.calcsize(count), b"\0"))[0]
    entries = stream.read(step * number) if step * number <= length - place else b""
    following = stream.read(room) if entries else b""
    entries = entries[: len(entries) // step * step] if number <= _MOST_TAGS else b""  # the last may be cut
    tags, codes = {}, np.frombuffer(entries, f"{order}u2")[:: step // 2]
    for at in (step * int(np.argmax(codes == code)) for code in _WANTED if (codes == code).any()):
        tag, kind, items = struct.unpack_from(head, entries, at)
        if kind not in _SIZES or not 0 < items <= _MOST_BELOW:
            continue
        form = f"{order}{items}{_SIZES[kind]}"
        data = entries[at + step - room : at + step]
        if struct.calcsize(form) > room:
            stream.seek(min(struct.unpack(offset, data)[0], length))
            data = stream.read(struct.calcsize(form))
        if len(data) >= struct.calcsize(form):
            tags[tag] = struct.unpack_from(form, data)
    return tags, struct.unpack(offset, following)[0] if len(following) == room else 0


def at(stream: Any, place: int) -> Any:
    """The TIFF in `stream` as if its first directory were the one at `place`."""
    order, big, first, _ = _header(stream)
    stream.seek(0)
    if place == first:
        return stream
    head = stream.read(8 if big else 4) + struct.pack(order + ("Q" if big else "I"), place)
    if isinstance(stream, io.BytesIO):
        return io.BytesIO(head + stream.getvalue()[len(head) :])
    return _From(stream, head)


class _From(io.BufferedIOBase):
    """A stream with another head. It stays open: it belongs to the caller."""

    def __init__(self, stream: Any, head: bytes):
        self._stream, self._head = stream, head

    def read(self, size: int | None = -1, /) -> bytes:
        place = self._stream.tell()
        data = self._stream.read(size)
        return self._head[place : place + len(data)] + data[max(0, len(self._head) - place) :] if place < 16 else data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def fileno(self) -> int:
        return self._stream.fileno()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        """Leaves it to the caller."""
