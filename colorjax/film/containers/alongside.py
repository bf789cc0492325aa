"""What travels with the pictures of a film: sound, subtitles, attachments, covers, other pictures; packet by packet."""

import contextlib
import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from colorjax.film.containers import matroska, reading

_COVERS = {"mjpeg": ("jpg", "image/jpeg"), "png": ("png", "image/png"), "gif": ("gif", "image/gif")}
_COVERS |= {"tiff": ("tif", "image/tiff"), "webp": ("webp", "image/webp"), "bmp": ("bmp", "image/bmp")}
_OF_ATTACHMENTS = ("filename", "mimetype")
_CHAPTERS = av.stream.Discard.all  # MOV has their names in a track, which FFmpeg passes over
_STILL = av.stream.Disposition.attached_pic


class Alongside:
    """All streams of a film but that of its pictures, on their way into a new file of the format `name`.

    start: when the first picture is shown, seconds. notes: hears, in words, of what cannot be carried.
    places: of each stream that has room for its delay, by its index in the source, which track it is.
    """

    def __init__(self, source: Path, name: str, start: Fraction, notes: list[str]):
        self._source, self._name, self._start, self._notes = source, name, min(start, Fraction(0)), notes
        self._copied: dict[int, Any] = {}
        self._said: dict[int, tuple[int, dict[str, str]]] = {}
        self._delays: dict[int, Fraction] = {}
        self._latest: dict[int, int] = {}
        self._mended: dict[int, int] = {}
        self.places: dict[int, int] = {}

    def add(self, after: Any, stream: Any) -> None:
        """A stream for one of the source; what has no place is named."""
        name = self._name
        codec = getattr(stream, "name", None) or "of an unknown kind"
        words = f"its {stream.type} stream {stream.index} ({codec}), which {name} cannot hold"
        if stream.disposition & _STILL:
            if name == "matroska":
                self._attach(after, stream, codec, words)
            else:  # there is one place for it, or for tags of any name
                self._notes.append(f"its cover, stream {stream.index} ({codec}): .mkv can hold it")
            return
        if stream.type in ("data", "attachment", "unknown") and (name != "matroska" or stream.type != "attachment"):
            is_carried = "timecode" in stream.metadata or stream.discard == _CHAPTERS  # as a tag, and as chapters
            if stream.type != "data" or not is_carried:
                self._notes.append(words)
            return
        if name == "mp4" and codec.startswith("pcm_"):
            self._notes.append(f"its audio stream {stream.index} ({codec}), which players of mp4 do not know: .mov can hold it")
            return
        if not _fits(stream, name):
            self._notes.append(words)
            return
        twin = after.add_stream_from_template(stream, opaque=True)
        twin.metadata.update({key: text for key, text in stream.metadata.items() if key.lower() != "duration"})
        twin.disposition = stream.disposition
        self._copied[stream.index] = twin
        if stream.type != "attachment":
            self._said[stream.index] = track(after, twin.index), dict(stream.metadata)
        if name == "matroska" and stream.type == "audio" and codec != "opus" and "matroska" not in stream.container.format.name:
            twin.metadata["title"] = twin.metadata.get("title", "") + matroska.ROOM  # others have their delay already
            self.places[stream.index] = track(after, twin.index)

    def _attach(self, after: Any, stream: Any, codec: str, words: str) -> None:
        """A cover, which in Matroska is an attachment."""
        suffix, kind = _COVERS.get(codec, ("", ""))
        with reading.container(self._source) as again:
            packet = next((packet for packet in again.demux(again.streams[stream.index]) if packet.size), None)
        if packet is None or not kind:
            self._notes.append(words)
            return
        said = {key.lower(): text for key, text in stream.metadata.items()}
        twin = after.add_attachment(said.get("filename", f"cover.{suffix}"), said.get("mimetype", kind), bytes(packet))
        twin.metadata.update({key: text for key, text in stream.metadata.items() if key.lower() not in _OF_ATTACHMENTS})

    def packets(self, before: Any) -> Iterator[Any]:
        """The packets of these streams, and at the end words of what was not as it should be."""
        streams = [before.streams[index] for index in self._copied if before.streams[index].type != "attachment"]
        timeless = dict.fromkeys(self._copied, 0)
        packets = before.demux(*streams) if streams else iter(())
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError):
                self._notes.append("what comes after the place up to which its sound can be read")
                break
            if packet is None:
                break
            if packet.size and self._timed(packet):
                packet.stream = self._copied[packet.stream.index]
                yield packet
            elif packet.size:
                timeless[packet.stream.index] += 1
        for index, count in timeless.items():
            if count:
                self._notes.append(f"{count} packets of its stream {index} that have no time")
        for index, count in self._mended.items():
            self._notes.append(
                f"the time of {count} packets of its stream {index}, which was before that of the one before: they follow it"
            )

    def _timed(self, packet: Any) -> bool:
        """Give a packet a time that a file may have; False where it has none."""
        stream = packet.stream
        if packet.pts is None and packet.dts is None:
            return False
        if stream.index in self.places:
            self._delay(packet)
        at, last = packet.dts if packet.dts is not None else packet.pts, self._latest.get(stream.index)
        if last is not None and at < last:
            late = last + max(packet.duration or 0, 1) - at
            packet.dts = at = at + late
            packet.pts = at if packet.pts is None or packet.pts + late < at else packet.pts + late
            self._mended[stream.index] = self._mended.get(stream.index, 0) + 1
        self._latest[stream.index] = at
        return True

    def _delay(self, packet: Any) -> None:
        """No time in Matroska is negative: sound that begins before the pictures says by how much it is late instead."""
        index, at = packet.stream.index, packet.pts if packet.pts is not None else packet.dts
        if index not in self._delays:
            self._delays[index] = max(Fraction(0), self._start - at * packet.time_base)
        whole = Fraction(round(self._delays[index] * 1000), 1000)  # which is what a reader takes off: Matroska counts so
        ticks = round(whole / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts + ticks
        packet.dts = None if packet.dts is None else packet.dts + ticks

    def missed(self, whole: Any) -> None:
        """Look at the new file, opened again, and name the words about streams that it has no place for."""
        for index, (place, before) in self._said.items():
            after = whole.streams[place].metadata if place < len(whole.streams) else {}
            for key in ("language", "title"):
                if before.get(key, "und") != "und" and after.get(key) != before[key]:
                    self._notes.append(f"the {key} of its stream {index} ({before[key]}), which {self._name} has no place for")

    def delays(self) -> dict[int, Fraction]:
        """How late each track is, seconds; of all that have room to say so."""
        return {place: self._delays.get(index, Fraction(0)) for index, place in self.places.items()}


def _fits(stream: Any, name: str) -> bool:
    """Whether a file of the format `name` can begin with such a stream: only its header tells."""
    trial = av.open(io.BytesIO(), "w", format=name)
    try:
        trial.add_stream_from_template(stream, opaque=True)
        trial.start_encoding()
        return True
    except (ValueError, av.error.FFmpegError):
        return False
    finally:
        with contextlib.suppress(av.error.FFmpegError):  # an end without packets
            trial.close()


def track(after: Any, index: int) -> int:
    """Which track of a new file a stream is, from 0: attachments are none."""
    return sum(stream.type != "attachment" for stream in after.streams if stream.index < index)
