"""How long a person waits for `colorjax colorize`, what it spends the time on, and how much memory it takes.

    python benchmarks/speed/colorize.py [--ckpt=DIR] [--engine=jax] [--large]

Each line is one run of the console command in a process of its own. Measured are wall-clock seconds from its start to its end,
the largest resident memory, and the share of time of its stages. Stages overlap, so they may add up to more than 1. Cold is
with an empty compilation cache, warm is the same command again. Without --ckpt the weights have the size of
`configs/unet_fast.py`'s and are random. --large adds 101 megapixels of 16-bit TIFF.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import skimage.data
import tifffile
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common


def scan(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A grey photograph with the grain of a scan, (height, width) float32 in 0..1."""
    grey = (
        Image.fromarray(skimage.data.astronaut())
        .convert("L")
        .rotate(90 * seed)
        .resize((width, height), Image.Resampling.BICUBIC)
    )
    grain = np.random.default_rng(seed).standard_normal((height // 2 + 1, width // 2 + 1), np.float32)
    grain = np.repeat(np.repeat(grain, 2, axis=0), 2, axis=1)[:height, :width]
    return np.clip(np.asarray(grey, np.float32) / 255 + 0.02 * grain, 0, 1)


def measured(name: str, arguments: list[object], work: Path, photographs: int) -> None:
    """Run the command and print its line of the table."""
    shutil.rmtree(work / "out", ignore_errors=True)
    report = work / "report.json"
    asked = ["colorize", *arguments, "--out", work / "out", "--report", report]
    start, megabytes = time.perf_counter(), 0.0
    process = common.colorjax_process(*asked, cache=work / "cache", stdout=subprocess.DEVNULL)
    while process.poll() is None:
        megabytes = max(megabytes, common.peak_memory(process.pid))
        time.sleep(0.01)
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"{name}: exit code {process.returncode}")
    about = json.loads(report.read_text())
    stages = {stage: spent / seconds for stage, spent in about["seconds_by_stage"].items()}
    stages = {"start": 1 - about["seconds"] / seconds} | stages
    shares = ", ".join(f"{stage} {share:.0%}" for stage, share in stages.items())
    common.row(name, seconds, f"{photographs / seconds:.2f}", round(megabytes), shares)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--ckpt")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--count", type=common.positive, default=200, help="photographs of one megapixel")
    parser.add_argument("--engine", default="auto", choices=["auto", "jax", "onnx"])
    parser.add_argument("--large", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        ckpt = args.ckpt or common.random_weights(work / "weights")
        asked = ["--ckpt", ckpt, "--size", args.size, "--engine", args.engine]
        Image.fromarray(np.uint8(255 * scan(4000, 3000))).save(work / "large.jpg", quality=92)
        (work / "many").mkdir()
        for i in range(args.count):
            shape = [(1224, 816), (1152, 864), (816, 1224), (1000, 1000)][i % 4]
            Image.fromarray(np.uint8(255 * scan(*shape, seed=i))).save(work / "many" / f"{i:04d}.jpg", quality=92)
        print(f"{os.cpu_count()} processors\n")
        common.table("", "seconds", "photographs a second", "memory MB", "share of time")
        measured("one JPEG of 12 megapixels, cold", [work / "large.jpg", *asked], work, 1)
        measured("the same, warm", [work / "large.jpg", *asked], work, 1)
        measured("the same, --flip --uncertainty", [work / "large.jpg", *asked, "--flip", "--uncertainty"], work, 1)
        measured(f"{args.count} JPEGs of 1 megapixel", [work / "many", *asked], work, args.count)
        if args.large:
            rgb = np.repeat(np.uint16(65535 * scan(12000, 8400))[..., None], 3, axis=-1)
            tifffile.imwrite(work / "huge.tif", rgb, photometric="rgb", compression="zlib", rowsperstrip=64)
            measured("one RGB TIFF of 101 megapixels, 16 bits", [work / "huge.tif", *asked], work, 1)
            measured("the same, --format jpeg", [work / "huge.tif", *asked, "--format", "jpeg"], work, 1)
            inks = np.dstack([65535 - rgb, np.zeros_like(rgb[..., :1])])
            tifffile.imwrite(work / "inks.tif", inks, photometric="separated", compression="zlib", rowsperstrip=64)
            del rgb, inks
            measured("one CMYK TIFF of 101 megapixels, 16 bits", [work / "inks.tif", *asked], work, 1)


if __name__ == "__main__":
    main()
