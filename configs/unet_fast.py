"""The U-Net with torchvision's strided stem: a tenth of the work of unet.py, for CPUs and quick experiments.

    python train.py --config=configs/unet_fast.py --workdir=runs/unet_fast \\
        --config.data.source=folder --config.data.dir=photos --config.image_size=128
"""

from configs import unet


def get_config():
    config = unet.get_config()
    config.model.stem = "strided"
    return config
