"""Trains the release from packs of `pack.py` in a given time on whatever device JAX finds, and leaves weights and figures.

    python benchmarks/accelerator/train.py PACKS OUT [--seconds=420] [--batch=128] [--size=160] [--last-size=208]

The photographs lie on the device; squares of them are cut, mirrored and seen there. The rate is constant for three quarters of
the time. Then it falls along a cosine to 0, at --last-size: how many steps that takes follows from those before. It needs
neither TensorFlow nor a network connection. OUT/weights is the moving average, OUT/weights.tar.NN the same in parts of 15 MB,
OUT/told.txt what was measured. What is trained is `configs/quarter.py` from --init.
Keys can be changed: --set learning_rate=3e-4 --set model.dtype=float32.
"""

import argparse
import ast
import concurrent.futures
import contextlib
import io
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common
from colorjax import checkpoint
from colorjax.platform import sharding
from colorjax.science import bins
from colorjax.training import optim, runs, steps
from configs import quarter

PART = 15 * 10**6  # bytes of a part of the weights
STRETCHES = 100  # of the cosine
WAITED = 20  # steps that may be on their way


def read(packs: Path) -> np.ndarray:
    """The squares of all pieces, (n, side, side, 3) uint8."""
    pieces = sorted(packs.glob("piece-*.zip"))
    if not pieces:
        raise SystemExit(f"{packs} holds no piece-*.zip of pack.py")

    def decoded(content: bytes) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))

    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = []
        for piece in pieces:
            with zipfile.ZipFile(piece) as archive:
                found += pool.map(decoded, [archive.read(name) for name in archive.namelist()])
    return np.stack(found)


def configured(args: argparse.Namespace) -> Any:
    """The settings of the training, but for its length."""
    config = quarter.get_config()
    config.model.dtype = "bfloat16" if jax.default_backend() == "gpu" else "float32"
    config.batch_size = config.eval_batch_size = args.batch
    config.image_size, config.schedule, config.epochs = args.size, "constant", STRETCHES
    config.learning_rate = 3e-4 * (args.batch / 16) ** 0.5
    config.pretrained, config.init_from = ("", str(args.init)) if args.init else (str(args.pretrained), "")
    config.data.dir = "photos"
    for change in args.set:
        key, _, value = change.partition("=")
        with contextlib.suppress(ValueError, SyntaxError):  # what is no number is a word
            value = ast.literal_eval(value)
        config.update_from_flattened_dict({key: value})
    return config


def cutter(squares: jax.Array, batch: int, size: int) -> Callable[[jax.Array], dict[str, jax.Array]]:
    """A number of a step -> its batch: random places of random squares, half of them mirrored, (batch, size, size, 3) uint8."""
    count, side = squares.shape[:2]
    if size > side:
        raise SystemExit(f"--size and --last-size: {size} is more than the {side} pixels of the squares")

    @jax.jit
    def cut(squares: jax.Array, number: jax.Array) -> jax.Array:
        keys = jax.random.split(jax.random.fold_in(jax.random.key(7), number), 4)
        which = jax.random.randint(keys[0], (batch,), 0, count)
        places = jax.random.randint(keys[1], (batch, 2), 0, side - size + 1)

        def one(index: jax.Array, place: jax.Array, mirrored: jax.Array) -> jax.Array:
            part = jax.lax.dynamic_slice(squares, (index, place[0], place[1], 0), (1, size, size, 3))[0]
            return jnp.where(mirrored, part[:, ::-1], part)

        return jax.vmap(one)(which, places, jax.random.bernoulli(keys[2], 0.5, (batch,)))

    mask = jnp.ones(batch, jnp.float32)
    return lambda number: {"image_u8": cut(squares, jnp.int32(number)), "mask": mask}


