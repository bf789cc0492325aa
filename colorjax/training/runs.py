"""What surrounds the training loop: starting from what is there, what the steps measured, and telling how it went."""

import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict
from PIL import Image
from tqdm import tqdm

from colorjax import checkpoint
from colorjax.checkpoint import Checkpoints, Pending, settings
from colorjax.evaluation import evaluators, figures, history, measuring
from colorjax.evaluation.evaluators import Evaluation
from colorjax.networks import perceptual, pretrained, state
from colorjax.networks.state import Optimizers, TrainState
from colorjax.platform import sharding
from colorjax.science import color
from colorjax.training import telemetry

_OWN_KEYS = ("distributed.process", "data.cache_dir")  # of which each process of a run may have its own
_MOST_UNREAD = 10  # steps in a row of whose photographs not one can be read


def start(config: ConfigDict, optimizers: Optimizers, mesh: Mesh, checkpoints: Checkpoints) -> tuple[TrainState, Pending]:
    """The latest checkpoint's state and its `pending`; where there is none, a new one, with what `init_from` or `pretrained`
    names.

    Raises ValueError where `init_from` holds another network than the config describes.
    """
    abstract = state.abstract(config, optimizers, mesh)
    told = {key: value for key, value in settings.flat(settings.plain(config)).items() if key not in _OWN_KEYS}
    if len(set(sharding.texts(json.dumps([checkpoints.latest_step, told])))) > 1:
        raise ValueError("the processes were given different settings, or see different workdirs: they must be the same")
    if checkpoints.latest_step is not None:
        print(f"going on from step {checkpoints.latest_step}")
        return checkpoints.restore(abstract)
    now = state.new(config, optimizers)
    if config.init_from:
        _take_over(config, now)
    elif config.pretrained:
        now.params, now.stats, left = pretrained.load_encoder(config.pretrained, now.params, now.stats)
        if at_random := [stage for stage in state.frozen_stages(config.freeze) if stage in left]:
            raise ValueError(f"freeze={config.freeze!r} would keep {', '.join(at_random)} as random as it starts")
    elif config.freeze:
        raise ValueError(f"freeze={config.freeze!r} keeps what an encoder knows: pretrained or init_from must bring one")
    if now.average:
        now.average = {"params": now.params, "stats": now.stats}
    return sharding.place(now, jax.tree.map(lambda leaf: leaf.sharding, abstract)), []


def _take_over(config: ConfigDict, now: TrainState) -> None:
    """Put the network of `init_from`, and its discriminator where both runs have one, into a new state."""
    trained = checkpoint.load(config.init_from)
    theirs, ours = trained.config.model, config.model
    if theirs.name != ours.name:
        raise ValueError(f"init_from={config.init_from} holds a {theirs.name!r} network; model.name={ours.name!r} is another")
    other = [f"model.{key}={theirs[key]!r} there, {ours[key]!r} here" for key in ("stem", "width") if theirs[key] != ours[key]]
    if other:
        raise ValueError(f"init_from={config.init_from} holds another {ours.name!r} network: {'; '.join(other)}")
    if theirs.guided and not ours.guided:
        raise ValueError(f"init_from={config.init_from} holds a guided network; it needs model.guided=True")
    told, known = f"starting from {trained.source}", trained.params
    if theirs.answer != ours.answer:  # the last layer saw another map, though its shape may be the same
        known = {name: part for name, part in known.items() if name != "head"}
        told += f", whose model.answer={theirs.answer}: the last layers start anew" + (", and hints" if theirs.guided else "")
    # What an automatic network has no numbers for, hints, stays as it begins: without effect.
    now.params, now.stats = _merged(now.params, known), _merged(now.stats, trained.stats)
    if now.discriminator:
        judge = checkpoint.load_discriminator(trained, config)
        if judge is not None:
            now.discriminator |= judge
        told += " and its discriminator" if judge is not None else ", with a new discriminator: it has none like it"
    print(told)


def _merged(ours: dict, theirs: dict) -> dict:
    """`ours` with every number that `theirs` has for the same place and of the same shape."""

    def of(mine: Any, other: Any) -> Any:
        if isinstance(mine, dict):
            return _merged(mine, other)
        return other if mine.shape == other.shape else mine

    return {key: of(value, theirs[key]) if key in theirs else value for key, value in ours.items()}


