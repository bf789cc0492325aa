"""The jobs of `train_throughput.py`, one a process.

A process has one framework, so that memory and compile time are its own.
"""

import gc
import re
import resource
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common
from benchmarks.speed.train_sides import SIDES, Colorjax

WARM_UP = 5  # steps after the first, before anything is timed
TRACED = 5  # steps in a profile
CHECKED = {"learning_rate": 3e-3, "weight_decay": 5.0, "clip_norm": 1e-4, "epochs": 3}  # so that each shows in 5 steps


def check(job: dict) -> dict:
    """Hold that both sides do the same: loss and gradient norm of a few steps in float32. And count colorjax's FLOP."""
    told = {}
    for stem in job["stems"]:
        small = job | {"gpu": False, "stem": stem, "width": 16, "size": 64, "batch": 4, "dtype": "float32", "compile": "none"}
        small |= {"steps_per_epoch": 2, "changes": CHECKED}
        seen = []
        for make in SIDES.values():
            side = make(small)
            for number in range(5):
                side.step(side.batches[number % 2])
            seen.append(np.array([[float(value) for value in row] for row in side.losses]))
        worst = np.abs(seen[1] / seen[0] - 1).max(axis=0)
        if not (worst < (1e-3, 2e-2)).all():
            raise AssertionError(
                f"stem={stem}: loss and gradient norm are not the same: {seen[0].tolist()}, {seen[1].tolist()}"
            )
        told[stem] = worst.tolist()
    every = [job | {"gpu": False, "stem": stem, "batch": batch} for stem in job["stems"] for batch in job["batches"]]
    return {"worst": told, "flop": [[one["stem"], one["batch"], Colorjax(one, batches=0).flop()] for one in every]}


def device(job: dict) -> dict:
    """What JAX computes on, and the fastest of its matrix products, FLOP a second."""
    import jax
    import jax.numpy as jnp

    gpu = jax.default_backend() == "gpu"
    dtype, best = job["dtype"] or ("bfloat16" if gpu else "float32"), 0.0
    for side in (4096, 8192, 16384) if gpu else (1024, 2048):
        a, b = (jax.random.normal(jax.random.key(i), (side, side), dtype) for i in (0, 1))
        product, repeats = jax.jit(jnp.matmul), 20 if gpu else 1
        for _ in range(8):
            start = time.perf_counter()
            products = [product(a, b) for _ in range(repeats)]
            jax.block_until_ready(products)
            best = max(best, repeats * 2 * side**3 / (time.perf_counter() - start))
            del products
    return {"gpu": gpu, "name": jax.devices()[0].device_kind, "dtype": dtype, "peak": best}


def seconds_a_step(side: Any, batches: Any, count: int) -> float:
    side.wait()
    start = time.perf_counter()
    for _ in range(count):
        side.step(next(batches))
    side.wait()
    return (time.perf_counter() - start) / count


def endless(batches: list) -> Any:
    while True:
        yield from batches


def timed(job: dict) -> dict:
    """One round of one side on random data: the median of blocks of many steps each."""
    side = SIDES[job["side"]](job)
    batches = endless(side.batches)
    compiling = seconds_a_step(side, batches, 1)
    first_loss = float(side.losses[0][0])
    seconds_a_step(side, batches, WARM_UP)
    count = max(2, round(job["seconds"] / seconds_a_step(side, batches, 2)))
    gc.disable()
    spent = statistics.median(seconds_a_step(side, batches, count) for _ in range(job["blocks"]))
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    told = {"rate": side.config.batch_size / spent, "compiling": compiling, "first_loss": first_loss, "steps": count}
    told |= {"memory": side.peak_memory() or resident, "note": side.note}
    if job.get("profile"):
        told["costs"] = costs(side, batches, job["profile"])
    return told


def costs(side: Any, batches: Any, folder: str) -> list[tuple[str, float]]:
    """Trace some steps into `folder` -> the three largest kinds of operations of the device, with their share of its time."""
    import jax

    with jax.profiler.trace(folder):
        seconds_a_step(side, batches, TRACED)
    on_gpu: Counter = Counter()
    on_cpu: Counter = Counter()
    latest = max(Path(folder).rglob("*.xplane.pb"), key=lambda path: path.stat().st_mtime)
    for plane in jax.profiler.ProfileData.from_file(str(latest)).planes:
        for line in plane.lines:
            for event in line.events:
                about = dict(event.stats)
                name = re.sub(r"[._]?\d+", "", str(about.get("hlo_op", event.name)))
                if plane.name.startswith("/device:GPU") and line.name.startswith("Stream"):
                    on_gpu[name] += event.duration_ns
                elif "hlo_op" in about:  # threads of a CPU have other events too, other lines of a GPU the same again
                    on_cpu[name] += event.duration_ns
    spent = on_gpu or on_cpu
    total = sum(spent.values())
    return [(name, nanoseconds / total) for name, nanoseconds in spent.most_common(3)]


def with_photographs(job: dict) -> dict:
    """One side with its input pipeline: that alone, steps on random data and steps on photographs, in turn; pictures/s."""
    side = SIDES[job["side"]](job)
    batches = endless(side.batches)
    seconds_a_step(side, batches, 1 + WARM_UP)
    count = max(2, round(job["seconds"] / seconds_a_step(side, batches, 2)))
    alone, on_device, waiting = side.photographs()  # those that wait are taken before it is timed

    def steps(what: str, _: int) -> float:
        if what == "random":
            return seconds_a_step(side, batches, count)
        seconds_a_step(side, on_device, waiting)
        return seconds_a_step(side, on_device, count)

    def pipeline() -> None:
        for _ in range(count):
            next(alone)

    spent = common.in_turns(("random", "photographs"), job["blocks"], steps)
    for _ in range(waiting):
        next(alone)
    spent["alone"] = [seconds / count for seconds in common.timed(job["blocks"], pipeline)[1]]
    return {name: side.config.batch_size / statistics.median(seconds) for name, seconds in spent.items()}
