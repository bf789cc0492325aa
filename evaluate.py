"""Measure trained networks: python evaluate.py --ckpt=DIR [--ckpt=DIR ...] [--out=DIR] [--config.KEY=VALUE ...]

Several checkpoints are measured side by side on the same photographs. The settings are those of the first run;
--config.KEY=VALUE changes them. By default the run's validation photographs are measured; when --config.data.source, .dir or
.names say other photographs, all of those are (see --split).
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

from colorjax import cli
from configs import base

_OTHER_PHOTOGRAPHS = {"data.source", "data.dir", "data.names"}


def evaluate(
    ckpt: str | Path | Sequence[str | Path],
    out: str | Path | None,
    changes: dict,
    split: str = "auto",
    protocol: str = "crop",
    labels: Sequence[str] = (),
    baseline: str | None = None,
    save_images: bool = False,
    hints: Sequence[int] = (),
) -> dict:
    """Measure the networks in `ckpt` beside a grey picture; returns rows["grey" | name][group][metric].

    changes: flattened config keys, as {"data.dir": ...}. protocol: "crop" or "stretch", see --protocol. labels, baseline: see
    comparison.load and comparison.compare. hints: numbers of simulated hints, see --hints.
    Raises ValueError where there is no network or no photograph, or a name is unknown.
    """
    return _measure(ckpt, out, changes, split, protocol, labels, baseline, save_images, hints).rows


def _measure(ckpt, out, changes, split, protocol, labels, baseline, save_images, hints):
    """What `evaluate` does, with its arguments; returns the comparison.Comparison."""
    from colorjax import data
    from colorjax.evaluation import comparison, evaluators, report
    from colorjax.platform import caching, sharding
    from colorjax.training import checks

    caching.keep_compiled()
    out = None if out is None else Path(out).expanduser()
    networks = comparison.load([ckpt] if isinstance(ckpt, str | Path) else list(ckpt), labels)
    settings = changes
    if _OTHER_PHOTOGRAPHS & changes.keys():  # the limits and the folder were meant for the photographs of the training
        trained = next(iter(networks.values())).config.data.source
        of_training = {"data.dir": ""} if changes.get("data.source", trained) != trained else {}
        settings = {"data.limit": 0, "data.limit_per_group": 0, "data.val_dir": ""} | of_training | changes
    config, notes = comparison.settings_of(networks, base.get_config(), settings, checks.check)
    if "model.dtype" in changes:
        networks = comparison.computing_in(networks, config.model.dtype)
    if config.data.source == "folder" and not _OTHER_PHOTOGRAPHS & changes.keys():
        _check_there(next(iter(networks.values())))
    if out is not None:
        _check_writable(out)
    mesh = sharding.make_mesh()
    everything = split == "all" or (split == "auto" and bool(_OTHER_PHOTOGRAPHS & changes.keys()))
    photographs = data.load(config, devices=mesh.size, everything=everything, geometry=protocol)
    count, left_out = len(photographs.validation_indices), photographs.report["left_out"]
    if not count and photographs.report["kept"]:
        raise ValueError(
            f"none of {photographs.report['kept']} photographs was held out (data.val_fraction={config.data.val_fraction}); "
            "--split=all measures all of them, those that were trained on too"
        )
    if not count:
        raise ValueError(f"no photograph to measure: {photographs.report['found']} found, left out: {json.dumps(left_out)}")
    side = "all of them; --split=validation leaves out those that were trained on" if everything else "the validation side"
    print(f"{', '.join(str(network.source) for network in networks.values())}: {count} photographs ({side})")
    images = out / "images" if out is not None and save_images else None
    compared = comparison.compare(networks, config, photographs, mesh, baseline, images, hints)
    print(report.text(compared))
    if count < evaluators.FEW:
        notes.append(
            f"{count} photographs are few: intervals over them mean little; {evaluators.FEW} or more would say something"
        )
    unreadable, lost = compared.unreadable()
    if lost:
        some = ", ".join(unreadable[:5]) + (", ..." if len(unreadable) > 5 else "")
        notes.append(f"{lost} could not be read: {some}")
    for note in notes:
        print(note.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)
    if out is not None:
        whole = "the whole picture, stretched to a square" if protocol == "stretch" else "the middle square"
        kinds = {
            name: f"{n.config.model.name}, stem {n.config.model.stem}{', guided' * n.config.model.guided}"
            for name, n in networks.items()
        }
        facts = {f"row {name}": f"{network.source} ({kinds[name]})" for name, network in networks.items()} | {
            "photographs": f"{count} from {config.data.source} {config.data.dir or config.data.names}, {side}",
            "protocol": f"{protocol}: {whole}, {config.image_size} x {config.image_size}",
            "left out": ", ".join(f"{n} {reason}" for reason, n in left_out.items()) or "none",
            "changed": ", ".join(f"{key}={value}" for key, value in changes.items()) or "no setting",
            "mind": "; ".join(notes) or "nothing",
        }
        written = report.write(compared, facts, out)
        print(f"written: {out}/{', '.join(written)}" + (f", and every picture below {images}" if images else ""))
    return compared


def _check_there(network) -> None:
    """Raise ValueError where the photographs that a network was trained on are not here; those of `pretrained` never are."""
    from colorjax import checkpoint

    folder = network.config.data.dir
    if not folder:
        missing = "no photographs come with this network"
    elif str(network.source) == checkpoint.PRETRAINED or not Path(folder).expanduser().is_dir():
        missing = f"the photographs of the training, {folder}, are not here"
    else:
        return
    raise ValueError(f"{missing}; name others to measure on, in colour: --config.data.dir=DIR")


def _check_writable(out: Path) -> None:
    """Make the folder of the report, before much is measured. Raises ValueError where nothing can be written there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"--out={out} is no folder and cannot be made one ({error.strerror}); name another") from error
    if not os.access(out, os.W_OK | os.X_OK):
        raise ValueError(f"--out={out} cannot be written to; name another")


