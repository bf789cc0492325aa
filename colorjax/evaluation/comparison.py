"""Several networks and the grey picture, measured on the same photographs."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict
from PIL import Image

from colorjax import checkpoint, photos
from colorjax.checkpoint import settings
from colorjax.evaluation import evaluators, figures, guidance, history, measuring
from colorjax.evaluation.evaluators import Evaluation
from colorjax.networks import perceptual
from colorjax.platform import sharding
from colorjax.science import bins
from colorjax.science.metrics import CHROMA_SCALE

GREY, TRUTH = "grey", "truth"
EXTREMES = 10  # so many best and worst pictures
_MEASURED_BY = {  # keys that decide what is measured, and how; the others are of a training
    *("image_size", "eval_batch_size", "lpips_weights", "panels", "model.dtype"),
    *(f"data.{key}" for key in ("source", "dir", "names", "val_dir", "val_fraction", "limit", "limit_per_group")),
    *(f"data.{key}" for key in ("min_size", "min_chroma", "cache", "cache_dir")),
}
_SAME_PHOTOGRAPHS = {"data.source", "data.dir", "data.names"}  # with data.val_fraction they decide what a run has not seen


@dataclass(frozen=True)
class Comparison:
    """What `compare` measured.

    evaluations: name -> Evaluation, GREY first. baseline: the name that differences are taken to. ranked_by: the name with the
    lowest mean Delta E, by which the extremes are chosen. colours: pixels by bin of each name's ab, TRUTH first.
    extremes: "best" and "worst" -> (indices, luma, {name: chroma, TRUTH: chroma}). histories: name -> rows of metrics.jsonl.
    hints: name -> `guidance.curve`, of the guided ones, where it was asked for.
    """

    photographs: Any
    evaluations: dict[str, Evaluation]
    baseline: str
    ranked_by: str
    colours: dict[str, np.ndarray]
    extremes: dict[str, tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]]
    histories: figures.History
    hints: dict[str, guidance.Curve] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def rows(self) -> dict[str, dict[str, dict]]:
        """rows[name][group][metric] = {"mean", "low", "high"}."""
        return {name: evaluators.table(one, self.photographs.groups) for name, one in self.evaluations.items()}

    @functools.cached_property
    def differences(self) -> dict[str, dict[str, dict]]:
        """The same of each name's difference to the baseline, paired."""
        base = self.evaluations[self.baseline]
        return {
            name: evaluators.difference_table(one, base, self.photographs.groups)
            for name, one in self.evaluations.items()
            if name != self.baseline
        }

    def unreadable(self) -> tuple[list[str], int]:
        """Names of the photographs that could not be read, and their number with those lost since they were looked at."""
        names = [row["name"] for row in self.photographs.report["files_left_out"] if row["reason"] in photos.PROBLEMS]
        return names, len(names) + self.evaluations[GREY].lost

    def panels(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """(luma, {name: chroma, TRUTH: chroma}) of the pictures to show."""
        luma, _, target = next(iter(self.evaluations.values())).panels
        return luma, {n: one.panels[1] for n, one in self.evaluations.items() if n != GREY} | {TRUTH: target}


def load(paths: Sequence[str | Path], labels: Sequence[str] = ()) -> dict[str, checkpoint.Network]:
    """The networks by name: `labels`, else the names of their workdirs or folders, as "unet" of runs/unet, or "pretrained".

    Raises ValueError where two have one name or there are not as many labels as paths; CheckpointError as checkpoint.load.
    """
    if labels and len(labels) != len(paths):
        raise ValueError(f"{len(labels)} labels for {len(paths)} checkpoints: give one to each or none")
    networks = [checkpoint.load(path) for path in paths]
    if not labels:
        labels = _folder_names([one.source for one in networks])
    if len(set(labels) | {GREY, TRUTH}) != len(labels) + 2:
        raise ValueError(f"the rows would be named {', '.join(labels)}; give each a --label of its own, not {GREY} or {TRUTH}")
    return dict(zip(labels, networks, strict=True))


def _folder_names(sources: list[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart: workdir, or workdir/STEP where two checkpoints are of one run."""
    paths, least = [source.resolve() for source in sources], 1
    inside = [path.parent.name == checkpoint.CHECKPOINTS for path in paths]
    runs = [path.parent.parent if of_run else path for path, of_run in zip(paths, inside, strict=True)]
    if len(set(runs)) < len(runs):
        runs, least = [run / path.name if of_run else run for run, path, of_run in zip(runs, paths, inside, strict=True)], 2
    for depth in range(least, max(len(run.parts) for run in runs)):
        names = ["/".join(run.parts[-depth:]) for run in runs]
        if len(set(names)) == len(names):
            return names
    return [str(run) for run in runs]


def settings_of(
    networks: dict[str, checkpoint.Network],
    base: ConfigDict,
    changes: dict[str, Any],
    check: Callable[[ConfigDict], None],
) -> tuple[ConfigDict, list[str]]:
    """The settings to measure with, the first network's with `changes`; and what to tell where another's were different.

    check: raises where a value makes no sense.
    """
    config = settings.merge(base, next(iter(networks.values())).config, changes)
    with config.unlocked():  # what training alone needs
        config.data.balance, config.loss.rarity, config.loss.perceptual, config.loss.l1 = "none", 0.0, 0.0, 1.0
    check(config)
    ours, idle = settings.flat(config.to_dict()), ", ".join(sorted(changes.keys() - _MEASURED_BY))
    notes = [f"{idle} changes nothing here: the networks are measured as they are"] if idle else []
    for name, network in networks.items():
        theirs = settings.flat(network.config.to_dict())
        differ = [key for key in sorted(_SAME_PHOTOGRAPHS) if key not in changes and ours[key] != theirs[key]]
        if differ:
            notes.append(f"{name} was trained with another {', '.join(differ)}: it may have seen some of these photographs")
        elif ours["data.val_dir"] or any(ours[key] != theirs[key] for key in _SAME_PHOTOGRAPHS):
            pass  # these were trained on by nobody, or somebody chose them
        elif theirs["data.val_dir"]:
            notes.append(f"{name} was trained on all of these photographs: it held out others, of its data.val_dir")
        elif ours["data.val_fraction"] > theirs["data.val_fraction"]:
            shares = f"it held out {theirs['data.val_fraction']} of them, {ours['data.val_fraction']} is measured"
            notes.append(f"{name} was trained on some of these photographs: {shares}")
        if ours["image_size"] != theirs["image_size"]:
            notes.append(f"{name} was trained at {theirs['image_size']} pixels and is measured at {ours['image_size']}")
    return config, notes


def computing_in(networks: dict[str, checkpoint.Network], dtype: str) -> dict[str, checkpoint.Network]:
    """The same networks, which compute in another `model.dtype`."""

    def changed(network: checkpoint.Network) -> checkpoint.Network:
        config = ConfigDict(network.config.to_dict())
        config.model.dtype = dtype
        return dataclasses.replace(network, config=config.lock())

    return {name: changed(network) for name, network in networks.items()}


def compare(
    networks: dict[str, checkpoint.Network],
    config: ConfigDict,
    photographs: Any,
    mesh: Mesh,
    baseline: str | None = None,
    save_images: Path | None = None,
    hints: Sequence[int] = (),
) -> Comparison:
    """Measure every network, and the grey picture, on the validation side of `photographs`.

    baseline: default the first network where there are several, else the grey picture. save_images: a folder for every
    prediction and truth as PNG. hints: numbers of hints with which guided networks are measured as well.
    Raises ValueError for an unknown baseline, for hints without a guided network, or where no photograph can be read.
    """
    baseline = baseline or (GREY if len(networks) == 1 else next(iter(networks)))
    if baseline not in {GREY} | networks.keys():
        raise ValueError(f"baseline {baseline!r} is not among the rows: {', '.join([GREY, *networks])}")
    guided = guidance.guided(networks) if hints else {}
    lpips = perceptual.given(config.lpips_weights)
    predictors = {GREY: _predictor(None, mesh, lpips)}
    predictors |= {name: _predictor(network, mesh, lpips) for name, network in networks.items()}
    if save_images is not None:
        _empty(save_images, [*predictors, TRUTH])
    shown = evaluators.spread(photographs.validation_indices, config.panels)
    colours: dict[str, np.ndarray] = {}
    evaluations = {}
    for name, step in predictors.items():
        visits = [_count_colours(colours, name)] if name != GREY else []
        if save_images is not None:
            visits.append(_save_pictures(save_images, name, photographs.validation_indices))
        evaluations[name] = evaluators.run(step, photographs.validation(), _put(mesh), shown, _all(visits))
    delta_e = {name: float(one.values["delta_e"].mean()) for name, one in evaluations.items() if name != GREY}
    ranked_by = min(delta_e, key=delta_e.get)
    ranked = evaluations[ranked_by]
    order = ranked.index[np.argsort(ranked.values["delta_e"], kind="stable")]
    most = min(EXTREMES, max(1, len(order) // 2))  # no picture is both
    chosen = {"best": order[:most], "worst": order[::-1][:most]}
    del predictors[GREY]
    extremes = {kind: _pictures(predictors, photographs, mesh, indices) for kind, indices in chosen.items()}
    histories = {name: _history(network) for name, network in networks.items()}
    histories = {name: rows for name, rows in histories.items() if rows}
    curves = {name: guidance.curve(network, photographs, mesh, hints) for name, network in guided.items()}
    return Comparison(photographs, evaluations, baseline, ranked_by, colours, extremes, histories, curves)


def _put(mesh: Mesh) -> Callable[[dict], dict]:
    return lambda batch: sharding.put(batch, mesh)


def _predictor(
    network: checkpoint.Network | None, mesh: Mesh, lpips: dict[str, perceptual.Perceptual]
) -> Callable[[dict], dict]:
    if network is None:
        step, params, stats = measuring.step_of(None, mesh, lpips), {}, {}
    else:
        step = measuring.step_of(network.config.model, mesh, lpips)
        params, stats = jax.device_put((network.params, network.stats), sharding.replicated(mesh))
    return lambda batch: step(params, stats, batch)


def _all(visits: Iterable[evaluators.Visit]) -> evaluators.Visit | None:
    visits = list(visits)

    def visit(*arrays: np.ndarray) -> None:
        for one in visits:
            one(*arrays)

    return visit if visits else None


def _count_colours(colours: dict[str, np.ndarray], name: str) -> evaluators.Visit:
    """Counts the predicted colours, and with the first name the true ones."""
    count_truth = TRUTH not in colours
    if count_truth:
        colours[TRUTH] = 0

    def visit(_: np.ndarray, __: np.ndarray, pred: np.ndarray, target: np.ndarray) -> None:
        for key, chroma in ((name, pred), *([(TRUTH, target)] if count_truth else [])):
            colours[key] = colours.get(key, 0) + bins.histogram(chroma * CHROMA_SCALE, figures.HISTOGRAM_STEP)

    return visit


def _folder_of(name: str) -> str:
    return name.replace("/", "_").replace("\\", "_")


def _empty(folder: Path, names: Sequence[str]) -> None:
    """Take an earlier run's pictures away. Raises ValueError where two rows would share a folder or one has none."""
    folders = [_folder_of(name) for name in names]
    if len(set(folders)) < len(folders) or {"", ".", ".."} & set(folders):
        raise ValueError(f"the folders of the pictures would be {', '.join(folders)}: give the rows other names with --label")
    for name in folders:
        for old in (folder / name).glob("[0-9]*.png"):
            old.unlink()


def _save_pictures(folder: Path, name: str, indices: np.ndarray) -> evaluators.Visit:
    """Writes NAME/000123.png for each picture, and truth/ with the grey ones; numbered by their place in the set."""
    place = {int(index): number for number, index in enumerate(indices)}

    def visit(index: np.ndarray, luma: np.ndarray, pred: np.ndarray, target: np.ndarray) -> None:
        for key, chroma in ((name, pred), *([(TRUTH, target)] if name == GREY else [])):
            for i, image in zip(index, figures.to_image_u8(luma, chroma), strict=True):
                figures.save_png(Image.fromarray(image), folder / _folder_of(key) / f"{place[int(i)]:06}.png")

    return visit


def _pictures(
    predictors: dict[str, Callable[[dict], dict]], photographs: Any, mesh: Mesh, indices: np.ndarray
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    columns = {}
    for name, step in predictors.items():
        evaluation = evaluators.run(step, photographs.validation(indices), _put(mesh), set(indices.tolist()))
        luma, columns[name], target = evaluation.panels
    return evaluation.panel_indices, luma, columns | {TRUTH: target}


def _history(network: checkpoint.Network) -> list[dict]:
    """The rows of the run that a checkpoint is of; none for released weights."""
    inside = network.source.parent.name == checkpoint.CHECKPOINTS
    return history.read_rows(network.source.parent.parent) if inside else []
