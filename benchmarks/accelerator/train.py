"""Trains the release from packs of `pack.py` in a given time on the accelerator that JAX finds; leaves weights and figures.

    python benchmarks/accelerator/train.py PACKS OUT [--seconds=420] [--batch=128] [--size=160] [--last-size=192]

What is trained is `configs/quarter.py`, from --init. The photographs lie on the device; squares of them are cut and mirrored
there. Programs for both sizes are compiled and tried first. Three quarters of the time that is left then go to --size, at one
rate. In the last quarter, at --last-size, the rate falls along a cosine; it is 0 when the time is up. The clock alone decides.

OUT/weights.tar.NN is the moving average, in parts of 15 MB. OUT/told.txt says what was measured: pictures a second, the share
of the device's fastest matrix product, the largest costs of a step. OUT/trace.tar.gz.NN is jax.profiler's trace of them.
It needs neither TensorFlow nor a network connection. Keys can be changed: --set learning_rate=3e-4 --set ema=0.99.
"""

import argparse
import ast
import concurrent.futures
import contextlib
import dataclasses
import functools
import io
import itertools
import os
import shutil
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

BEGAN = time.perf_counter()  # what follows takes a while, too
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common
from benchmarks.accelerator import preflight

preflight.check()  # before these are imported, whose own words would be of a module

import jax
import jax.numpy as jnp
import numpy as np
import optax
from PIL import Image

from benchmarks.speed import train_jobs, train_sides
from colorjax import checkpoint
from colorjax.checkpoint import settings
from colorjax.networks import state as states
from colorjax.platform import caching, sharding
from colorjax.science import bins
from colorjax.training import optim, runs, steps
from configs import quarter

PART = 15 * 10**6  # bytes of a part of what is sent home
MOST_OF_TRACE = 3  # parts
FALL = 10**6  # steps of the schedule, of which only places are taken
STEADY = 0.75  # of the time, at one rate
WAITED = 20  # steps that may be on their way
TOLD = 25  # lines about the course of a training

Tell = Callable[[str], None]


class Squares(NamedTuple):
    """pixels: (n, most, most, 3) uint8, each square in the corner of its place. sides: their own sides, (n,) int32."""

    pixels: Any
    sides: Any


# Photographs


def read(packs: Path) -> list[np.ndarray]:
    """The squares of all pieces, (side, side, 3) uint8 each. Raises SystemExit where there are none."""
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
    return found


def fitted(pictures: list[np.ndarray], size: int, jitter: float) -> Squares:
    """The squares as crops of `size` pixels are cut of them: not smaller, and at most 1 + jitter times as large."""
    most = round(size * (1 + jitter))

    def one(picture: np.ndarray) -> np.ndarray:
        side = min(max(len(picture), size), most)
        fits = picture if len(picture) == side else Image.fromarray(picture).resize((side, side), Image.LANCZOS)
        return np.pad(np.asarray(fits), ((0, most - side), (0, most - side), (0, 0)))

    with concurrent.futures.ThreadPoolExecutor() as pool:
        pixels = np.stack(list(pool.map(one, pictures)))
    return Squares(pixels, np.clip([len(picture) for picture in pictures], size, most).astype(np.int32))


def cut(squares: Squares, key: jax.Array, batch: int, size: int, flip: bool) -> jax.Array:
    """Random places of random squares, half of them mirrored if asked: (batch, size, size, 3) uint8."""
    keys = jax.random.split(key, 3)
    which = jax.random.randint(keys[0], (batch,), 0, len(squares.sides))
    places = jax.random.randint(keys[1], (batch, 2), 0, (squares.sides[which] - size + 1)[:, None])

    def one(index: jax.Array, place: jax.Array, mirrored: jax.Array) -> jax.Array:
        part = jax.lax.dynamic_slice(squares.pixels, (index, place[0], place[1], 0), (1, size, size, 3))[0]
        return jnp.where(mirrored, part[:, ::-1], part)

    return jax.vmap(one)(which, places, jax.random.bernoulli(keys[2], 0.5 if flip else 0.0, (batch,)))


