"""What more of something costs: one curve at a time, each a Markdown table, each point in a process of its own.

    python benchmarks/speed/scaling.py --what=pictures [--stem=strided] [--counts=256,512,1024,2048]
    python benchmarks/speed/scaling.py --what=batch [--size=64] [--counts=2,4,8,16,32]
    python benchmarks/speed/scaling.py --what=devices [--size=64] [--counts=1,2,4]
    python benchmarks/speed/scaling.py --what=names [--counts=100,10000,1000000] [--work=DIR]

pictures: one answer of the network over the side of the picture, by engine. Memory is what is added to that before the first.
batch: training steps on random pictures of --size. Memory is the device's greatest; on a processor it is that of the process.
devices: the same steps, a batch of 8, on so many devices: GPUs or TPUs where there are some. On a processor they are pretended.
That shows what splitting costs, and no gain. Losses must agree; if they do not, the exit code is 1.
names: how long train.py takes from its start to its first batch with so many photographs in a folder, and how much memory.
`scaling_names.py` says how that is measured.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from benchmarks import common
from benchmarks.speed import scaling_names

STEPS = 10  # of training, at each point


def one_picture(stem: str, engine: str, size: int) -> dict:
    """One answer of the network: seconds of the first and of later ones, and the memory that they add."""
    import numpy as np

    from colorjax.inference import engines
    from configs import unet

    config = unet.get_config()
    config.model.stem = stem
    predict, luma = engines.make(common.random_network(config), engine).predict, np.zeros((1, size, size, 1), np.float32)
    before = common.peak_memory()
    _, seconds = common.timed(4, predict, luma)
    return {"first": seconds[0], "later": statistics.median(seconds[1:]), "megabytes": common.peak_memory() - before}


def pictures(args: argparse.Namespace) -> None:
    """The curve over the side of a picture."""
    common.table("side", "engine", "first answer, s", "later, s", "later, ns a pixel", "MB added")
    for size in args.counts or (256, 512, 1024, 2048):
        for engine in ("jax", "onnx"):
            made = common.in_a_process(one_picture, args.stem, engine, size)
            later = f"{made['later']:.3f}", round(made["later"] / size**2 * 1e9)
            common.row(size, engine, f"{made['first']:.2f}", *later, round(made["megabytes"]))


def training(stem: str, size: int, count: int) -> dict:
    """Ten training steps on a batch of random pictures."""
    import jax
    import numpy as np

    from colorjax.networks import state
    from colorjax.platform import sharding
    from colorjax.science import bins
    from colorjax.training import optim, steps
    from configs import unet

    config = unet.get_config()
    config.image_size, config.batch_size, config.model.stem = size, count, stem
    mesh, optimizers = sharding.make_mesh(count), optim.make(config, 100)
    places = sharding.layout(mesh, jax.eval_shape(lambda: state.init(config, optimizers)), False)
    now, rng = sharding.place(state.new(config, optimizers), places), np.random.default_rng(0)
    luma, chroma = rng.uniform(-1, 1, (count, size, size, 1)), rng.uniform(-0.5, 0.5, (count, size, size, 2))
    batch = {"luma": np.float32(luma), "chroma": np.float32(chroma), "mask": np.ones(count, np.float32)}
    batch, step = sharding.put(batch, mesh), steps.make(config, optimizers, mesh, np.zeros(bins.COUNT))
    losses = []

    def one() -> None:
        nonlocal now
        now, scalars = step(now, batch)
        losses.append(float(jax.block_until_ready(scalars["loss"])))

    _, seconds = common.timed(STEPS, one)
    device = jax.local_devices()[0].memory_stats() or {}
    megabytes = device["peak_bytes_in_use"] / 1e6 if "peak_bytes_in_use" in device else common.peak_memory()
    return {"first": seconds[0], "later": statistics.median(seconds[1:]), "megabytes": megabytes, "losses": losses}


def batch(args: argparse.Namespace) -> None:
    """The curve over the pictures of a batch."""
    common.table("batch", "first step, s", "later, s", "pictures a second", "MB")
    for count in args.counts or (2, 4, 8, 16, 32):
        made = common.in_a_process(training, args.stem, args.size, count)
        common.row(count, made["first"], f"{made['later']:.3f}", count / made["later"], round(made["megabytes"]))


def devices(args: argparse.Namespace) -> None:
    """The curve over the devices that share a batch of 8."""
    common.table("devices", "later steps, s", "pictures a second", "losses differ from the first line's by")
    first, worst = None, 0.0
    for count in args.counts or (1, 2, 4):
        environment = {"JAX_NUM_CPU_DEVICES": str(count), "CUDA_VISIBLE_DEVICES": ",".join(map(str, range(count)))}
        made = common.in_a_process(training, args.stem, args.size, 8, environment=environment)
        first = first or made["losses"]
        apart = max(abs(one / other - 1) for one, other in zip(made["losses"], first, strict=True))
        worst = max(worst, apart)
        common.row(count, f"{made['later']:.3f}", 8 / made["later"], f"{apart:.1e}")
    sys.exit(worst > 1e-3)


CURVES = {"pictures": pictures, "batch": batch, "devices": devices}


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--what", choices=[*CURVES, "names"], required=True, help="the curve")
    parser.add_argument("--counts", type=lambda text: [int(part) for part in text.split(",")], help="the points of the curve")
    parser.add_argument("--stem", choices=("full", "strided"), default="strided")
    parser.add_argument("--size", type=int, default=64, help="batch, devices: side of the pictures (default: 64)")
    parser.add_argument("--work", type=Path, help="names: folder that keeps what is made (default: a temporary one)")
    args = parser.parse_args()
    if args.what != "names":
        return CURVES[args.what](args)
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        scaling_names.curve(args.counts or (100, 10_000, 1_000_000), work)


if __name__ == "__main__":
    main()
