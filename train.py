"""Train a network: python train.py --config=configs/quick.py --workdir=runs/quick [--config.KEY=VALUE ...]

The same command again goes on from the latest checkpoint. --summary describes the network and exits.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from absl import app, flags
from ml_collections import ConfigDict, config_flags

from colorjax import cli


def train(config: ConfigDict, workdir: str | Path) -> dict[str, float]:
    """Train what `config` describes, or go on where `workdir` stopped; returns the last validation metrics.

    Raises ValueError for settings that do not fit, FloatingPointError where the loss stops being a finite number.
    """
    # Here and not above, so that --help and a misspelt flag answer at once.
    import jax

    from colorjax import caching, checkpoint, data, evaluators, optim, pretrained, runs, sharding, state, steps, telemetry

    caching.keep_compiled()
    workdir = Path(workdir)
    runs.check(config)
    mesh = sharding.make_mesh({"batch_size": config.batch_size, "eval_batch_size": config.eval_batch_size})
    runs.claim(workdir, config)

    photographs = data.load(config, (jax.process_index(), jax.process_count()))
    (workdir / "data_report.json").write_text(json.dumps(photographs.report, indent=2))
    print(runs.describe_data(photographs.report))
    steps_per_epoch, total = photographs.steps_per_epoch, config.epochs * photographs.steps_per_epoch

    graphdef = state.graphdef(config.model)
    optimizer = optim.make(config, steps_per_epoch)
    train_step = steps.regression(graphdef, optimizer, mesh)
    evaluate_step = steps.evaluate(graphdef, mesh)
    rate = optim.schedule(config, steps_per_epoch)
    shown = evaluators.spread(photographs.validation_indices, config.panels)

    everywhere = sharding.replicated(mesh)
    abstract = jax.eval_shape(lambda: state.init(config, optimizer))
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=everywhere), abstract)

    with checkpoint.Checkpoints(workdir, config.keep_checkpoints) as checkpoints:
        if checkpoints.latest_step is not None:
            now = checkpoints.restore(abstract)
            print(f"going on from step {checkpoints.latest_step} of {total}")
        else:
            now = jax.jit(lambda: state.init(config, optimizer), out_shardings=everywhere)()
            if config.pretrained:
                now.params, now.stats, _ = pretrained.load_encoder(config.pretrained, now.params, now.stats)
                now = jax.device_put(now, everywhere)
        first = int(now.step)

        def validate(now: Any) -> evaluators.Evaluation:
            return evaluators.run(
                lambda batch: evaluate_step(now.params, now.stats, batch),
                photographs.validation(),
                lambda batch: sharding.put(batch, mesh),
                shown,
            )

        with (
            telemetry.Writer(workdir, first) as writer,
            telemetry.progress(total, first, config.batch_size) as bar,
            telemetry.stop_requests() as stop,
        ):
            batches = sharding.prefetch(photographs.train(first), mesh)
            measured, pending, since = {}, [], time.perf_counter()
            for step in range(first + 1, total + 1):
                now, scalars = train_step(now, next(batches))
                pending.append((step, scalars))
                jax.block_until_ready(pending[-2:][0])  # one step may be in flight, not a queue of them
                bar.update(config.batch_size)
                epoch_ends = step % steps_per_epoch == 0
                save_due = epoch_ends or (config.checkpoint_every and step % config.checkpoint_every == 0)

                if step % config.log_every == 0 or save_due or stop or step == first + 1:
                    row = runs.finite_means(jax.device_get(pending), now.params)
                    speed = len(pending) * config.batch_size / (time.perf_counter() - since)
                    row |= {"learning_rate": float(rate(step - 1)), "images_per_second": speed}
                    writer.write("train", step, row)
                    bar.set_postfix(l1=f"{row['l1']:.4f}", refresh=False)
                    pending, since = [], time.perf_counter()
                if epoch_ends and len(photographs.validation_indices):
                    evaluation = validate(now)
                    measured = evaluators.means(evaluation.values)
                    writer.write("validation", step, {"epoch": step // steps_per_epoch} | measured)
                    bar.write(runs.epoch_line(step // steps_per_epoch, config.epochs, measured), file=sys.stdout)
                    runs.write_figures(workdir, evaluation)
                    since = time.perf_counter()
                if save_due or stop:
                    checkpoints.save(now, config, measured if epoch_ends and measured else None)
                if stop:
                    print(f"stopped at step {step} of {total}; the same command goes on from here")
                    return measured

    measured = measured or runs.last_validation(workdir)
    print(runs.next_commands(workdir, measured))
    return measured


def define_flags() -> None:
    """The command line; in a function, so that the module can be imported beside others with flags."""
    config_flags.DEFINE_config_file("config", help_string="A file of configs/.", lock_config=True)
    flags.DEFINE_string("workdir", None, "Where checkpoints, metrics and figures go.")
    flags.DEFINE_bool("summary", False, "Print parameters, feature maps and GFLOPs, and exit.")
    flags.mark_flag_as_required("config")


def main(argv: list[str]) -> None:
    """Run what the flags say."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    args = flags.FLAGS
    if not (args.summary or args.workdir):
        raise app.UsageError("--workdir=DIR says where the run is kept")
    try:
        if args.summary:
            from colorjax import summary

            print(summary.describe(args.config))
        else:
            train(args.config, args.workdir)
    except (ValueError, RuntimeError, OSError, FloatingPointError) as error:
        sys.exit(f"train.py: {error}")


if __name__ == "__main__":
    define_flags()
    app.run(main, flags_parser=cli.parse_flags)
