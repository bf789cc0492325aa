"""Cost curves: time and memory over the size of pictures, of batches and of data sets, and over devices.

    python benchmarks/scaling.py --what=pictures [--stem=strided] [--sizes 256 512 1024 2048]
    python benchmarks/scaling.py --what=batch [--size=64] [--sizes 2 4 8 16 32]
    python benchmarks/scaling.py --what=devices [--size=64] [--sizes 1 2 4]

Every point is measured in a process of its own, so that memory is that point's alone. "devices" are all GPUs or TPUs that
there are; on a processor as many are pretended, which shows that the losses agree and what splitting costs, not a gain.
"""

import argparse
import multiprocessing
import os
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

STEPS = 10  # of training, for each point


def peak_memory() -> float:
    """The largest resident memory of this process so far, MB; Linux only, elsewhere not a number."""
    try:
        return int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) / 1000
    except OSError:
        return float("nan")


def _answer(pipe: Any, work: Callable, arguments: tuple) -> None:
    pipe.send(work(*arguments))


def alone(work: Callable[..., dict], *arguments: Any, environment: dict[str, str] | None = None) -> dict:
    """What `work` returns in a process of its own. Raises EOFError where that dies."""
    before = dict(os.environ)
    os.environ.update(environment or {})
    try:
        ours, theirs = (context := multiprocessing.get_context("spawn")).Pipe()
        process = context.Process(target=_answer, args=(theirs, work, arguments))
        process.start()
    finally:
        os.environ.clear()
        os.environ.update(before)
    theirs.close()
    answer = ours.recv()
    process.join()
    return answer


def one_picture(stem: str, engine: str, size: int) -> dict:
    """One answer of the network: seconds with and without what comes first, and the memory that they add."""
    import jax

    from colorjax import checkpoint, engines, state
    from configs import unet

    config = unet.get_config()
    config.model.stem = stem
    network = checkpoint.Network(config, *state.init_network(config.model, jax.random.key(0)), Path("random"))
    predict, luma = engines.make(network, engine).predict, np.zeros((1, size, size, 1), np.float32)
    before, seconds = peak_memory(), []
    for _ in range(4):
        start = time.perf_counter()
        predict(luma)
        seconds.append(time.perf_counter() - start)
    return {"first": seconds[0], "seconds": statistics.median(seconds[1:]), "memory": peak_memory() - before}


def pictures(args: argparse.Namespace) -> None:
    """One answer of the network over the side of the picture."""
    print("| side | engine | first answer, s | later ones, s | ns a pixel | memory added, MB |\n|---|---|---|---|---|---|")
    for size in args.sizes or (256, 512, 1024, 2048):
        for engine in ("jax", "onnx"):
            found = alone(one_picture, args.stem, engine, size)
            speed = f"{found['first']:.2f} | {found['seconds']:.3f} | {found['seconds'] / size**2 * 1e9:.0f}"
            print(f"| {size} | {engine} | {speed} | {found['memory']:.0f} |", flush=True)


def training(stem: str, size: int, batch: int) -> dict:
    """Ten training steps on random pictures: compile time, seconds of a step, its memory by XLA's count, the losses."""
    import jax

    from colorjax import bins, optim, sharding, state, steps
    from configs import unet

    config = unet.get_config()
    config.image_size, config.batch_size, config.model.stem, config.pretrained = size, batch, stem, ""
    mesh, optimizers = sharding.make_mesh(batch), optim.make(config, 100)
    now = sharding.place(state.init(config, optimizers), sharding.layout(mesh, state.abstract(config, optimizers, mesh), False))
    rng = np.random.default_rng(0)
    luma, chroma = rng.uniform(-1, 1, (batch, size, size, 1)), rng.uniform(-0.5, 0.5, (batch, size, size, 2))
    given = {"luma": np.float32(luma), "chroma": np.float32(chroma), "mask": np.ones(batch, np.float32)}
    given, step = sharding.put(given, mesh), steps.make(config, optimizers, mesh, np.zeros(bins.COUNT))
    seconds, losses = [], []
    for _ in range(STEPS):
        start = time.perf_counter()
        now, scalars = step(now, given)
        losses.append(float(jax.block_until_ready(scalars["loss"])))
        seconds.append(time.perf_counter() - start)
    stats = jax.devices()[0].memory_stats() or {}
    memory = stats["peak_bytes_in_use"] / 1e6 if "peak_bytes_in_use" in stats else peak_memory()
    return {"first": seconds[0], "seconds": statistics.median(seconds[1:]), "memory": memory, "losses": losses}


def batch(args: argparse.Namespace) -> None:
    """A training step over the size of the batch."""
    print("| batch | first step, s | later ones, s | pictures a second | memory, MB |\n|---|---|---|---|---|")
    for size in args.sizes or (2, 4, 8, 16, 32):
        found = alone(training, args.stem, args.size, size)
        speed = f"{found['first']:.1f} | {found['seconds']:.3f} | {size / found['seconds']:.2f}"
        print(f"| {size} | {speed} | {found['memory']:.0f} |", flush=True)


def devices(args: argparse.Namespace) -> None:
    """Training steps of one batch over the number of devices that share it. The exit code is 1 where the losses differ."""
    print("| devices | later steps, s | pictures a second | losses differ from one device's by |\n|---|---|---|---|")
    alike, first = True, None
    for count in args.sizes or (1, 2, 4):
        environment = {"JAX_NUM_CPU_DEVICES": str(count), "CUDA_VISIBLE_DEVICES": ",".join(map(str, range(count)))}
        found = alone(training, args.stem, args.size, 8, environment=environment)
        first = first or found["losses"]
        apart = max(abs(one / other - 1) for one, other in zip(found["losses"], first, strict=True))
        alike &= apart < 1e-3
        print(f"| {count} | {found['seconds']:.3f} | {8 / found['seconds']:.2f} | {apart:.1e} |", flush=True)
    sys.exit(not alike)


CURVES = {"pictures": pictures, "batch": batch, "devices": devices}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=CURVES, required=True)
    parser.add_argument("--stem", choices=("full", "strided"), default="strided")
    parser.add_argument("--size", type=int, default=64, help="side of the pictures in training (default: 64)")
    parser.add_argument("--sizes", type=int, nargs="+", help="the points of the curve")
    args = parser.parse_args()
    print(f"stem={args.stem}; {os.cpu_count()} processors\n")
    CURVES[args.what](args)


if __name__ == "__main__":
    main()
