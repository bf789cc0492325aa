"""Saving and restoring: training checkpoints and released weights. The only room that imports Orbax.

A workdir's `checkpoints/STEP/` holds the items `network` (params and BatchNorm statistics), `training` (step, optimisers,
key) and, of an adversarial training, `discriminator` (params and statistics); in its metadata the config and the validation
metrics. A released folder holds `weights/` (the network in bfloat16), `config.json` and `checksums.json`.
"""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from orbax.checkpoint import v1 as ocp

from colorjax import photos
from colorjax import state as states

CHECKPOINTS, WEIGHTS, CONFIG, CHECKSUMS = "checkpoints", "weights", "config.json", "checksums.json"
# What can make a checkpoint the best of its run, and whether less or more of it is better; "latest" looks at none.
BEST_BY = {"l1": -1, "delta_e": -1, "psnr": 1, "ssim_ab": 1, "latest": 0}
logging.getLogger("absl").setLevel(logging.WARNING)  # Orbax reports every file it opens


class CheckpointError(ValueError):
    """There is nothing to load where it was looked for, or what is there is damaged or does not fit."""


class Checkpoints:
    """The checkpoints of one workdir: saved in the background, the latest `keep` and the best kept (see BEST_BY)."""

    def __init__(self, workdir: Path, keep: int, best_by: str = "l1"):
        policies = ocp.training.preservation_policies
        kept = [policies.LatestN(n=keep)]
        if BEST_BY[best_by]:
            kept.append(policies.BestN(n=1, get_metric_fn=_goodness(best_by), keep_checkpoints_without_metrics=False))
        self._checkpointer = ocp.training.Checkpointer(
            (workdir / CHECKPOINTS).absolute(),
            preservation_policy=policies.AnyPreservationPolicy(kept),
            save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
            cleanup_tmp_directories=True,
        )

    @property
    def latest_step(self) -> int | None:
        """The newest finished checkpoint's step; None where there is none."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(self, state: states.TrainState, config: ConfigDict, metrics: dict[str, float] | None) -> None:
        """Save in the background; a checkpoint of this step that is there already stays."""
        step = int(state.step)
        if step == self.latest_step:
            return
        self._checkpointer.save_checkpointables_async(
            step,
            _items(state),
            metrics=metrics,
            custom_metadata={"config": json.loads(config.to_json_best_effort())},
        )

    def restore(self, abstract: states.TrainState) -> states.TrainState:
        """The latest state, laid out over the devices as `abstract` is."""
        items = self._checkpointer.load_checkpointables(self.latest_step, _items(abstract))
        training = items["training"]
        discriminator = {}
        if abstract.discriminator:
            discriminator = items["discriminator"] | {"opt_state": training.pop("discriminator_opt_state")}
        return states.TrainState(**items["network"], **training, discriminator=discriminator)

    def close(self) -> None:
        """Wait until everything is on disk."""
        self._checkpointer.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _items(state: states.TrainState) -> dict[str, Any]:
    """What a checkpoint holds: the networks apart from what only their training needs."""
    items = {
        "network": {"params": state.params, "stats": state.stats},
        "training": {"step": state.step, "opt_state": state.opt_state, "key": state.key},
    }
    if state.discriminator:
        items["discriminator"] = {key: state.discriminator[key] for key in ("params", "stats")}
        items["training"]["discriminator_opt_state"] = state.discriminator["opt_state"]
    return items


def _goodness(best_by: str) -> Callable[[dict[str, float]], float]:
    def goodness(metrics: dict[str, float]) -> float:
        value = metrics[best_by]
        return BEST_BY[best_by] * value if np.isfinite(value) else -np.inf

    return goodness


@dataclass(frozen=True)
class Network:
    """A trained network: its config, its numbers and the folder they came from.

    digest: SHA-256 of the numbers, or of the files of a release.
    """

    config: ConfigDict
    params: Any
    stats: Any
    source: Path
    digest: str = ""


def load(path: str | Path) -> Network:
    """The network in a workdir (its best checkpoint), in one step's folder, or in a released folder.

    Raises CheckpointError where there is none, where a released file does not match its checksum, or where the numbers
    do not fit the network that the config describes.
    """
    path = Path(path).expanduser()
    path = path if path.name else path.resolve()
    if (path / CHECKSUMS).is_file():
        return _load_release(path)
    if (path / CHECKPOINTS).is_dir():
        return _load_step(_best_step(path / CHECKPOINTS))
    if path.parent.name == CHECKPOINTS and path.name.isdigit() and path.is_dir():
        return _load_step(path)
    what = "holds no checkpoint and no released weights" if path.is_dir() else "does not exist"
    raise CheckpointError(f"{path} {what}; --ckpt takes a workdir, one of its checkpoints/STEP, or an exported folder")


def _best_step(folder: Path) -> Path:
    with ocp.training.Checkpointer(folder.absolute()) as checkpointer:
        found = checkpointer.checkpoints
        if not found:
            raise CheckpointError(f"{folder} holds no finished checkpoint yet")
        stored = (checkpointer.metadata(found[-1].step).custom_metadata or {}).get("config", {})
    best_by = ({"best_by": "l1"} | stored)["best_by"]  # the first runs had no such key
    measured = [c for c in found if c.metrics and best_by in c.metrics]
    chosen = max(measured, key=lambda c: _goodness(best_by)(c.metrics)) if measured else found[-1]
    return folder / str(chosen.step)


def _load_step(folder: Path) -> Network:
    with ocp.training.Checkpointer(folder.parent.absolute()) as checkpointer:
        step = int(folder.name)
        try:
            config = _config(checkpointer.metadata(step).custom_metadata["config"])
            abstract = _abstract(config.model)
            network = checkpointer.load_checkpointables(step, {"network": abstract})["network"]
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise CheckpointError(f"{folder} cannot be read: {error}") from error
    return Network(config, network["params"], network["stats"], folder, _digest(network))


def load_discriminator(network: Network, config: ConfigDict) -> dict[str, Any] | None:
    """{"params", "stats"} of the discriminator that `network` was trained against, where its checkpoint holds one of the
    width, layers and loss that `config` asks for; otherwise None. Raises CheckpointError where it cannot be read."""
    held = network.source / "discriminator"
    stored = network.config.discriminator if "discriminator" in network.config else None
    if not held.is_dir() or any(stored[key] != config.discriminator[key] for key in ("width", "layers", "loss")):
        return None
    params, stats = jax.eval_shape(lambda: states.init_discriminator(config, jax.random.key(0)))
    abstract = {"discriminator": _on_one_device({"params": params, "stats": stats})}
    with ocp.training.Checkpointer(network.source.parent.absolute()) as checkpointer:
        try:
            return checkpointer.load_checkpointables(int(network.source.name), abstract)["discriminator"]
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise CheckpointError(f"{held} cannot be read: {error}") from error


def _load_release(folder: Path) -> Network:
    try:
        checksums = dict(json.loads((folder / CHECKSUMS).read_text())["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / CHECKSUMS} is damaged ({type(error).__name__}: {error})") from error
    for name, expected in checksums.items():
        actual = _sha256(folder / name) if (folder / name).is_file() else "missing"
        if actual != expected:
            raise CheckpointError(f"{folder / name} is damaged: SHA-256 is {actual[:12]}, not {expected[:12]}")
    config = _config(json.loads((folder / CONFIG).read_text()))
    network = ocp.load((folder / WEIGHTS).absolute(), _abstract(config.model))
    digest = hashlib.sha256(json.dumps(checksums, sort_keys=True).encode()).hexdigest()
    return Network(config, network["params"], network["stats"], folder, digest)


def _config(values: dict) -> ConfigDict:
    return ConfigDict(values).lock()


def _abstract(model_config: Any) -> dict[str, Any]:
    """Shapes of the network's numbers, as float32 arrays on one device: Orbax converts to them."""
    params, stats = jax.eval_shape(lambda: states.init_network(model_config, jax.random.key(0)))
    return _on_one_device({"params": params, "stats": stats})


