"""The whole film: the coloured shots, and sound, subtitles, chapters, attachments and tags of the source as they are."""

import heapq
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from colorjax.film.containers import alongside, matroska, reading, writing
from colorjax.film.containers.reading import Facts, FilmError

_FORMATS = {".mkv": "matroska", ".mov": "mov", ".mp4": "mp4", ".m4v": "mp4"}
_OWN_TAGS = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration")  # the writer's, of its own file
_OF_PACKETS = (
    reading.ALPHA,
    "encoder",
    "duration",
    "bps",
    "number_of_bytes",
    "number_of_frames",
    "_statistics",
)  # of the grey pictures


@dataclass(frozen=True)
class Clock:
    """When each frame is shown. pts: one after the other, in units of time_base. last: how long the last one is."""

    time_base: Fraction
    pts: list[int]
    last: int

    def length(self, index: int) -> int:
        """Of a frame."""
        return self.pts[index + 1] - self.pts[index] if index + 1 < len(self.pts) else self.last


def assemble(
    source: Path, stream_index: int, parts: list[Path], facts: Facts, how: writing.Target, clock: Clock, out: Path, tags: dict
) -> list[str]:
    """Write the film; what of its source could not be carried is returned in words. Raises FilmError, OSError.

    stream_index: of the pictures in the source. tags: what marks the copy.
    """
    notes: list[str] = []
    name = _FORMATS[out.suffix.lower()]
    options = {"movflags": "use_metadata_tags+faststart+write_colr"} if name != "matroska" else {}
    beside = alongside.Alongside(source, name, clock.pts[0] * clock.time_base, notes)
    with reading.container(source) as before, reading.container(parts[0]) as first:
        after = av.open(os.path.abspath(out), "w", format=name, container_options=options)
        try:
            for stream in before.streams:
                if stream.index == stream_index:
                    video = _pictures(after, first, stream, facts, how, name)
                else:
                    beside.add(after, stream)
            place = alongside.track(after, video.index)
            _tag(after, before, video, tags, name)
            codes = _timecodes(before)
            after.set_chapters(before.chapters())
            after.start_encoding()
            for packet in _merged(_coloured(parts, clock, video), beside.packets(before)):
                after.mux(packet)
        except av.error.FFmpegError as error:
            if isinstance(error, OSError):  # as of a full disk
                raise
            raise FilmError(
                f"{out.suffix} cannot hold what the film holds ({error.strerror}): name another kind of file"
            ) from error
        finally:
            after.close()
    if name == "matroska" and facts.aspect and not matroska.set_aspect(out, facts.width, facts.height, facts.aspect):
        notes.append(f"that its pixels are {facts.aspect} as wide as high, which is now said in each picture alone")
    if name == "matroska" and beside.places and not matroska.set_delays(out, beside.delays()):
        raise FilmError(f"the tracks of {out} could not be finished")
    with reading.container(out) as whole:
        beside.missed(whole)
        notes += _unsaid(codes, _timecodes(whole), name)
    notes += _checked(out, place, clock)
    return notes


def _pictures(after: Any, first: Any, grey: Any, facts: Facts, how: writing.Target, name: str) -> Any:
    """The stream of the coloured pictures, with the words of the source about its own."""
    video = after.add_stream_from_template(first.streams.video[0], opaque=True)
    video.codec_context.framerate = facts.rate
    if facts.aspect:
        video.codec_context.sample_aspect_ratio = facts.aspect
    video.time_base = facts.time_base
    if facts.display:
        video.set_display_matrix(facts.display)
    if name != "matroska" and (tag := how.tag):
        video.codec_context.codec_tag = tag
    video.metadata.update({key: text for key, text in grey.metadata.items() if not key.lower().startswith(_OF_PACKETS)})
    video.disposition = grey.disposition
    return video


