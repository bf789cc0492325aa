"""An archive on a cluster of two machines: how fast, and what is lost when a worker is killed and a machine goes.

    python benchmarks/reliability/cluster.py --photos=DIR [--ckpt=DIR] [--count 500] [--workers 1 2] [--size PIXELS]
    python benchmarks/reliability/cluster.py --idle 1000000

Both machines are Ray nodes on this one, with one processor each in Ray's books. The head, which has none, is a third.
  1. One process colours `--count` photographs without a cluster.
  2. The cluster does, with each number of workers.
  3. It does with two workers and two faults. One worker's process is killed by SIGKILL when half of the copies are there. One
     machine is removed when two thirds are.
After each, every photograph must have been told coloured once. Copies and sidecars must be those of the first run, byte for
byte. Seconds are from the start of the command to its end. In brackets: photographs a second from the first copy to the last.

--photos: the first photographs below it, those of its folders in turn; without it, crops of scikit-image's pictures.
--ckpt: without it the weights have the size of `configs/unet_fast.py`'s and are random.
--size: photographs are scaled to this short side.
--idle: only what so many photographs cost the machine that hands them out. Its workers, started here, do nothing.
"""

import json
import os
import pickle
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from itertools import chain, zip_longest
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

import numpy as np
import psutil
import skimage.data
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common
from colorjax import photos
from colorjax.archive import colorize_cluster
from colorjax.archive.plan import Job, Options, Outcome


def archive(folder: Path, root: str | None, count: int, size: int | None) -> None:
    """Put `count` photographs below a folder, a hundred to each of its folders."""
    found: dict[Path, list[Path]] = {}
    for _, path in photos.find([root] if root else []):
        found.setdefault(path.parent, []).append(path)
    in_turn = [path for path in chain.from_iterable(zip_longest(*found.values())) if path]
    samples = [skimage.data.chelsea(), skimage.data.astronaut(), skimage.data.coffee(), skimage.data.rocket()]
    rng = np.random.default_rng(0)
    for i in range(count):
        target = folder / f"{i // 100:02d}" / f"{i:04d}"
        target.parent.mkdir(parents=True, exist_ok=True)
        if not in_turn:
            sample = samples[i % 4]
            top, left = (int(rng.integers(side - 256)) for side in sample.shape[:2])
            Image.fromarray(sample[top : top + 256, left : left + 256]).save(target.with_suffix(".jpg"), quality=92)
        elif size is None:
            shutil.copyfile(in_turn[i], target.with_suffix(in_turn[i].suffix))
        else:
            picture = Image.open(in_turn[i]).convert("RGB")
            scale = size / min(picture.size)
            picture.resize([round(scale * side) for side in picture.size]).save(target.with_suffix(".jpg"), quality=92)


def coloured(work: Path, name: str, ckpt: str, *arguments: str) -> Popen:
    asked = ["colorize", work / "archive", "--out", work / name, "--report", work / f"{name}.json", "--ckpt", ckpt, *arguments]
    return common.colorjax_process(*asked, cache=work / "cache", stdout=DEVNULL, stderr=PIPE)


def copies(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(f"*{photos.OWN_COPY}.*") if path.suffix != ".json"]


def finished(name: str, process: Popen, start: float, work: Path, count: int) -> None:
    """Wait for the end, check that nothing is lost, and print the line of the table."""
    _, err = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"{name}: exit code {process.returncode}\n{err}")
    folder = work / name.replace(" ", "_")
    report = json.loads((work / f"{folder.name}.json").read_text())
    told = Counter(one["source"] for one in report["photographs"])
    once = sum(number == 1 for number in told.values())
    one = work / "one_process"
    files = [path.relative_to(one) for path in one.rglob("*") if path.is_file()]
    same = sum((folder / file).is_file() and (folder / file).read_bytes() == (one / file).read_bytes() for file in files)
    written = sorted(path.stat().st_mtime for path in copies(folder))
    speed = f"{count / seconds:.2f} ({(len(written) - 1) / (written[-1] - written[0]):.2f})"
    common.row(name, seconds, speed, once, len(written), f"{same} of {len(files)}")
    bad = report["counts"] != {"coloured": count} or once != count or same != len(files) or len(files) != 2 * count
    if bad:
        raise SystemExit(f"{name}: {report['counts']}")


def kill_a_worker(here: psutil.Process) -> int:
    """SIGKILL one of the processes that colour; its id."""
    for child in here.children(recursive=True):
        if " ".join(child.cmdline()).startswith("ray::MapWorker"):
            child.send_signal(signal.SIGKILL)
            return child.pid
    raise SystemExit("there is no worker to kill")


def wait_for(number: int, folder: Path, process: Popen) -> None:
    while len(copies(folder)) < number:
        if process.poll() is not None:
            raise SystemExit(f"it ended before {number} copies were there")
        time.sleep(0.05)


class Idle(colorize_cluster.Worker):
    """Says at once that its photographs are coloured."""

    def __init__(self, setup: colorize_cluster.Setup):
        pass

    def __call__(self, table):
        done = [pickle.dumps(Outcome(pickle.loads(job), "coloured")) for job in table["job"].to_pylist()]
        return colorize_cluster._table(number=table["number"].to_pylist(), answer=done)


def handed_out(count: int, folder: Path) -> None:
    colorize_cluster.Worker = Idle
    jobs = [Job(Path(f"/{i // 1000}/{i}.jpg"), folder / f"{i // 1000}" / f"{i}.colorized.jpg") for i in range(count)]
    start, first = time.perf_counter(), 0.0
    done = []
    for outcome in colorize_cluster.run(
        jobs, colorize_cluster.LOCAL, None, colorize_cluster.Setup("nobody reads it", None, False, Options()), [folder]
    ):
        first = first or time.perf_counter() - start
        done.append(outcome)
    seconds, gigabytes = time.perf_counter() - start, common.peak_memory() / 1000
    print(f"{len(done)} told: the first after {first:.0f} s, the last after {seconds:.0f} s; {gigabytes:.1f} GB")


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--photos")
    parser.add_argument("--ckpt")
    parser.add_argument("--count", type=common.positive, default=500)
    parser.add_argument("--size", type=int)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--idle", type=int)
    args = parser.parse_args()
    if args.idle:
        with tempfile.TemporaryDirectory() as folder:
            return handed_out(args.idle, Path(folder))
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        archive(work / "archive", args.photos, args.count, args.size)
        ckpt = args.ckpt or str(common.random_weights(work / "weights"))
        coloured(work, "warm", ckpt, "--strength", "1").communicate()  # fills the compilation cache
        print(f"{os.cpu_count()} processors\n")
        common.table("", "seconds", "photographs a second", "told once", "copies", "files of the same bytes")
        start = time.perf_counter()
        finished("one process", coloured(work, "one_process", ckpt), start, work, args.count)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        for number in args.workers:
            start, name = time.perf_counter(), f"{number} workers"
            process = coloured(work, name.replace(" ", "_"), ckpt, "--cluster", cluster.address, "--workers", str(number))
            finished(name, process, start, work, args.count)
        start = time.perf_counter()
        process = coloured(work, "faults", ckpt, "--cluster", cluster.address, "--workers", "2")
        wait_for(args.count // 2, work / "faults", process)
        kill_a_worker(psutil.Process())
        wait_for(args.count * 2 // 3, work / "faults", process)
        cluster.remove_node(nodes[1])
        finished("faults", process, start, work, args.count)
        cluster.shutdown()


if __name__ == "__main__":
    main()