def _default_out(ckpt: str) -> Path:
    """report/ in the workdir that `ckpt` is, or is in; for released weights, here."""
    from colorjax import checkpoint

    if ckpt == checkpoint.PRETRAINED:
        return Path("report")
    path = Path(ckpt).expanduser()
    workdirs = [path for path in (path, path.resolve().parent.parent) if (path / "checkpoints").is_dir()]
    return workdirs[0] / "report" if workdirs else Path("report")


def define_flags() -> None:
    """The command line; in a function, so that the module can be imported beside others with flags."""
    what = "A workdir, one of its checkpoints/STEP, an exported folder, or pretrained."
    flags.DEFINE_multi_string("ckpt", [], what)
    flags.DEFINE_string("out", None, "Folder for metrics.json, report.html, figures (default: report/ in the workdir, or here)")
    flags.DEFINE_enum("split", "auto", ["auto", "validation", "all"], "Which photographs to measure.")
    flags.DEFINE_enum(
        "protocol", "crop", ["crop", "stretch"], "The middle square (as ColTran), or the whole, stretched (as DDColor)."
    )
    flags.DEFINE_multi_string("label", [], "Names of the rows, one for each --ckpt.")
    flags.DEFINE_string("baseline", None, "The row that differences are taken to (default: the first, or grey if it is alone).")
    flags.DEFINE_bool("save_images", False, "Write predictions and truths as PNG below --out, for FID and other outside tools.")
    flags.DEFINE_alias("save-images", "save_images")
    flags.DEFINE_string("hints", "", "Measure guided networks with so many true colours at random points: 0,1,5,10,50.")
    config_flags.DEFINE_config_dict("config", base.get_config(), "Changes to the run's settings.", lock_config=True)


def main(argv: list[str]) -> None:
    """Run what the flags say."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    from colorjax.evaluation import guidance

    args = flags.FLAGS
    if not args.ckpt:
        sys.exit(
            "evaluate.py: --ckpt=DIR is missing: a workdir, one of its checkpoints/STEP, an exported folder, or pretrained"
        )
    out = args.out or (_default_out(args.ckpt[0]) if len(args.ckpt) == 1 else Path("report"))
    changes = config_flags.get_override_values(args["config"])
    try:
        counts = guidance.counts_of(args.hints)
        how = (args.split, args.protocol, args.label, args.baseline, args.save_images, counts)
        compared = _measure(args.ckpt, out, changes, *how)
        sys.exit(1 if compared.unreadable()[1] else 0)
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f"evaluate.py: {error}")


if __name__ == "__main__":
    cli.run_flags(main, define_flags, base)
