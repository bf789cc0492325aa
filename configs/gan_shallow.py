"""The report's Figure 1: the shallow net against a PatchGAN, 5 epochs from the start.

    python train.py --config=configs/gan_shallow.py --workdir=runs/gan_shallow

Hardware and data: as shallow.py; a step is 71 GFLOP a picture instead of 22 (XLA's count). Time and scores at 256 pixels: not
measured yet; at 64 pixels see docs/measurements/terms.md.
"""

from configs import shallow


def get_config():
    config = shallow.get_config()
    config.learning_rate = 2e-4
    config.beta1 = 0.5
    config.loss.adversarial = 1.0
    config.loss.l1 = 100.0
    config.clip_norm = 100.0
    config.best_by = "latest"
    return config