# Settings, the clock and the rate


def configured(args: argparse.Namespace) -> Any:
    """The settings of the training, as the weights tell them too. How often and at which scales a network looks is --init's."""
    config = quarter.get_config()
    config.model.dtype = "auto"
    config.batch_size = config.eval_batch_size = args.batch
    config.image_size, config.schedule, config.epochs = args.last_size, "smooth", 1
    config.learning_rate = 3e-4 * (args.batch / 16) ** 0.5
    config.pretrained, config.init_from = ("", args.init) if args.init else (args.pretrained, "")
    if args.init:
        config.looks = tuple(checkpoint.load(args.init).config.looks)
    config.data.dir = "photos"
    for change in args.set:
        key, _, value = change.partition("=")
        with contextlib.suppress(ValueError, SyntaxError):  # what is no number is a word
            value = ast.literal_eval(value)
        known = settings.flat(config.to_dict())
        if key not in known:
            raise SystemExit(f"--set {change}: there is no key {key}; configs/base.py explains every key")
        try:
            config.update_from_flattened_dict({key: value})
        except TypeError:
            raise SystemExit(f"--set {change}: {key} is {known[key]!r}, and takes another of its kind") from None
    return config


def divided(now: float, seconds: float, spare: float) -> tuple[float, float]:
    """(when the rate begins to fall, when the training ends), in seconds of the clock; now: when everything is compiled.

    Raises SystemExit where no time is left.
    """
    left = seconds - spare - now
    if left <= 0:
        raise SystemExit(
            f"--seconds={seconds:g}: reading and compiling took {now:.0f} s, and --spare={spare:g} are kept for writing and "
            "measuring; give more"
        )
    return now + STEADY * left, now + left


def place(done: int, now: float, falls: float, ends: float, warmup: int) -> int:
    """Where on the schedule of FALL steps the next step is: just behind its warm-up until `falls`, at its end at `ends`."""
    fallen = min(max((now - falls) / (ends - falls), 0.0), 1.0)
    return min(done, warmup) + round(fallen * (FALL - warmup))


def _placed(optimizer_state: Any, where: jax.Array) -> Any:
    """The optimiser's state with its moments as they are, and the schedule at another place."""

    def at(part: Any) -> Any:
        return part._replace(count=where) if isinstance(part, optax.ScaleByScheduleState) else part

    return jax.tree.map(at, optimizer_state, is_leaf=lambda part: isinstance(part, optax.ScaleByScheduleState))


# Training


def updating(config: Any, optimizers: states.Optimizers, mesh: Any) -> Callable:
    """(state, squares, place on the schedule, size=) -> (state, scalars): cuts a batch and makes train.py's own step."""
    step = steps.make(config, optimizers, mesh, np.zeros(bins.COUNT))
    places = jax.tree.map(lambda leaf: leaf.sharding, states.abstract(config, optimizers, mesh))

    @functools.partial(jax.jit, static_argnames="size", donate_argnums=0, out_shardings=(places, sharding.replicated(mesh)))
    def update(state: states.TrainState, squares: Squares, where: jax.Array, size: int) -> tuple[states.TrainState, Any]:
        key = jax.random.fold_in(jax.random.key(7), state.step)
        pictures = cut(squares, key, config.batch_size, size, config.data.flip)
        batch = {"image_u8": pictures, "mask": jnp.ones(config.batch_size, jnp.float32)}
        batch = jax.lax.with_sharding_constraint(batch, sharding.split(mesh))
        return step(dataclasses.replace(state, opt_state=_placed(state.opt_state, where)), batch)

    return update


