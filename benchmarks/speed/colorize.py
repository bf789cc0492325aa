"""How long a person waits for `colorjax colorize`, what it spends the time on, and how much memory it takes.

    python benchmarks/colorize.py [--ckpt=DIR] [--engine=jax] [--large]

Each line is one run of the console command in a process of its own: wall-clock seconds from its start to its end, the largest
resident memory, and the share of time of its stages (they overlap, so they may add up to more than 1). Cold is with an empty
compilation cache, warm is the same command again. Without --ckpt the weights have the size of `configs/unet_fast.py`'s and
are random. --large adds 101 megapixels of 16-bit TIFF.
"""

import argparse
import json
import os
import re
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

ROOT = Path(__file__).parent.parent


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


def random_weights(folder: Path, guided: bool = False) -> None:
    """An exported `unet_fast` of random numbers, which follows hints if asked. In a process of its own, for it takes memory."""
    program = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
import jax, numpy as np
from pathlib import Path
from colorjax import checkpoint; from colorjax.networks import state
from configs import unet_fast
config = unet_fast.get_config()
config.model.guided = {guided}
params, stats = state.init_network(config.model, jax.random.key(0))
params["head"]["kernel"] = np.random.default_rng(0).normal(0, 0.05, params["head"]["kernel"].shape).astype("float32")
checkpoint.export(checkpoint.Network(config, params, stats, Path("random")), {str(folder)!r})
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def peak_memory(process: subprocess.Popen) -> float:
    """The largest resident memory so far of a running process, MB; its own and not what it inherited. Linux only."""
    try:
        return int(re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) / 1000
    except (OSError, TypeError):  # it has ended
        return 0.0


def measured(name: str, arguments: list[str], work: Path, photographs: int) -> None:
    """Run the command and print its line of the table."""
    shutil.rmtree(work / "out", ignore_errors=True)
    report = work / "report.json"
    command = [sys.executable, "-m", "colorjax", "colorize", *arguments, "--out", work / "out", "--report", report]
    environment = os.environ | {"COLORJAX_CACHE": str(work / "cache"), "PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], env=environment, stdout=subprocess.DEVNULL)
    megabytes = 0.0
    while process.poll() is None:
        megabytes = max(megabytes, peak_memory(process))
        time.sleep(0.01)
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"{name}: exit code {process.returncode}")
    about = json.loads(report.read_text())
    stages = {stage: spent / seconds for stage, spent in about["seconds_by_stage"].items()}
    stages = {"start": 1 - about["seconds"] / seconds} | stages
    shares = ", ".join(f"{stage} {share:.0%}" for stage, share in stages.items())
    print(f"| {name} | {seconds:.1f} | {photographs / seconds:.2f} | {megabytes:.0f} | {shares} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--count", type=int, default=200, help="photographs of one megapixel")
    parser.add_argument("--engine", default="auto", choices=["auto", "jax", "onnx"])
    parser.add_argument("--large", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if not args.ckpt:
            random_weights(work / "weights")
        common = ["--ckpt", args.ckpt or work / "weights", "--size", str(args.size), "--engine", args.engine]
        Image.fromarray(np.uint8(255 * scan(4000, 3000))).save(work / "large.jpg", quality=92)
        (work / "many").mkdir()
        for i in range(args.count):
            shape = [(1224, 816), (1152, 864), (816, 1224), (1000, 1000)][i % 4]
            Image.fromarray(np.uint8(255 * scan(*shape, seed=i))).save(work / "many" / f"{i:04d}.jpg", quality=92)
        print(f"{os.cpu_count()} processors\n")
        print("| | seconds | photographs a second | memory MB | share of time |\n|---|---|---|---|---|", flush=True)
        measured("one JPEG of 12 megapixels, cold", [work / "large.jpg", *common], work, 1)
        measured("the same, warm", [work / "large.jpg", *common], work, 1)
        measured("the same, --flip --uncertainty", [work / "large.jpg", *common, "--flip", "--uncertainty"], work, 1)
        measured(f"{args.count} JPEGs of 1 megapixel", [work / "many", *common], work, args.count)
        if args.large:
            rgb = np.repeat(np.uint16(65535 * scan(12000, 8400))[..., None], 3, axis=-1)
            tifffile.imwrite(work / "huge.tif", rgb, photometric="rgb", compression="zlib", rowsperstrip=64)
            measured("one RGB TIFF of 101 megapixels, 16 bits", [work / "huge.tif", *common], work, 1)
            measured("the same, --format jpeg", [work / "huge.tif", *common, "--format", "jpeg"], work, 1)
            inks = np.dstack([65535 - rgb, np.zeros_like(rgb[..., :1])])
            tifffile.imwrite(work / "inks.tif", inks, photometric="separated", compression="zlib", rowsperstrip=64)
            del rgb, inks
            measured("one CMYK TIFF of 101 megapixels, 16 bits", [work / "inks.tif", *common], work, 1)


if __name__ == "__main__":
    main()
