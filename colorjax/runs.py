"""What surrounds the training loop: owning a workdir, starting from what is there, and telling how it went."""

import json
import shlex
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict
from PIL import Image

from colorjax import checkpoint, color, figures, photos, pretrained, settings, sharding, state, telemetry
from colorjax.checkpoint import Checkpoints, Pending
from colorjax.evaluators import Evaluation
from colorjax.state import Optimizers, TrainState

# Keys that may change between one start of a run and the next: how fast it learns, what is told of it, and where files are.
_FREE_KEYS = (
    *("epochs", "learning_rate", "warmup_steps", "weight_decay", "beta1", "clip_norm", "eval_batch_size"),
    *(f"discriminator.{key}" for key in ("learning_rate", "warmup_steps", "beta1", "clip_norm")),
    *("pretrained", "init_from", "lpips_weights", "loss.perceptual_weights", "best_by"),
    *("log_every", "checkpoint_every", "keep_checkpoints", "panels", "data.cache", "data.cache_dir"),
    *("fsdp", *(f"distributed.{key}" for key in ("coordinator", "processes", "process", "timeout", "start_timeout"))),
)


def claim(workdir: Path, config: ConfigDict, base: ConfigDict, report: dict) -> None:
    """Write config.json and data_report.json into the workdir, or check that the run there is this one.

    base: the default of every key; a run of before a key was trained as its default says.

    Raises ValueError, showing each difference, where checkpoints there are of another network or other photographs.
    """
    path, report_path = workdir / "config.json", workdir / "data_report.json"
    values = json.loads(config.to_json_best_effort())
    started = any((workdir / "checkpoints").glob("[0-9]*"))
    if started and report_path.exists():
        before = json.loads(report_path.read_text())
        if before["digest"] != report["digest"]:
            counts = f"{before['kept']} photographs there, {report['kept']} now"
            raise ValueError(f"{workdir} holds a run on other photographs ({counts}); name another --workdir")
    if started and path.exists():
        before = settings.flat(base.to_dict()) | settings.flat(json.loads(path.read_text()))
        after = settings.flat(values)
        keys = sorted((before.keys() | after.keys()) - set(_FREE_KEYS))
        changed = [f"  {k}: {before.get(k)!r} there, {after.get(k)!r} now" for k in keys if before.get(k) != after.get(k)]
        if changed:
            shown = "\n".join(changed)
            raise ValueError(f"{workdir} holds another run; name another --workdir, or set these back:\n{shown}")
    with photos.atomic(path) as stream:
        stream.write(json.dumps(values, indent=2).encode())
    with photos.atomic(report_path) as stream:
        stream.write(json.dumps(report, indent=2).encode())


def describe_data(report: dict) -> str:
    """One or two lines: how many photographs, how they are split, what was left out."""
    groups = ", ".join(f"{n} {group}" for group, n in report["train"].items() if group != "all")
    line = f"{report['kept']} of {report['found']} photographs: {report['train']['all']} to train on ({groups}), "
    line += f"{report['validation']['all']} for validation"
    if report["looked_at"] < report["found"]:
        line += f"\nnot looked at: {report['found'] - report['looked_at']} beyond data.limit or data.limit_per_group"
    if report["balance"]:
        line += "\nbalance: " + ", ".join(f"{name} {round(value, 3)}" for name, value in report["balance"].items())
    if report["left_out"]:
        reasons = ", ".join(f"{count} {reason}" for reason, count in report["left_out"].items())
        line += f"\nleft out: {reasons} (listed in data_report.json)"
    return line


def start(config: ConfigDict, optimizers: Optimizers, mesh: Mesh, checkpoints: Checkpoints) -> tuple[TrainState, Pending]:
    """The latest checkpoint's state and its `pending`; where there is none, a new one, with what `init_from` or `pretrained`
    names.

    Raises ValueError where `init_from` holds another network than the config describes.
    """
    abstract = state.abstract(config, optimizers, mesh)
    if checkpoints.latest_step is not None:
        print(f"going on from step {checkpoints.latest_step}")
        return checkpoints.restore(abstract)
    now = jax.jit(lambda: state.init(config, optimizers))()
    if config.init_from:
        _take_over(config, now)
    elif config.pretrained:
        now.params, now.stats, _ = pretrained.load_encoder(config.pretrained, now.params, now.stats)
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
    now.params, now.stats = trained.params, trained.stats
    told = f"starting from {trained.source}"
    if now.discriminator:
        judge = checkpoint.load_discriminator(trained, config)
        if judge is not None:
            now.discriminator |= judge
        told += " and its discriminator" if judge is not None else ", with a new discriminator: it has none like it"
    print(told)


class Meter:
    """Collects the scalars of steps without waiting for them, and reports their means and the speed.

    pending: those that a stopped run had collected since its last report.
    """

    def __init__(self, batch_size: int, pending: Pending | None = None):
        self._batch_size = batch_size
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
        """What was collected since the last report. Raises FloatingPointError and OSError, see `check_finite`."""
        fetched = jax.device_get(self._pending)
        self._pending = [(step, {name: float(value) for name, value in scalars.items()}) for step, scalars in fetched]
        check_finite(self._pending, params)
        return self._pending

    def report(self, params: Any) -> dict[str, float]:
        """Means since the last report, and images_per_second. Raises as `checked`."""
        rows = [scalars for _, scalars in self.checked(params)]
        means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        means["images_per_second"] = (len(rows) - self._before) * self._batch_size / (time.perf_counter() - self._since)
        self.restart()
        return means


def check_finite(pending: Pending, params: Any) -> None:
    """Raise FloatingPointError, naming the first step and what is not finite in its scalars, if anything is not.

    Raises OSError where none of a step's photographs could be read.
    """
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
        if scalars["lost"] == 1:
            raise OSError(f"step {step}: none of its photographs can be read any more; nothing of it was saved")


def epoch_line(epoch: int, epochs: int, values: dict[str, float]) -> str:
    """The validation metrics after an epoch, for the screen."""
    return (
        f"epoch {epoch}/{epochs}: validation L1 {values['l1']:.4f}, PSNR {values['psnr']:.2f} dB, "
        f"SSIM {values['ssim']:.4f}, SSIM(ab) {values['ssim_ab']:.4f}, Delta E {values['delta_e']:.2f}, "
        f"colourfulness ratio {values['colourfulness_ratio']:.2f}, bias a* {values['bias_a']:+.2f} b* {values['bias_b']:+.2f}"
    )


def write_figures(workdir: Path, evaluation: Evaluation) -> None:
    """figures/losses.png and figures/panels.png."""
    figures.save(figures.losses(telemetry.read_rows(workdir)), workdir / "figures" / "losses.png")
    if len(evaluation.panel_indices):
        luma, pred, target = evaluation.panels
        figures.save_png(figures.panels(luma, {"prediction": pred, "truth": target}), workdir / "figures" / "panels.png")


def write_example(workdir: Path, image_u8: np.ndarray) -> None:
    """example.png: a photograph (H, W, 3) made grey, for a first try of `colorjax colorize`."""
    grey = color.lightness_to_grey(color.rgb_to_lab(image_u8.astype(np.float32) / 255)[..., 0])
    figures.save_png(Image.fromarray(np.round(grey * 255).astype(np.uint8)), workdir / "example.png")


def last_validation(workdir: Path) -> dict[str, float]:
    """The last validation metrics in metrics.jsonl; empty where there are none."""
    rows = [row for row in telemetry.read_rows(workdir) if row["kind"] == "validation"]
    return {k: v for k, v in rows[-1].items() if k not in ("kind", "step", "epoch")} if rows else {}


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
