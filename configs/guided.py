"""The U-Net that follows hints: trained on simulated ones, with a palette of what else a point's colour could be.

    python train.py --config=configs/guided.py --workdir=runs/guided --config.init_from=runs/unet
    python evaluate.py --ckpt=runs/guided --hints=0,1,5,10,50
    colorjax colorize photo.jpg --out colorized --ckpt runs/guided --hint 120,340,#23408e

Starting from an automatic network, as here, it begins as that network: what sees hints starts at 0.
Hardware and data: as unet.py; on a CPU, with --config.model.stem=strided --config.image_size=64.
"""

from configs import unet


def get_config():
    config = unet.get_config()
    config.model.guided = True
    config.best_by = "latest"  # validation is without hints, and the best without need not be the best with them
    return config
