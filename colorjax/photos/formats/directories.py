"""TIFF's directories of tags, of which EXIF is made too: read and written with every type and byte as they were."""

import io
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

EXIF, GPS, INTEROP = 0x8769, 0x8825, 0xA005  # tags that point to a directory
_MAKER_NOTE, _USER_COMMENT = 37500, 37510
SHORT, LONG, RATIONAL, _SLONG = 3, 4, 5, 9
_WIDE = {16: ("Q", "I", LONG), 17: ("q", "i", _SLONG), 18: ("Q", "I", LONG)}  # LONG8, SLONG8, IFD8
# Of each type: the bytes of one item, and of the numbers in it, which turn from one byte order to the other.
_SIZES = {1: (1, 1), 2: (1, 1), 3: (2, 2), 4: (4, 4), 5: (8, 4), 6: (1, 1), 7: (1, 1), 8: (2, 2), 9: (4, 4), 10: (8, 4)}
_SIZES |= {11: (4, 4), 12: (8, 8), 13: (4, 4), 16: (8, 8), 17: (8, 8), 18: (8, 8), 129: (1, 1)}
_LARGEST = 2**26  # bytes of all tags of a directory together


@dataclass(frozen=True)
class Tag:
    """One tag: the number of its type, its bytes in the order of its directory, or the directory that it points to."""

    kind: int
    data: bytes = b""
    inside: "dict[int, Tag] | None" = None
    place: int = 0


Directory = dict[int, Tag]


def read(stream: Any, start: int, order: str, big: bool = False, without: Iterable[int] = ()) -> tuple[Directory, bool]:
    """(the tags of the directory at `start` of a TIFF, whether every one of them is sound).

    `order`: "<" or ">". `big`: of a BigTIFF. `without`: tags that are passed over, sound or not.
    """
    count, head, offset = (order + letters for letters in (("Q", "HHQ", "Q") if big else ("H", "HHI", "I")))
    room, length = struct.calcsize(offset), stream.seek(0, os.SEEK_END)
    step, left, tags = struct.calcsize(head) + room, min(_LARGEST, length), {}  # so that overlapping ones cannot multiply
    stream.seek(min(start, length))
    number = stream.read(struct.calcsize(count))
    entries = stream.read(step * min(struct.unpack(count, number)[0], 65535)) if len(number) == struct.calcsize(count) else b""
    sound = len(number) == struct.calcsize(count) and len(entries) == step * struct.unpack(count, number)[0]
    for place in range(0, len(entries) // step * step, step):
        tag, kind, items = struct.unpack_from(head, entries, place)
        if tag in without or tag in tags:
            continue
        size = items * _SIZES.get(kind, (0, 0))[0]
        at = start + struct.calcsize(count) + place + struct.calcsize(head)
        if size > room:
            (at,) = struct.unpack_from(offset, entries, place + struct.calcsize(head))
        if kind not in _SIZES or size > left or at + size > length:
            sound = False
            continue
        left -= size
        stream.seek(at)
        data = stream.read(size)
        if tag in (EXIF, GPS, INTEROP):
            inside, whole = {}, False
            if size in (4, 8):
                to = int.from_bytes(data, "little" if order == "<" else "big")
                hidden = {*without, EXIF, GPS} if tag == EXIF else {*without, EXIF, GPS, INTEROP}
                inside, whole = read(stream, to, order, big, hidden)
            sound = sound and whole
            if inside:
                tags[tag] = Tag(LONG, inside=inside)
        elif kind in _WIDE:
            try:
                tags[tag] = _narrow(kind, data, order)
            except struct.error:  # too large a number for EXIF, and for any other TIFF
                sound = False
        else:
            tags[tag] = Tag(kind, data, place=at)
    return tags, sound


def turned(tags: Directory, order: str, into: str) -> Directory:
    """The same in another byte order."""
    return tags if order == into else {number: _turned(number, tag, order, into) for number, tag in tags.items()}


def _turned(number: int, tag: Tag, order: str, into: str) -> Tag:
    if tag.inside is not None:
        return replace(tag, inside=turned(tag.inside, order, into))
    size = 2 if number == _USER_COMMENT and tag.data.startswith(b"UNICODE\0") else _SIZES[tag.kind][1]
    keep = 8 if number == _USER_COMMENT else 0
    body = tag.data[keep : keep + (len(tag.data) - keep) // size * size]
    swapped = b"".join(body[i : i + size][::-1] for i in range(0, len(body), size)) if size > 1 else body
    return replace(tag, data=tag.data[:keep] + swapped + tag.data[keep + len(body) :])


def written(tags: Directory, start: int, order: str, entries: bytes = b"", following: bytes = bytes(4)) -> bytes:
    """A classic directory as it lies at `start`: `tags`, and `entries` that another has written."""
    done = {struct.unpack_from(order + "H", entries, i)[0]: entries[i : i + 12] for i in range(0, len(entries), 12)}
    rows, values = dict(done), bytearray()
    tags = {number: tag for number, tag in tags.items() if number not in done}
    end = start + 2 + 12 * (len(done) + len(tags)) + 4
    for number, tag in sorted(tags.items()):
        kind, data, place = tag.kind, tag.data, end + len(values)
        if tag.inside is not None:
            values += written(tag.inside, place, order)
            items, data = 1, struct.pack(order + "I", place)
        else:
            items = len(data) // _SIZES[kind][0]
            if tag.place < 0:  # pinned: it lies elsewhere already
                data = struct.pack(order + "I", -tag.place)
            elif len(data) > 4:
                values += data + bytes(len(data) % 2)
                data = struct.pack(order + "I", place)
        rows[number] = struct.pack(order + "HHI", number, kind, items) + data.ljust(4, b"\0")
    return struct.pack(order + "H", len(rows)) + b"".join(rows[n] for n in sorted(rows)) + following + bytes(values)


def _narrow(kind: int, data: bytes, order: str) -> Tag:
    """A tag of a BigTIFF's own types as one of 32 bits. Raises struct.error where it does not fit."""
    wide, narrow, into = _WIDE[kind]
    count = len(data) // 8
    return Tag(into, struct.pack(f"{order}{count}{narrow}", *struct.unpack(f"{order}{count}{wide}", data)))


def block(tags: Directory, order: str) -> bytes:
    """An EXIF block; its maker note lies where it lay, for many count their offsets from the head of the block."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order]
    exif = tags.get(EXIF, Tag(LONG)).inside or {}
    note = exif.get(_MAKER_NOTE)
    before = b""
    if note is not None and 8 <= note.place < 2**15 and len(note.data) > 4:
        before = bytes(note.place - 8) + note.data
        before += bytes(len(before) % 2)
        tags = tags | {EXIF: Tag(LONG, inside=exif | {_MAKER_NOTE: replace(note, place=-note.place)})}
    start = 8 + len(before)
    return b"Exif\0\0" + head + struct.pack(order + "I", start) + before + written(tags, start, order)


def of_block(exif: bytes, without: Iterable[int] = ()) -> tuple[Directory, str, bool]:
    """(the tags of an EXIF block, its byte order, whether it is sound)."""
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return {}, "<", not exif
    tags, sound = read(io.BytesIO(exif), struct.unpack(order + "I", exif[4:8])[0], order, without=without)
    return tags, order, sound
