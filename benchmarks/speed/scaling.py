"""What more of something costs: one curve at a time, each a Markdown table, each point in a process of its own.

    python benchmarks/scaling.py --what=pictures [--stem=strided] [--counts=256,512,1024,2048]
    python benchmarks/scaling.py --what=batch [--size=64] [--counts=2,4,8,16,32]
    python benchmarks/scaling.py --what=devices [--size=64] [--counts=1,2,4]
    python benchmarks/scaling.py --what=names [--counts=100,10000,1000000] [--work=DIR]

pictures: one answer of the network over the side of the picture, by engine; memory is what is added to that before the first.
batch: training steps on random pictures of --size; memory is the device's greatest, on a processor that of the process.
devices: the same steps, a batch of 8, on so many devices: GPUs or TPUs where there are some; on a processor they are pretended,
which shows that the losses agree (the exit code is 1 if not) and what splitting costs, and no gain.
names: how long train.py takes from its start to its first batch, and how much memory, with so many photographs in a folder.
Seconds are by the clock from the end of the imports on, in stages: the workdir's files read and
written, the folder listed, what is known of the photographs gathered, these split and put in order, the first batch made; then
their sum and the same in processor time, which others on the machine do not change; then the seconds of the imports. Memory is
the largest resident one, above that of a process that has imported jax and TensorFlow and nothing else; that is printed, too.

The names are hard links to 30 JPEGs of 100x80 pixels, 1,000 in a folder. Starts: `limit` is a first one with data.limit=3000,
which decodes as many; `all cached` a first one with every photograph in the cache, but no index of their facts; `later` is any
after that, of a run that has begun. The cache is filled with `prepare.Store` from the 30, and hard links of their cache files
under the names that the store gives them: decoding a million photographs takes as long as decoding 1,000, a thousand times.
All of it is warm, as the system has read these files before; a million files on a cold disk take the disk's time in addition.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

STEPS = 10  # of training, at each point
PICTURES, LINKS = 30, 60_000  # a file of ext4 has at most 65,000 names
LIMIT = 3000


def peak_memory() -> float:
    """The largest resident memory of this process so far, MB. Linux only."""
    return int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) / 1000


def in_a_process(point: Callable[..., dict], *arguments: object, environment: dict[str, str] | None = None) -> dict:
    """What a function of this module returns, called in a process of its own."""
    command = [sys.executable, __file__, "--point", point.__name__, json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ | (environment or {}))
    if done.returncode:
        raise SystemExit(f"{point.__name__}{arguments}: exit code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def table(head: list[str]) -> None:
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head), flush=True)


def line(cells: list[object]) -> None:
    print("| " + " | ".join(f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in cells) + " |", flush=True)


# Names of photographs


def names(args: argparse.Namespace, work: Path) -> None:
    """The curve over the number of photographs in a folder."""
    bare = in_a_process(imports_alone)["megabytes"]
    print(f"{os.cpu_count()} processors; jax and TensorFlow alone: {bare:.0f} MB\n")
    stages = ["workdir", "listing", "facts", "split and order", "first batch"]
    table(["photographs", "start", *stages, "sum, s", "processor, s", "imports, s", "MB above imports"])
    for count in args.counts or (100, 10_000, 1_000_000):
        folder, cache = work / f"names-{count}", work / f"cache-{count}"
        if not folder.exists():
            make_names(folder, count)
        if not cache.exists():
            in_a_process(fill_cache, str(folder), str(cache))
        for index in cache.glob("*.facts"):
            index.unlink()
        with tempfile.TemporaryDirectory(dir=work) as fresh:
            starts = {"limit": (f"{fresh}/limit", f"{fresh}/cache", LIMIT)}
            starts |= dict.fromkeys(["all cached", "later", "later again"], (f"{fresh}/run", str(cache), 0))
            for start, rest in starts.items():
                made = in_a_process(start_up, str(folder), *rest)
                spent = made["seconds"]
                shown = [spent[stage] for stage in stages] + [sum(spent.values()), made["processor"], made["imports"]]
                line([f"{count:,}", start, *shown, round(made["megabytes"] - bare)])


def make_names(folder: Path, count: int) -> None:
    """So many JPEG files in ten groups, 1,000 in a folder."""
    import numpy as np
    from PIL import Image

    few = folder.with_name(folder.name + ".few")
    few.mkdir(parents=True)
    for number in range(count):
        place, original = folder / f"group{number // 1000 % 10}" / f"roll{number // 1000:04}", few / f"{which(number)}.jpg"
        if number % 1000 == 0:
            place.mkdir(parents=True)
        if not original.exists():
            pixels = np.random.default_rng(number % PICTURES).integers(0, 256, (5, 6, 3), np.uint8)
            Image.fromarray(pixels).resize((100, 80), Image.Resampling.BICUBIC).save(original, quality=90)
        os.link(original, place / f"IMG_{number:07}.jpg")


def which(number: int) -> str:
    """The picture, and which of its copies where it has too many names."""
    return f"{number % PICTURES}-{number // (PICTURES * LINKS)}"


def settings(folder: str, cache: str, limit: int):
    from configs import base

    config = base.get_config()
    config.image_size, config.pretrained = 32, ""
    config.data.update(source="folder", dir=folder, cache_dir=cache, limit=limit)
    return config


def fill_cache(folder: str, cache: str) -> dict:
    """What a first start would leave in the cache, by links; see the top."""
    from colorjax.data import pipeline, prepare, sources

    config = settings(folder, cache, 0)
    source = sources.make(config)
    held_out = pipeline.split(source.names, config.data.val_fraction)
    store = prepare.Store(source, pipeline._short_sides(config, held_out), Path(cache))
    made: dict[tuple[str, bool], Path] = {}
    for index, name in enumerate(source.names):
        path, kind = store._path(index), (which(int(name[-11:-4])), bool(held_out[index]))
        if kind in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(made[kind], path)
        else:
            store.prepare(index)
            made[kind] = path
    return {}


def imports_alone() -> dict:
    import jax  # noqa: F401
    import tensorflow  # noqa: F401

    return {"megabytes": peak_memory()}


def start_up(folder: str, workdir: str, cache: str, limit: int) -> dict:
    """What train.py does before its first step, but for the network."""
    begin = time.perf_counter()
    import jax
    import tensorflow  # noqa: F401

    from colorjax import data
    from colorjax.data import prepare, sources
    from colorjax.platform import sharding
    from colorjax.training import workdirs
    from configs import base

    config, place = settings(folder, cache, limit), Path(workdir)
    mesh = sharding.make_mesh(config.batch_size)
    imports, processor = time.perf_counter() - begin, time.process_time()
    seconds: dict[str, float] = {}

    def timed(stage: str, function: Callable, *arguments, **options):
        start = time.perf_counter()
        result = function(*arguments, **options)
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - start
        return result

    def time_inside(stage: str, module: ModuleType, name: str) -> None:
        inner = getattr(module, name)
        setattr(module, name, lambda *arguments, **options: timed(stage, inner, *arguments, **options))

    time_inside("listing", sources, "make")
    time_inside("facts", prepare, "scan")
    began = timed("workdir", workdirs.began, place, config, base.get_config())
    mine = (jax.process_index(), jax.process_count())
    photographs = timed("split and order", data.load, config, mine, mesh.size, began=began, progress=False)
    seconds["split and order"] -= seconds["listing"] + seconds["facts"]
    timed("workdir", workdirs.claim, place, config, photographs)
    batch = timed("first batch", lambda: next(photographs.train()))
    if not batch["mask"].all():
        raise SystemExit("a photograph of the first batch could not be read")
    (place / "checkpoints" / "1").mkdir(parents=True, exist_ok=True)  # from now on the run counts as begun
    processor = time.process_time() - processor
    return {"seconds": seconds, "imports": imports, "processor": processor, "megabytes": peak_memory()}


# Networks


def one_picture(stem: str, engine: str, size: int) -> dict:
    """One answer of the network: seconds of the first and of later ones, and the memory that they add."""
    import jax
    import numpy as np

    from colorjax import checkpoint
    from colorjax.inference import engines
    from colorjax.networks import state
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
    return {"first": seconds[0], "later": statistics.median(seconds[1:]), "megabytes": peak_memory() - before}


def pictures(args: argparse.Namespace, work: Path) -> None:
    """The curve over the side of a picture."""
    table(["side", "engine", "first answer, s", "later, s", "later, ns a pixel", "MB added"])
    for size in args.counts or (256, 512, 1024, 2048):
        for engine in ("jax", "onnx"):
            made = in_a_process(one_picture, args.stem, engine, size)
            later = f"{made['later']:.3f}", round(made["later"] / size**2 * 1e9)
            line([size, engine, f"{made['first']:.2f}", *later, round(made["megabytes"])])


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
    seconds, losses = [], []
    for _ in range(STEPS):
        start = time.perf_counter()
        now, scalars = step(now, batch)
        losses.append(float(jax.block_until_ready(scalars["loss"])))
        seconds.append(time.perf_counter() - start)
    device = jax.local_devices()[0].memory_stats() or {}
    megabytes = device["peak_bytes_in_use"] / 1e6 if "peak_bytes_in_use" in device else peak_memory()
    return {"first": seconds[0], "later": statistics.median(seconds[1:]), "megabytes": megabytes, "losses": losses}


def batch(args: argparse.Namespace, work: Path) -> None:
    """The curve over the pictures of a batch."""
    table(["batch", "first step, s", "later, s", "pictures a second", "MB"])
    for count in args.counts or (2, 4, 8, 16, 32):
        made = in_a_process(training, args.stem, args.size, count)
        line([count, made["first"], f"{made['later']:.3f}", count / made["later"], round(made["megabytes"])])


def devices(args: argparse.Namespace, work: Path) -> None:
    """The curve over the devices that share a batch of 8."""
    table(["devices", "later steps, s", "pictures a second", "losses differ from the first line's by"])
    first, worst = None, 0.0
    for count in args.counts or (1, 2, 4):
        environment = {"JAX_NUM_CPU_DEVICES": str(count), "CUDA_VISIBLE_DEVICES": ",".join(map(str, range(count)))}
        made = in_a_process(training, args.stem, args.size, 8, environment=environment)
        first = first or made["losses"]
        apart = max(abs(one / other - 1) for one, other in zip(made["losses"], first, strict=True))
        worst = max(worst, apart)
        line([count, f"{made['later']:.3f}", 8 / made["later"], f"{apart:.1e}"])
    sys.exit(worst > 1e-3)


CURVES = {"pictures": pictures, "batch": batch, "devices": devices, "names": names}
POINTS = {point.__name__: point for point in (imports_alone, fill_cache, start_up, one_picture, training)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=CURVES, help="the curve")
    parser.add_argument("--counts", type=lambda text: [int(part) for part in text.split(",")], help="the points of the curve")
    parser.add_argument("--stem", choices=("full", "strided"), default="strided")
    parser.add_argument("--size", type=int, default=64, help="batch, devices: side of the pictures (default: 64)")
    parser.add_argument("--work", type=Path, help="names: folder that keeps what is made (default: a temporary one)")
    parser.add_argument("--point", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        name, arguments = args.point
        return print(json.dumps(POINTS[name](*json.loads(arguments))))
    if not args.what:
        parser.error("--what says which curve")
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        CURVES[args.what](args, work)


if __name__ == "__main__":
    main()
