"""The checkpoints of one workdir: what a training goes on from."""

import contextlib
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from orbax.checkpoint import v1 as ocp

from colorjax import photos
from colorjax.checkpoint import checksums
from colorjax.checkpoint.checksums import CheckpointError
from colorjax.networks import state as states
from colorjax.platform import sharding

CHECKPOINTS, DAMAGED = "checkpoints", "damaged"
# What can make a checkpoint the best of its run, and whether less or more of it is better; "latest" looks at none.
BEST_BY = {"l1": -1, "delta_e": -1, "psnr": 1, "ssim_ab": 1, "latest": 0}

_MEASURED = "validation.json"  # in a checkpoint that was measured only after it was saved
PARTS = ("_CHECKPOINT_METADATA", "network", "training")  # of every checkpoint
Pending = list[tuple[int, dict[str, float]]]


class Checkpoints:
    """The checkpoints of one workdir: saved in the background, the latest `keep` and the best kept (see BEST_BY).

    At least two are kept, for the latest may turn out to be damaged: such ones are set aside when the workdir is opened.
    Raises CheckpointError where there are checkpoints but none that is whole.
    """

    def __init__(self, workdir: Path, keep: int, best_by: str = "l1"):
        self._folder = (workdir / CHECKPOINTS).absolute()
        policies = ocp.training.preservation_policies
        kept = [policies.LatestN(n=max(keep, 2))]
        if BEST_BY[best_by]:
            kept.append(_Best(self._folder, best_by))
        sharding.on_first(lambda: _set_damaged_aside(self._folder))
        self._checkpointer = ocp.training.Checkpointer(
            self._folder,
            preservation_policy=policies.AnyPreservationPolicy(kept),
            save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
            cleanup_tmp_directories=True,
        )
        self._saving: Future | None = None
        self._before: int | None = None  # the step whose checkpoint was there when the last save began
        self._sealer = ThreadPoolExecutor(1, "checkpoints")

    @property
    def latest_step(self) -> int | None:
        """The newest finished checkpoint's step; None where there is none."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(
        self, state: states.TrainState, config: ConfigDict, metrics: dict[str, float] | None, pending: Pending | None = None
    ) -> None:
        """Save in the background; a checkpoint of this step that is there already stays.

        pending: what was measured since the last row of the log, see `restore`. Raises CheckpointError where the save
        before this one failed, as on a full disk: the checkpoints before it are whole.
        """
        step = int(state.step)
        self.wait()
        if step == self.latest_step:
            return
        self._before = self.latest_step
        about = {"config": json.loads(config.to_json_best_effort()), "pending": pending or []}
        try:
            response = self._checkpointer.save_checkpointables_async(
                step, _items(state), metrics=metrics, custom_metadata=about
            )
        except Exception as error:
            raise self._failure(step, error) from error
        self._saving = self._sealer.submit(self._seal, step, response)

    def note(self, metrics: dict[str, float]) -> None:
        """Keep the metrics of the latest checkpoint if it was saved without any: if a stop had cut its validation off."""

        def write() -> None:
            if metrics_of(self._folder, self._checkpointer.latest):
                return
            folder = self._folder / str(self.latest_step)
            with photos.atomic(folder / _MEASURED) as stream:
                stream.write(json.dumps(metrics).encode())
            checksums.write(folder)

        self.wait()
        sharding.on_first(write)

    def _seal(self, step: int, response: Any) -> None:
        """Once a checkpoint is written, write its checksums: one without them counts as not finished."""
        try:
            response.result()
            if jax.process_index() == 0:
                checksums.write(self._folder / str(step))
        except Exception as error:  # of Orbax, TensorStore or the file system
            raise self._failure(step, error) from error

    def _seal_old(self, step: int) -> None:
        """A checkpoint that could be restored is whole, whatever kept its checksums from being written."""
        if not (self._folder / str(step) / checksums.CHECKSUMS).exists():
            checksums.write(self._folder / str(step))

    def _failure(self, step: int, error: Exception) -> CheckpointError:
        reason = " ".join(str(error).split())[:400]
        left = "no other is there yet" if self._before is None else f"that of step {self._before} is whole"
        return CheckpointError(
            f"the checkpoint of step {step} cannot be written to {self._folder}: {reason}\n"
            f"{left[0].upper()}{left[1:]}; with room again the same command goes on."
        )

    def restore(self, abstract: states.TrainState) -> tuple[states.TrainState, Pending]:
        """The latest state, laid out over the devices as `abstract` is, and the `pending` that it was saved with."""
        step = self.latest_step
        if step is None:
            raise CheckpointError(f"{self._folder} holds no checkpoint to go on from")
        try:
            items = self._checkpointer.load_checkpointables(step, _items(abstract))
            about = self._checkpointer.metadata(step).custom_metadata
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise CheckpointError(f"{self._folder / str(step)} cannot be read: {error}") from error
        sharding.on_first(lambda: self._seal_old(step))
        training = items["training"]
        discriminator = {}
        if abstract.discriminator:
            discriminator = items["discriminator"] | {"opt_state": training.pop("discriminator_opt_state")}
        pending = [(int(at), values) for at, values in about.setdefault("pending", [])]
        average = items["average"] if abstract.average else {}
        return states.TrainState(**items["network"], **training, average=average, discriminator=discriminator), pending

    def wait(self) -> None:
        """Wait until the last save is on disk. Raises CheckpointError where it failed."""
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.result()

    def close(self) -> None:
        """Wait until everything is on disk. Raises CheckpointError where it is not."""
        try:
            self.wait()
        except CheckpointError:
            with contextlib.suppress(Exception):  # the same error in Orbax's words
                self._checkpointer.close()
            raise
        self._checkpointer.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None:
            self.close()
        elif jax.process_count() == 1 and not issubclass(kind, KeyboardInterrupt):
            try:  # where another process is gone, a save might never end; where nobody wants to wait, it need not
                self.close()
            except CheckpointError as error:
                print(error, file=sys.stderr)  # and what made the program end is told after it


def _items(state: states.TrainState) -> dict[str, Any]:
    """What a checkpoint holds: the networks apart from what only their training needs."""
    items = {
        "network": {"params": state.params, "stats": state.stats},
        "training": {"step": state.step, "opt_state": state.opt_state, "key": state.key},
    }
    if state.average:
        items["average"] = state.average
    if state.discriminator:
        items["discriminator"] = {key: state.discriminator[key] for key in ("params", "stats")}
        items["training"]["discriminator_opt_state"] = state.discriminator["opt_state"]
    return items


def goodness(best_by: str) -> Callable[[dict[str, float]], float]:
    """How good a checkpoint with these metrics is; more is better, and what is not finite is worst."""

    def of(metrics: dict[str, float]) -> float:
        value = metrics[best_by]
        return BEST_BY[best_by] * value if np.isfinite(value) else -np.inf

    return of


def metrics_of(folder: Path, saved: Any) -> dict[str, float]:
    """What a checkpoint (Orbax's metadata of it) was measured to be, at once or later, see `Checkpoints.note`; {} if never."""
    later = folder / str(saved.step) / _MEASURED
    return saved.metrics or (json.loads(later.read_text()) if later.exists() else {})


@dataclass(frozen=True)
class _Best:
    """Orbax's policy that keeps the best checkpoint of those that were measured; of equal ones the latest."""

    folder: Path
    best_by: str

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """For each checkpoint, whether it stays."""
        del context
        found = [metrics_of(self.folder, one) for one in checkpoints]
        values = [(goodness(self.best_by)(one), place) for place, one in enumerate(found) if self.best_by in one]
        return [bool(values) and place == max(values)[1] for place in range(len(found))]


def _set_damaged_aside(folder: Path) -> None:
    """Move what is newer than the newest whole checkpoint aside and say so. Raises CheckpointError: see Checkpoints."""
    steps = sorted((path for path in folder.glob("[0-9]*") if path.name.isdigit()), key=lambda path: int(path.name))
    damage: dict[Path, str] = {}
    for path in reversed(steps):
        try:
            checksums.verify(path)
            break
        except CheckpointError as error:
            damage[path] = str(error)
    else:
        _check_unsealed(steps, damage)
        return
    whole = int(path.name)
    for path, reason in damage.items():
        aside = folder.parent / DAMAGED / path.name
        shutil.rmtree(aside, ignore_errors=True)
        aside.parent.mkdir(exist_ok=True)
        path.rename(aside)
        print(f"{reason}\nset aside as {aside}; going on from step {whole}", file=sys.stderr)
    for path in steps:
        if int(path.name) < whole and not all((path / part).exists() for part in PARTS):
            shutil.rmtree(path)  # an old one: the program was killed while it was deleted


def _check_unsealed(steps: list[Path], damage: dict[Path, str]) -> None:
    """Where none is whole: the latest may do if Orbax had finished it and only its checksums were not written any more."""
    if steps and (steps[-1] / checksums.CHECKSUMS).exists():
        every = "\n".join(f"  {reason}" for reason in damage.values())
        raise CheckpointError(
            f"no checkpoint in {steps[-1].parent} is whole:\n{every}\n"
            "Bring one of them back from a copy, or start anew with another --workdir."
        )
    for path in steps[-1:]:
        print(f"{path} has no {checksums.CHECKSUMS}; going on from it unchecked", file=sys.stderr)
