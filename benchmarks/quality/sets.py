"""How good networks are on photographs of sources that nothing was trained on, at equal colourfulness.

    python benchmarks/quality/sets.py --ckpt=pretrained --ckpt=runs/new --set unseen=UNSEEN \\
        --set plates=PLATES/colour --set blue=PLATES/colour,PLATES/blue

Who paints bolder loses in PSNR and Delta E whatever it knows, so that networks are compared at the same mean colourfulness:
each answer's chroma is scaled by one factor for the whole set, found for each of `--ratios` (of the truth's colourfulness).

Every photograph is coloured as `colorjax colorize` does it: its middle square, at most `--side` pixels, made grey, 8 bits. A
set is a folder, or a folder of true pictures and one of grey ones with the same names, whose lightness the network sees.

`--half choosing` and `--half final` are the two halves of a set by a hash of each name; the second is for the end. The first
is what a training with `data.val_dir` and `data.val_fraction=0.5` validates on.
`+-` is the standard error of the difference to the first network, paired. `--out` gets sets.json.
"""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common
from colorjax import Colorizer
from colorjax.data.sources import VALIDATION_SALT, unit_hash
from colorjax.inference import pixels
from colorjax.inference.colorizer import NoColorError, Prediction
from colorjax.science import color, metrics

FACTORS = (0.0, 0.6, 0.8, 1.0, 1.25, 1.6, 2.0, 2.6, 3.4)
HALVES = {"all": (0.0, 1.0), "choosing": (0.0, 0.5), "final": (0.5, 1.0)}
TOLD = ("psnr", "delta_e")


@jax.jit
def measured(rgb, rgb_true):
    """Of pictures (B, H, W, 3) uint8, one value each."""
    rgb, rgb_true = rgb.astype(jnp.float32) / 255, rgb_true.astype(jnp.float32) / 255
    lab, lab_true = color.rgb_to_lab(rgb), color.rgb_to_lab(rgb_true)
    bias = (lab - lab_true)[..., 1:].mean((1, 2))
    return {
        "psnr": -10 * jnp.log10(jnp.maximum(((rgb - rgb_true) ** 2).mean((1, 2, 3)), 1e-10)),
        "delta_e": color.delta_e_2000(lab, lab_true).mean((1, 2)),
        "colourfulness": metrics.colourfulness(rgb),
        "true": metrics.colourfulness(rgb_true),
        "bias_a": bias[:, 0],
        "bias_b": bias[:, 1],
    }


def square(path: Path, side: int) -> np.ndarray:
    """The middle square, (s, s, 3) uint8, of at most `side` pixels."""
    with Image.open(path) as image:
        image = image.convert("RGB")
        short = min(image.size)
        left, top = (image.width - short) // 2, (image.height - short) // 2
        image = image.crop((left, top, left + short, top + short))
        return np.asarray(image.resize((side, side), Image.Resampling.LANCZOS) if short > side else image)


def grey_of(rgb: np.ndarray) -> np.ndarray:
    """(H, W) uint8 of the same lightness."""
    lightness = color.rgb_to_lab(rgb.astype(np.float32) / 255)[..., 0]
    return np.round(color.lightness_to_grey(lightness) * 255).astype(np.uint8)


