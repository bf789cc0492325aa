"""How long train.py takes from its start to the end of its first step, cold and warm, and what imports take.

    python benchmarks/speed/start_up.py [--config=FILE] [--photos=DIR] [--size=96] [--repeat=3] [-- --config.KEY=VALUE ...]

Each line is the median of several processes, in seconds. Cold is with an empty compilation cache in a new workdir. Warm is a
restart of that workdir from its first checkpoint. New is a new workdir with a full cache. A start ends when the first row after
it stands in metrics.jsonl. What the main thread does meanwhile is looked at every few milliseconds, so the stages add up to the
whole. Without --photos it trains on the photographs inside the scikit-image wheel.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common

IMPORTS = ("import colorjax", "from colorjax import Colorizer", "import jax", "import colorjax.data, tensorflow")
STAGES = ("imports", "data", "trace", "lower", "compile", "cache read", "checkpoint", "step", "other")
# What the main thread is at, by a part of a file's name: of the innermost frame that has one.
PLACES = {
    "<frozen importlib": "imports",
    "jax/_src/compilation_cache.py": "cache read",
    "jax/_src/compiler.py": "compile",
    "jax/_src/interpreters/mlir.py": "lower",
    "jax/_src/interpreters/partial_eval.py": "trace",
    "flax/nnx/": "trace",
    "orbax/": "checkpoint",
    "colorjax/checkpoint/": "checkpoint",
    "colorjax/data/": "data",
    "tensorflow/": "data",
    "colorjax/platform/sharding.py": "data",
    "colorjax/training/runs.py": "step",
}


def stage(frame) -> str:
    """The stage that a stack belongs to."""
    while frame is not None:
        for part, name in PLACES.items():
            if part in frame.f_code.co_filename.replace(os.sep, "/"):
                return name
        frame = frame.f_back
    return "other"


def watched(workdir: str, began: float, arguments: list[str]) -> dict[str, float]:
    """Run train.py in this process until its first row is written -> seconds by stage. It is told to stop as people would."""
    import runpy
    import signal
    import threading

    rows, main = Path(workdir, "metrics.jsonl"), threading.main_thread().ident
    size = rows.stat().st_size if rows.exists() else 0
    spent = dict.fromkeys(STAGES, 0.0)

    def watch() -> None:
        last = began  # all up to here was Python's own start
        while not (rows.exists() and rows.stat().st_size > size):
            time.sleep(0.005)
            now, frame = time.time(), sys._current_frames().get(main)
            spent[stage(frame)] += now - last
            last = now
        os.kill(os.getpid(), signal.SIGTERM)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    sys.argv = ["train.py", *arguments, f"--workdir={workdir}"]
    try:
        runpy.run_path(str(common.ROOT / "train.py"), run_name="__main__")
    except SystemExit as end:
        if end.code or watcher.is_alive():
            raise
    return spent


def shown(name: str, points: list[dict[str, float]]) -> float:
    """Print the medians of some starts; returns that of the whole."""
    whole = statistics.median(sum(spent.values()) for spent in points)
    stages = [statistics.median(spent[stage] for spent in points) for stage in STAGES]
    common.row(name, whole, *(f"{seconds:.2f}" for seconds in stages))
    return whole


def import_times(repeat: int) -> None:
    common.table("", "seconds")
    for code in IMPORTS:
        program = f"import time; start = time.perf_counter(); {code}; print(time.perf_counter() - start)"
        environment = os.environ | {"PYTHONPATH": str(common.ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        told = [
            subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True).stdout
            for _ in range(repeat)
        ]
        common.row(f"`{code}`", f"{statistics.median(map(float, told)):.2f}")


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--config", default=str(common.ROOT / "configs" / "quick.py"))
    parser.add_argument("--photos", help="a folder of photographs; 64 of them are used")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--repeat", type=common.positive, default=3)
    parser.add_argument("further", nargs="*", metavar="--config.KEY=VALUE")
    args = parser.parse_args()

    asked = [f"--config={args.config}", "--config.log_every=1", "--config.pretrained=", f"--config.image_size={args.size}"]
    asked += [f"--config.batch_size={args.batch_size}", "--config.data.limit=64", "--config.data.source=sample"]
    if args.photos:
        asked[-1:] = ["--config.data.source=folder", f"--config.data.dir={args.photos}"]
    print(f"{os.cpu_count()} processors, {Path(args.config).name}, {args.size} pixels, batches of {args.batch_size}\n")
    import_times(args.repeat)
    print()
    common.table("", "seconds", *STAGES)
    with tempfile.TemporaryDirectory() as folder:
        cache, workdir = Path(folder, "cache"), Path(folder, "run")

        def start(name: str, _: int) -> dict[str, float]:
            for old in {"cold": (cache, workdir), "warm": (), "new": (workdir,)}[name]:
                shutil.rmtree(old, ignore_errors=True)
            environment = {"COLORJAX_CACHE": str(cache)}
            arguments = [*asked, *args.further]
            return common.in_a_process(watched, str(workdir), time.time(), arguments, environment=environment)

        points = common.in_turns(("cold", "warm", "new"), args.repeat, start)
    whole = {name: shown(name, spent) for name, spent in points.items()}
    print(f"\nA warm restart is {whole['cold'] / whole['warm']:.1f} times faster than a cold start.")


if __name__ == "__main__":
    main()
