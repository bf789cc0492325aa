"""How often `colorjax.science.toning` is right: photographs in colour, prints made of them, their inverses, old photographs.

python benchmarks/quality/toning.py ../shared/unseen --old ../shared/legacy --half 1
"""

import argparse
import csv
import hashlib
import io
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from colorjax import photos
from colorjax.science import color, toning

SIDE = 384  # pixels of the longer side of a print
PRINTS = ("grey", "sepia", "cyanotype", "faded", "split", "stained", "with a colour card")
CARD = [(0, 80, 160), (0, 150, 60), (230, 200, 0), (200, 30, 40), (200, 40, 120), (250, 250, 250), (120, 80, 50), (20, 20, 20)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path, help="a folder with a manifest.tsv: columns file and source_repo")
    parser.add_argument("--old", type=Path, help="photographs that are in colour as good as never")
    parser.add_argument("--half", type=int, default=0, help="0: for choosing the rules; 1: for the figures that are reported")
    parser.add_argument("--prints", type=int, default=200, help="of so many photographs")
    args = parser.parse_args()
    found = [path for _, path in photos.find([args.photographs]) if _half(path) == args.half]
    with open(args.photographs / "manifest.tsv", newline="") as stream:
        sources = {row["file"]: row["source_repo"] for row in csv.DictReader(stream, delimiter="\t")}
    rng, areas, scores = np.random.default_rng(args.half), defaultdict(list), defaultdict(lambda: defaultdict(list))
    for path in found:
        image = photos.read_rgb(path)
        areas["in colour"].append(toning.colour_area(image))
        _note(scores["photographs"], scores["negatives"], sources.get(path.relative_to(args.photographs).as_posix(), ""), image)
    for path in found[:: max(1, len(found) // args.prints)]:
        picture = Image.fromarray(photos.read_rgb(path))
        picture.thumbnail((SIDE, SIDE))
        for kind in PRINTS:
            areas[kind].append(toning.colour_area(printed(np.asarray(picture), kind, rng)))
    for _, path in photos.find([args.old]) if args.old else ():
        image = photos.read_rgb(path)
        areas["old"].append(toning.colour_area(image))
        _note(scores["old"], scores["old, inverted"], "all", image)
    for kind, values in areas.items():
        print(f"{kind:20} {len(values):5} of them told as in colour: {np.mean(np.array(values) > toning.IN_COLOUR):7.2%}")
    for kind, groups in scores.items():
        values = np.concatenate([*groups.values()])
        together = sum(toning.are_negatives(group) for group in groups.values())
        told = f"told as negatives: {np.mean(values > toning.NEGATIVE):7.2%}, likelier so: {np.mean(values > 0):7.2%}"
        print(f"{kind:20} {len(values):5} of them {told}; {together} of {len(groups)} sources")


def _half(path):
    return hashlib.sha256(path.name.encode()).digest()[0] % 2


def _note(upright, inverted, group, image):
    grey = np.asarray(Image.fromarray(image).convert("L"))
    upright[group].append(toning.negative_score(grey))
    inverted[group].append(toning.negative_score(255 - grey))


def printed(rgb, kind, rng):
    """A print of a photograph (H, W, 3) uint8, with grain, as a JPEG."""
    grey = np.asarray(Image.fromarray(rgb).convert("L"), np.float32) / 255
    lightness = color.grey_to_lightness(grey)
    light, (rows, columns) = lightness / 100, np.mgrid[: grey.shape[0], : grey.shape[1]] / max(grey.shape)
    away = np.hypot(columns - rng.uniform(0, 1), rows - rng.uniform(0, 1))
    ab = {
        "grey": lambda: along(0, 0 * light),
        "sepia": lambda: along(rng.uniform(50, 85), rng.uniform(8, 30) * (4 * light * (1 - light)) ** 0.7),
        "cyanotype": lambda: along(
            rng.uniform(240, 280), rng.uniform(20, 45) * (1 - light) ** 0.6 * np.clip(5 * light, 0.3, 1)
        ),
        "faded": lambda: along(rng.uniform(65, 95), rng.uniform(6, 20) * (0.7 + 0.8 * away) * (0.4 + 0.6 * light)),
        "split": lambda: (
            along(rng.uniform(50, 90), rng.uniform(8, 18) * light)
            + along(rng.uniform(230, 290), rng.uniform(8, 18) * (1 - light))
        ),
        "stained": lambda: along(66, 6 + 14 * np.exp(-((4 * away) ** 2))),
    }["sepia" if kind == "with a colour card" else kind]()
    lightness = 15 + 0.7 * lightness if kind == "faded" else lightness
    lab = np.concatenate([lightness[..., None], ab], axis=-1).astype(np.float32)
    pixels = color.lab_to_rgb(color.fit_to_gamut(lab.reshape(-1, 3))).reshape(lab.shape) * 255
    pixels = np.clip(np.round(pixels + rng.normal(0, 3, pixels.shape)), 0, 255).astype(np.uint8)
    if kind == "with a colour card":
        width = pixels.shape[1]
        pixels[-(len(pixels) // 12) :] = np.repeat(np.array(CARD, np.uint8), -(-width // len(CARD)), 0)[:width]
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=int(rng.integers(50, 95)))
    return np.asarray(Image.open(stream).convert("RGB"))


def along(hue, chroma):
    """ab of one hue, in degrees."""
    return chroma[..., None] * np.array([np.cos(np.radians(hue)), np.sin(np.radians(hue))])


if __name__ == "__main__":
    main()
