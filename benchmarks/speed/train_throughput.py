"""Training steps a second: colorjax beside PyTorch, the same U-Net, batch, L1 and AdamW, in one run.

    python benchmarks/speed/train_throughput.py                                         # on a GPU: 256 pixels, batch 32 to 256
    python benchmarks/speed/train_throughput.py --stems=full --batches=256 --compile=max-autotune
    python benchmarks/speed/train_throughput.py --stems=strided --answer=4 --batches=128 --size=160
    python benchmarks/speed/train_throughput.py --rounds=0 --batches=256 --pipeline=PHOTOS --five-epochs=PHOTOS

colorjax's side is train.py's own step (`steps.make` with the settings of `configs/unet.py`). PyTorch's is the best that a
PyTorch user would write: bfloat16 autocast, channels last, `torch.compile`, fused AdamW, nothing waited for (`train_sides.py`).
First it holds that both do the same: loss and gradient norm of a few float32 steps on the CPU, and the first loss of every run.
Each measurement is a process of its own, colorjax and PyTorch in turn. The ratio is the median of those of the rounds.

Share of peak (MFU): img/s x FLOP / the fastest matrix product measured. FLOP is XLA's count of the step as it is written.
Memory: the most in use on the device; on a CPU the largest resident memory.
Compile: the first step, its caches empty.
5 epochs: of 12,600 photographs, extrapolated from img/s, without start and validation. --five-epochs measures them.
--pipeline adds the input pipelines. --profile=DIR traces colorjax's steps for TensorBoard or Perfetto.
Both frameworks see one GPU. Without one, pictures are small: such figures are of a CPU and say nothing of a GPU.
"""

import argparse
import importlib.metadata
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common
from benchmarks.speed import train_jobs

SIDES = tuple(train_jobs.SIDES)
PICTURES = 5 * 12_600
OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "OutOfMemoryError")  # as the two frameworks say it
CLOSE = 0.02  # relative; of the first losses of both sides, in bfloat16 too


