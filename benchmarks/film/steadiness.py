"""How steady the colours of films are, and how near to the truth, beside those of each frame alone.

    python benchmarks/film/steadiness.py --clips=DIR [--ckpt=pretrained] [--frames=48] [--start=0] [--only=NAME] [--out=SHEETS]

It takes each film in colour of DIR, makes it grey, and colours it twice with the same network: each frame alone, and as a film.

* warp: mean |da*|, |db*| between a frame and the one before, brought along the flow of the true L*, where that is sure. It is
  near 0 for grey films, so read it beside the colourfulness.
* CDC: mean Jensen-Shannon divergence of the histograms of R, G and B of frames 1, 2 and 4 apart, times 1000.
* PSNR, dE: of the pictures, CIEDE2000. colour: Hasler and Süsstrunk's colourfulness.
* frames/s: of the network and all else, without reading and writing. `--threads` cores.

--grey: the films have no colour of their own (old ones): no truth. --out: contact sheets of every 10th frame, and strips
through time, three columns of pixels over all frames; above the truth, below it each frame alone, and last the film.
"""

import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common
from colorjax import Colorizer
from colorjax.film import coloring, flow, lists
from colorjax.film.steadying import Settings, find
from colorjax.inference.upsampling import Upsampler
from colorjax.science import color

FILMS = (".mp4", ".mkv", ".mov", ".avi")
_SAME = 6.0  # L* within which two pixels show the same thing
_SHOT_WIDTH = 160


class Clip(NamedTuple):
    """lab: the frames (H, W, 3). ways: of each frame but the first, to the one before."""

    name: str
    lab: list[np.ndarray]
    shots: list[lists.Shot]
    ways: list[np.ndarray]

    @property
    def luma(self) -> list[np.ndarray]:
        return [lab[..., 0] for lab in self.lab]

    @property
    def truth(self) -> list[np.ndarray]:
        return [lab[..., 1:] for lab in self.lab]


