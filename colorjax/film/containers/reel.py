"""A film in a file, as a job takes it: looked through once, then coloured shot by shot, and put together."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from colorjax.film import chroma, coloring
from colorjax.film.containers import assembling, looks, marks, planes, reading, writing
from colorjax.film.containers.reading import FilmError
from colorjax.film.lists import Shot

_SHORTEST = Fraction(1, 250)  # second that a frame is shown, where it is a single tick of a clock
_SMALL = 160  # width of what shots are found in


@dataclass
class Survey:
    """What one look at all frames told.

    problems: what of the film is not there. notes: what else should be known. lost: what its frames have that a copy has not.
    all_interlaced: whether all frames are, though the header alone says so.
    """

    count: int
    clock: assembling.Clock
    interlaced: str
    problems: list[str]
    notes: list[str]
    lost: list[str] = field(default_factory=list)
    all_interlaced: bool = False

    @property
    def seconds(self) -> list[Fraction]:
        """When each frame is shown, from the first."""
        return [(pts - self.clock.pts[0]) * self.clock.time_base for pts in self.clock.pts]

    def as_dict(self) -> dict[str, Any]:
        """For a file of JSON."""
        clock = {"time_base": str(self.clock.time_base), "pts": self.clock.pts, "last": self.clock.last}
        said = {"problems": self.problems, "notes": self.notes, "lost": self.lost, "all_interlaced": self.all_interlaced}
        return {"clock": clock, "interlaced": self.interlaced} | said

    @classmethod
    def of(cls, content: dict[str, Any]) -> "Survey":
        """What `as_dict` gave."""
        clock = content["clock"]
        clock = assembling.Clock(Fraction(clock["time_base"]), clock["pts"], clock["last"])
        said = (content[name] for name in ("problems", "notes", "lost", "all_interlaced"))
        return cls(len(clock.pts), clock, content["interlaced"], *said)


class Reel:
    """A film in a file, and how it is to be written. Raises FilmError where it cannot be."""

    def __init__(self, path: Path, out: Path, codec: str | None, layout: str | None):
        self.path, self._out, self.origin = path, out, None  # which the job tells, before anything is put together
        self._fields: dict[int, str] = {}  # of frames that are read and not yet written: their order, by their time
        self._codec, self._layout = codec or "ffv1", layout
        film = reading.opened(path)
        self.facts, self._lost, self._tags = film.facts, (*film.lost, *looks.edges(film)), dict(film.container.metadata)
        self._promise, self._index = looks.promise(film), film.stream.index
        film.close()
        if marks.is_tagged(self._tags):
            raise FilmError("a copy that colorjax coloured already: name its source")
        self.how = writing.target(self.facts, self._codec, layout, out.suffix)
        self.suffix = ".mkv"  # of the file of a shot

    def look_through(self, survey: dict[str, Any]) -> Iterator[np.ndarray]:
        """Small grey frames, (h, w) uint8, about 160 wide; at the end `survey` holds what they told, as a `Survey` has it."""
        film, facts, pts, step, mended = reading.opened(self.path), self.facts, [], 0, 0
        low, high = facts.coding.luma if facts.kind != "rgb" else (0, 2**facts.bits - 1)
        seen = looks.Looks(film)
        try:
            for frame in film.frames():
                step = frame.duration or step
                at = frame.pts if frame.pts is not None else (pts[-1] + max(step, 1) if pts else 0)
                if pts and at <= pts[-1]:
                    at, mended = pts[-1] + max(step, 1), mended + 1
                pts.append(at)
                seen.add(frame)
                grey = planes.luma(frame) if facts.kind != "rgb" else np.ascontiguousarray(planes.rgb(frame)[..., 1])
                shape = (_SMALL, max(1, round(_SMALL * facts.height / facts.width)))
                small = cv2.resize(grey, shape, interpolation=cv2.INTER_AREA).astype(np.float32)
                yield np.clip((small - low) * (255 / (high - low)) + 0.5, 0, 255).astype(np.uint8)
        finally:
            film.close()
        clock = assembling.Clock(facts.time_base, pts, _last(int(step), pts, facts))
        notes = [*reading.doubts(facts), *looks.doubts(seen.coloured)]
        notes += [f"{mended} frames had a time that was not after the one before: they follow it evenly"] if mended else []
        is_said = self._out.suffix.lower() == ".mkv" and "stereo_mode" in film.stream.metadata  # which is carried as a tag
        lost = looks.lost(seen.kinds - {"STEREO3D"} if is_said else seen.kinds) + seen.changes(self.how.keeps_luma)
        problems = looks.problems(film, self._promise, clock)
        survey |= Survey(len(pts), clock, seen.interlaced, problems, notes, lost, seen.all_interlaced).as_dict()

    def settle(self, survey: Survey) -> list[str]:
        """Take what the look told; returns what of the film cannot be carried, or kept, in words."""
        self.facts = replace(self.facts, interlaced=survey.interlaced)
        self.how = writing.target(self.facts, self._codec, self._layout, self._out.suffix)
        self._survey = survey
        lost = [*self._lost, *survey.lost]
        if self.how.keeps_luma:
            return lost
        coding = self.how.coding
        fewer = f", and its {self.facts.bits} bits become {coding.bits}" if coding.bits < self.facts.bits else ""
        lost += reading.recoded(self.facts, self._codec, coding.full)
        return [*lost, f"each sample of its luma: {self._codec} encodes it anew{fewer}"]

    @property
    def settings(self) -> dict[str, Any]:
        """How it is written, for the sidecar."""
        return {"codec": self._codec, "chroma": self.how.layout if self.how.coding else "rgb"}

    @property
    def about(self) -> dict[str, Any]:
        """What the film is, for the sidecar."""
        facts = self.facts
        about = {"width": facts.width, "height": facts.height, "pixels": facts.format, "bits": facts.bits, "codec": facts.codec}
        about |= {"frames": self._survey.count, "rate": str(facts.rate), "interlaced": facts.interlaced}
        if facts.kind != "rgb":
            about |= {"matrix": chroma.MATRICES[facts.matrix][0], "full_range": facts.full}
            about |= {"guessed": [name for name, said in zip(("matrix", "full_range"), facts.said, strict=True) if not said]}
        return about

    def pictures(self, shots: list[Shot]) -> Iterator[coloring.Picture]:
        """The frames of these shots."""
        film, wanted = reading.opened(self.path), {number for shot in shots for number in range(shot.first, shot.end)}
        last, fields = max(wanted, default=-1), looks.Fields(film)
        try:
            for number, frame in enumerate(film.frames()):
                if number in wanted:
                    pts = self._survey.clock.pts[number]
                    if frame.interlaced_frame:
                        self._fields[pts] = fields.of(frame)
                    yield self._picture(frame, pts)
                if number >= last:
                    return
            raise FilmError("it cannot be read to the end any more: has it changed?")
        finally:
            film.close()

    def _picture(self, frame: av.VideoFrame, pts: int) -> coloring.Picture:
        facts, is_interlaced = self.facts, frame.interlaced_frame or self._survey.all_interlaced
        if facts.kind == "rgb":
            return coloring.Levels(planes.rgb(frame), facts.bits, facts.pose, pts, is_interlaced)
        return coloring.Video(planes.luma(frame), facts.coding, facts.pose, pts, is_interlaced)

    def part(self, path: Path) -> "Part":
        """A place for a shot's frames."""
        return Part(writing.Part(path, self.facts, self.how, self.facts.time_base), self.how, self._fields)

    def assemble(self, parts: list[Path], out: Path) -> list[str]:
        """Write the whole film from its shots; returns what could not be carried, in words."""
        tags = marks.tags(self.origin)
        return assembling.assemble(self.path, self._index, parts, self.facts, self.how, self._survey.clock, out, tags)

    def digest(self) -> str:
        """SHA-256 of the file."""
        with open(self.path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def version(self) -> tuple[int, int]:
        """Another one where it may have changed."""
        stat = os.stat(self.path)
        return stat.st_mtime_ns, stat.st_size


def _last(said: int, pts: list[int], facts: reading.Facts) -> int:
    """How long the last frame is shown: what the film says, where that can be, else as long as frames are on average."""
    if said > 1 or said * facts.time_base >= _SHORTEST:
        return said
    mean = Fraction(pts[-1] - pts[0], len(pts) - 1) if len(pts) > 1 else 1 / facts.rate / facts.time_base
    return max(1, round(mean))


class Part:
    """The frames of a shot on their way into a file."""

    def __init__(self, part: writing.Part, how: writing.Target, fields: dict[int, str]):
        self._part, self._how, self._fields, self._digest = part, how, fields, hashlib.sha256()

    def write(self, answer: coloring.Coloured, strength: float) -> tuple[float, float]:
        """Give a frame its colour, and encode it; returns mean |dL*| and mean chroma."""
        picture, how = answer.picture, self._how
        if isinstance(picture, coloring.Video):
            self._digest.update(np.ascontiguousarray(picture.luma))
            painted = picture.painted(answer, strength, how.coding, how.layout)
            arrays, told = [picture.recoded(how.coding), painted.cb, painted.cr], (painted.moved, painted.colour)
        else:
            self._digest.update(np.ascontiguousarray(picture.image))
            image, *told = picture.painted(answer, strength)
            arrays = [image] if how.coding is None else chroma.of_rgb(image, picture.bits, how.coding, how.layout)
        self._part.write(arrays, picture.pts, picture.is_interlaced, self._fields.pop(picture.pts, ""))
        return told[0], told[1]

    def close(self, about: dict[str, Any]) -> None:
        """Finish it; `about` is what else is known of the shot."""
        self._part.close(about | {"planes_sha256": self._digest.hexdigest()})

    def discard(self) -> None:
        """Leave nothing of it."""
        self._part.discard()
