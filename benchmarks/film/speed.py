"""How many frames a second `colorjax film` colours, all in all, and how much memory it takes.

    python benchmarks/film/speed.py --size=768x576 --frames=1000 [--shot=250] [--ckpt=DIR] [--engine=onnx]
    python benchmarks/film/speed.py --film=FILM [--ckpt=DIR] [--engine=onnx]

Each line is the console command in a process of its own: it reads, finds the shots, colours, writes FFV1, puts the film
together, and all of that is in the figures. Without --film a grey film (FFV1, 8 bits) is made: large and small things that
move on their own ways over a ground that pans, under grain that is new in each frame, cut after every --shot frames.

* frames/s: without the start. A film of the first frames (24, or half of them where there are fewer than 48) is coloured
  first, and again, so that all is compiled; what a frame takes is the difference between the times of the whole film and of
  that second run, by the difference of their frames.
* start: what is left of the second run without its frames: imports, the network, what is read once.
* memory: the largest resident memory of the process in the long run.
* shares: of the time of the long run: until the shots are known (start and one look at all frames), colouring (with reading
  and encoding, which go on beside it), and putting together (with the sidecar's checksums).

Memory should not grow with --frames: run it with two lengths, and compare. An idle machine is needed.
"""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common

_SHORT = 24  # frames of the short film
_GRAIN = 3.0  # levels, the standard deviation of the grain
_THINGS = 12  # that move in a shot


class Run(NamedTuple):
    """seconds: of all. found, coloured: seconds until the shots were known, until the last was coloured. memory: MB."""

    seconds: float
    found: float
    coloured: float
    memory: float


def texture(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Noise of many sizes, (h, w) float32 in 0..1."""
    height, width = shape
    picture = np.zeros(shape, np.float32)
    for level in range(2, 8):
        coarse = rng.random((2**level, 2**level), np.float32) / 2 ** (level / 2)
        picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    low, high = picture.min(), picture.max()
    return (picture - low) / (high - low)


def frames(shape: tuple[int, int], count: int, shot: int) -> Iterator[np.ndarray]:
    """Grey frames with texture and motion, (h, w) uint8, 16 to 235."""
    (height, width), rng = shape, np.random.default_rng(0)
    grain = rng.normal(0, _GRAIN, (height + 64, width + 64)).astype(np.float32)
    for number in range(count):
        at = number % shot
        if at == 0:
            ground = 60 + 120 * texture((2 * height, 2 * width), rng)
            sides = rng.integers(height // 12, height // 3, _THINGS)
            things = [(texture((side, side), rng), rng.uniform(20, 180)) for side in sides]
            places, ways = rng.uniform(0, 1, (_THINGS, 2)), rng.uniform(-0.008, 0.008, (_THINGS, 2))
        down, right = round(height / 2 + height / 3 * np.sin(at / 90)), round(width / 2 + width / 3 * np.sin(at / 130))
        frame = ground[down : down + height, right : right + width].copy()
        for (thing, level), place, way in zip(things, places, ways, strict=True):
            y, x = ((place + at * way) % 1 * (height - len(thing), width - len(thing))).astype(int)
            frame[y : y + len(thing), x : x + len(thing)] = level + 50 * thing
        top, left = rng.integers(0, 64, 2)
        yield np.clip(frame + grain[top : top + height, left : left + width], 16, 235).astype(np.uint8)


def film(path: Path, shape: tuple[int, int], pictures: Iterator[np.ndarray]) -> int:
    """Write a grey film; returns how many frames it has."""
    count = 0
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *shape, "gray"
        for count, picture in enumerate(pictures, 1):  # noqa: B007
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "gray")))
        out.mux(stream.encode(None))
    return count


def beginning(source: Path, path: Path, count: int) -> int:
    """Write the first frames of a film, grey; returns how many."""
    with av.open(str(source)) as container:
        context = container.streams.video[0].codec_context
        shape = context.height, context.width
        return film(path, shape, (frame.to_ndarray(format="gray") for frame in islice(container.decode(video=0), count)))


def measured(source: Path, out: Path, cache: Path, options: list[str]) -> Run:
    """Run the command, and read on its last lines how far it is."""
    start, told = time.perf_counter(), {"found": 0.0, "coloured": 0.0}
    asked = ["film", source, "--out", out, "--overwrite", *options]
    process = common.colorjax_process(*asked, cache=cache, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = []

    def listen() -> None:
        for line in process.stderr:
            said.append(line)
            if "; their list: " in line:
                told["found"] = time.perf_counter() - start
            elif " is coloured, " in line:
                told["coloured"] = time.perf_counter() - start

    listener = threading.Thread(target=listen)
    listener.start()
    memory = 0.0
    while process.poll() is None:
        memory = max(memory, common.peak_memory(process.pid))
        time.sleep(0.02)
    seconds = time.perf_counter() - start
    listener.join()
    if process.returncode:
        raise SystemExit(f"{source}: exit code {process.returncode}\n{''.join(said)}")
    return Run(seconds, told["found"], told["coloured"], memory)


def _size(text: str) -> tuple[int, int]:
    width, height = map(common.positive, text.split("x"))
    return height, width


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--film", type=Path, help="take this film instead of making one")
    parser.add_argument("--size", type=_size, default=(576, 768), metavar="WxH", help="of the film that is made")
    parser.add_argument("--frames", type=common.positive, default=1000)
    parser.add_argument("--shot", type=common.positive, default=250, help="frames of a shot of the film that is made")
    parser.add_argument("--ckpt", help="a checkpoint (default: the weights that come with colorjax)")
    parser.add_argument("--engine", help="jax or onnx (default: as colorjax chooses)")
    args = parser.parse_args()
    if args.film is None and args.frames < 2:
        parser.error("--frames must be at least 2: one film is coloured, and a shorter one")
    options = [f"--{name}={getattr(args, name)}" for name in ("ckpt", "engine") if getattr(args, name)]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        source, count = args.film, 0
        if source is None:
            source = place / "whole.mkv"
            film(source, args.size, frames(args.size, args.frames, args.shot))
        with av.open(str(source)) as container:
            width, height = container.streams.video[0].width, container.streams.video[0].height
            count = sum(1 for packet in container.demux(video=0) if packet.size)
        short, few = place / "short.mkv", min(_SHORT, count // 2)
        beginning(source, short, few)
        measured(short, place / "out.mkv", place / "cache", options)
        first = measured(short, place / "out.mkv", place / "cache", options)
        run = measured(source, place / "long.mkv", place / "cache", options)
    each = (run.seconds - first.seconds) / (count - few)
    spans = {"finding shots": run.found, "colouring": run.coloured - run.found, "putting together": run.seconds - run.coloured}
    shares = ", ".join(f"{name} {span / run.seconds:.0%}" for name, span in spans.items())
    rate = f"{1 / each:.2f}" if each > 0 else "too few frames to tell"
    common.table("film", "frames", "frames/s", "start, s", "memory, MB", "shares of time")
    common.row(f"{width}x{height}", count, rate, first.seconds - few * max(each, 0.0), round(run.memory), shares)


if __name__ == "__main__":
    main()
