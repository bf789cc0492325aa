"""The report's network: ResNet-18 encoder U-Net at 256x256, full-resolution stem, on 12,600 photographs of TFDS.

    python train.py --config=configs/unet.py --workdir=runs/unet
    python train.py --config=configs/unet.py --workdir=runs/unet --config.epochs=5      # the report's first run
    python train.py --config=configs/unet.py --workdir=runs/unet --config.data.source=folder --config.data.dir=photos

Hardware: one GPU with 24 GB or more; 117 GFLOP forward for one picture, so not for a CPU (see unet_fast.py).
Data: 4,200 photographs each of people (lfw), animals (oxford_iiit_pet) and scenery (scene_parse150), about 1.9 GB of
downloads and 4.5 GB of cache. A few more than needed are asked for, because grey ones are left out.
"""

from configs import base


def get_config():
    config = base.get_config()
    config.data.names = "people=lfw:train[:5000],animals=oxford_iiit_pet:train+test[:1200],scenery=scene_parse150:train[:5000]"
    config.data.limit_per_group = 4200
    return config
