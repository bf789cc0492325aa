"""How long train.py takes from its start to the end of its first step, cold and warm, and what imports take.

    python benchmarks/start_up.py [--config=FILE] [--photos=DIR] [--size=96] [--repeat=3] [-- --config.KEY=VALUE ...]

Each line is the median of several processes, in seconds. Cold is with an empty compilation cache in a new workdir; warm is a
restart of that workdir from its first checkpoint; new is a new workdir with a full cache. A point ends when the first row
after its start stands in metrics.jsonl. What the main thread does meanwhile is looked at every few milliseconds: the stages
add up to the whole. Without --photos it trains on the photographs inside the scikit-image wheel.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
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
    "colorjax/platform/": "data",
    "colorjax/training/": "step",
}


def stage(frame) -> str:
    """The stage that a stack belongs to."""
    while frame is not None:
        for part, name in PLACES.items():
            if part in frame.f_code.co_filename.replace(os.sep, "/"):
                return name
        frame = frame.f_back
    return "other"


def child(workdir: Path, began: float, out: Path) -> None:
    """Run train.py in this process, watch it from a thread until its first row is written, and have it stop as it should."""
    import runpy
    import signal
    import threading

    rows, main = workdir / "metrics.jsonl", threading.main_thread().ident
    size = rows.stat().st_size if rows.exists() else 0
    spent = dict.fromkeys(STAGES, 0.0)

    def watch() -> None:
        last = began  # all up to here was Python's own start
        while not (rows.exists() and rows.stat().st_size > size):
            time.sleep(0.005)
            now, frame = time.time(), sys._current_frames().get(main)
            spent[stage(frame)] += now - last
            last = now
        out.write_text(json.dumps(spent))
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    sys.path.insert(0, str(ROOT))
    runpy.run_path(str(ROOT / "train.py"), run_name="__main__")


def point(workdir: Path, cache: Path, arguments: list[str]) -> dict[str, float]:
    """Seconds by stage of one start of train.py."""
    out = cache.parent / "stages.json"
    out.unlink(missing_ok=True)
    command = [sys.executable, __file__, "--child", str(workdir), str(time.time()), str(out), "--", *arguments]
    result = subprocess.run(command, env=os.environ | {"COLORJAX_CACHE": str(cache)}, capture_output=True, text=True)
    if result.returncode or not out.exists():
        raise SystemExit(f"train.py ended with exit code {result.returncode}:\n{result.stderr[-3000:]}")
    return json.loads(out.read_text())


def row(name: str, points: list[dict[str, float]]) -> float:
    """Print the medians of some starts; returns that of the whole."""
    whole = statistics.median(sum(spent.values()) for spent in points)
    stages = [statistics.median(spent[stage] for spent in points) for stage in STAGES]
    print(f"| {name} | {whole:.1f} | " + " | ".join(f"{seconds:.2f}" for seconds in stages) + " |", flush=True)
    return whole


def import_times(repeat: int) -> None:
    print("| | seconds |\n|---|---|")
    for code in IMPORTS:
        program = f"import time; start = time.perf_counter(); {code}; print(time.perf_counter() - start)"
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        told = [
            subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True).stdout
            for _ in range(repeat)
        ]
        print(f"| `{code}` | {statistics.median(map(float, told)):.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(ROOT / "configs" / "quick.py"))
    parser.add_argument("--photos", help="a folder of photographs; 64 of them are used")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("further", nargs="*", metavar="--config.KEY=VALUE")
    args = parser.parse_args()
    if args.child:
        workdir, began, out = args.child
        sys.argv = ["train.py", *args.further]
        return child(Path(workdir), float(began), Path(out))

    common = [f"--config={args.config}", "--config.log_every=1", "--config.pretrained=", f"--config.image_size={args.size}"]
    common += [f"--config.batch_size={args.batch_size}", "--config.data.limit=64", "--config.data.source=sample"]
    if args.photos:
        common[-1:] = ["--config.data.source=folder", f"--config.data.dir={args.photos}"]
    print(f"{os.cpu_count()} processors, {Path(args.config).name}, {args.size} pixels, batches of {args.batch_size}\n")
    import_times(args.repeat)
    print("\n| | seconds | " + " | ".join(STAGES) + " |\n|" + "---|" * (len(STAGES) + 2), flush=True)
    points: dict[str, list] = {"cold": [], "warm": [], "new": []}
    for _ in range(args.repeat):  # in turns, so that whatever else the machine does meets all of them
        with tempfile.TemporaryDirectory() as folder:
            cache, workdir = Path(folder, "cache"), Path(folder, "run")
            for name in points:
                if name == "new":
                    shutil.rmtree(workdir)
                points[name].append(point(workdir, cache, [*common, f"--workdir={workdir}", *args.further]))
    whole = {name: row(name, spent) for name, spent in points.items()}
    print(f"\nA warm restart is {whole['cold'] / whole['warm']:.1f} times faster than a cold start.")


if __name__ == "__main__":
    main()
