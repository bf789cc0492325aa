"""Coloured frames out: those of one shot in a Matroska file of their own, which `assembling` joins."""

import contextlib
import json
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from colorjax.film import chroma
from colorjax.film.containers import planes
from colorjax.film.containers.reading import Facts, FilmError

_DEEP = {bits: f"p{bits}le" for bits in (9, 10, 12, 14, 16)} | {8: "p"}
_RGB = {8: "bgr0", 9: "gbrp9le", 10: "gbrp10le", 12: "gbrp12le", 14: "gbrp14le", 16: "gbrp16le"}
_SLICES = 4  # of a frame: each is checked, and coded, by itself
_LONGEST_DELAY = 300  # frames between decoding and showing
_WIDEST = 10  # times as wide as high: other shapes of a pixel no encoder takes, and the container alone has them
_TINY = 64 * 64  # pixels, below which FFV1 may not have so many


@dataclass(frozen=True)
class Codec:
    """A way to encode. name: PyAV's. lossless: whether each sample stays. suffixes: of the files that may hold it.

    bits: which it has. layouts: of chroma, the first where none is asked for. halves: only sides that two divides.
    has_fields: whether it can code interlaced frames, and say so.
    """

    name: str
    lossless: bool
    suffixes: tuple[str, ...]
    bits: tuple[int, ...]
    layouts: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()
    halves: bool = False
    has_fields: bool = True


CODECS = {
    "ffv1": Codec(
        "ffv1",
        True,
        (".mkv",),
        (8, 9, 10, 12, 14, 16),
        ("444", "422"),
        (("level", "3"), ("slicecrc", "1"), ("slices", str(_SLICES)), ("g", "1"), ("coder", "1"), ("context", "0")),
    ),
    "prores": Codec("prores_ks", False, (".mov", ".mkv"), (10,), ("422", "444"), (("vendor", "apl0"),)),
    "h264": Codec(
        "libx264",
        False,
        (".mp4", ".mov", ".mkv", ".m4v"),
        (8,),
        ("420", "422", "444"),
        (("crf", "16"), ("preset", "medium")),
        halves=True,
    ),
    "hevc": Codec(
        "libx265",
        False,
        (".mp4", ".mov", ".mkv", ".m4v"),
        (8, 10),
        ("420", "422", "444"),
        (("crf", "18"), ("preset", "medium"), ("x265-params", "log-level=none")),
        halves=True,
        has_fields=False,  # x265 takes each picture for a field, half as high, and doubles their number
    ),
}


@dataclass(frozen=True)
class Target:
    """How a film is written. codec: a key of CODECS. layout: of chroma. coding: of its samples; None for RGB."""

    codec: str
    layout: str
    coding: chroma.Coding | None
    format: str

    @property
    def tag(self) -> str:
        """What players of MOV and MP4 know its codec by, where FFmpeg would name another; else ""."""
        return {"hevc": "hvc1", "prores": "ap4h" if self.layout == "444" else "apch"}.get(self.codec, "")

    @property
    def keeps_luma(self) -> bool:
        """Whether each sample of Y', or each L*, is the source's."""
        return CODECS[self.codec].lossless


def target(facts: Facts, codec: str, layout: str | None, suffix: str) -> Target:
    """How a film is written into a file of this suffix. Raises FilmError where that cannot be."""
    how = CODECS[codec]
    if suffix.lower() not in how.suffixes:
        fitting = [name for name, other in CODECS.items() if suffix.lower() in other.suffixes]
        way = f"name --codec {' or '.join(fitting)}, or a file" if fitting else "name a file"
        raise FilmError(f"{suffix or 'a name without a suffix'} cannot hold {codec}: {way} that ends in {how.suffixes[0]}")
    if (facts.interlaced or facts.fields) and not how.has_fields:
        able = [f"{name} ({', '.join(other.suffixes)})" for name, other in CODECS.items() if other.has_fields]
        raise FilmError(
            f"it is interlaced, which {codec} cannot say of whole frames: name another --codec, {' or '.join(able)}"
        )
    fitting = [name for name in how.layouts if _fits(facts, how, name)]
    if layout is None:
        layout = "422" if "422" in fitting and fitting[0] == "420" and facts.interlaced else fitting[0]
    if layout not in how.layouts:
        raise FilmError(f"{codec} is not written with --chroma {layout}: legal are {', '.join(how.layouts)}")
    if layout not in fitting:
        size = f"{facts.width}x{facts.height}"
        raise FilmError(f"{codec} cannot halve its {size} pixels, as --chroma {layout} asks: legal are {', '.join(fitting)}")
    if layout == "420" and facts.interlaced:
        raise FilmError("it is interlaced, and --chroma 420 would mix its fields: legal are 422 and 444")
    bits = next((bits for bits in how.bits if bits >= facts.bits), how.bits[-1])
    if facts.kind == "rgb" and how.lossless:
        return Target(codec, "444", None, _RGB[bits])
    full = facts.full and facts.kind != "rgb" and codec != "prores"  # which has no word for full range
    return Target(codec, layout, chroma.Coding(facts.matrix, full, bits), f"yuv{layout}{_DEEP[bits]}")


def _fits(facts: Facts, how: Codec, layout: str) -> bool:
    """Whether the encoder takes pictures of this size with chroma of this layout."""
    across, down = chroma.LAYOUTS[layout]
    return not (how.halves and (facts.width % across or facts.height % down))


def decoding_time(pts: int, dts: int | None, last: int | None, step: int) -> int:
    """When a packet is decoded: what its encoder says, if that can be, else just behind the last one.

    x265 leaves it undefined in films of two or three frames. step: ticks of a frame.
    """
    if dts is not None and 0 <= pts - dts <= _LONGEST_DELAY * step and (last is None or dts > last):
        return dts
    return pts - _LONGEST_DELAY * step if last is None else last + 1