class Meter:
    """Collects the scalars of steps without waiting for them, and reports their means and the speed.

    pending: those that a stopped run had collected since its last report. new: this is the start of a run.
    """

    def __init__(self, batch_size: int, pending: Pending | None = None, new: bool = True):
        self._batch_size = batch_size
        self._unread = _MOST_UNREAD - 1 if new else 0  # steps in a row; a run that begins with one ends at once
        self.restart()
        self._pending = list(pending or [])
        self._before = len(self._pending)

    def restart(self) -> None:
        """Forget what was collected and start the clock."""
        self._pending: list[tuple[int, dict]] = []
        self._before, self._since = 0, time.perf_counter()

    def add(self, step: int, scalars: dict[str, jax.Array]) -> None:
        """Note the scalars of a step that may still be running; waits for the step before it, so that no queue builds up."""
        self._pending.append((step, scalars))
        jax.block_until_ready(self._pending[-2:][0])

    def checked(self, params: Any) -> Pending:
        """What was collected since the last report. Raises FloatingPointError, see `check_finite`, and OSError where not one
        photograph of many steps in a row could be read."""
        fetched = jax.device_get(self._pending)
        self._pending = [(step, {name: float(value) for name, value in scalars.items()}) for step, scalars in fetched]
        check_finite(self._pending, params)
        _unread_in_a_row(self._pending, self._unread)
        return self._pending

    def report(self, params: Any) -> dict[str, float]:
        """Means since the last report, and images_per_second. Raises as `checked`."""
        rows = [scalars for _, scalars in self.checked(params)]
        seen = [row for row in rows if row["lost"] < 1] or rows  # of the others only `lost` tells
        means = {name: float(np.mean([row[name] for row in seen])) for name in rows[0]}
        means["lost"] = float(np.mean([row["lost"] for row in rows]))
        means["images_per_second"] = (len(rows) - self._before) * self._batch_size / (time.perf_counter() - self._since)
        self._unread = _unread_in_a_row(self._pending, self._unread)
        self.restart()
        return means


def check_finite(pending: Pending, params: Any) -> None:
    """Raise FloatingPointError, naming the first step and what is not finite in its scalars, if anything is not."""
    for step, scalars in pending:
        bad = [name for name, value in scalars.items() if not np.isfinite(value)]
        if bad:
            leaves = jax.tree_util.tree_flatten_with_path(params)[0]
            broken = [jax.tree_util.keystr(path) for path, leaf in leaves if not jnp.isfinite(leaf).all()]
            after = (
                f"{len(broken)} of {len(leaves)} parameters are not finite now"
                if broken
                else "the network's parameters are finite"
            )
            first = f", the first is params{broken[0]}" if broken else ""
            raise FloatingPointError(
                f"step {step}: {', '.join(bad)} not finite ({after}{first}); nothing of it was saved. "
                "A lower --config.learning_rate or a --config.clip_norm above 0 usually helps."
            )


def _unread_in_a_row(pending: Pending, unread: int) -> int:
    """How many steps up to the last found no photograph that can be read, after `unread` such before; OSError if too many."""
    for step, scalars in pending:
        unread = unread + 1 if scalars["lost"] == 1 else 0
        if unread >= _MOST_UNREAD:
            raise OSError(f"step {step}: none of its photographs can be read any more; nothing of it was saved")
    return unread


