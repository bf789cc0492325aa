"""Train a network: python train.py --config=configs/quick.py --workdir=runs/quick [--config.KEY=VALUE ...]

The same command again goes on from the latest checkpoint. --summary describes the network and exits.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from absl import app, flags
from ml_collections import ConfigDict, config_flags

from colorjax import cli
from configs import base


def train(config: ConfigDict, workdir: str | Path, sinks: Sequence[Any] = ()) -> dict[str, float]:
    """Train what `config` describes, or go on where `workdir` stopped; returns the last validation metrics.

    sinks: where the course of the run is told beside metrics.jsonl and TensorBoard, each a `telemetry.Sink`.
    Raises ValueError for settings that do not fit, FloatingPointError where the loss stops being a finite number.
    """
    from colorjax.platform import caching, sharding  # here and not above: --help and a misspelt flag answer at once
    from colorjax.training import checks, telemetry, workdirs

    caching.keep_compiled()
    workdir = Path(workdir).expanduser()
    with telemetry.stop_requests() as stop:
        checks.check(config)
        sharding.connect(config.distributed)
        with workdirs.held(workdir):
            return _train(config, workdir, stop, sinks)


def _train(config, workdir, stop, sinks):
    """What `train` does, ended by what `stop` notes."""
    import jax

    from colorjax import checkpoint, data
    from colorjax.platform import sharding
    from colorjax.training import optim, runs, steps, telemetry, workdirs

    mesh = sharding.make_mesh(config.batch_size)
    began = workdirs.began(workdir, config, base.get_config())
    photographs = data.load(config, (jax.process_index(), jax.process_count()), mesh.size, began=began)
    workdirs.claim(workdir, config, photographs)
    print(workdirs.describe_data(photographs.report))
    steps_per_epoch, total = photographs.steps_per_epoch, config.epochs * photographs.steps_per_epoch
    if note := optim.held_down(config, steps_per_epoch):
        print(note)

    optimizers = optim.make(config, steps_per_epoch)
    rate = jax.jit(optim.schedule(config, steps_per_epoch))
    train_step = steps.make(config, optimizers, mesh, photographs.ab_counts)
    agreed = sharding.Agreement(mesh)  # of all processes, on whether to stop
    validate = runs.Validation(workdir, config, photographs, mesh, lambda: agreed(bool(stop.asked)))

    with checkpoint.Checkpoints(workdir, config.keep_checkpoints, config.best_by) as checkpoints:
        now, pending = runs.start(config, optimizers, mesh, checkpoints)
        first = int(now.step)
        writer = telemetry.Writer(workdir, first, sinks)
        bar = telemetry.progress(total, first, config.batch_size)
        meter = runs.Meter(config.batch_size, pending, new=first == 0)
        batches = sharding.prefetch(photographs.train(first), mesh)
        measured: dict[str, float] = {}

        with writer, bar, workdirs.telling_lost(workdir, photographs.lost) as tell_lost:
            stop.begun = True
            if first and first % steps_per_epoch == 0 and validate.possible:
                measured = runs.validation_of(workdir, first) or validate(first, now.network, writer, bar) or {}
                if measured:
                    checkpoints.note(measured)
                if agreed(bool(stop.asked)):
                    print(f"stopped at step {first} of {total}; the same command goes on from here")
                    return measured
            for step in range(first + 1, total + 1):
                now, scalars = train_step(now, next(batches))
                meter.add(step, scalars)
                bar.update(config.batch_size)
                rest = step % steps_per_epoch
                save_due = rest == 0 or (config.checkpoint_every and step % config.checkpoint_every == 0)

                if step % config.log_every == 0 or save_due or step == 1:
                    row = meter.report(now.params)  # raises where something is not finite: before it could be saved
                    writer.write("train", step, row | {"learning_rate": float(rate(step - 1))})
                    bar.set_postfix(l1=f"{row['l1']:.4f}", refresh=False)
                stops, metrics = agreed(bool(stop.asked)), None
                if rest == 0 and validate.possible and not stops:
                    metrics = validate(step, now.network, writer, bar)
                    meter.restart()
                    measured = metrics or measured
                    stops = agreed(bool(stop.asked))
                if rest == 0:
                    tell_lost()
                if save_due or stops:
                    writer.sync()
                    checkpoints.save(now, config, metrics, meter.checked(now.params))
                if stops:
                    print(f"stopped at step {step} of {total}; the same command goes on from here")
                    return measured

    measured = measured or runs.last_validation(workdir)
    runs.write_example(workdir, photographs.example())
    print(runs.next_commands(workdir, measured))
    return measured


def fail(error: Exception) -> NoReturn:
    """Say why the training ended, and end; a process of several ends at once, for the others may not be there any more."""
    from colorjax.platform import sharding

    sharding.leave(f"train.py: {error}")


def define_flags() -> None:
    """The command line; in a function, so that the module can be imported beside others with flags."""
    config_flags.DEFINE_config_file("config", help_string="A file of configs/.", lock_config=True)
    flags.DEFINE_string("workdir", None, "Where checkpoints, metrics and figures go.")
    flags.DEFINE_bool("summary", False, "Print parameters, feature maps and GFLOPs, and exit.")


def main(argv: list[str]) -> None:
    """Run what the flags say."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    args = flags.FLAGS
    if not (args.summary or args.workdir):
        sys.exit("train.py: --workdir=DIR is missing: where the run is kept, as runs/quick")
    try:
        if args.summary:
            from colorjax.networks import summary

            print(summary.describe(args.config))
        else:
            train(args.config, args.workdir)
    except (ValueError, RuntimeError, OSError, FloatingPointError) as error:
        fail(error)
    except KeyboardInterrupt:  # asked twice: nothing is waited for
        sys.stdout.flush()
        os._exit(130)


if __name__ == "__main__":
    cli.run_flags(main, define_flags, base)