def run_job(job: Callable[[dict], dict], about: dict, environment: dict[str, str] | None = None) -> dict:
    """One of `train_jobs`, in a process of its own. Raises common.FailedError."""
    defaults = {"CUDA_VISIBLE_DEVICES": "0", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.92", "TF_CPP_MIN_LOG_LEVEL": "2"}
    told = {name: value for name, value in defaults.items() if name not in os.environ} | (environment or {})
    if job is train_jobs.check or about.get("side") == "PyTorch":
        told["JAX_PLATFORMS"] = "cpu"  # JAX only makes the numbers to start from
    return common.in_a_process(job, about, environment=told)


def caches(folder: str, stem: str, batch: int) -> dict[str, str]:
    """Empty caches of compiled programs for this step, so that the first round compiles and the others need not."""
    places = ("JAX_COMPILATION_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
    kept = {place: str(Path(folder, f"{stem}-{batch}", place.lower())) for place in places}
    return kept | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1"}


def rounds(shape: dict, args: argparse.Namespace, folder: str) -> dict[str, list[dict] | str]:
    """What each side told in each round, colorjax and PyTorch in turn; or why it could not."""
    environment, full = caches(folder, shape["stem"], shape["batch"]), set()

    def one(side: str, number: int) -> dict | None:
        if side in full:
            return None
        about = shape | {"side": side, "blocks": args.blocks}
        if args.profile and side == "colorjax" and number == args.rounds - 1:
            about["profile"] = str(args.profile / f"{shape['stem']}-{shape['batch']}")
        try:
            return run_job(train_jobs.timed, about, environment)
        except common.FailedError as error:
            if not any(sign in str(error) for sign in OUT_OF_MEMORY):
                raise
            full.add(side)

    told = common.in_turns(SIDES, args.rounds, one) | dict.fromkeys(full, "out of memory")
    losses = [told[side][0]["first_loss"] for side in SIDES if isinstance(told[side], list)]
    if max(losses, default=1) > min(losses, default=1) * (1 + CLOSE):
        raise SystemExit(f"the first losses are not the same: {losses}")
    return told


def cells(shape: dict, told: dict[str, list[dict] | str], flop: float, peak: float) -> list[object]:
    """A line of the table."""

    def each(cell: Callable[[list[dict]], str]) -> list[str]:
        return ["" if isinstance(told[side], str) else cell(told[side]) for side in SIDES]

    def rate(one: list[dict]) -> float:
        return statistics.median(each["rate"] for each in one)

    def spread(one: list[dict]) -> str:
        rates = [each["rate"] for each in one]
        return f"{statistics.median(rates):.4g} ({min(rates):.4g} to {max(rates):.4g})"

    ratio = ""
    if all(isinstance(one, list) for one in told.values()):
        pairs = zip(*(told[side] for side in SIDES), strict=True)
        ratio = f"{statistics.median(ours['rate'] / theirs['rate'] for ours, theirs in pairs):.2f}x"
    rates = [told[side] if isinstance(told[side], str) else spread(told[side]) for side in SIDES]
    shares = each(lambda one: f"{rate(one) * flop / peak:.0%}")
    memory = each(lambda one: f"{min(each['memory'] for each in one) / 1e9:.2f}")
    compiling = each(lambda one: f"{one[0]['compiling']:.0f}")
    epochs = each(lambda one: f"{PICTURES / rate(one):.0f}")
    pairs = [" / ".join(pair) for pair in (shares, memory, compiling, epochs)]
    return [shape["stem"], shape["batch"], *rates, ratio, f"{flop / 1e9:.4g}", *pairs]


def pipelines(shapes: list[dict], args: argparse.Namespace, folder: str) -> None:
    """The table of the input pipelines."""
    print(f"\nWith the photographs of --pipeline, decoded and cropped while the step works; img/s, median of {args.blocks}\n")
    columns = ("pipeline alone", "steps on random data", "steps on photographs", "device idle")
    common.table("stem", "batch", "side", *columns)
    for shape in shapes:
        for side in SIDES:
            about = shape | {"side": side, "blocks": args.blocks, "photos": str(args.pipeline)}
            got = run_job(train_jobs.with_photographs, about, caches(folder, shape["stem"], shape["batch"]))
            rates = [f"{got[name]:.4g}" for name in ("alone", "random", "photographs")]
            common.row(shape["stem"], shape["batch"], side, *rates, f"{1 - got['photographs'] / got['random']:.1%}")


def five_epochs(shape: dict, photos: Path) -> None:
    """Run train.py for 5 epochs, validation included, and print when it said what."""
    keys = {"epochs": 5, "batch_size": shape["batch"], "eval_batch_size": shape["batch"], "image_size": shape["size"]}
    keys |= {"model.stem": shape["stem"], "model.width": shape["width"], "model.dtype": shape["dtype"]}
    keys |= {"model.answer": shape["answer"]}
    keys |= {"pretrained": "", "data.source": "folder", "data.dir": photos, "data.limit_per_group": 0}
    with tempfile.TemporaryDirectory() as workdir:
        command = [sys.executable, "train.py", "--config=configs/unet.py", *(f"--config.{k}={v}" for k, v in keys.items())]
        print(f"\n`{shlex.join(['python', *command[1:]])}`: seconds from its start\n\n```", flush=True)
        environment = os.environ | {"PYTHONUNBUFFERED": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
        start, last = time.perf_counter(), ""
        process = subprocess.Popen(
            [*command, f"--workdir={workdir}/run"],
            cwd=common.ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for last in process.stdout:
            if last.startswith(("epoch ", "done")) or "photographs" in last:
                print(f"{time.perf_counter() - start:7.1f}  {last.strip().split('; look at')[0]}", flush=True)
        if process.wait():
            raise SystemExit(f"train.py: exit code {process.returncode}: {last}")
        print(f"{time.perf_counter() - start:7.1f}  ended\n```")


def options() -> argparse.Namespace:
    parser = common.parser(__doc__)
    parser.add_argument("--stems", nargs="+", default=["full", "strided"], choices=["full", "strided"])
    parser.add_argument("--answer", type=int, default=1, choices=[1, 2, 4], help="of the strided stem: chroma has 1/ANSWER")
    parser.add_argument("--batches", nargs="+", type=int, help="default: 32 64 128 256 on a GPU, 8 without")
    parser.add_argument("--size", type=int, help="side of the pictures in pixels (default: 256 on a GPU, 64 without)")
    parser.add_argument("--width", type=int, default=64, help="channels of the first feature map (default: 64)")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], help="default: bfloat16 on a GPU, float32 without")
    parser.add_argument(
        "--compile", default="default", choices=["default", "max-autotune", "none"], help="torch.compile's mode"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of both sides (default: 3; 0: no table)")
    parser.add_argument("--blocks", type=int, default=5, help="stretches in a round, whose median counts (default: 5)")
    parser.add_argument("--seconds", type=float, default=2, help="length of each stretch (default: 2)")
    parser.add_argument("--pipeline", type=Path, metavar="DIR", help="measure the input pipelines on these photographs too")
    parser.add_argument("--five-epochs", type=Path, metavar="DIR", help="time train.py on these, with the last stem and batch")
    parser.add_argument("--profile", type=Path, metavar="DIR", help="keep jax.profiler's traces, and print the largest costs")
    args = parser.parse_args()
    if args.answer > 1 and "full" in args.stems:
        parser.error("--answer is of the strided stem: give --stems=strided")
    return args


def main() -> None:
    args = options()
    found = run_job(train_jobs.device, {"dtype": args.dtype})
    gpu, peak = found["gpu"], found["peak"]
    shape = {"gpu": gpu, "dtype": found["dtype"], "size": args.size or (256 if gpu else 64), "width": args.width}
    shape |= {"compile": args.compile, "seconds": args.seconds, "answer": args.answer}
    batches = args.batches or ([32, 64, 128, 256] if gpu else [8])
    shapes = [
        shape | {"stem": stem, "batch": batch, "steps_per_epoch": -(-PICTURES // 5 // batch)}
        for stem in args.stems
        for batch in batches
    ]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("jax", "flax", "optax", "torch"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"`{shlex.join(['python', 'benchmarks/speed/train_throughput.py', *sys.argv[1:]])}`\n")
    print(f"{found['name']}, {cores} CPU cores; Python {platform.python_version()}, {versions}")
    if not gpu:
        print("A CPU: these figures say nothing of a GPU.")
    print(f"{shape['size']} pixels, answer {args.answer}, width {args.width}, {found['dtype']}, torch.compile: {args.compile}")
    print(f"fastest {found['dtype']} matrix product: {peak / 1e12:.4g} TFLOP/s")
    checked = run_job(train_jobs.check, shapes[0] | {"stems": args.stems, "batches": batches})
    worst = "; ".join(f"{stem} {loss:.1e} and {norm:.1e}" for stem, (loss, norm) in checked["worst"].items())
    print(f"both sides in float32, largest relative difference of loss and gradient norm in 5 steps: {worst}", flush=True)
    flop = {(stem, batch): count for stem, batch, count in checked["flop"]}

    with tempfile.TemporaryDirectory() as folder:
        if args.rounds:
            print(f"\nmedian of {args.rounds} rounds (lowest to highest); pairs are colorjax / PyTorch\n")
            columns = ["stem", "batch", "colorjax img/s", "PyTorch img/s", "ratio", "GFLOP a picture", "share of peak"]
            columns += ["memory GB", "compile s", "5 epochs s, extrapolated"]
            common.table(*columns)
        notes = []
        for shape in shapes if args.rounds else []:
            told, name = rounds(shape, args, folder), f"{shape['stem']}, {shape['batch']}"
            common.row(*cells(shape, told, flop[shape["stem"], shape["batch"]], peak))
            last = [told[side][-1] for side in SIDES if isinstance(told[side], list)]
            notes += [f"{name}: {one['note']}" for one in last if one["note"]]
            for one in last:
                costs = ", ".join(f"{kind} {share:.0%}" for kind, share in one.get("costs", []))
                notes += [f"{name}, largest costs of colorjax's step: {costs}"] if costs else []
        print("\n".join(["", *notes]) if notes else "")
        if args.pipeline:
            pipelines(shapes, args, folder)
    if args.five_epochs:
        five_epochs(shapes[-1], args.five_epochs)


if __name__ == "__main__":
    main()