class Part:
    """The file of a shot, while it is written. It is there under its name once `close` has returned, whole."""

    def __init__(self, path: Path, facts: Facts, how: Target, time_base: Fraction):
        self._path, self._facts, self._how = path, facts, how
        self._unfinished = path.with_suffix(".part")
        self._order: list[int] = []
        self._decoded, self._step = None, max(1, round(1 / facts.rate / time_base))
        self._graphs: dict[str, Any] = {}
        self._container = av.open(os.path.abspath(self._unfinished), "w", format="matroska")
        self._stream = self._opened(time_base)

    def _opened(self, time_base: Fraction) -> Any:
        facts, how = self._facts, self._how
        options = dict(CODECS[how.codec].options)
        order = {"": "progressive", "tff": "tt", "bff": "bb"}[facts.interlaced]
        options["field_order"] = facts.fields or order if facts.interlaced else order
        if facts.aspect and facts.aspect <= _WIDEST:
            options["aspect"] = f"{facts.aspect.numerator}/{facts.aspect.denominator}"
        if facts.width * facts.height < _TINY:
            options.pop("slices", None)
        if facts.interlaced and how.codec != "ffv1":
            options["flags"] = "+ildct+ilme"
            options |= {"x264-params": "bff=1"} if (how.codec, facts.interlaced) == ("h264", "bff") else {}
        if how.codec == "prores":
            options["profile"] = "4" if how.layout == "444" else "3"
        stream = self._container.add_stream(CODECS[how.codec].name, rate=facts.rate, options=options)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = facts.width, facts.height, how.format
        context.time_base = time_base
        context.color_primaries, context.color_trc = facts.primaries, facts.transfer
        if how.coding is None:
            context.colorspace, context.color_range = 0, 2 if facts.full else 1
        else:
            context.colorspace, context.color_range = how.coding.matrix, 2 if how.coding.full else 1
        return stream

    def write(self, arrays: list[np.ndarray], pts: int, is_interlaced: bool, order: str = "") -> None:
        """Encode a frame: its planes as the format of the target has them, or R, G and B as (H, W, 3) in a list of one.

        order: of its fields, "tff" or "bff"; "" where it is the film's.
        """
        facts, name = self._facts, self._how.format
        if self._how.coding is None:
            arrays = _of_rgb(arrays[0], name)
        frame = planes.frame_of(arrays, name, facts.width, facts.height)
        context = self._stream.codec_context
        frame.pts, frame.time_base = pts, context.time_base
        frame.colorspace, frame.color_range = context.colorspace, context.color_range  # which some encoders read here
        frame.color_primaries, frame.color_trc = facts.primaries, facts.transfer
        mode = (order if order and self._how.keeps_luma else facts.interlaced) if is_interlaced else ""
        if mode:
            frame = self._marked(frame, mode)
        self._mux(self._encoded(frame))

    def _encoded(self, frame: av.VideoFrame | None) -> list[Any]:
        try:
            return self._stream.encode(frame)
        except av.error.FFmpegError as error:
            size = f"{self._facts.width}x{self._facts.height}"
            raise FilmError(
                f"{self._how.codec} cannot encode its pictures of {size} ({error.strerror}): name another --codec"
            ) from error

    def _marked(self, frame: av.VideoFrame, mode: str) -> av.VideoFrame:
        """A frame that says that it is interlaced."""
        if mode not in self._graphs:
            graph = av.filter.Graph()
            source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
            graph.link_nodes(source, graph.add("setparams", f"field_mode={mode}"), graph.add("buffersink")).configure()
            self._graphs[mode] = graph
        self._graphs[mode].vpush(frame)
        return self._graphs[mode].vpull()

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            self._order.append(packet.pts)
            if packet.pts is not None:
                self._decoded = packet.dts = decoding_time(packet.pts, packet.dts, self._decoded, self._step)
            self._container.mux(packet)

    def close(self, about: dict[str, Any]) -> None:
        """Finish the file, look whether all of it is there, and write beside it what is known of the shot."""
        self._mux(self._encoded(None))
        self._container.close()
        written = count(self._unfinished)
        if written != len(self._order):
            raise FilmError(
                f"only {written} of {len(self._order)} pictures of {self._path} could be written: is the disk full?"
            )
        with open(self._unfinished, "rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(self._unfinished, self._path)
        write_json(about_of(self._path), about | {"order": self._order})

    def discard(self) -> None:
        """Leave nothing of it."""
        with contextlib.suppress(av.error.FFmpegError, OSError, ValueError):
            self._container.close()
        self._unfinished.unlink(missing_ok=True)


def about_of(part: Path) -> Path:
    """Where it is said what is known of a shot; it is written last: where it is, the shot is whole."""
    return part.with_suffix(".json")


def write_json(path: Path, content: Any) -> None:
    """A file of JSON, whole or not at all."""
    unfinished = path.with_name(path.name + ".part")
    with open(unfinished, "w") as stream:
        json.dump(content, stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(unfinished, path)


def count(path: Path) -> int:
    """How many pictures are in a file of one stream; as far as it can be read."""
    number = 0
    with contextlib.suppress(av.error.FFmpegError, OSError), av.open(os.path.abspath(path)) as container:
        for packet in container.demux(container.streams.video[0]):
            number += packet.size > 0
    return number


def _of_rgb(image: np.ndarray, name: str) -> list[np.ndarray]:
    """The planes of R, G and B, (H, W, 3)."""
    if name == "bgr0":
        whole = np.zeros((*image.shape[:2], 4), np.uint8)
        whole[..., :3] = image[..., ::-1]
        return [whole.reshape(len(image), -1)]
    return [image[..., channel] for channel in (1, 2, 0)]
