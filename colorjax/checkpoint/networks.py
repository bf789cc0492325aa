"""Trained networks for use: out of a workdir, one of its checkpoints, or a released folder; and released folders written."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from orbax.checkpoint import v1 as ocp

from colorjax import photos
from colorjax.checkpoint import checksums, shipped
from colorjax.checkpoint.checksums import CheckpointError
from colorjax.checkpoint.training import CHECKPOINTS, PARTS, goodness, metrics_of
from colorjax.networks import state as states
from colorjax.platform import usage

WEIGHTS, CONFIG, CALIBRATION = "weights", "config.json", "calibration.json"
_TRIES = 5  # to read a checkpoint before it is gone
_COMMITTED = "commit_success.txt"  # in which Orbax says where on this machine it wrote
_OF_ITS_TRAINING = ("init_from", "lpips_weights", "perceptual_weights", "cache_dir")  # keys whose paths nobody else has


@dataclass(frozen=True)
class Network:
    """A trained network: its config, its numbers and the folder they came from.

    digest: SHA-256 of the numbers, or of the files of a release. source: of the weights inside the package their name alone,
    `pretrained`, which is the same on every machine. calibration: how far off its colours are where it says how far they may
    be, {"said": rising numbers, "error": as many}, None where nobody has measured it.
    """

    config: ConfigDict
    params: Any
    stats: Any
    source: Path
    digest: str = ""
    calibration: dict[str, Any] | None = None


def load(path: str | Path) -> Network:
    """The network in a workdir (its best checkpoint), in one step's folder, or in a released folder.

    The text "pretrained" names the weights inside the package; a folder of that name is "./pretrained", or a Path.
    Of a training with `ema` it is the average. Raises CheckpointError where there is none, where a file does not match its
    checksum, or where the numbers do not fit the network that the config describes.
    """
    if path == shipped.PRETRAINED:
        return _load_shipped()
    path = Path(path).expanduser()
    path = path if path.name else path.resolve()
    if path.parent.name == CHECKPOINTS and path.name.isdigit() and path.is_dir():
        return _load_step(path)
    if (path / CHECKPOINTS).is_dir():
        return _load_best(path / CHECKPOINTS)
    if (path / checksums.CHECKSUMS).is_file():
        return _load_release(path)
    what = "holds no checkpoint and no released weights" if path.is_dir() else "does not exist"
    what = "is a file" if path.is_file() else what
    takes = f"a workdir, one of its checkpoints/STEP, an exported folder, or {shipped.PRETRAINED}"
    near = [str(other) for other in path.parent.iterdir() if other.is_dir()] if path.parent.is_dir() else []
    like = "" if path.exists() else usage.meant(str(path), [shipped.PRETRAINED, *near])
    if path.exists() and ((path.parent / CHECKPOINTS).is_dir() or (path.parent / checksums.CHECKSUMS).is_file()):
        like = f"; did you mean {path.parent}?"  # as of runs/quick/checkpoints, or of a file beside it
    raise CheckpointError(f"{path} {what}; --ckpt takes {takes}{like}")


def _load_best(folder: Path) -> Network:
    """The best checkpoint; of a run in progress, which may delete one while it is read, the best of what is left."""
    for _ in range(_TRIES):
        step = _best_step(folder)
        try:
            return _load_step(step)
        except CheckpointError:
            if int(step.name) in _finished(folder):
                raise
    raise CheckpointError(f"{folder}: checkpoints come and go faster than they can be read; name one of them as {folder}/STEP")


def _finished(folder: Path) -> list[int]:
    """The steps whose checkpoints were written to their end; of a workdir of before there were checksums, all."""
    steps = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
    sealed = [step for step in steps if all((folder / str(step) / part).exists() for part in (checksums.CHECKSUMS, *PARTS))]
    return sealed or steps


def _best_step(folder: Path) -> Path:
    steps = _finished(folder)
    if not steps:
        raise CheckpointError(f"{folder} holds no finished checkpoint yet")
    try:
        with ocp.training.Checkpointer(folder.absolute()) as checkpointer:
            found = [checkpoint for checkpoint in checkpointer.checkpoints if checkpoint.step in steps]
            metrics = {checkpoint.step: metrics_of(folder, checkpoint) for checkpoint in found}
            stored = (checkpointer.metadata(found[-1].step).custom_metadata or {}).get("config", {})
    except Exception as error:  # whatever a damaged file makes Orbax raise
        for step in steps:
            _check(folder / str(step))
        raise CheckpointError(f"{folder} cannot be read: {error}") from error
    best_by = ({"best_by": "l1"} | stored)["best_by"]  # the first runs had no such key
    measured = [step for step, values in metrics.items() if best_by in values]
    chosen = max(measured, key=lambda step: goodness(best_by)(metrics[step])) if measured else found[-1].step
    return folder / str(chosen)


def _check(folder: Path) -> None:
    """Raises CheckpointError where a checkpoint is not whole, with the steps of the others."""
    others = _finished(folder.parent)
    if not (folder.parent / str(others[-1]) / checksums.CHECKSUMS).is_file():
        return  # none has checksums: a workdir of before there were any
    try:
        checksums.verify(folder)
    except CheckpointError as error:
        named = ", ".join(f"{folder.parent.name}/{step}" for step in others if step != int(folder.name))
        raise CheckpointError(f"{error}" + (f" (others there: {named})" if named else "")) from error


def _load_step(folder: Path) -> Network:
    _check(folder)
    item = "average" if (folder / "average").is_dir() else "network"
    with ocp.training.Checkpointer(folder.parent.absolute()) as checkpointer:
        step = int(folder.name)
        try:
            config = _config(checkpointer.metadata(step).custom_metadata["config"])
            network = checkpointer.load_checkpointables(step, {item: _abstract(config.model)})[item]
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise CheckpointError(f"{folder} cannot be read: {error}") from error
    return Network(config, network["params"], network["stats"], folder, _digest(network))


def load_discriminator(network: Network, config: ConfigDict) -> dict[str, Any] | None:
    """{"params", "stats"} of the discriminator that `network` was trained against, where its checkpoint holds one of the
    width, layers and loss that `config` asks for; otherwise None. Raises CheckpointError where it cannot be read."""
    held = network.source / "discriminator"
    stored = network.config.discriminator if "discriminator" in network.config else None
    if stored is None or not network.source.name.isdigit() or not held.is_dir():
        return None
    if any(stored[key] != config.discriminator[key] for key in ("width", "layers", "loss")):
        return None
    params, stats = jax.eval_shape(lambda: states.init_discriminator(config, jax.random.key(0)))
    abstract = {"discriminator": _on_one_device({"params": params, "stats": stats})}
    with ocp.training.Checkpointer(network.source.parent.absolute()) as checkpointer:
        try:
            return checkpointer.load_checkpointables(int(network.source.name), abstract)["discriminator"]
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise CheckpointError(f"{held} cannot be read: {error}") from error


def _load_release(folder: Path) -> Network:
    sums = checksums.verify(folder)
    config = _config(json.loads((folder / CONFIG).read_text()))
    network = ocp.load((folder / WEIGHTS).absolute(), _abstract(config.model))
    digest = checksums.digest(sums)
    return Network(config, network["params"], network["stats"], folder, digest, _calibration(folder, digest))


def _calibration(folder: Path, digest: str) -> dict[str, Any] | None:
    """Of a released folder: what `benchmarks/quality/calibrate.py` wrote beside its weights, which may come later."""
    path = folder / CALIBRATION
    try:
        table = json.loads(path.read_text())
        said, error = (np.array(table[name], float) for name in ("said", "error"))
        sound = said.shape == error.shape and said.size > 1 and (np.diff(said) > 0).all() and (np.diff(error) >= 0).all()
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged ({type(error).__name__}: {error}); delete it, or make it anew") from error
    if not sound or table["weights"] != digest:
        why = "is of other weights" if sound else "is damaged"
        raise CheckpointError(f"{path} {why}; delete it, or make it anew with benchmarks/quality/calibrate.py")
    return table


def _load_shipped() -> Network:
    folder = shipped.folder()
    try:
        return replace(_load_release(folder), source=Path(shipped.PRETRAINED))
    except CheckpointError as error:
        raise shipped.damaged(error) from error


def _config(values: dict) -> ConfigDict:
    model = {"guided": False, "answer": 1, "palette_gradient": 0.0} | values["model"]  # networks of before had no such keys
    return ConfigDict({"looks": (1.0,)} | values | {"model": model}).lock()


def _abstract(model_config: Any) -> dict[str, Any]:
    """Shapes of the network's numbers, as float32 arrays on one device: Orbax converts to them."""
    params, stats = jax.eval_shape(lambda: states.init_network(model_config, jax.random.key(0)))
    return _on_one_device({"params": params, "stats": stats})


