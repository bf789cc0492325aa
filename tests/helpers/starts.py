"""The start of a run without the run."""

from colorjax import checkpoint
from colorjax.platform import sharding
from colorjax.training import optim, runs


def start(config, folder, capsys):
    optimizers = optim.make(config, 6)
    with checkpoint.Checkpoints(folder, 1) as checkpoints:
        return runs.start(config, optimizers, sharding.make_mesh(), checkpoints)[0], capsys.readouterr().out
