"""A film in: what it is, in words where it cannot be read, and its frames one by one."""

import contextlib
import itertools
import math
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from colorjax.film import chroma, coloring
from colorjax.film.containers import planes

ALPHA = "alpha_mode"  # the tag of pictures in Matroska that have transparency beside them
_UNKNOWN = 2  # "unspecified", of matrix, primaries and transfer in ITU-T H.273
_NO_FILMS = dict.fromkeys(("concat", "hls", "dash", "imf", "sdp"), "a list that names other files: give these, one by one")
_NO_FILMS |= dict.fromkeys(("tty", "bin", "xbin", "adf", "idf"), "text, and no film")
_PICTURE = "a single picture: colour it by `colorjax colorize`, or give the folder in which the pictures of a film lie"
_FIELDS = {2: "tt", 3: "bb", 4: "tb", 5: "bt"}  # FFmpeg's numbers
_TRANSFERS = {16: "PQ (HDR)", 18: "HLG (HDR)", 8: "linear light", 9: "logarithmic", 10: "logarithmic"}
_UNSEEN = ("vp8", "vp9", "av1")  # codecs with frames that are only to be referred to
_LARGEST_GAP = 3600  # seconds: of a clock that jumps by more, the rest is another film's


class FilmError(ValueError):
    """A film that cannot be coloured, and why, in one sentence."""


@dataclass(frozen=True)
class Facts:
    """What a film is.

    kind: "yuv", "grey" or "rgb". rate: frames a second. aspect: width of a pixel over its height. matrix, primaries,
    transfer: of ITU-T H.273, 2 where the film does not say. full: the range. display: the nine numbers that turn the picture
    upright, or None. pose: what they do, to the next quarter. said: whether (matrix, range) are the film's
    words, or guessed. interlaced: "tff" or "bff", the upper or the lower field first; "" for whole frames. fields: what the
    header says of their order, as FFmpeg names it: "tt", "bb", "tb" (the lower is shown first), "bt"; "" where it is silent.
    """

    width: int
    height: int
    format: str
    kind: str
    bits: int
    codec: str
    rate: Fraction
    time_base: Fraction
    aspect: Fraction | None
    matrix: int
    full: bool
    primaries: int
    transfer: int
    display: tuple[int, ...] | None
    pose: coloring.Pose
    said: tuple[bool, bool]
    interlaced: str = ""
    fields: str = ""

    @property
    def coding(self) -> chroma.Coding:
        """Of Y', Cb and Cr."""
        return chroma.Coding(self.matrix, self.full, self.bits)

    @property
    def upright(self) -> tuple[int, int]:
        """(height, width) as it is shown."""
        return (self.width, self.height) if self.pose.turns % 2 else (self.height, self.width)