def see(colorizer: Colorizer, rgb: np.ndarray, seen: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics of a photograph at each of FACTORS, (len(FACTORS),) each."""
    grey = grey_of(rgb)
    try:
        answer = colorizer.predict(seen)
    except NoColorError:
        answer = Prediction(np.zeros((8, 8), np.float32), np.zeros((8, 8, 2), np.float32))
    if not np.array_equal(seen, grey):  # its colours are laid on another lightness, whose edges they must follow
        shape = answer.lightness.shape
        answer = answer._replace(lightness=pixels.lightness(pixels.small_grey(grey, shape)))
    copies = [colorizer.paint(grey, Prediction(answer.lightness, answer.ab * np.float32(factor))) for factor in FACTORS]
    return jax.device_get(measured(np.stack(copies), np.stack([rgb] * len(FACTORS))))


def at_ratio(values: dict[str, np.ndarray], ratio: float | None) -> dict[str, np.ndarray]:
    """Each photograph's metrics, (n,), where the set's mean colourfulness is this share of the truth's; None: as they are."""
    ratios = values["colourfulness"].mean(0) / values["true"].mean(0)
    factor = 1.0 if ratio is None else float(np.interp(ratio, ratios, FACTORS))
    of = {name: np.array([np.interp(factor, FACTORS, row) for row in value]) for name, value in values.items()}
    return of | {"factor": factor, "ratio": float(np.interp(factor, FACTORS, ratios))}


def pairs(spec: str, half: str, every: int, first: int = 0) -> list[tuple[Path, Path, str]]:
    """(truth, what is seen, group) of the photographs of a set: of a half each so many, from the first-th on."""
    folders = [Path(part).expanduser() for part in spec.split(",")]
    names = sorted(path.relative_to(folders[0]) for path in folders[0].rglob("*") if path.suffix in (".webp", ".jpg", ".png"))
    low, high = HALVES[half]
    names = [name for name in names if low <= unit_hash(name.as_posix(), VALIDATION_SALT) < high][first::every]
    return [(folders[0] / name, folders[-1] / name, name.parts[0] if len(name.parts) > 1 else "all") for name in names]


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--ckpt", action="append", required=True, help="again for more networks")
    parser.add_argument("--set", action="append", required=True, dest="sets", metavar="NAME=FOLDER[,SEEN]")
    parser.add_argument("--ratios", default="0.5,0.65,0.8", help="shares of the true colourfulness to compare at")
    parser.add_argument("--half", default="choosing", choices=HALVES, help="which half of each set, or all")
    parser.add_argument("--every", type=common.positive, default=1, help="of each set, each so many")
    parser.add_argument("--first", type=int, default=0, help="from this one on, 0 to `every` - 1")
    parser.add_argument("--side", type=common.positive, default=256, help="of the squares, in pixels")
    parser.add_argument("--size", type=common.positive, help="the working size (default: that of the training)")
    parser.add_argument("--flip", action="store_true", help="average with the answer for the mirrored photograph")
    parser.add_argument("--groups", action="store_true", help="each group, too")
    parser.add_argument("--out", type=Path, help="a folder for sets.json")
    args = parser.parse_args()
    colorizers = {ckpt: Colorizer.from_checkpoint(ckpt, args.size, flip=args.flip) for ckpt in args.ckpt}
    report = {}
    common.table("set", "n", "network", "own ratio", "at", "factor", "PSNR", "Delta E", "bias a*, b*")
    for spec in args.sets:
        name, _, folders = spec.partition("=")
        photographs = pairs(folders, args.half, args.every, args.first)
        rows = {ckpt: [] for ckpt in colorizers}
        for truth, seen, _ in tqdm(photographs, disable=None, desc=name):
            rgb = square(truth, args.side)
            shown = grey_of(rgb if seen == truth else square(seen, args.side))
            for ckpt, colorizer in colorizers.items():
                rows[ckpt].append(see(colorizer, rgb, shown))
        groups = {name: np.ones(len(photographs), bool)}
        if args.groups:
            of = np.array([group for *_, group in photographs])
            groups |= {f"{name}/{group}": of == group for group in sorted(set(of))}
        for label, chosen in groups.items():
            tell(label, rows, chosen, [None, *map(float, args.ratios.split(","))], report)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "sets.json").write_text(json.dumps(report, indent=1))


def tell(label: str, rows: dict, chosen: np.ndarray, ratios: list, report: dict) -> None:
    """Rows of the table for those photographs of a set that are `chosen`; and what `--out` gets, into the report."""
    first: dict = {}
    for ckpt, seen in rows.items():
        values = {key: np.stack([row[key] for row in seen])[chosen] for key in seen[0]}
        if not first:
            common.row(label, chosen.sum(), "grey", 0, "", "", *(f"{values[key][:, 0].mean():.2f}" for key in TOLD), "")
        found = {ratio: at_ratio(values, ratio) for ratio in ratios}
        for ratio, of in found.items():
            cells = [against(of[key], first[ratio][key] if first else None) for key in TOLD]
            bias = ", ".join(f"{of[key].mean():+.1f}" for key in ("bias_a", "bias_b"))
            own = f"{found[None]['ratio']:.2f}"
            at = "own" if ratio is None else str(ratio) if abs(of["ratio"] - ratio) < 0.01 else f"{ratio} out of reach"
            common.row(label, chosen.sum(), ckpt, own, at, f"{of['factor']:.2f}", *cells, bias)
            means = {key: float(np.mean(value)) for key, value in of.items()}
            report.setdefault(label, {}).setdefault(str(ckpt), {})[str(ratio)] = means
        first = first or found


def against(values: np.ndarray, others: np.ndarray | None) -> str:
    """The mean, and its difference to that of others of the same photographs."""
    if others is None:
        return f"{values.mean():.2f}"
    off = values - others
    return f"{values.mean():.2f} ({off.mean():+.2f} +-{off.std() / len(off) ** 0.5:.2f})"


if __name__ == "__main__":
    main()
