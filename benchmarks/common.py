"""What the benchmarks do alike: processes, random networks, timing in turns, memory, tables and command lines.

A script puts the repository's root on `sys.path` and takes this module from there: `from benchmarks import common`.
Nothing heavy is imported here, for some scripts measure imports.
"""

import argparse
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_LAST_LINES = 30  # of what a process said before it failed


# Command lines


def parser(about: str) -> argparse.ArgumentParser:
    """A parser whose --help is the script's docstring."""
    return argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)


def positive(text: str) -> int:
    """A whole number of at least 1; argparse tells of another."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)


# Processes


class FailedError(SystemExit):
    """A process that ended without an answer, with the last lines that it said. Uncaught, it ends the script with them."""


def in_a_process(function: Callable[..., Any], *arguments: object, environment: dict[str, str] | None = None) -> Any:
    """What a function of a benchmark returns, called in a process of its own. Arguments and answer travel as JSON.

    So memory, imports and caches are its own. Raises FailedError where it does not answer.
    """
    module = Path(inspect.getfile(function)).resolve().relative_to(ROOT).with_suffix("")
    command = [sys.executable, __file__, ".".join(module.parts), function.__name__, json.dumps(arguments)]
    done = subprocess.run(command, env=os.environ | (environment or {}), capture_output=True, text=True)
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-_LAST_LINES:])
        raise FailedError(f"{function.__name__}: exit code {done.returncode}\n{said}")
    return json.loads(done.stdout.splitlines()[-1])


def colorjax_process(*arguments: object, cache: Path | None = None, **options: Any) -> subprocess.Popen:
    """`colorjax ...` of this checkout, started. cache: its folder of compiled programs. options: those of Popen."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | ({"COLORJAX_CACHE": str(cache)} if cache else {})
    return subprocess.Popen([sys.executable, "-m", "colorjax", *map(str, arguments)], env=environment, text=True, **options)


def peak_memory(process: int | str = "self") -> float:
    """The largest resident memory so far of a running process, MB; its own, not what it inherited. Linux only."""
    try:
        return int(re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{process}/status").read_text())[1]) / 1000
    except (OSError, TypeError):  # it has ended
        return 0.0


def cpu_seconds(process: int | str = "self") -> float:
    """Seconds that a running process has used of all processors, its own and the system's for it. Linux only."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# Random networks


def random_network(config: Any, statistics: bool = False) -> Any:
    """A `checkpoint.Network` of random numbers whose answers are not grey.

    statistics: those of BatchNorm are random too, so that a network that ignores them answers otherwise.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    from colorjax import checkpoint
    from colorjax.networks import state

    params, stats = state.init_network(config.model, jax.random.key(0))
    rng = np.random.default_rng(0)
    params["head"]["kernel"] = jnp.asarray(rng.normal(0, 0.05, params["head"]["kernel"].shape), jnp.float32)

    def scattered(leaf: jax.Array) -> jax.Array:
        drawn = np.asarray(leaf) * rng.uniform(0.5, 1.5, leaf.shape) + rng.uniform(-0.05, 0.05, leaf.shape)
        return jnp.asarray(drawn, jnp.float32)

    return checkpoint.Network(config, params, jax.tree.map(scattered, stats) if statistics else stats, Path("random"))


def random_weights(folder: Path, guided: bool = False) -> Path:
    """Put an exported `unet_fast` of random numbers there, which follows hints if asked; returns the folder."""
    in_a_process(_export, str(folder), guided)
    return folder


def _export(folder: str, guided: bool) -> None:
    from colorjax import checkpoint
    from configs import unet_fast

    config = unet_fast.get_config()
    config.model.guided = guided
    checkpoint.export(random_network(config), folder)


# Timing


def timed(repeats: int, call: Callable[..., Any], *arguments: object) -> tuple[Any, list[float]]:
    """Call something again and again -> (its last answer, the seconds of each call)."""
    answer, seconds = None, []
    for _ in range(repeats):
        start = time.perf_counter()
        answer = call(*arguments)
        seconds.append(time.perf_counter() - start)
    return answer, seconds


def in_turns(ways: Iterable[str], rounds: int, measure: Callable[[str, int], Any]) -> dict[str, list]:
    """What measure(way, round) told of each way in each round.

    The ways take turns, so that whatever else the machine does meets all of them.
    """
    told: dict[str, list] = {way: [] for way in ways}
    for number in range(rounds):
        for way in told:
            told[way].append(measure(way, number))
    return told


# Markdown tables


def table(*columns: str) -> None:
    """Print the head of a table."""
    row(*columns)
    print("|" + "---|" * len(columns), flush=True)


def row(*cells: object) -> None:
    """Print a line of it; a float has one decimal."""
    told = [f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in cells]
    print("".join(f"| {cell} " if cell else "| " for cell in told) + "|", flush=True)


if __name__ == "__main__":  # the other end of `in_a_process`
    sys.path[0] = str(ROOT)
    _module, _function, _arguments = sys.argv[1:]
    print(json.dumps(getattr(importlib.import_module(_module), _function)(*json.loads(_arguments))), flush=True)
    os._exit(0)  # tf.data's threads may take half a minute to end
