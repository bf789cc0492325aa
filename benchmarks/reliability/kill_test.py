"""Kill a training again and again, start it again with the same command, and compare with one that was left alone.

    python benchmarks/reliability/kill_test.py [--kills=20] [--seed=0] [--runs=quick,gan]

There are two runs: a small `configs/quick.py` with a moving average, and a tiny GAN with both players. Each is killed with
SIGKILL at moments drawn at random: during the start, between steps, while a checkpoint is written, between its end and its
checksums. Between kills it is sometimes stopped with SIGTERM, which must end it with exit code 0 within 30 seconds.

At the end these must be the same bit for bit: parameters, BatchNorm statistics, optimisers, average, discriminator, step and
key, and every row of metrics.jsonl but its speed. The exit code is 1 if anything differs.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import numpy as np
from orbax.checkpoint import v1 as ocp

from benchmarks import common
from colorjax.evaluation.history import read_rows

_SMALL = [
    f"--config.{change}" for change in ("image_size=32", "model.width=8", "log_every=5", "checkpoint_every=2", "epochs=6")
]
RUNS = {
    "quick": ["--config=configs/quick.py", *_SMALL, "--config.ema=0.95"],
    "gan": [
        *("--config=configs/gan_shallow.py", *_SMALL, "--config.data.source=sample", "--config.data.cache=False"),
        *("--config.batch_size=8", "--config.eval_batch_size=2", "--config.discriminator.layers=1"),
        *("--config.discriminator.width=8", "--config.panels=2"),
    ],
}
MOMENTS = ("start", "step", "save", "save", "seal", "stop")  # saves are short: they get a larger share of the kills
_SECONDS_TO_STOP = 30


def start(run: str, workdir: Path) -> subprocess.Popen:
    command = [sys.executable, "train.py", *RUNS[run], f"--workdir={workdir}"]
    return subprocess.Popen(command, cwd=common.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def wait_for(moment: str, process: subprocess.Popen, workdir: Path, draw: random.Random, since: float) -> str:
    """Wait until a moment to kill; returns what was met: the moment, or "end" where the run ended before."""
    if moment == "start":
        until = since + draw.uniform(0, 12)
        while time.time() < until and process.poll() is None:
            time.sleep(0.01)
        return moment if process.poll() is None else "end"
    folder, skip = workdir / "checkpoints", draw.randrange(3)
    rows, known = len(read_rows(workdir)), {path.name for path in folder.glob("*")}
    while process.poll() is None:
        names = {path.name for path in folder.glob("*")} - known
        writing = [name for name in names if not name.isdigit()]
        unsealed = [name for name in names if name.isdigit() and not (folder / name / "checksums.json").exists()]
        further = len(read_rows(workdir)) > rows + skip
        met = {"step": further, "stop": further, "save": bool(writing), "seal": bool(unsealed)}[moment]
        if met and (skip == 0 or moment in ("step", "stop")):
            time.sleep(draw.choice([0, draw.uniform(0, 0.05)]))
            return moment
        if met:
            skip, known = skip - 1, known | names
        time.sleep(0.0005)
    return "end"


def final(workdir: Path) -> dict[str, np.ndarray]:
    """Every array of the last checkpoint."""
    with ocp.training.Checkpointer((workdir / "checkpoints").absolute()) as checkpointer:
        items = checkpointer.load_checkpointables(checkpointer.latest.step)
    import jax

    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree.leaves_with_path(items)}


def history(workdir: Path) -> list[dict]:
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "images_per_second"} for row in rows]


def differences(ours: Path, theirs: Path) -> list[str]:
    one, two = final(ours), final(theirs)
    found = [f"{name} is only in one" for name in one.keys() ^ two.keys()]
    found += [f"{name} differs" for name in one.keys() & two.keys() if one[name].tobytes() != two[name].tobytes()]
    first, second = history(ours), history(theirs)
    found += [] if len(first) == len(second) else [f"{len(first)} and {len(second)} rows of metrics"]
    return found + [f"row {a} differs from {b}" for a, b in zip(first, second, strict=False) if a != b]


def finish(run: str, workdir: Path) -> None:
    process = start(run, workdir)
    _, told = process.communicate()
    if process.returncode:
        sys.exit(f"{run}: exit code {process.returncode}\n{told[-3000:]}")


def test(run: str, kills: int, seed: int, folder: Path) -> bool:
    begin, draw, met = time.time(), random.Random(f"{run} {seed}"), Counter()
    straight, killed = folder / f"{run}-straight", folder / f"{run}-killed"
    finish(run, straight)
    while met.total() - met["stop"] < kills:
        process, since = start(run, killed), time.time()
        moment = wait_for(draw.choice(MOMENTS), process, killed, draw, since)
        process.send_signal(signal.SIGTERM if moment == "stop" else signal.SIGKILL)
        _, told = process.communicate(timeout=_SECONDS_TO_STOP)
        if process.returncode not in ((0,) if moment == "stop" else (0, -signal.SIGKILL)):
            print(f"{run}: exit code {process.returncode} before a kill\n{told[-3000:]}")
            return False
        if moment == "end":  # it was done before its moment came: once more from the start, and the kills so far count
            if wrong := differences(straight, killed):
                print(f"{run}: after {dict(met)}:", *wrong[:10], sep="\n  ")
                return False
            killed = folder / f"{run}-killed-{met.total()}"
            continue
        met[moment] += 1
    finish(run, killed)
    wrong = differences(straight, killed)
    kinds = ", ".join(f"{number} at a {moment}" for moment, number in sorted(met.items()))
    arrays, rows = len(final(straight)), len(history(straight))
    kinds = f"{met.total() - met['stop']} kills and {met['stop']} stops ({kinds})"
    print(f"{run}: {kinds}, {arrays} arrays, {rows} rows, {time.time() - begin:.0f} s: ", end="")
    print(*([f"{len(wrong)} differences", *wrong[:10]] if wrong else ["the same bit for bit"]), sep="\n  ", flush=True)
    return not wrong


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--kills", type=int, default=20, help="of each run (default: 20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", default=",".join(RUNS), help=f"which of {', '.join(RUNS)} (default: all)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = [test(run, args.kills, args.seed, Path(folder)) for run in args.runs.split(",")]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