def _on_one_device(shapes: dict[str, Any]) -> dict[str, Any]:
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])

    def leaf(shape: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape.shape, jnp.float32, sharding=device)

    return jax.tree.map(leaf, shapes)


def export(network: Network, folder: str | Path) -> int:
    """Write the network alone, kernels in bfloat16, into a new or empty `folder`; returns its size in bytes.

    BatchNorm statistics, scales and biases stay float32: they are small and their errors would not average out. The config
    comes without the paths of weights that only its training needed.
    """
    folder = Path(folder).expanduser()
    if folder.exists() and any(folder.iterdir()):
        raise CheckpointError(f"{folder} is not empty; export writes a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    params = jax.tree.map(lambda x: x.astype(jnp.bfloat16) if x.ndim > 1 else x, network.params)
    ocp.save((folder / WEIGHTS).absolute(), {"params": params, "stats": network.stats})
    with photos.atomic(folder / CONFIG) as stream:
        stream.write(json.dumps(_without_paths(json.loads(network.config.to_json_best_effort())), indent=2).encode())
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = {path.relative_to(folder).as_posix(): _sha256(path) for path in files}
    with photos.atomic(folder / CHECKSUMS) as stream:
        stream.write(json.dumps({"sha256": sums, "parameters": _count(params)}, indent=2).encode())
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _without_paths(values: dict) -> dict:
    """A config without the files that only its training needed, on the machine where it was trained."""
    emptied = {key: "" for key in ("init_from", "lpips_weights", "perceptual_weights", "cache_dir") if key in values}
    if values.get("pretrained", "torchvision") != "torchvision":
        emptied["pretrained"] = ""
    return {key: _without_paths(v) if isinstance(v, dict) else v for key, v in values.items()} | emptied


def _digest(numbers: Any) -> str:
    """SHA-256 over every number and its name."""
    whole = hashlib.sha256()
    for path, leaf in jax.tree.leaves_with_path(numbers):
        whole.update(f"{jax.tree_util.keystr(path)} {leaf.dtype} {leaf.shape}".encode())
        whole.update(np.asarray(leaf).tobytes())
    return whole.hexdigest()


def _count(params: Any) -> int:
    return int(sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(params)))


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