def _on_one_device(shapes: dict[str, Any]) -> dict[str, Any]:
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])

    def leaf(shape: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape.shape, jnp.float32, sharding=device)

    return jax.tree.map(leaf, shapes)


def check_new(folder: str | Path) -> Path:
    """The folder that a network may be exported into: new or empty. Raises CheckpointError where it is not, or cannot be."""
    folder = Path(folder).expanduser()
    if taken := next((place for place in (folder, *folder.parents) if place.exists() and not place.is_dir()), None):
        raise CheckpointError(f"{taken} is a file; name a folder")
    if folder.exists() and any(folder.iterdir()):
        raise CheckpointError(f"{folder} is not empty; export writes a new folder")
    return folder


def export(network: Network, folder: str | Path) -> int:
    """Write the network alone, kernels in bfloat16, into a new or empty `folder`; returns its size in bytes.

    BatchNorm statistics, scales and biases stay float32: they are small and their errors would not average out. The config
    comes without the paths of weights that only its training needed.
    """
    folder = check_new(folder)
    folder.mkdir(parents=True, exist_ok=True)
    params = jax.tree.map(lambda x: x.astype(jnp.bfloat16) if x.ndim > 1 else x, network.params)
    ocp.save((folder / WEIGHTS).absolute(), {"params": params, "stats": network.stats})
    (folder / WEIGHTS / _COMMITTED).unlink(missing_ok=True)
    with photos.atomic(folder / CONFIG) as stream:
        stream.write(json.dumps(_without_paths(json.loads(network.config.to_json_best_effort())), indent=2).encode())
    checksums.write(folder, parameters=_count(params))
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _without_paths(values: dict) -> dict:
    """A config without the files and folders that only its training needed, on the machine where it was trained."""
    emptied = {key: "" for key in _OF_ITS_TRAINING if key in values}
    emptied |= {key: "" for key in ("dir", "val_dir") if Path(str(values.get(key))).expanduser().is_absolute()}
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
