"""How far off a network's colours are where it says how far they may be: the table behind `Colorizer.uncertainty`.

    python benchmarks/quality/calibrate.py --ckpt=DIR --photos=UNSEEN [--pictures=150] [--out=curve.svg] [--only-check]

The table is made of the choosing half of UNSEEN (by a hash of each name, as `sets.py` has it) and written as calibration.json
into the released folder; `--ckpt=pretrained` is that inside the package. Run it again whenever the weights are others.

The other half then says whether it holds: pixels are sorted by what is said of them, and each tenth has a row: said, and the
mean error. `--out` shows both as a curve. The error is the distance of ab (Lab units) between the copy, as `colorjax colorize`
makes it of the grey photograph, and the truth.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.optimize import isotonic_regression
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common
from benchmarks.quality import sets
from colorjax import Colorizer, checkpoint, photos
from colorjax.checkpoint import shipped
from colorjax.inference import doubts
from colorjax.inference.colorizer import NoColorError
from colorjax.inference.pixels import resized
from colorjax.science import color

STEPS, ROWS, EVERY = 24, 10, 3  # of the table; of the check; of pixels along each side


def without_table(folder: Path) -> checkpoint.Network:
    """The network of a released folder, whatever table lies beside it: it may be of other weights."""
    with tempfile.TemporaryDirectory() as bare:
        shutil.copytree(folder, bare, ignore=shutil.ignore_patterns(checkpoint.CALIBRATION), dirs_exist_ok=True)
        return checkpoint.load(bare)


def seen(colorizer: Colorizer, folder: Path, half: str, pictures: int) -> np.ndarray:
    """(2, n): what is said of pixels, as it is, and how far they are off."""
    paths = [path for path, *_ in sets.pairs(str(folder), half, 1)]
    chosen = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, pictures).astype(int))]
    found = []
    for path in tqdm(chosen, disable=None, desc=half):
        rgb = sets.square(path, 256)
        grey = sets.grey_of(rgb)
        try:
            copy = colorizer(grey)
        except NoColorError:
            continue
        off = np.linalg.norm(np.subtract(*(color.rgb_to_lab(one / np.float32(255))[..., 1:] for one in (copy, rgb))), axis=-1)
        said = resized(colorizer.uncertainty(grey, calibrated=False)[..., None], off.shape)[..., 0]
        found.append(np.stack([said, off])[:, ::EVERY, ::EVERY].reshape(2, -1))
    return np.concatenate(found, axis=1)


def by_said(said: np.ndarray, off: np.ndarray, count: int) -> np.ndarray:
    """(count, 2): means of so many groups of equally many pixels, from the least said to the most."""
    order = np.argsort(said)
    return np.array([(said[group].mean(), off[group].mean()) for group in np.array_split(order, count)])


def table_of(said: np.ndarray, off: np.ndarray) -> dict[str, list[float]]:
    """The mean error by what is said; where more is said, it is not less."""
    groups = by_said(said, off, STEPS)
    error = isotonic_regression(groups[:, 1]).x
    return {"said": [round(float(x), 3) for x in groups[:, 0]], "error": [round(float(x), 3) for x in error]}


def curve(rows: np.ndarray, path: Path) -> None:
    """Said against error."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(4.2, 4.2), layout="constrained")
    most = 1.1 * rows.max()
    axes.fill_between([0, most], [0, 0.85 * most], [0, 1.15 * most], color="0.9", label="within 15 %")
    axes.plot(*rows.T, "o-", color="#5a2d82", label="measured")
    axes.set(xlim=(0, most), ylim=(0, most), xlabel="said to be off by (Lab units of ab)", ylabel="off by, on average")
    axes.legend(frameon=False)
    with photos.atomic(path) as stream:
        figure.savefig(stream, format=path.suffix.removeprefix(".") or "svg", metadata={"Date": None})


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--ckpt", required=True, help="a released folder, or pretrained")
    parser.add_argument("--photos", type=Path, required=True, help="colour photographs that nothing was trained on")
    parser.add_argument("--pictures", type=common.positive, default=150, help="of each half, at most")
    parser.add_argument("--out", type=Path, help="a figure, as reliability.svg")
    parser.add_argument("--only-check", action="store_true", help="write no table: check the one that is there")
    args = parser.parse_args()
    folder = shipped.FOLDER if args.ckpt == checkpoint.PRETRAINED else Path(args.ckpt)
    if not (folder / checkpoint.CONFIG).is_file():
        sys.exit(f"calibrate.py: {folder} is no released folder; colorjax export makes one")
    if not all(sets.pairs(str(args.photos), half, 1) for half in ("choosing", "final")):
        sys.exit(f"calibrate.py: {args.photos} holds no photographs, or too few to have two halves")
    if args.only_check and not (folder / checkpoint.CALIBRATION).is_file():
        sys.exit(f"calibrate.py: {folder} has no {checkpoint.CALIBRATION} to check; without --only-check it gets one")
    colorizer = Colorizer(checkpoint.load(folder) if args.only_check else without_table(folder))
    table = colorizer.network.calibration
    if not args.only_check:
        said, off = seen(colorizer, args.photos, "choosing", args.pictures)
        table = table_of(said, off) | {"weights": colorizer.network.digest, "pixels": int(said.size)}
        with photos.atomic(folder / checkpoint.CALIBRATION) as stream:
            stream.write(json.dumps(table | {"measure": "mean distance of ab, Lab units"}, indent=1).encode() + b"\n")
    said, off = seen(colorizer, args.photos, "final", args.pictures)
    rows = by_said(doubts.calibrated(said, table), off, ROWS)
    common.table("said to be off by", "off by", "off / said")
    for told, met in rows:
        common.row(f"{told:.2f}", f"{met:.2f}", f"{met / told:.2f}")
    print(f"\nall: said {rows[:, 0].mean():.2f}, off by {rows[:, 1].mean():.2f}; uncalibrated {said.mean():.2f}")
    print(
        f"rank correlation over pixels: {spearman(said, off):.2f}; worst row: {np.abs(rows[:, 1] / rows[:, 0] - 1).max():.0%}"
    )
    if args.out:
        curve(rows, args.out)


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    ranks = (np.argsort(np.argsort(values)) for values in (one, other))
    return float(np.corrcoef(*ranks)[0, 1])


if __name__ == "__main__":
    main()