class Validation:
    """Measures the network after each epoch on the validation side, and writes and shows what it finds.

    stop: asked before each batch, whether to leave it. possible: whether there is a photograph to validate on.
    """

    def __init__(self, workdir: Path, config: ConfigDict, photographs: Any, mesh: Mesh, stop: Callable[[], bool]):
        self._workdir, self._epochs, self._photographs, self._mesh, self._stop = workdir, config.epochs, photographs, mesh, stop
        self._step = measuring.step_of(config.model, mesh, perceptual.given(config.lpips_weights))
        self._shown = evaluators.spread(photographs.validation_indices, config.panels)
        self.possible = len(photographs.validation_indices) > 0

    def __call__(self, step: int, network: tuple[Any, Any], writer: telemetry.Writer, bar: tqdm) -> dict[str, float] | None:
        """The metrics after this step; None where nothing can be measured, or a stop is asked for."""
        epoch = step // self._photographs.steps_per_epoch
        try:
            evaluation = evaluators.run(
                lambda batch: self._step(*network, batch),
                self._photographs.validation(),
                lambda batch: sharding.put(batch, self._mesh),
                self._shown,
                stop=self._stop,
            )
        except evaluators.NothingToEvaluate:
            return bar.write(f"epoch {epoch}: no validation photograph can be read any more", file=sys.stderr)
        if evaluation is None:
            return None
        metrics = evaluators.means(evaluation.values)
        writer.write("validation", step, {"epoch": epoch} | metrics)
        bar.write(epoch_line(epoch, self._epochs, metrics), file=sys.stdout)
        panels = write_figures(self._workdir, evaluation)
        if panels is not None:
            writer.picture("panels", step, panels)
        return metrics


def epoch_line(epoch: int, epochs: int, values: dict[str, float]) -> str:
    """The validation metrics after an epoch, for the screen."""
    return (
        f"epoch {epoch}/{epochs}: validation L1 {values['l1']:.4f}, PSNR {values['psnr']:.2f} dB, "
        f"SSIM {values['ssim']:.4f}, SSIM(ab) {values['ssim_ab']:.4f}, Delta E {values['delta_e']:.2f}, "
        f"colourfulness ratio {values['colourfulness_ratio']:.2f}, bias a* {values['bias_a']:+.2f} b* {values['bias_b']:+.2f}"
    )


def write_figures(workdir: Path, evaluation: Evaluation) -> Image.Image | None:
    """figures/losses.png and figures/panels.png, by the first process; returns the panels, None where there are none."""
    if jax.process_index():
        return None
    figures.save(figures.losses(history.read_rows(workdir)), workdir / "figures" / "losses.png")
    if not len(evaluation.panel_indices):
        return None
    luma, pred, target = evaluation.panels
    panels = figures.panels(luma, {"prediction": pred, "truth": target})
    figures.save_png(panels, workdir / "figures" / "panels.png")
    return panels


def write_example(workdir: Path, image_u8: np.ndarray) -> None:
    """example.png: a photograph (H, W, 3) made grey, for a first try of `colorjax colorize`; by the first process."""
    if jax.process_index():
        return
    grey = color.lightness_to_grey(color.rgb_to_lab(image_u8.astype(np.float32) / 255)[..., 0])
    figures.save_png(Image.fromarray(np.round(grey * 255).astype(np.uint8)), workdir / "example.png")


def validation_of(workdir: Path, step: int) -> dict[str, float]:
    """The validation metrics of this step in metrics.jsonl; empty where a stop cut it off. The same in every process."""
    rows = [row for row in _validations(workdir) if row["step"] == step]
    return _metrics(json.loads(sharding.texts(json.dumps(rows[-1:]))[0]))


def last_validation(workdir: Path) -> dict[str, float]:
    """The last validation metrics in metrics.jsonl; empty where there are none."""
    return _metrics(_validations(workdir)[-1:])


def _validations(workdir: Path) -> list[dict]:
    return [row for row in history.read_rows(workdir) if row["kind"] == "validation"]


def _metrics(rows: list[dict]) -> dict[str, float]:
    return {key: value for row in rows for key, value in row.items() if key not in ("kind", "step", "epoch")}


def next_commands(workdir: Path, values: dict[str, float]) -> str:
    """What to do with a finished run."""
    done = f"done: validation L1 {values['l1']:.4f}; look at {workdir}/figures/panels.png" if values else "done"
    workdir = shlex.quote(str(workdir))
    return (
        f"{done}. Next:\n"
        f"  python evaluate.py --ckpt={workdir} --out={workdir}/report\n"
        f"  colorjax colorize {workdir}/example.png --ckpt {workdir} --out {workdir}/colorized\n"
        f"  colorjax export --ckpt {workdir} --out {workdir}/weights"
    )
