"""A small U-Net on the photographs inside the scikit-image wheel: see the whole of colorjax work in a few minutes.

    python train.py --config=configs/quick.py --workdir=runs/quick

Hardware: any; no network, no GPU, no data set. Three photographs teach it, two others test it: it learns to paint those
three, and what it makes of the other two shows that a network needs more than three photographs.
"""

from configs import base


def get_config():
    config = base.get_config()
    config.epochs = 6
    config.batch_size = 8
    config.eval_batch_size = 2
    config.image_size = 96
    config.learning_rate = 2e-3
    config.model.stem = "strided"
    config.model.width = 16
    config.pretrained = ""
    config.data.source = "sample"
    config.data.cache = False
    config.data.scale_jitter = 0.5
    config.log_every = 4
    config.panels = 2
    return config
