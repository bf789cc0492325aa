"""Adversarial training of the report's network: a PatchGAN judges its colours, beside an L1 of weight 100.

    python train.py --config=configs/unet.py --workdir=runs/unet
    python train.py --config=configs/gan.py --workdir=runs/gan --config.init_from=runs/unet

Long L1 first, short adversarial training after: what the judge teaches is learnt in a few epochs, and unlearnt in more.
Without init_from it starts from ImageNet's encoder. Hardware and data: as unet.py; a step is 400 GFLOP a picture instead of
350 (XLA's count). Time and scores at 256 pixels: not measured yet; at 64 pixels see docs/measurements/terms.md.
"""

from configs import unet


def get_config():
    config = unet.get_config()
    config.epochs = 5
    config.learning_rate = 1e-4
    config.beta1 = 0.5
    config.loss.adversarial = 1.0
    config.loss.l1 = 100.0
    config.clip_norm = 100.0  # as much as 1 beside an L1 of weight 1
    config.best_by = "latest"  # by L1, the best would be the one that the judge has changed least
    return config
