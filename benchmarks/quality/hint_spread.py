"""Where one hint's colour goes: over its object, and no farther.

    python benchmarks/quality/hint_spread.py --photos=UNSEEN [--ckpt=pretrained] [--show=20] [--out=hint_spread.png]

On 20 photographs one object each was outlined by hand (`objects.json`: their names below UNSEEN, the hint's point, polygons in
pixels). The hint asks first for another hue than the network paints there, then for the true colour. For each way in which
hints reach ("soft", "object") a row says:

  Delta E at it   between the hint and the 8-bit copy at its point, at the photograph's lightness: the median, the largest
  hint_spread     share of all that changed (ab, summed over pixels) that lies inside the object: the mean, the least
  filled          how far the object has gone to the hint's colour, mean over its pixels: 1 is all the way
  in, out         Delta E of the copy to the truth inside the object and outside, the hint telling the true colour

`--out` shows the first `--show`: without colour, as the network paints it, with the hint (another hue) in each way, and what
changed.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common
from benchmarks.quality.sets import grey_of
from colorjax import Colorizer, photos
from colorjax.science import color
from colorjax.science.hints import OBJECT, SOFT, Hint

SIDE = 240  # of what is shown
TURNS = (0.5, 1.0, 1.5)  # half circles, by which the hue asked for differs
CHROMA = 30.0  # at least, of the colour asked for


def inside(about: dict, size: tuple[int, int]) -> np.ndarray:
    """The object, (H, W) bool."""
    mask = Image.new("1", size)
    for key, fill in (("object", 1), ("without", 0)):
        for polygon in about.get(key, ()):
            ImageDraw.Draw(mask).polygon([tuple(point) for point in polygon], fill=fill)
    return np.asarray(mask)


def lab_of(rgb: np.ndarray) -> np.ndarray:
    return color.rgb_to_lab(rgb.astype(np.float32) / 255)


def levels(lightness: float, ab: np.ndarray) -> tuple[int, int, int]:
    """The colour of this lightness, as far as sRGB has it."""
    rgb = color.lab_to_rgb(color.fit_to_gamut(np.float32([lightness, *ab])))
    return tuple(int(level) for level in np.round(np.clip(rgb, 0, 1) * 255))


def another(lab: np.ndarray, turn: float) -> tuple[int, int, int]:
    """A colour of another hue at this lightness."""
    hue = np.arctan2(lab[2], lab[1]) + turn * np.pi
    return levels(lab[0], max(CHROMA, np.hypot(*lab[1:])) * np.array([np.cos(hue), np.sin(hue)]))


def measured(plain: np.ndarray, copy: np.ndarray, truth: np.ndarray, mask: np.ndarray, hint: Hint) -> list[float]:
    """Delta E at the hint, hint_spread, filled, Delta E inside and outside. Pictures: Lab."""
    change = copy[..., 1:] - plain[..., 1:]
    size = np.linalg.norm(change, axis=-1)
    at, wanted = copy[hint.y, hint.x], lab_of(np.array(hint.rgb))
    way = wanted[1:] - plain[hint.y, hint.x, 1:]
    met = color.delta_e_2000(np.float32([at[0], *wanted[1:]]), at)
    off = color.delta_e_2000(copy, np.concatenate([copy[..., :1], truth[..., 1:]], axis=-1))
    filled = (change[mask] @ way / max(way @ way, 1)).mean()
    return [float(met), size[mask].sum() / max(size.sum(), 1e-6), filled, off[mask].mean(), off[~mask].mean()]


def shown(cells: list[np.ndarray], hint: Hint) -> np.ndarray:
    """A row of the figure."""
    row = []
    for cell in cells:
        picture = Image.fromarray(cell).convert("RGB")
        ImageDraw.Draw(picture).ellipse((hint.x - 3, hint.y - 3, hint.x + 3, hint.y + 3), fill=hint.rgb, outline="white")
        row.append(np.asarray(picture.resize((SIDE, SIDE * 2 // 3), Image.Resampling.BICUBIC)))
    return np.concatenate(row, axis=1)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--ckpt", default="pretrained")
    parser.add_argument("--objects", type=Path, default=Path(__file__).with_name("objects.json"))
    parser.add_argument("--show", type=common.positive, default=20)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    paint, rng, rows = Colorizer.from_checkpoint(args.ckpt), np.random.default_rng(0), []
    found: dict[str, dict[str, list]] = {reach: {"other": [], "true": []} for reach in (SOFT, OBJECT)}
    for name, about in json.loads(args.objects.read_text()).items():
        rgb = np.asarray(Image.open(args.photos / name).convert("RGB"))
        grey, mask, truth = grey_of(rgb), inside(about, rgb.shape[1::-1]), lab_of(rgb)
        without = paint(grey)
        plain, (x, y) = lab_of(without), about["hint"]
        near = truth[y - 2 : y + 3, x - 2 : x + 3].mean((0, 1))
        asked = {"other": another(plain[y, x], rng.choice(TURNS)), "true": levels(plain[y, x, 0], near[1:])}
        cells = [grey, without]
        for reach, kinds in found.items():
            for kind, values in kinds.items():
                hint = Hint(x, y, asked[kind], reach)
                copy = paint(grey, [hint])
                values.append(measured(plain, lab_of(copy), truth, mask, hint))
                if kind == "other":
                    change = np.linalg.norm((lab_of(copy) - plain)[..., 1:], axis=-1)
                    cells += [copy, np.clip(change * 6, 0, 255).astype(np.uint8)]
        if len(rows) < args.show:
            rows.append(shown(cells, Hint(x, y, asked["other"])))
    common.table("reach", "Delta E at it", "hint_spread", "filled", "in", "out")
    for reach, kinds in found.items():
        other, true = (np.array(kinds[kind]) for kind in ("other", "true"))
        cells = [f"{np.median(other[:, 0]):.2f}, {other[:, 0].max():.2f}"]
        cells += [f"{other[:, 1].mean():.2f}, {other[:, 1].min():.2f}"]
        cells += [f"{mean:.2f}" for mean in (other[:, 2].mean(), *true.mean(0)[3:])]
        common.row(reach, *cells)
    if args.out:
        with photos.atomic(args.out) as stream:
            Image.fromarray(np.concatenate(rows)).save(stream, "PNG")
        print(f"written: {args.out}")


if __name__ == "__main__":
    main()
