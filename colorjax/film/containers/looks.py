"""What a look at all frames of a film tells: the order of its fields, what changes on the way, what is not there."""

import struct
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from colorjax.archive.plan import IN_COLOUR
from colorjax.film import chroma
from colorjax.film.containers import matroska, planes
from colorjax.film.containers.reading import Film
from colorjax.science import toning

_SIDE_DATA = {"A53_CC": "closed captions inside its pictures", "AFD": "its active format description"}
_SIDE_DATA |= {"MASTERING_DISPLAY_METADATA": "its mastering display", "CONTENT_LIGHT_LEVEL": "its light level"}
_SIDE_DATA |= {
    "S12M_TIMECODE": "timecode inside its pictures",
    "STEREO3D": "how its two eyes lie",
    "ICC_PROFILE": "its profile",
}
_SIDE_DATA |= {"SPHERICAL": "its projection", "DYNAMIC_HDR_PLUS": "its dynamic range", "DYNAMIC_HDR_VIVID": "its dynamic range"}
_SIDE_DATA |= {"GOP_TIMECODE": "timecode inside its pictures", "PANSCAN": "which part of its pictures is to be shown"}
_SIDE_DATA |= {"DOVI_METADATA": "its Dolby Vision", "DOVI_RPU_BUFFER": "its Dolby Vision"}
_SIDE_DATA |= {
    "FILM_GRAIN_PARAMS": "the grain that players add to it",
    "AMBIENT_VIEWING_ENVIRONMENT": "the light it was made for",
}
_SIDE_DATA |= {
    "EXIF": "EXIF inside its pictures",
    "LCEVC": "what sharpens its pictures (LCEVC)",
    "VIEW_ID": "which eye it is for",
}
_SHOWN = ("the shape of its pixels", "its matrix", "its range", "its primaries", "its transfer")
_MARKS = 1 << 12 | 1 << 24  # of a timecode in a group of pictures: bits that are no part of its numbers
_FEW = 4  # pictures: so many may be read before the first is shown
_LARGEST = 2**26  # bytes of an index that are looked through
OFTEN, _SIDE = 12, 96  # frames, of which one is looked at in colour, and its size
_SILENT = 6  # pieces without a picture, as before the first whole one, are not told
_MOST = 8  # changes of which each has words of its own


class Looks:
    """What is seen of frames, one by one. kinds: of side data, as FFmpeg names them. changes: in words. coloured: of some
    frames, whether they are in colour.

    The order of fields is that of the first interlaced frame: "tff" or "bff"; or, where no frame says that it is interlaced,
    that of which the film's header speaks.
    """

    def __init__(self, film: Film):
        self._film, self._first, self._last = film, None, None
        self._number, self._order, self._others = 0, "", 0
        self._header = {"tt": "tff", "bt": "tff", "bb": "bff", "tb": "bff"}.get(film.facts.fields, "")
        self._fields = Fields(film)
        self.kinds: set[str] = set()
        self._counts = False  # its timecode, from 0
        self._changes: list[str] = []
        self.coloured: list[bool] = []

    def add(self, frame: av.VideoFrame) -> None:
        """Look at the next one."""
        self.kinds |= {name for name, data in planes.beside(frame).items() if self._says(frame, name, data)}
        if self._number % OFTEN == 0 and self._film.facts.kind != "grey":
            self.coloured.append(toning.is_in_colour(planes.small(frame, _SIDE)))
        if frame.interlaced_frame:
            order = self._fields.of(frame)
            self._order = self._order or order
            self._others += order != self._order
        aspect = self._film.stream.codec_context.sample_aspect_ratio
        said = (aspect, frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc)
        self._first = self._first or said
        for name, value, before, first in zip(_SHOWN, said, self._last or said, self._first, strict=True):
            if value != before and len(self._changes) < _MOST:
                now, then = _named(name, value), _named(name, first)
                self._changes.append(f"that from frame {self._number} on {name} is {now}: all of the copy has {then}")
        self._last = said
        self._number += 1

    def _says(self, frame: av.VideoFrame, name: str, data: bytes) -> bool:
        """Whether there is more in it than encoders write where nobody told them anything."""
        if name == "PANSCAN":
            _, width, height, *places = struct.unpack("<3i6h", data[:24])
            return any(places) or (width, height) not in ((0, 0), (16 * frame.width, 16 * frame.height))
        if name == "STEREO3D":  # 0 is of flat pictures
            return any(data[:4])
        if name == "GOP_TIMECODE":  # a count of frames from 0 needs no words
            if self._number == 0:
                self._counts = int.from_bytes(data[:8], sys.byteorder) & ~_MARKS < _FEW
            return not self._counts
        return True

    @property
    def interlaced(self) -> str:
        """The order of fields; "" for whole frames."""
        return self._order or self._header

    @property
    def all_interlaced(self) -> bool:
        """Whether all frames are interlaced though none says so."""
        return bool(self._header and not self._order)

    def changes(self, keeps_fields: bool) -> list[str]:
        """What is otherwise in some frames, and not in those of a copy. keeps_fields: whether each has its own order."""
        others = [f"that in {self._others} frames the other field comes first"] if self._others and not keeps_fields else []
        return self._changes + others


