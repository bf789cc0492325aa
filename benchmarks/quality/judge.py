"""What a network does as people meet it: photographs go through `Colorizer`, and the copies are compared with the truth.

    python benchmarks/quality/judge.py --ckpt=DIR --photos=DIR
        [--half=choosing|final | --held-out-of=WORKDIR | --held-out[=0.1] | --names=LIST.json]
        [--every=N [--first=M]] [--size=N] [--flip]
        [--lpips=WEIGHTS] [--aims=unseen|plates] [--skin-group=people] [--out=FOLDER]

Photographs are read, cropped and left out (unreadable, tiny, grey) as evaluate.py does it: the middle square at 256 pixels.
The first-level folders of `--photos` are their groups. `Colorizer` gets the grey in 8 bits, as of a scan. The colour of its
8-bit copy is measured at the true lightness by `metrics.compare`, and with `--lpips` by LPIPS(alex). Beside it stands the grey
picture. Intervals are those of evaluate.py: 95 %, bootstrap over photographs.

Which photographs: all below `--photos`, unless one of these chooses.
  --half         one half of them, by a hash of each name: the one to choose networks by, or the one for the end (`sets.py`)
  --held-out-of  those that a run kept for validation, by its photographs.json; `--photos` is the folder that it was trained on
  --held-out     those that the hash of their names holds out of training, at that fraction
  --names        a list of names below `--photos`
  --every        each N-th of them, in the order of names, from the first-th on (`--first`, 0 to N - 1)

Aims: how much nearer to the truth than the grey picture the release wants to be, on photographs of sources that nothing was
trained on (`unseen`) or on plates of 1905 to 1915 (`plates`). The groups people, animals and scenery each are to reach two
thirds of what all are to gain. `met` asks for the mean, `whole interval` for all of the interval.

Skin: in the photographs of `--skin-group`, how far pixels that look like skin are off, by their lightness (`skin.py`). It has
aims of its own: in all, and of each third of the lightness.

`--out` gets judge.json, without names of photographs.
"""

import argparse
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common
from benchmarks.quality import sets, skin
from colorjax import Colorizer, photos
from colorjax.data import pipeline, prepare, roster, sources
from colorjax.evaluation import evaluators
from colorjax.inference.colorizer import NoColorError
from colorjax.networks import perceptual
from colorjax.science import color, metrics
from configs import base

SIDE = 256
GREY, NETWORK = "grey", "network"
SHOWN = ("psnr", "ssim", "ssim_ab", "l1", "delta_e", "colourfulness_ratio", "bias_b", "lpips_alex")
# set of photographs: metric: (lowest, highest) that the release may have; those of FROM_GREY are beside the grey picture's
AIMS: dict[str, dict[str, tuple[float | None, float | None]]] = {
    "unseen": {
        "psnr_gain": (1.5, None),
        "delta_e_gain": (2.0, None),
        "lpips_of_grey": (None, 0.8),
        "colourfulness_ratio": (0.7, 1.05),
    },
    "plates": {"psnr_gain": (2.2, None), "delta_e_gain": (2.4, None)},
}
FROM_GREY = {"psnr_gain": 0.0, "delta_e_gain": 0.0, "lpips_of_grey": 1.0}  # what the grey picture has of these
AIMED_GROUPS, GROUP_SHARE = ("people", "animals", "scenery"), 2 / 3  # of the way from grey to the aim
SKIN_AIMS = {"all": 10.0, "dark": 11.0, "middle": 11.0, "light": 11.0}  # the largest mean chroma error, Lab units
HEADINGS = evaluators.HEADINGS | {
    "psnr_gain": ("PSNR above grey's, dB", 2),
    "delta_e_gain": ("Delta E below grey's", 2),
    "lpips_of_grey": ("LPIPS (alex) over grey's", 3),
    "error": ("mean chroma error", 2),
}


def chosen(args: argparse.Namespace, names: list[str]) -> np.ndarray:
    """Places in `names` of the photographs to measure."""
    if args.held_out_of:
        known = roster.read(args.held_out_of / "photographs.json")
        wanted = [known.names[index] for index in range(known.training, len(known.names))]
    elif args.half:
        wanted = [truth.relative_to(args.photos).as_posix() for truth, *_ in sets.pairs(str(args.photos), args.half, 1)]
    elif args.names:
        wanted = json.loads(args.names.read_text())
    elif args.held_out:
        wanted = [names[index] for index in np.flatnonzero(pipeline.split(names, args.held_out))]
    else:
        wanted = names
    place = {name: index for index, name in enumerate(names)}
    if missing := sum(name not in place for name in wanted):
        raise ValueError(f"{missing} of the {len(wanted)} photographs asked for are not below {args.photos}")
    return np.array([place[name] for name in sorted(set(wanted))], np.int64)[args.first :: args.every]