def _tag(after: Any, before: Any, video: Any, tags: dict[str, str], name: str) -> None:
    """The words of the source about itself, its timecode, the names of reels, and the mark."""
    said = {key: text for key, text in before.metadata.items() if key.lower() not in _OWN_TAGS}
    after.metadata.update(said | tags)
    everywhere = [video.metadata, before.metadata, *(stream.metadata for stream in before.streams)]
    code = next((text for words in everywhere for key, text in words.items() if key.lower() == "timecode"), None)
    if code and not any(key.lower() == "timecode" for key in video.metadata):
        video.metadata["TIMECODE" if name == "matroska" else "timecode"] = code
    reels = dict(pair for pair in _timecodes(before) if all(pair))
    for stream in after.streams:  # in MOV and MP4 a timecode has a track of its own, which is made of its stream's words
        words = _lowered(stream.metadata)
        if words.get("timecode") in reels and "reel_name" not in words:
            stream.metadata["REEL_NAME" if name == "matroska" else "reel_name"] = reels[words["timecode"]]


def _lowered(metadata: dict[str, str]) -> dict[str, str]:
    return {key.lower(): text for key, text in metadata.items()}


def _timecodes(film: Any) -> list[tuple[str, str]]:
    """(timecode, name of the reel) of each stream of a film that says one of them, each once."""
    said = [_lowered(stream.metadata) for stream in film.streams]
    pairs = [(words.get("timecode", ""), words.get("reel_name", "")) for words in said]
    return [pair for pair in dict.fromkeys(pairs) if any(pair)]


def _unsaid(before: list[tuple[str, str]], after: list[tuple[str, str]], name: str) -> list[str]:
    """Timecodes and names of reels that a new file of the format `name` has not, in words."""
    codes, reels = ({pair[place] for pair in after} for place in (0, 1))
    lost = [f"the timecode {code}, for which {name} has no place" for code, _ in before if code and code not in codes]
    lost += [f"the reel name {reel}, for which {name} has no place" for _, reel in before if reel and reel not in reels]
    return list(dict.fromkeys(lost))


def _coloured(parts: list[Path], clock: Clock, video: Any) -> Iterator[Any]:
    """The packets of the shots, with the source's clock."""
    order = [pts for part in parts for pts in json.loads(writing.about_of(part).read_bytes())["order"]]
    index = {pts: number for number, pts in enumerate(clock.pts)}
    ranks = [index[pts] for pts in order]
    delay = max(clock.pts[number] - pts for number, pts in enumerate(order))  # of frames coded behind those shown later
    numbers = itertools.count()
    for part in parts:
        with reading.container(part) as container:
            for packet in container.demux(container.streams.video[0]):
                if not packet.size:
                    continue
                number = next(numbers)
                packet.stream, packet.time_base = video, clock.time_base
                packet.pts, packet.dts = order[number], clock.pts[number] - delay
                is_last = number + 1 == len(order)  # MP4 and MOV count from dts to dts, and end with its duration
                packet.duration = clock.last if is_last else clock.length(ranks[number])
                yield packet


def _merged(*streams: Iterator[Any]) -> Iterator[Any]:
    """Packets of several, by their time; of each in its own order."""

    def timed(packets: Iterator[Any], rank: int) -> Iterator[tuple[Fraction, int, int, Any]]:
        latest = Fraction(-(10**9))
        for number, packet in enumerate(packets):
            at = packet.dts if packet.dts is not None else packet.pts
            latest = max(latest, at * packet.time_base)
            yield latest, rank, number, packet

    for *_, packet in heapq.merge(*(timed(packets, rank) for rank, packets in enumerate(streams))):
        yield packet


def _checked(out: Path, place: int, clock: Clock) -> list[str]:
    """What the new file does to the clock, in words. Raises FilmError where it does not hold every frame at its time."""
    with reading.container(out) as container:
        stream = container.streams[place]
        base = stream.time_base
        times = sorted(packet.pts for packet in container.demux(stream) if packet.size)
    if len(times) != len(clock.pts):
        raise FilmError(f"only {len(times)} of {len(clock.pts)} frames could be written: is the disk full?")
    shift = times[0] * base - clock.pts[0] * clock.time_base
    shift = Fraction(0) if abs(shift) <= base / 2 else shift
    worst = max(abs(new * base - old * clock.time_base - shift) for new, old in zip(times, clock.pts, strict=True))
    if worst > base:
        raise FilmError(f"a frame would be shown {float(worst):.3f} s from its time; name another kind of file")
    notes = (
        [f"the place of its beginning: all is {1000 * float(shift):.0f} ms later, for no time may be negative"] if shift else []
    )
    if worst:
        notes.append(f"times finer than {base} s, in which this kind of file counts; no frame is {float(worst):.1g} s off")
    return notes
