"""Do the colours of a dissolve fade as its lightness does, or do they jump in its middle?

    python benchmarks/film/dissolves.py --clips=DIR [--ckpt=pretrained] [--pairs=ONE+OTHER,...] [--frames=24] [--out=SHEETS]

It mixes the end of one film in colour of DIR with the start of another, evenly in R', G' and B' over --frames frames, so that
the truth is known. Then it colours them twice: cut in the middle, and as a dissolve. The dissolve is the one that was found,
or, where none was, the true one.

* found, true: the dissolve, its first frame and the first behind it.
* jump: how far the mean a* and b* of the frames on both sides of the middle are apart, Lab units.
* dE: CIEDE2000 of the frames that are mixed.

--out: sheets of the dissolve, every third frame: above the truth, then cut in the middle, below the dissolve; and strips.
"""

import sys
from pathlib import Path

import av
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common
from benchmarks.film import steadiness
from colorjax import Colorizer
from colorjax.film import lists
from colorjax.film.steadying import find
from colorjax.science import color

PAIRS = "tennis+dog,bedroom+cockatoo,road_traffic+garden,bmx+road_traffic"
SHAPE = 288, 480  # of all films, so that they can be mixed
ALONE = 26  # frames before and after


def rgb_of(path: Path, count: int) -> np.ndarray:
    """The first frames, (n, H, W, 3) in 0..1."""
    frames = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            frames.append(cv2.resize(frame.to_ndarray(format="rgb24"), SHAPE[::-1], interpolation=cv2.INTER_AREA))
            if len(frames) == count:
                break
    return np.array(frames, np.float32) / 255


def mixed(one: np.ndarray, other: np.ndarray, length: int) -> list[np.ndarray]:
    """Lab of the frames of one, dissolving into the other."""
    share = (np.arange(1, length + 1, dtype=np.float32) / (length + 1))[:, None, None, None]
    between = (1 - share) * one[-length:] + share * other[:length]
    return [color.rgb_to_lab(frame) for frame in np.concatenate([one[:-length], between, other[length:]])]


def look_at(paths: list[Path], colorizer: Colorizer, length: int, out: Path | None) -> list[float]:
    """Colour a dissolve both ways and print its row; returns the jumps and the dE, cut and dissolved."""
    one, other = (rgb_of(path, ALONE + length) for path in paths)
    lab = mixed(one, other, length)
    true = len(one) - length, len(one)
    small = (cv2.resize(frame[..., 0], (160, 96), interpolation=cv2.INTER_AREA) for frame in lab)
    dissolves = find(np.round(frame * 2.55).astype(np.uint8) for frame in small).dissolves
    luma, truth = [frame[..., 0] for frame in lab], [frame[..., 1:] for frame in lab]
    ways = {"truth": truth}
    given = next((at for at in dissolves if at[0] < true[1] and at[1] > true[0]), true)
    middle = sum(given) // 2
    for name, found in (("cut", ()), ("dissolve", [given])):
        ways[name] = list(steadiness.as_film(luma, lists.of([middle], len(lab), found), colorizer))
    jumps = [float(np.hypot(*(ab[middle].mean((0, 1)) - ab[middle - 1].mean((0, 1))))) for ab in ways.values()]
    errors = [
        np.mean([color.delta_e_2000(np.dstack([luma[at], ab[at]])[::2, ::2], lab[at][::2, ::2]).mean() for at in range(*true)])
        for ab in list(ways.values())[1:]
    ]
    name = "+".join(path.stem for path in paths)
    found = ", ".join(f"{first}-{end}" for first, end in dissolves) or "none"
    common.row(name, found, f"{true[0]}-{true[1]}", *(f"{value:.2f}" for value in (*jumps, *errors)))
    if out:
        out.mkdir(parents=True, exist_ok=True)
        shown = {
            way: [color.lab_to_rgb(np.dstack([luma[at], ab[at]])) for at in range(true[0] - 3, true[1] + 4)]
            for way, ab in ways.items()
        }
        sheet = np.concatenate([np.concatenate(frames[::3], axis=1) for frames in shown.values()], axis=0)
        steadiness.save(sheet, out / f"{name}_sheet.jpg")
        steadiness.save(steadiness.strips(shown), out / f"{name}_strips.jpg")
    return [*jumps, *errors]


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--ckpt", default="pretrained")
    parser.add_argument("--pairs", default=PAIRS, help="parts of the names of two films, with a + between them")
    parser.add_argument("--frames", type=common.positive, default=24, help="of the dissolve")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    colorizer = Colorizer.from_checkpoint(arguments.ckpt)
    films = [path for path in sorted(arguments.clips.iterdir()) if path.suffix in steadiness.FILMS]
    common.table("films", "found", "true", "jump: truth", "cut", "dissolve", "dE: cut", "dissolve")
    rows = []
    for pair in arguments.pairs.split(","):
        paths = [next(path for path in films if name in path.stem) for name in pair.split("+")]
        rows.append(look_at(paths, colorizer, arguments.frames, arguments.out))
    common.row("mean", "", "", *(f"{value:.2f}" for value in np.mean(rows, axis=0)))


if __name__ == "__main__":
    main()