class Judge:
    """Colours photographs one by one and keeps what was measured; rows of values: NETWORK, GREY."""

    def __init__(self, colorizer: Colorizer, lpips: perceptual.Perceptual | None):
        self.colorizer, self.without_colour = colorizer, 0
        self.weights = lpips.weights if lpips else None
        self.rows: list[dict[str, np.ndarray]] = []

        @jax.jit
        def measured(luma, pred, target, weights):
            values = metrics.compare(luma, pred, target)
            if lpips:
                pictures = (color.lab_to_rgb(metrics.to_lab(luma, chroma)) for chroma in (pred, target))
                values["lpips_alex"] = lpips.distance(weights, *pictures)
            return values

        self.measured = measured

    def see(self, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Measure a square (h, w, 3) uint8 -> its true Lab and the ab of its copy."""
        lab = color.rgb_to_lab(rgb / np.float32(255))
        grey = np.round(color.lightness_to_grey(lab[..., 0]) * 255).astype(np.uint8)
        try:
            ab = color.rgb_to_lab(self.colorizer(grey) / np.float32(255))[..., 1:]
        except NoColorError:
            self.without_colour += 1
            ab = np.zeros_like(lab[..., 1:])
        luma, target = np.stack([(lab[..., :1] - 50) / 50] * 2), np.stack([lab[..., 1:] / metrics.CHROMA_SCALE] * 2)
        pred = np.stack([ab / metrics.CHROMA_SCALE, np.zeros_like(ab)])
        self.rows.append(jax.device_get(self.measured(*map(jnp.asarray, (luma, pred, target)), self.weights)))
        return lab, ab

    def tables(self, of: np.ndarray, groups: tuple[str, ...]) -> dict[str, dict]:
        """name -> group -> metric -> interval, of the network and of grey. of: the place of each photograph's group."""
        nothing = (np.zeros(0),) * 3
        tables = {}
        for row, name in enumerate((NETWORK, GREY)):
            values = {key: np.array([one[key][row] for one in self.rows]) for key in self.rows[0]}
            if name == NETWORK:
                for gain, metric, sign in (("psnr_gain", "psnr", 1), ("delta_e_gain", "delta_e", -1)):
                    values[gain] = np.array([sign * (one[metric][0] - one[metric][1]) for one in self.rows])
            tables[name] = evaluators.table(evaluators.Evaluation(values, of, np.arange(len(of)), nothing, np.zeros(0)), groups)
        if "lpips_alex" in self.rows[0]:
            pairs = np.array([one["lpips_alex"] for one in self.rows], np.float64)
            for group in tables[NETWORK]:
                pair = pairs if group == "all" else pairs[of == groups.index(group)]
                tables[NETWORK][group]["lpips_of_grey"] = skin.ratios(pair[:, :1], pair[:, 1])[0]
        return tables


def verdicts(table: dict[str, dict], skins: dict[str, dict], aims: str) -> dict[str, dict[str, dict]]:
    """group -> metric -> value, bounds, whether the mean is within them (met) and the whole interval is (surely).

    table: of the network, by group. skins: of `skin.by_lightness`. aims: of AIMS; the skin's are those of "unseen" alone.
    """
    found: dict[str, dict[str, dict]] = {}
    for group in ("all", *(name for name in AIMED_GROUPS if name in table)):
        found[group] = {}
        for metric, bounds in AIMS[aims].items():
            if metric not in table[group]:
                continue
            if group != "all" and (grey := FROM_GREY.get(metric)) is not None:
                bounds = tuple(None if end is None else grey + GROUP_SHARE * (end - grey) for end in bounds)
            found[group][metric] = verdict(table[group][metric], *bounds)
    for name in skins if aims == "unseen" else ():
        found[f"skin, {name}"] = {"error": verdict(skins[name]["error"], None, SKIN_AIMS[name])}
    return found


def verdict(value: dict[str, float], lowest: float | None, highest: float | None) -> dict:
    """An interval with its bounds, and whether it is within them."""
    least, most = -np.inf if lowest is None else lowest, np.inf if highest is None else highest
    surely = bool(least <= value["low"] and value["high"] <= most)
    return {"bounds": [lowest, highest], "met": bool(least <= value["mean"] <= most), "surely": surely} | value


def in_words(lowest: float | None, highest: float | None) -> str:
    """Bounds as the table tells them."""
    if lowest is None or highest is None:
        return f"at most {highest:.3g}" if lowest is None else f"at least {lowest:.3g}"
    return f"{lowest:.3g} to {highest:.3g}"


def cell(value: dict[str, float], places: int) -> str:
    return f"{value['mean']:.{places}f} [{value['low']:.{places}f}, {value['high']:.{places}f}]"


def show(report: dict) -> None:
    """Print the tables as Markdown."""
    rows = report["rows"]
    told = [metric for metric in SHOWN if metric in rows[NETWORK]["all"]]
    print()
    common.table("group", "photographs", "", *(evaluators.HEADINGS[metric][0] for metric in told))
    for group, values in rows[NETWORK].items():
        for name in (GREY, NETWORK):
            cells = [cell(rows[name][group][metric], evaluators.HEADINGS[metric][1]) for metric in told]
            common.row(group, values["pictures"], name, *cells)
    print()
    common.table("group", "aim", "bounds", "measured", "met", "whole interval")
    for group, aims in report["aims"].items():
        for metric, aim in aims.items():
            heading, places = HEADINGS[metric]
            answers = ("yes" if aim[key] else "no" for key in ("met", "surely"))
            common.row(group, heading, in_words(*aim["bounds"]), cell(aim, places), *answers)
    if not report["skin"]:
        return
    print()
    common.table("skin-like pixels", "L*", "pixels", "photographs", *skin.MEASURED.values())
    for name, of in report["skin"].items():
        lightness, cells = " to ".join(map(str, of["lightness"])), (cell(of[key], 2) for key in skin.MEASURED)
        common.row(name, lightness, f"{of['pixels']:,}", of["photographs"], *cells)


def judge(args: argparse.Namespace) -> dict:
    """What `--out` gets."""
    data = base.get_config().data
    data.dir = str(args.photos)
    source = sources.folder(data)
    indices = chosen(args, list(source.names))
    store = prepare.Store(source, np.full(len(source), SIDE))
    lpips = perceptual.lpips("alex", args.lpips) if args.lpips else None
    colorizer = Colorizer.from_checkpoint(args.ckpt, args.size, flip=args.flip)
    one, left_out, of, skin_counts = Judge(colorizer, lpips), {}, [], []
    for index in tqdm(indices.tolist(), unit="photograph", disable=None):
        try:
            facts, pixels = store.prepare(index)
            why = "tiny" if facts.short_side < data.min_size else "grey" if facts.chroma < data.min_chroma else ""
        except photos.PhotoError as error:
            why = error.kind
        if why:
            left_out[why] = left_out.get(why, 0) + 1
            continue
        top, left = ((side - SIDE) // 2 for side in pixels.shape[:2])
        square = pixels[top : top + SIDE, left : left + SIDE]
        lab, ab = one.see(square)
        of.append(source.groups[index])
        if of[-1] == args.skin_group:
            skin_counts.append(skin.counted(square, lab, ab))
    if not of:
        raise ValueError(f"no photograph to measure below {args.photos}; left out: {left_out or 'none'}")
    groups = tuple(sorted(set(of)))
    rows = one.tables(np.array([groups.index(group) for group in of]), groups)
    settings = {"size": colorizer.size, "flip": args.flip, "side": SIDE, "engine": colorizer.engine.name}
    report = {"photographs": len(of), "left_out": left_out, "without_colour": one.without_colour, "settings": settings}
    skin_table = skin.by_lightness(np.stack(skin_counts)) if skin_counts else {}
    return report | {"rows": rows, "aims": verdicts(rows[NETWORK], skin_table, args.aims), "skin": skin_table}


def _share(text: str) -> float:
    if not 0 < float(text) < 1:
        raise argparse.ArgumentTypeError("must be between 0 and 1")
    return float(text)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--ckpt", required=True, help="a workdir, checkpoints/STEP, an exported folder, or pretrained")
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photographs; first-level folders are groups")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--half", choices=("choosing", "final"), help="the one to choose networks by, or the one for the end")
    which.add_argument("--held-out-of", type=Path, metavar="WORKDIR", help="those that this run was validated on")
    which.add_argument("--held-out", type=_share, nargs="?", const=0.1, metavar="FRACTION", help="those held out by their hash")
    which.add_argument("--names", type=Path, help="JSON: a list of names below --photos")
    parser.add_argument("--every", type=common.positive, default=1, help="of those, each so many")
    parser.add_argument("--first", type=int, default=0, help="from this one on, 0 to `every` - 1")
    parser.add_argument("--size", type=int, help="the working size (default: that of the training)")
    parser.add_argument("--flip", action="store_true", help="average with the answer for the mirrored photograph")
    parser.add_argument("--lpips", help="weights of LPIPS(alex): a folder, or files separated by commas")
    parser.add_argument("--aims", choices=AIMS, default="unseen", help="of which photographs the aims are told")
    parser.add_argument("--skin-group", default="people")
    parser.add_argument("--out", type=Path, help="a folder for judge.json")
    args = parser.parse_args()
    try:
        report = judge(args)
    except (ValueError, OSError) as error:
        sys.exit(f"judge.py: {error}")
    left_out = ", ".join(f"{count} {why}" for why, count in sorted(report["left_out"].items())) or "none"
    print(f"{report['photographs']} photographs; left out: {left_out}; left grey by the network: {report['without_colour']}")
    show(report)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        with photos.atomic(args.out / "judge.json") as stream:
            stream.write(json.dumps(report, indent=1).encode())
        print(f"\nwritten: {args.out / 'judge.json'}")


if __name__ == "__main__":
    main()
