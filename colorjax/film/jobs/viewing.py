"""A film for those who choose its colours by eye: its header, its shots in small, single frames, one shot tried in colour, and
the job. All of it goes on in steps between which it can wait, or be given up."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from PIL import Image

from colorjax.archive import provenance
from colorjax.archive.proof.keys import Keys
from colorjax.film import coloring, lists, steadying
from colorjax.film.containers import reading, reel, writing
from colorjax.film.containers.reading import FilmError
from colorjax.film.jobs import command, job
from colorjax.film.lists import Shot
from colorjax.science import color

# Kinds of files that hold all of a film themselves: those that name others, as playlists do, would let a stranger read them.
_KINDS = "matroska,mov,avi,mpeg,mpegts,mpegvideo,mxf,mxf_d10,dv,flv,asf,ogg,nut,ivf,gxf,yuv4mpegpipe,h264,hevc,m4v,rm,wtv"
_FAR = 16  # times as many pixels as are taken: of so large pictures not even one is decoded
_THUMB, _INTO = 85, 24  # quality of shots in small; so many frames from its first, or its middle, is the one that stands for it

Step = Callable[[], None]


class Tried(NamedTuple):
    """A frame of a shot that was tried, small and upright. before: (h, w), after: (h, w, 3), uint8."""

    number: int
    before: np.ndarray
    after: np.ndarray


def formats(facts: reading.Facts | None = None) -> list[dict[str, str]]:
    """Codecs that can be written here, the one that loses nothing first: {"name", "suffix"}. facts: of a film; only those in
    which it can be written."""
    found = []
    for name, codec in writing.CODECS.items():
        with suppress(ValueError, av.error.FFmpegError):
            av.codec.Codec(codec.name, "w")
            if facts is not None:
                writing.target(facts, name, None, codec.suffixes[0])
            found.append({"name": name, "suffix": codec.suffixes[0]})
    return found


def glance(path: Path, most: int) -> None:
    """Look at no more than the header of a film that nobody vouches for. most: pixels of a frame. Raises FilmError."""
    options = {"format_whitelist": _KINDS, "protocol_whitelist": "file", "max_pixels": str(_FAR * most)}
    try:
        with av.open(os.fspath(path), metadata_errors="replace", options=options) as container:
            contexts = [stream.codec_context for stream in container.streams.video]
            sizes = [(context.width, context.height) for context in contexts if context is not None]
    except av.error.ArgumentError:
        raise FilmError("no film in one file: lists of other files, and rare kinds, are not taken here") from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reading.opened(path).close()  # which says why
        raise FilmError("its beginning cannot be read") from error
    for width, height in sizes:
        if not width * height:
            words = f"its pictures cannot be read, or are far larger than is taken here ({most / 1e6:.1f} megapixels)"
            raise FilmError(words)
        if width * height > most:
            size = f"its pictures have {width}x{height} pixels, more than is taken here ({most / 1e6:.1f} megapixels)"
            raise FilmError(f"{size}; colorjax film colours it on a console")


class Viewed(reel.Reel):
    """A film that calls `step` before each frame that it gives, and `seen` with each while it is looked through."""

    def __init__(self, path: Path, out: Path, codec: str | None = None, step: Step = lambda: None):
        super().__init__(path, out, codec, None)
        self.step, self.seen = step, lambda small: None

    @property
    def promised(self) -> int:
        """How many frames its header tells of; 0 where it does not say."""
        return self._promise[0]

    def look_through(self, survey: dict[str, Any]) -> Iterator[np.ndarray]:
        """See `Reel`."""
        for small in super().look_through(survey):
            self.step()
            self.seen(small)
            yield small

    def pictures(self, shots: list[Shot]) -> Iterator[coloring.Picture]:
        """See `Reel`."""
        for picture in super().pictures(shots):
            self.step()
            yield picture

    def still(self, survey: reel.Survey, number: int, size: int) -> np.ndarray:
        """One frame in grey, upright, (h, w) uint8; its long side is at most `size` pixels. Raises FilmError, IndexError."""
        pts = survey.clock.pts[number]
        frame = self._sought(pts) or self._counted(number)
        lightness = self._picture(frame, pts).seen(size)
        return np.round(color.lightness_to_grey(lightness) * np.float32(255)).astype(np.uint8)

    def _sought(self, pts: int) -> av.VideoFrame | None:
        """The frame of this time, looked for near it; None where the film does not find its way."""
        film = reading.opened(self.path)
        with closing(film), suppress(av.error.FFmpegError, OSError):
            film.container.seek(pts, stream=film.stream)
            for frame in film.decoded():
                self.step()
                if frame.pts is None or frame.pts > pts or frame.format.name != self.facts.format:
                    return None
                if frame.pts == pts:
                    return frame
        return None

    def _counted(self, number: int) -> av.VideoFrame:
        """The frame of this number, counted from the first."""
        film = reading.opened(self.path)
        with closing(film):
            for frame in itertools.islice(film.frames(), number + 1):
                self.step()
                last = frame
                number -= 1
        if number >= 0:
            raise FilmError("it cannot be read to the end any more: has it changed?")
        return last


class Viewing:
    """A film, and a folder of its own for what is found about it.

    step: called from several threads between frames; what it raises ends the work.
    """

    def __init__(self, path: Path, folder: Path):
        self.path, self._folder = path, folder

    def look(self, step: Step, most: int) -> tuple[list[Shot], list[str], list[dict[str, str]]]:
        """The shots; what should be known of the film, in words; its `formats`. Each shot is kept in small, see `thumb`.

        most: frames that it may have. Raises FilmError.
        """
        work = self._work(self._folder / "look.mkv", step)
        offsets = [0]
        with tempfile.TemporaryFile() as smalls:

            def seen(small: np.ndarray) -> None:
                if len(offsets) > most:
                    raise FilmError(f"it has more than {most} frames, the most that is taken here; give a part of it")
                Image.fromarray(work.source.facts.pose.shown(small)).save(smalls, "JPEG", quality=_THUMB)
                offsets.append(smalls.tell())

            work.source.seen = seen
            survey, shots, _ = work.survey()
            for shot in shots:
                at = shot.first + min(_INTO, (shot.end - shot.first) // 2)
                smalls.seek(offsets[at])
                self.thumb(shot).write_bytes(smalls.read(offsets[at + 1] - offsets[at]))
        work.source.settle(survey)
        return shots, [*survey.problems, *survey.notes], formats(work.source.facts)

    def thumb(self, shot: Shot) -> Path:
        """A frame that stands for a shot, as a JPEG about 160 pixels wide."""
        return self._folder / f"shot{shot.first}.jpg"

    def still(self, number: int, size: int, step: Step) -> np.ndarray:
        """See `Viewed.still`; of a film that was looked through."""
        work = self._work(self._folder / "look.mkv", step)
        survey, _, _ = work.survey()
        work.source.settle(survey)
        return work.source.still(survey, number, size)

    def tried(
        self, shot: Shot, colorizer: Any, strength: float, hints: Path, step: Step, told: Callable[[str], None]
    ) -> Iterator[Tried]:
        """The frames of a shot, or of a part of one, in the colours that the job gives them. hints: of the film, where the
        file is there. told: hears how far each hint came, in words. Raises FilmError, hints.HintError."""
        work = self._work(self._folder / "look.mkv", step)
        survey, _, _ = work.survey()
        work.source.settle(survey)
        upright = work.source.facts.upright
        given = lists.read_hints(hints, survey.count, upright) if hints.is_file() else {}

        def carried(shot: Shot, span: Any) -> None:
            told(lists.in_words(lists.way_of(given, shot, span), shot))

        def of_shot(shot: Shot) -> dict[int, list]:
            return lists.of_shot(given, shot, upright)

        answers = coloring.coloured(work.source.pictures, [shot], colorizer, work.options.steadying, of_shot, carried)
        with closing(answers):
            for number, answer in enumerate(answers, shot.first):
                step()
                yield Tried(number, *_shown(answer.lightness, np.float32(strength) * answer.ab))

    def colour(
        self,
        out: Path,
        codec: str,
        colorizer: Any,
        strength: float,
        hints: Path,
        keys: Keys | None,
        step: Step,
        watch: Callable[[list[Shot], list[Shot]], Any],
        told: Callable[[str], None],
    ) -> dict[str, Any]:
        """The job: what its sidecar says. What an earlier try of the same copy has left is gone on with.

        told: hears how far each hint came. Raises as `job.run` does.
        """
        work = self._work(out, step, codec)
        work.options = job.Options(
            strength, provenance.SOURCE_TYPES[0], steadying.Settings(), hints=hints if hints.is_file() else None
        )
        work.colorizer, work.keys, work.watch = colorizer, keys, watch
        with work.locked():
            shutil.copyfile(self._survey, work.folder / "survey.json")
            survey, shots, sha256 = work.survey()
            about = job.run(work, sha256, survey, shots, lambda words: None)
        command.report(out.with_name(f"{out.name}.shots.csv"), about["shots"])
        for row in about["shots"]:
            for way in row.get("carried", ()):
                told(lists.in_words(way, Shot(row["first"], row["end"])))
        return about

    def header(self, most: int) -> dict[str, Any]:
        """What the film says of itself, for people. most: pixels of a frame. Raises FilmError where it is not taken."""
        glance(self.path, most)
        source = Viewed(self.path, self._folder / "look.mkv")
        facts = source.facts
        height, width = facts.upright
        aspect = float(facts.aspect or 1)
        shape = {"width": width, "height": height, "aspect": 1 / aspect if facts.pose.turns % 2 else aspect}
        return shape | {"rate": float(facts.rate), "bits": facts.bits, "codec": facts.codec, "promised": source.promised}

    @property
    def _survey(self) -> Path:
        return self._folder / f"look.mkv{job.WORK}" / "survey.json"

    def _work(self, out: Path, step: Step, codec: str | None = None) -> job.Work:
        source = Viewed(self.path, out, codec, step)
        options = job.Options(1.0, provenance.SOURCE_TYPES[0], steadying.Settings())
        work = job.Work(source, out, options, watch=lambda found, todo: None)
        work.folder.mkdir(parents=True, exist_ok=True)
        return work


def _shown(lightness: np.ndarray, ab: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L* (h, w) and ab (h, w, 2), without colour and with it, as pictures."""
    lab = np.concatenate([lightness[..., None], ab], axis=-1).astype(np.float32)
    both = color.lightness_to_grey(lightness), color.lab_to_rgb(color.fit_to_gamut(lab))
    before, after = (np.round(np.clip(image, 0, 1) * np.float32(255)).astype(np.uint8) for image in both)
    return before, after