def read(path: Path, start: int, count: int, size: int) -> Clip:
    lab, small = [], []
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number < start:
                continue
            if len(lab) == count:
                break
            rgb = frame.to_ndarray(format="rgb24")
            scale = min(1.0, size / max(rgb.shape[:2]))
            shape = [round(side * scale) for side in rgb.shape[1::-1]]
            lab.append(color.rgb_to_lab(cv2.resize(rgb, shape, interpolation=cv2.INTER_AREA).astype(np.float32) / 255))
            scale = _SHOT_WIDTH / frame.width
            small.append(cv2.resize(frame.to_ndarray(format="gray"), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    firsts, dissolves = find(small)
    return Clip(path.stem, lab, lists.of(firsts, len(lab), dissolves), [_way(*pair) for pair in itertools.pairwise(lab)])


def _way(before: np.ndarray, lab: np.ndarray) -> np.ndarray:
    """From a frame to the one before; its trust is 1 where that shows the same thing, else 0."""
    way = flow.between(before[..., 0], lab[..., 0])[1]
    way[..., 2] = (way[..., 2] > 0.5) & (np.abs(flow.fetch(before[..., 0], way) - lab[..., 0]) < _SAME)
    return way


def warp_error(clip: Clip, ab: list[np.ndarray]) -> float:
    errors, firsts = [], {shot.first for shot in clip.shots}
    for number, way in enumerate(clip.ways, start=1):
        sure = way[..., 2] > 0
        if number not in firsts and sure.any():
            errors.append(np.abs(flow.fetch(ab[number - 1], way) - ab[number])[sure].mean())
    return float(np.mean(errors))


def cdc(pictures: list[np.ndarray]) -> float:
    """Colour distribution consistency of Liu et al. (Temporally consistent video colorization, 2021), times 1000."""
    shares = np.array([[np.histogram(p[..., i], 256, (0, 1))[0] / p[..., i].size for i in range(3)] for p in pictures])

    def information(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return (one * np.log(np.where(one > 0, one / np.where(other > 0, other, 1), 1))).sum(-1)

    divergences = []
    for apart in (1, 2, 4):
        one, other = shares[:-apart], shares[apart:]
        mean = (one + other) / 2
        divergences.append((information(one, mean) + information(other, mean)).mean() / 2)
    return 1000 * float(np.mean(divergences))


def colourfulness(picture: np.ndarray) -> float:
    """As `metrics.colourfulness`, of one picture and without JAX."""
    red, green, blue = (picture[..., i] * 255 for i in range(3))
    rg, yb = red - green, (red + green) / 2 - blue
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


def pictures(clip: Clip, ab: list[np.ndarray]) -> list[np.ndarray]:
    lab = (np.concatenate([luma[..., None], chroma], axis=-1) for luma, chroma in zip(clip.luma, ab, strict=True))
    return [color.lab_to_rgb(frame) for frame in lab]


def measured(clip: Clip, ab: list[np.ndarray], shown: list[np.ndarray], true: list[np.ndarray]) -> dict[str, float]:
    apart = [max(float(((one - other) ** 2).mean()), 1e-10) for one, other in zip(shown, true, strict=True)]
    errors = [
        color.delta_e_2000(np.concatenate([lab[..., :1], chroma], axis=-1)[::2, ::2], lab[::2, ::2]).mean()
        for lab, chroma in zip(clip.lab, ab, strict=True)
    ]
    return {
        "warp": warp_error(clip, ab),
        "CDC": cdc(shown),
        "PSNR": -10 * float(np.mean(np.log10(apart))),
        "dE": float(np.mean(errors)),
        "colour": float(np.mean([colourfulness(picture) for picture in shown])),
    }


def each_alone(clip: Clip, colorizer: Colorizer) -> Iterator[np.ndarray]:
    for luma in clip.luma:
        prediction = colorizer.predict(np.clip(color.lightness_to_grey(luma), 0, 1))
        yield Upsampler(prediction.lightness, prediction.ab, luma.shape).rows(slice(0, len(luma)), luma)


class Seen(NamedTuple):
    """A frame as `coloring` takes it."""

    luma: np.ndarray

    def seen(self, _: int) -> np.ndarray:
        return self.luma


def as_film(luma: list[np.ndarray], shots: list[lists.Shot], colorizer: Colorizer) -> Iterator[np.ndarray]:
    """The ab of each frame. luma: L* of the frames."""

    def pictures(wanted: list[lists.Shot]) -> Iterator[Seen]:
        for shot in wanted:
            yield from map(Seen, luma[shot.first : shot.end])

    settings = Settings(size=max(luma[0].shape))
    for answer in coloring.coloured(pictures, shots, colorizer, settings, lambda _: {}, lambda *_: None):
        yield answer.ab


def sheet(ways: dict[str, list[np.ndarray]]) -> np.ndarray:
    """Every 10th frame, a row for each way."""
    return np.concatenate([np.concatenate(shown[::10], axis=1) for shown in ways.values()], axis=0)


def strips(ways: dict[str, list[np.ndarray]], at: tuple[float, ...] = (0.25, 0.5, 0.75)) -> np.ndarray:
    """Columns of pixels over all frames, each twice as wide; side by side several columns, a row for each way."""
    rows = []
    for shown in ways.values():
        columns = [np.stack([picture[:, int(part * picture.shape[1])] for picture in shown], axis=1) for part in at]
        rows.append(np.concatenate([np.repeat(column, 4, axis=1) for column in columns], axis=1))
    return np.concatenate(rows, axis=0)


def save(picture: np.ndarray, path: Path) -> None:
    Image.fromarray(np.round(picture * 255).astype(np.uint8)).save(path, quality=90)


def look_at(path: Path, colorizer: Colorizer, arguments: object) -> dict[str, float] | None:
    """Colour a clip, print its rows, save its sheets; returns what the film is beside the frames alone and the truth."""
    clip = read(path, arguments.start, arguments.frames, arguments.size)
    ways = {} if arguments.grey else {"truth": clip.truth}
    ways["alone"] = list(each_alone(clip, colorizer))
    start = time.perf_counter()
    ways["film"] = list(as_film(clip.luma, clip.shots, colorizer))
    speed = len(clip.lab) / (time.perf_counter() - start)
    shown = {way: pictures(clip, ab) for way, ab in ways.items()}
    told = {way: measured(clip, ab, shown[way], shown.get("truth", shown["alone"])) for way, ab in ways.items()}
    for way, values in told.items():
        cells = [f"{value:.3f}" if name == "warp" else f"{value:.2f}" for name, value in values.items()]
        cells[2:4] = ["", ""] if arguments.grey or way == "truth" else cells[2:4]
        common.row(clip.name if way == next(iter(told)) else "", way, *cells, speed if way == "film" else "")
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        save(sheet(shown), arguments.out / f"{clip.name}_sheet.jpg")
        save(strips(shown), arguments.out / f"{clip.name}_strips.jpg")
    film, alone = told["film"], told["alone"]
    beside = {
        "warp beside alone": film["warp"] / alone["warp"],
        "colour beside alone": film["colour"] / alone["colour"],
    }
    if not arguments.grey:
        beside |= {"warp beside truth": film["warp"] / told["truth"]["warp"], "dE, more": film["dE"] - alone["dE"]}
    return beside


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--ckpt", default="pretrained")
    parser.add_argument("--frames", type=common.positive, default=48, help="of each clip")
    parser.add_argument("--start", type=int, default=0, help="the first of them")
    parser.add_argument("--size", type=common.positive, default=512, help="long side of what is coloured and measured")
    parser.add_argument("--only", default="", help="part of the names of the clips, several with commas")
    parser.add_argument("--threads", type=common.positive, default=1, help="of OpenCV")
    parser.add_argument("--grey", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(arguments.threads)
    colorizer = Colorizer.from_checkpoint(arguments.ckpt)
    names = arguments.only.split(",")
    paths = [path for path in sorted(arguments.clips.iterdir()) if path.suffix in FILMS and any(n in path.name for n in names)]
    common.table("clip", "colours", "warp", "CDC", "PSNR", "dE", "colour", "frames/s")
    beside = [look_at(path, colorizer, arguments) for path in paths]
    for name in beside[0]:
        values = [one[name] for one in beside]
        print(f"{name}: mean {np.mean(values):.3f}, worst {max(values):.3f}, least {min(values):.3f}")


if __name__ == "__main__":
    main()
