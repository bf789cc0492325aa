"""What surrounds the training loop: owning a workdir, starting from what is there, and telling how it went."""

import contextlib
import json
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict
from PIL import Image
from tqdm import tqdm

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
_CONFIG, _REPORT, _PHOTOGRAPHS = "config.json", "data_report.json", "photographs.json"
_MOST_UNREAD = 10  # steps in a row of whose photographs not one can be read


def began(workdir: Path, config: ConfigDict, base: ConfigDict) -> tuple[dict, dict] | None:
    """The photographs and the data report that the run in `workdir` began with; None where none has begun.

    base: the default of every key; a run of before a key was trained as its default says.
    Raises ValueError, showing each difference, where the run there is of other settings than `config`.
    """
    path = workdir / _CONFIG
    if not any((workdir / checkpoint.CHECKPOINTS).glob("[0-9]*")) or not path.exists():
        return None
    before = settings.flat(base.to_dict()) | settings.flat(json.loads(path.read_text()))
    after = settings.flat(_plain(config))
    keys = sorted((before.keys() | after.keys()) - set(_FREE_KEYS))
    changed = [f"  {k}: {before.get(k)!r} there, {after.get(k)!r} now" for k in keys if before.get(k) != after.get(k)]
    if changed:
        shown = "\n".join(changed)
        raise ValueError(f"{workdir} holds another run; name another --workdir, or set these back:\n{shown}")
    if not (workdir / _PHOTOGRAPHS).exists():
        return None
    return json.loads((workdir / _PHOTOGRAPHS).read_text()), json.loads((workdir / _REPORT).read_text())


def claim(workdir: Path, config: ConfigDict, photographs: Any) -> None:
    """Write config.json, data_report.json and photographs.json into the workdir.

    photographs: the data.Data of the run. Raises ValueError where the processes of a run see different ones.
    """
    digests = sharding.texts(photographs.report["digest"])
    if len(set(digests)) > 1:
        raise ValueError(f"the {len(digests)} processes see different photographs: they must read the same files")

    def write() -> None:
        parts = {_CONFIG: _plain(config), _REPORT: photographs.report, _PHOTOGRAPHS: photographs.roster}
        for name, values in parts.items():
            with photos.atomic(workdir / name) as stream:
                stream.write(json.dumps(values, indent=None if name == _PHOTOGRAPHS else 2).encode())

    sharding.on_first(write)


def _plain(config: ConfigDict) -> dict:
    return json.loads(config.to_json_best_effort())


def note_lost(workdir: Path, lost: dict[str, tuple[str, str]]) -> str:
    """Add to data_report.json those photographs of `lost`, name -> (kind, detail), that it does not list as lost yet.

    Returns one line on them; "" where there are none.
    """
    if not lost:
        return ""
    path = workdir / _REPORT
    report = json.loads(path.read_text())
    known = report.get("files_lost", [])
    new = {name: lost[name] for name in sorted(lost.copy().keys() - {row["name"] for row in known})}
    if not new:
        return ""
    rows = [*known, *({"name": name, "reason": kind, "detail": detail} for name, (kind, detail) in new.items())]
    report |= {"lost": dict(sorted(Counter(row["reason"] for row in rows).items())), "files_lost": rows}
    with photos.atomic(path) as stream:
        stream.write(json.dumps(report, indent=2).encode())
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(kind for kind, _ in new.values()).items()))
    some = "1 photograph" if len(new) == 1 else f"{len(new)} photographs"
    return f"{some} can no longer be read ({kinds}), listed in data_report.json"


@contextlib.contextmanager
def telling_lost(workdir: Path, lost: dict[str, tuple[str, str]]) -> Iterator[Callable[[], None]]:
    """A function that notes and tells what was lost since its last call; called once more at the end, however it comes."""

    def tell(shares: list[str]) -> None:
        every = {name: tuple(why) for share in shares for name, why in json.loads(share).items()}
        if jax.process_index() == 0 and (line := note_lost(workdir, every)):
            tqdm.write(line, file=sys.stderr)

    def own() -> str:
        return json.dumps(lost.copy())

    try:
        yield lambda: tell(sharding.texts(own()))
    except BaseException:
        tell([own()])  # the other processes may not be there any more
        raise
    tell(sharding.texts(own()))


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
    if report["passed_over"]:
        line += f"\npassed over: {report['passed_over']} other files"
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
        self._unread = _MOST_UNREAD - 1  # steps in a row; a run that begins with one ends at once
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
