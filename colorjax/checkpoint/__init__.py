"""Networks to disk and back: checkpoints of a training, and released weights. The only wing that imports Orbax.

`settings` (as they are stored), `training` (a run's checkpoints), `networks` (one network, for use), `checksums` (whether
files are whole), `shipped` (the weights inside the package).

A workdir's `checkpoints/STEP/` holds the items `network` (params and BatchNorm statistics), `training` (step, optimisers,
key), where `config.ema` asks for it `average` (as `network`) and, of an adversarial training, `discriminator` (params and
statistics); in its metadata the config, the validation metrics and the rows of the log that are not complete yet;
`validation.json` instead of the metrics where they were measured only after a restart; and `checksums.json`, which is
written last. A released folder holds `weights/` (the network in bfloat16), `config.json`,
`checksums.json` and, where somebody has measured it, `calibration.json`: how far off its colours are. The one in
`colorjax/weights/` comes with the package and is called `pretrained`.
"""

import logging

from colorjax.checkpoint.checksums import CheckpointError
from colorjax.checkpoint.networks import CALIBRATION, CONFIG, WEIGHTS, Network, check_new, export, load, load_discriminator
from colorjax.checkpoint.shipped import PRETRAINED
from colorjax.checkpoint.training import BEST_BY, CHECKPOINTS, Checkpoints, Pending

logging.getLogger("absl").setLevel(logging.CRITICAL)  # Orbax reports every file it opens; its errors it raises as well

__all__ = [
    "BEST_BY",
    "CALIBRATION",
    "CHECKPOINTS",
    "CONFIG",
    "PRETRAINED",
    "WEIGHTS",
    "CheckpointError",
    "Checkpoints",
    "Network",
    "Pending",
    "check_new",
    "checksums",
    "export",
    "load",
    "load_discriminator",
    "settings",
    "shipped",
]