@dataclass
class Film:
    """A film that is open.

    ends: why it ends before its end. damaged: how many pieces could not be decoded. marked: how many are marked as damaged, or
    have something missing before them. silent: how many gave no picture, without an error: what comes is of another codec.
    """

    path: Path
    container: Any
    stream: Any
    facts: Facts
    lost: tuple[str, ...] = ()
    ends: str = ""
    damaged: int = 0
    marked: int = 0
    silent: int = 0
    _left: Iterator[Any] = field(default_factory=lambda: iter(()))

    def frames(self) -> Iterator[av.VideoFrame]:
        """Each frame in the order in which it is shown, up to where its size changes. Once."""
        yield from self._alike(self._left)

    def _alike(self, frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        facts, last = self.facts, None
        for number, frame in enumerate(frames):
            if (frame.width, frame.height) != (facts.width, facts.height):
                was, now = f"{facts.width}x{facts.height}", f"{frame.width}x{frame.height}"
                self.ends = f"from frame {number} on its pictures are {now}, not {was}: the copy ends there"
                return
            if frame.format.name != facts.format:
                self.ends = (
                    f"from frame {number} on its pixels are {frame.format.name}, not {facts.format}: the copy ends there"
                )
                return
            if last is not None and frame.pts is not None and abs(frame.pts - last) * facts.time_base > _LARGEST_GAP:
                self.ends = f"at frame {number} its clock jumps by more than an hour: the copy ends there"
                return
            last = frame.pts if frame.pts is not None else last
            yield frame

    def decoded(self) -> Iterator[av.VideoFrame]:
        """Whatever the decoder gives; damage is counted, and passed over."""
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError) as error:
                self.ends = self.ends or f"it cannot be read any further ({_reason(error)})"
                packet = None
            try:
                frames = self.stream.decode(packet) if packet is not None else []
            except av.error.FFmpegError:
                self.damaged, frames = self.damaged + 1, []
            self.marked += any(piece.is_corrupt for piece in (packet, *frames) if piece is not None)
            if packet is not None and packet.size and not packet.is_discard and self.stream.name not in _UNSEEN:
                self.silent += 1
            yield from self._counted(frames)
            if packet is None:
                break
        with contextlib.suppress(av.error.FFmpegError):  # what the decoder still holds
            yield from self._counted(self.stream.decode(None))

    def _counted(self, frames: list[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        for frame in frames:
            self.silent -= 1 + frame.interlaced_frame  # two fields may come in two pieces
            yield frame

    def close(self) -> None:
        """Give the file back."""
        self.container.close()


def container(path: Path) -> Any:
    """A file, opened by PyAV; whatever its name is, and whatever it says, nothing but files of this machine is read."""
    return av.open(os.path.abspath(path), metadata_errors="replace", options={"protocol_whitelist": "file"})


def opened(path: Path) -> Film:
    """A film, with its first frame decoded. Raises FilmError where there is none that can be coloured."""
    try:
        found = container(path)
    except FileNotFoundError:
        raise FilmError("the file is not there") from None
    except PermissionError:
        raise FilmError("no permission to read it") from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise FilmError(_no_film(path, error)) from None
    try:
        return _described(path, found)
    except BaseException:
        found.close()
        raise


def _no_film(path: Path, error: Exception) -> str:
    """Why a file could not be opened, in words."""
    with open(path, "rb") as stream:
        head = stream.read(65536)
    if not head:
        return "an empty file"
    if head[4:8] == b"ftyp" and b"moov" not in head:
        return (
            "an MP4 or MOV that is cut short: its index (moov), which lies at its end, is missing; look for another copy of it"
        )
    return f"no film, or its beginning is damaged ({_reason(error)})"


def _reason(error: Exception) -> str:
    """FFmpeg's words of an error."""
    return getattr(error, "strerror", None) or str(error)


def _described(path: Path, container: Any) -> Film:
    format_name = container.format.name.split(",")[0]
    if format_name == "image2" or format_name.endswith("_pipe"):
        raise FilmError(_PICTURE)
    if format_name in _NO_FILMS:
        raise FilmError(_NO_FILMS[format_name])
    still = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & still]
    if not streams:
        kinds = Counter(stream.type for stream in container.streams)
        held = ", ".join(f"{number} {name}" for name, number in kinds.items()) or "nothing"
        raise FilmError(f"holds no moving pictures, but {held}")
    stream = streams[0]
    if stream.codec_context is None:
        raise FilmError("its pictures are coded in a way that is not known here; convert it to FFV1 with another program")
    stream.thread_type = "SLICE"  # side by side, frames behind a damaged one would be lost
    film = Film(path, container, stream, None)  # type: ignore[arg-type]
    decoded = film.decoded()
    frame = next(decoded, None)
    if frame is None:
        raise FilmError(f"none of its pictures ({stream.name}) can be decoded")
    film._left, found = itertools.chain([frame], decoded), planes.kind(frame.format.name)
    if not found:
        raise FilmError(f"pixels of the kind {frame.format.name} are not known here; convert it to FFV1 with another program")
    film.facts = _facts(frame, stream, found)
    if film.facts.matrix not in chroma.MATRICES:
        matrix = film.facts.matrix
        raise FilmError(f"its colours are coded by matrix {matrix} (ITU-T H.273), which is not known here: convert it to bt709")
    says_alpha = stream.metadata.get(ALPHA, "0") != "0"  # of VP8 and VP9, whose decoders pass over it
    lost = ["its transparency"] if planes.has_alpha(frame.format.name) or says_alpha else []
    others = [str(other.index) for other in streams[1:]]
    lost += (
        [f"colour into its other video stream{'s' * (len(others) > 1)} ({', '.join(others)}): copied as found"]
        if others
        else []
    )
    film.lost = tuple(lost)
    return film


def _facts(frame: av.VideoFrame, stream: Any, kind: str) -> Facts:
    name = frame.format.name
    says_range = frame.color_range in (1, 2)
    full = frame.color_range == 2 or name.startswith("yuvj") or (not says_range and kind != "yuv")
    says_matrix = frame.colorspace not in (0, _UNKNOWN)
    small = frame.height <= 576 and frame.width <= 1024
    guess = 1 if not small else 6 if frame.height in (480, 486, 240, 243) else 5
    display = planes.beside(frame).get("DISPLAYMATRIX")
    display = tuple(map(int, np.frombuffer(display, np.int32))) if display else None
    rate = stream.guessed_rate or stream.average_rate or Fraction(25)
    return Facts(
        width=frame.width,
        height=frame.height,
        format=name,
        kind=kind,
        bits=planes.bits(name),
        codec=stream.codec_context.name,
        rate=rate,
        time_base=stream.time_base,
        aspect=stream.sample_aspect_ratio or None,
        matrix=frame.colorspace if says_matrix else guess,
        full=full,
        primaries=frame.color_primaries,
        transfer=frame.color_trc,
        display=display,
        pose=_pose(display) if display else coloring.UPRIGHT,
        said=(says_matrix, says_range or name.startswith("yuvj")),
        fields=_FIELDS.get(stream.codec_context.field_order, ""),
    )


def _pose(display: tuple[int, ...]) -> coloring.Pose:
    """What a display matrix does (ISO/IEC 14496-12, 6.2.2): a point at x, y is shown at a x + c y, b x + d y."""
    a, b, _, c, d, *_ = display
    mirrored = a * d - b * c < 0
    angle = math.atan2(b, -a if mirrored else a)  # clockwise
    return coloring.Pose(round(-angle / (math.pi / 2)) % 4, mirrored)


def doubts(facts: Facts) -> list[str]:
    """What was guessed, or is taken for what it is not; in words for the user."""
    found, (says_matrix, says_range) = [], facts.said
    if facts.kind != "rgb" and not says_matrix:
        found.append(f"it does not say its matrix: {matrix(facts)} is taken and written, {_rule(facts)}")
    if facts.kind != "rgb" and not says_range:
        found.append(f"it does not say its range: {'full' if facts.full else 'limited'} is taken and written")
    if facts.transfer in _TRANSFERS:
        found.append(
            f"its transfer is {_TRANSFERS[facts.transfer]}, which is taken for that of a usual film: look at the colours"
        )
    return found


def matrix(facts: Facts) -> str:
    """The name of its matrix."""
    return chroma.MATRICES[facts.matrix][0]


def _rule(facts: Facts) -> str:
    """How a matrix is guessed, in words."""
    return "by its size" if facts.height > 576 or facts.width > 1024 else "by its size (standard definition)"


def recoded(facts: Facts, codec: str, full: bool) -> list[str]:
    """What is said of samples that are lost where `codec` has Y', Cb and Cr, of full range or not; in words."""
    found = []
    if facts.kind == "rgb":
        chosen = "" if facts.said[0] else f", taken {_rule(facts)}"
        found.append(f"that its pixels are R, G and B: {codec} has Y', Cb and Cr of the matrix {matrix(facts)}{chosen}")
    if facts.full and not full:
        found.append(f"its full range: {codec} is written in limited range")
    return found
