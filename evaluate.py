"""Measure a trained network: python evaluate.py --ckpt=DIR [--out=DIR] [--config.KEY=VALUE ...]

The settings are those of the run; --config.KEY=VALUE changes them. By default the run's validation photographs are
measured; when --config.data.source, .dir or .names say other photographs, all of those are (see --split).
"""

import json
import sys
from pathlib import Path

from absl import app, flags
from ml_collections import ConfigDict, config_flags

from colorjax import cli
from configs import base

_OTHER_PHOTOGRAPHS = {"data.source", "data.dir", "data.names"}


def evaluate(ckpt: str | Path, out: str | Path | None, changes: dict, split: str = "auto") -> dict:
    """Measure the network in `ckpt` beside a grey picture; returns rows["grey" | model name][group][metric].

    changes: flattened config keys, as {"data.dir": ...}. Raises ValueError where there is no network or no photograph.
    """
    import jax
    import jax.numpy as jnp

    from colorjax import caching, checkpoint, data, evaluators, figures, metrics, runs, sharding, state, steps

    caching.keep_compiled()
    network = checkpoint.load(ckpt)
    if _OTHER_PHOTOGRAPHS & changes.keys():  # the limits were meant for the photographs of the training
        changes = {"data.limit": 0, "data.limit_per_group": 0} | changes
    config = runs.merge(base.get_config(), network.config, changes)
    runs.check(config)
    mesh = sharding.make_mesh()
    everything = split == "all" or (split == "auto" and bool(_OTHER_PHOTOGRAPHS & changes.keys()))
    photographs = data.load(config, devices=mesh.size, everything=everything)
    count, left_out = len(photographs.validation_indices), json.dumps(photographs.report["left_out"])
    if not count:
        raise ValueError(f"no photograph to measure: {photographs.report['found']} found, left out: {left_out}")
    side = "all of them; --split=validation leaves out those that were trained on" if everything else "the validation side"
    print(f"{network.source}: {count} photographs ({side})")

    params, stats = jax.device_put((network.params, network.stats), sharding.replicated(mesh))
    evaluate_step = steps.evaluate(state.graphdef(config.model), mesh)

    def model_step(batch: dict) -> dict:
        return evaluate_step(params, stats, batch)

    @jax.jit
    def grey_step(batch: dict) -> dict:
        grey = jnp.zeros_like(batch["chroma"])
        return metrics.compare(batch["luma"], grey, batch["chroma"]) | {"chroma": grey}

    shown = evaluators.spread(photographs.validation_indices, config.panels)
    evaluations = {
        name: evaluators.run(step, photographs.validation(), lambda batch: sharding.put(batch, mesh), shown)
        for name, step in (("grey", grey_step), (config.model.name, model_step))
    }
    rows = {name: evaluators.table(result, photographs.groups) for name, result in evaluations.items()}
    print(figures.text_table(rows))
    if out is not None:
        _write(Path(out), network, config, photographs, rows, evaluations[config.model.name], figures)
    return rows


def _write(out: Path, network, config: ConfigDict, photographs, rows: dict, evaluation, figures) -> None:
    out.mkdir(parents=True, exist_ok=True)
    names = [photographs.names[i] for i in evaluation.index]
    facts = {
        "weights": str(network.source),
        "network": f"{config.model.name}, stem {config.model.stem}, width {config.model.width}",
        "photographs": f"{len(names)} from {config.data.source} {config.data.dir or config.data.names}",
        "pixels": f"{config.image_size}, centre crop",
        "left out": json.dumps(photographs.report["left_out"]),
    }
    per_picture = {name: dict(zip(names, map(float, values), strict=True)) for name, values in evaluation.values.items()}
    result = {"facts": facts, "rows": rows, "per_picture": per_picture}
    (out / "metrics.json").write_text(json.dumps(result, indent=1))
    sheet = figures.panels(*evaluation.panels)
    figures.save_png(sheet, out / "panels.png")
    (out / "report.html").write_text(figures.report("colorjax: evaluation", facts, rows, sheet), encoding="utf-8")
    print(f"written: {out}/metrics.json, report.html, panels.png")


def _default_out(ckpt: Path) -> Path:
    """report/ in the workdir that `ckpt` is, or is in; for released weights, here."""
    workdirs = [path for path in (ckpt, ckpt.resolve().parent.parent) if (path / "checkpoints").is_dir()]
    return workdirs[0] / "report" if workdirs else Path("report")


def define_flags() -> None:
    """The command line; in a function, so that the module can be imported beside others with flags."""
    flags.DEFINE_string("ckpt", None, "A workdir, one of its checkpoints/STEP, or an exported folder.", required=True)
    flags.DEFINE_string(
        "out", None, "Folder for metrics.json, report.html and panels.png (default: report/ in the workdir, or here)"
    )
    flags.DEFINE_enum("split", "auto", ["auto", "validation", "all"], "Which photographs to measure.")
    config_flags.DEFINE_config_dict("config", base.get_config(), "Changes to the run's settings.", lock_config=True)


def main(argv: list[str]) -> None:
    """Run what the flags say."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    args = flags.FLAGS
    try:
        evaluate(
            args.ckpt, args.out or _default_out(Path(args.ckpt)), config_flags.get_override_values(args["config"]), args.split
        )
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f"evaluate.py: {error}")


if __name__ == "__main__":
    cli.run_flags(main, define_flags)