class Training:
    """A network in training. squares: by size, on the device. rate: pictures a second of each size that was trained at."""

    def __init__(self, config: Any, squares: dict[int, Squares], clock: Callable[[], float], tell: Tell):
        self.config, self._clock, self._tell = config, clock, tell
        self.mesh = sharding.make_mesh(config.batch_size)
        self._squares = jax.device_put(squares, sharding.replicated(self.mesh))
        optimizers = optim.make(config, FALL)
        with tempfile.TemporaryDirectory() as empty, checkpoint.Checkpoints(Path(empty), 1, "latest") as checkpoints:
            self.now, _ = runs.start(config, optimizers, self.mesh, checkpoints)
        self._update = updating(config, optimizers, self.mesh)
        self.rate: dict[int, float] = {}
        self._scalars: dict[str, jax.Array] = {}

    def compile(self, size: int) -> None:
        """Compile the program of a size, and try it on a copy: what does not fit into memory ends here, not at last."""
        start = time.perf_counter()
        squares, copy = self._squares[size], jax.tree.map(jnp.copy, self.now)
        jax.block_until_ready(self._update(copy, squares, jnp.int32(0), size=size))
        self._tell(f"{size} pixels: compiled and tried in {time.perf_counter() - start:.0f} s")

    def step(self, size: int, where: int = 0) -> None:
        """Start one step, and do not wait for it."""
        self.now, self._scalars = self._update(self.now, self._squares[size], jnp.int32(where), size=size)

    def wait(self) -> None:
        jax.block_until_ready((self.now, self._scalars))

    def run(self, size: int, until: float, where: Callable[[int, float], int], every: float) -> None:
        """Steps until then, at least one. where: (steps so far, seconds) -> place. every: seconds between two lines."""
        done, before, start = 0, int(self.now.step), self._clock()
        told = start
        while not done or self._clock() < until:
            self.step(size, where(before + done, self._clock()))
            done += 1
            if done % WAITED == 0:
                self.wait()  # else thousands of steps are waiting when the time is up
            if self._clock() - told > every:
                told = self._clock()
                self._tell(f"{told:6.0f} s  {self._row()}")
        self.wait()
        self.rate[size] = done * self.config.batch_size / (self._clock() - start)
        self._tell(f"{size} pixels: {done} steps of {self.config.batch_size}, {self.rate[size]:.1f} pictures a second")
        self._tell(f"last: {self._row()}")

    def _row(self) -> str:
        row = {name: float(self._scalars[name]) for name in ("loss", "l1", "palette", "grad_norm") if name in self._scalars}
        if not np.isfinite(list(row.values())).all():
            raise SystemExit("the training has diverged: give a lower --set learning_rate=")
        return "  ".join(f"{name} {value:.4f}" for name, value in row.items())


def train(args: argparse.Namespace, clock: Callable[[], float], tell: Tell) -> Training:
    """Read, train and write OUT/weights; what is trained."""
    config, pictures = configured(args), read(args.packs)
    tell(f"{len(pictures)} squares, read in {clock():.0f} s")
    squares = {}
    for size in (args.size, args.last_size):
        squares[size] = fitted(pictures, size, config.data.scale_jitter)
        tell(f"{size} pixels: {sum(len(picture) < size for picture in pictures)} squares are smaller, and enlarged")
    training = Training(config, squares, clock, tell)
    for size in squares:
        training.compile(size)
    falls, ends = divided(clock(), args.seconds, args.spare)

    def where(done: int, now: float) -> int:
        return place(done, now, falls, ends, config.warmup_steps)

    training.run(args.size, falls, where, args.seconds / TOLD)
    training.run(args.last_size, ends, where, args.seconds / TOLD)
    seen = int(training.now.step) * args.batch
    tell(f"{seen} pictures, each square {seen / len(pictures):.1f} times")
    network = checkpoint.Network(config, *training.now.network, args.out)
    tell(f"weights: {checkpoint.export(network, args.out / 'weights') / 1e6:.1f} MB; {clock():.0f} s in all")
    return training


# Figures


def flop(words: list[str]) -> float:
    """Of one picture of --size in one step, for the command line `words`; to be called where JAX sees a CPU alone."""
    args = options(words)
    config = configured(args)
    mesh, optimizers = sharding.make_mesh(config.batch_size), optim.make(config, FALL)
    most = round(args.size * (1 + config.data.scale_jitter))
    squares = Squares(jax.ShapeDtypeStruct((8, most, most, 3), np.uint8), jax.ShapeDtypeStruct((8,), np.int32))
    shapes = (states.abstract(config, optimizers, mesh), squares, jax.ShapeDtypeStruct((), np.int32))
    return train_sides.flop(updating(config, optimizers, mesh), *shapes, size=args.size) / config.batch_size