class Fields:
    """Which field of an interlaced frame comes first: only FFmpeg's filters say so."""

    def __init__(self, film: Film):
        self._film, self._graph = film, None

    def of(self, frame: av.VideoFrame) -> str:
        """ "tff" or "bff"."""
        if self._graph is None:
            graph = self._graph = av.filter.Graph()
            nodes = [graph.add_buffer(template=self._film.stream), graph.add("select", r"eq(interlace_type\,TOPFIRST)")]
            graph.link_nodes(*nodes, graph.add("buffersink")).configure()
        self._graph.vpush(frame)
        try:
            self._graph.vpull()
        except (av.error.EOFError, av.error.BlockingIOError):
            return "bff"
        return "tff"


def _named(name: str, value: Any) -> str:
    if name == _SHOWN[1]:
        return chroma.MATRICES[value][0] if value in chroma.MATRICES else "not said"
    if name == _SHOWN[2]:
        return {1: "limited", 2: "full"}.get(value, "not said")
    return "not said" if value is None or (isinstance(value, int) and value == 2) else str(value)


def doubts(coloured: list[bool]) -> list[str]:
    """That a film is in colour already, in words, where most of the frames are that were looked at."""
    return [IN_COLOUR] if 2 * sum(coloured) > len(coloured) else []


def lost(kinds: set[str]) -> list[str]:
    """What frames have beside their samples that a copy has not, in words."""
    return list(dict.fromkeys(words for name, words in _SIDE_DATA.items() if name in kinds))


def edges(film: Film) -> list[str]:
    """That the header tells players to show a part of the pictures only, in words: frames do not say so."""
    name, facts = film.container.format.name, film.facts
    cut = (
        matroska.cut_edges(film.path)
        if "matroska" in name
        else "mov" in name and _aperture(film.path, facts.width, facts.height)
    )
    return ["that players are told to cut off its edges: the copy shows them"] if cut else []


def _aperture(path: Path, width: int, height: int) -> bool:
    """Whether MOV or MP4 has a clean aperture (ISO/IEC 14496-12, 12.1.4) of another size than the pictures."""
    place, size = 0, path.stat().st_size
    with open(path, "rb") as stream:
        while place + 16 <= size:
            stream.seek(place)
            head = stream.read(16)
            length = int.from_bytes(head[:4], "big")
            length = {0: size - place, 1: int.from_bytes(head[8:], "big")}.get(length, length)
            if head[4:8] == b"moov":
                stream.seek(place)
                _, found, clap = stream.read(min(length, _LARGEST)).partition(b"\0\0\0\x28clap")
                if not found or len(clap) < 16:  # where it is cut short
                    return False
                across, across_by, down, down_by = struct.unpack(">4I", clap[:16])
                return (across, down) != (width * across_by, height * down_by)
            place += max(length, 8)
    return False


def promise(film: Film) -> tuple[int, bool | None]:
    """(how many frames the header promises, 0 where it promises none; whether some lie behind the end of the file, None where
    there is no index that has them all)."""
    size, entries = film.path.stat().st_size, film.stream.index_entries
    if not film.stream.frames or len(entries) < film.stream.frames:
        return film.stream.frames, None
    return film.stream.frames, any(entry.pos + entry.size > size for entry in entries)


def problems(film: Film, promised: tuple[int, bool | None], clock: Any) -> list[str]:
    """What of a film that was read to its end is not there, in words. promised: what `promise` told."""
    (frames, is_short), found = promised, [film.ends] if film.ends else []
    silent = film.silent - film.damaged if not film.ends else 0
    for count, what in (
        (film.damaged, "could not be decoded"),
        (film.marked, "came damaged, or with a gap before"),
        (silent if silent > _SILENT else 0, "gave no picture; does its codec change on the way?"),
    ):
        if count:
            found.append(f"{'1 piece' if count == 1 else f'{count} pieces'} of its pictures {what}")
    if is_short is None and clock.pts:  # a header counts frames that are not stored, too: the one before is shown longer
        ticks = clock.pts[-1] + clock.last - clock.pts[0]
        counted = max(ticks * clock.time_base * film.facts.rate, ticks)
        is_short = frames > len(clock.pts) + 1 and counted < frames - Fraction(3, 2)
    lacking = matroska.missing(film.path)
    if is_short and not film.ends:
        found.append(f"it is cut short: its header promises {frames} frames, and {len(clock.pts)} can be read")
    elif lacking:
        found.append(f"it is cut short: its header promises {lacking} bytes more, and {len(clock.pts)} frames can be read")
    return found
