"""The report's baseline, ShallowColorizationNet, on the data of unet.py: 5 epochs.

python train.py --config=configs/shallow.py --workdir=runs/shallow
"""

from configs import unet


def get_config():
    config = unet.get_config()
    config.model.name = "shallow"
    config.pretrained = ""
    config.epochs = 5
    return config