def measure(training: Training, size: int, flop: float, folder: Path, tell: Tell) -> None:
    """Tell what a step of the training is beside the device's best, and trace some into `folder`. flop: of a picture."""
    device = train_jobs.device({"dtype": None})
    peak, spent = device["peak"] * training.mesh.size, training.rate[size] * flop
    tell(
        f"{size} pixels: {flop / 1e9:.4g} GFLOP a picture (XLA's count), {spent / 1e12:.4g} TFLOP/s: {spent / peak:.1%} of the "
        f"fastest {device['dtype']} matrix product, {peak / 1e12:.4g} TFLOP/s"
    )
    costs = train_jobs.costs(training, itertools.repeat(size), str(folder))
    tell("largest costs of a step: " + ", ".join(f"{name} {share:.0%}" for name, share in costs))


def parts(folder: Path, suffix: str = ".tar", most: int | None = None) -> int:
    """`folder` as folder.tar.00, .01, ..., each small enough to be sent, and itself no longer; how many there are.

    suffix: .tar or .tar.gz. most: where there would be more, there are none.
    """
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz" if suffix.endswith(".gz") else "w") as archive:
        archive.add(folder, folder.name)
    shutil.rmtree(folder)
    whole = stream.getvalue()
    starts = range(0, len(whole), PART)
    if most is None or len(starts) <= most:
        for number, start in enumerate(starts):
            folder.with_name(f"{folder.name}{suffix}.{number:02d}").write_bytes(whole[start : start + PART])
    return len(starts)


def options(words: list[str] | None = None) -> argparse.Namespace:
    parser = common.parser(__doc__)
    parser.add_argument("packs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=420, help="for everything (default: 420)")
    parser.add_argument("--spare", type=float, default=45, help="of these, for weights and figures at the end (default: 45)")
    parser.add_argument("--batch", type=common.positive, default=128)
    parser.add_argument("--size", type=common.positive, default=160)
    parser.add_argument("--last-size", type=common.positive, default=192)
    parser.add_argument("--init", default="pretrained", help="network to go on from (default: pretrained)")
    parser.add_argument("--pretrained", default="", help="ImageNet's weights to begin with; with --init=")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="another value of a config key")
    return parser.parse_args(words)


def main() -> None:
    args = options()
    if jax.default_backend() == "cpu" and os.environ.get("JAX_PLATFORMS") != "cpu":
        raise SystemExit("JAX finds no accelerator here; to rehearse on a CPU, set JAX_PLATFORMS=cpu")
    args.out.mkdir(parents=True, exist_ok=True)
    for old in (args.out / "weights", args.out / "trace"):
        shutil.rmtree(old, ignore_errors=True)
    for old in (*args.out.glob("weights.tar.*"), *args.out.glob("trace.tar.gz.*")):
        old.unlink()
    caching.keep_compiled()
    with open(args.out / "told.txt", "w") as file, concurrent.futures.ThreadPoolExecutor(1) as pool:

        def clock() -> float:
            return time.perf_counter() - BEGAN

        def tell(line: str) -> None:
            print(line, flush=True)
            print(line, file=file, flush=True)

        tell(f"{jax.device_count()} {jax.devices()[0].device_kind}; {preflight.versions()}")
        try:
            counting = pool.submit(common.in_a_process, flop, sys.argv[1:], environment={"JAX_PLATFORMS": "cpu"})
            training = train(args, clock, tell)
            parts(args.out / "weights")
            measure(training, args.size, counting.result(), args.out / "trace", tell)
            count = parts(args.out / "trace", ".tar.gz", MOST_OF_TRACE)
            tell(f"{clock():.0f} s in all" if count <= MOST_OF_TRACE else f"the trace has {count} parts, and is left out")
        except (Exception, SystemExit) as error:
            tell(f"ended after {clock():.0f} s: {type(error).__name__}: {error}")
            raise


if __name__ == "__main__":
    main()