def train(args: argparse.Namespace, tell: Callable[[str], None]) -> None:
    began = time.perf_counter()
    squares = read(args.packs)
    config, mesh = configured(args), sharding.make_mesh(args.batch)
    tell(
        f"{len(squares)} squares of {squares.shape[1]} pixels, read in {time.perf_counter() - began:.0f} s; {jax.devices()[0]}"
    )
    on_device = jax.device_put(squares)

    def optimizers_and_step(steps_in_all: int) -> tuple[Any, Callable]:
        optimizers = optim.make(config, max(steps_in_all // STRETCHES, 1))
        return optimizers, steps.make(config, optimizers, mesh, np.zeros(bins.COUNT))

    def run(now: Any, step: Callable, size: int, enough: Callable[[int, float], bool]) -> tuple[Any, int, float, float]:
        """(state, steps, seconds a step, seconds of compiling) until `enough` of (steps, seconds since `began`)."""
        cut, done, start = cutter(on_device, args.batch, size), 0, time.perf_counter()
        before, compiling, told = int(now.step), 0.0, 0.0
        while not done or not enough(done, time.perf_counter() - began):
            now, scalars = step(now, cut(before + done))
            done += 1
            if done == 1:
                jax.block_until_ready(scalars)
                compiling = time.perf_counter() - start
            if done % WAITED == 0:
                jax.block_until_ready(scalars)  # else thousands of steps are waiting when the time is up
            if time.perf_counter() - told > args.seconds / 25:
                told = time.perf_counter()
                tell(f"{told - began:6.0f} s  {_row(scalars)}")
        jax.block_until_ready(scalars)
        seconds = (time.perf_counter() - start - compiling) / max(done - 1, 1)
        speed = f"{args.batch / seconds:.1f} pictures a second" if done > 1 else "too few to time"
        tell(f"{size} pixels: {done} steps of {args.batch}, {speed}, compiled in {compiling:.0f} s")
        tell(f"last: {_row(scalars)}")
        return now, done, seconds, compiling

    config.schedule = "constant"
    optimizers, step = optimizers_and_step(10**6)
    with checkpoint.Checkpoints(args.out / "run", keep=1, best_by="latest") as checkpoints:
        now, _ = runs.start(config, optimizers, mesh, checkpoints)
    first_part = 0.75 * (args.seconds - args.spare)
    now, done, seconds, compiling = run(now, step, args.size, lambda _, passed: passed > first_part)

    config.schedule, config.image_size, config.warmup_steps = "cosine", args.last_size, 1
    left = args.seconds - args.spare - compiling - (time.perf_counter() - began)
    total = max(int(left / (seconds * (args.last_size / args.size) ** 2)), 1)
    optimizers, step = optimizers_and_step(total)
    now.opt_state = _from_the_height(now.opt_state)
    now, last, _, _ = run(now, step, args.last_size, lambda steps_done, _: steps_done >= total)

    tell(f"{(done + last) * args.batch} pictures, each {(done + last) * args.batch / len(squares):.1f} times")
    config.image_size = args.size
    network = checkpoint.Network(config, now.average["params"], now.average["stats"], args.out)
    tell(
        f"weights: {checkpoint.export(network, args.out / 'weights') / 1e6:.1f} MB; {time.perf_counter() - began:.0f} s in all"
    )


def _from_the_height(optimizer_state: Any) -> Any:
    """The optimiser's state with its moments as they are, and the schedule at its first step again."""

    def again(part: Any) -> Any:
        return part._replace(count=jnp.zeros_like(part.count)) if isinstance(part, optax.ScaleByScheduleState) else part

    return jax.tree.map(again, optimizer_state, is_leaf=lambda part: isinstance(part, optax.ScaleByScheduleState))


def _row(scalars: dict[str, jax.Array]) -> str:
    row = {name: float(scalars[name]) for name in ("loss", "l1", "palette", "grad_norm") if name in scalars}
    if not np.isfinite(list(row.values())).all():
        raise SystemExit("the training has diverged: give a lower --set learning_rate=")
    return "  ".join(f"{name} {value:.4f}" for name, value in row.items())


def parts(folder: Path) -> None:
    """`folder` as folder.tar.00, .01, ..., each small enough to be sent."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add(folder, folder.name)
    whole = stream.getvalue()
    for number, start in enumerate(range(0, len(whole), PART)):
        folder.with_name(f"{folder.name}.tar.{number:02d}").write_bytes(whole[start : start + PART])


def options() -> argparse.Namespace:
    parser = common.parser(__doc__)
    parser.add_argument("packs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=420, help="for everything but PyTorch's turn (default: 420)")
    parser.add_argument("--spare", type=float, default=20, help="of these, for writing the weights (default: 20)")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--last-size", type=int, default=208)
    parser.add_argument("--init", default="pretrained", help="network to go on from (default: pretrained)")
    parser.add_argument("--pretrained", default="", help="ImageNet's weights to begin with; with --init=")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="another value of a config key")
    parser.add_argument("--beside-torch", action="store_true", help="then time the step beside PyTorch, with share of peak")
    return parser.parse_args()


def main() -> None:
    args = options()
    args.out.mkdir(parents=True, exist_ok=True)
    for old in (args.out / "run", args.out / "weights"):
        shutil.rmtree(old, ignore_errors=True)
    with open(args.out / "told.txt", "w") as told:

        def tell(line: str) -> None:
            print(line, flush=True)
            print(line, file=told, flush=True)

        train(args, tell)
        parts(args.out / "weights")
        shutil.rmtree(args.out / "run", ignore_errors=True)
        if args.beside_torch:
            script = common.ROOT / "benchmarks" / "speed" / "train_throughput.py"
            command = [sys.executable, str(script), "--stems=strided", f"--batches={args.batch}", "--rounds=2"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            tell(done.stdout or done.stderr[-2000:])


if __name__ == "__main__":
    main()
