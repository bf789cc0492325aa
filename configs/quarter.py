"""The network that colorjax ships: guided, answers at a quarter of the resolution, on stages that stay as ImageNet left them.

    python train.py --config=configs/quarter.py --workdir=runs/quarter --config.pretrained=WEIGHTS --config.data.dir=PHOTOS \\
        --config.data.val_dir=OTHERS --config.data.val_fraction=0.5

WEIGHTS: ImageNet's `conv1` to `layer3`. OTHERS: photographs of other sources than PHOTOS, of which half are validated on: a
network is easily good at its own sources. The learning rate stays, so that a run may be stopped anywhere (Ctrl-C saves) and
gone on with by the same command; what is shipped is the moving average. A last sitting sees more, and lets the rate fall to 0:
--config.init_from=runs/quarter --config.pretrained= --config.schedule=smooth --config.epochs=1 --config.image_size=192.

Work: 2.7 GFLOP forward for one picture of 160 pixels. On two CPU cores its steps saw 15 such pictures a second,
2.9 times as many as the old recipe's: `python benchmarks/speed/train_recipes.py --sizes 160 --rounds 3`.
"""

from configs import guided


def get_config():
    config = guided.get_config()
    config.model.stem = "strided"
    config.model.answer = 4
    config.model.dtype = "float32"
    config.model.palette_gradient = 1.0
    config.loss.delta_e = 1.0
    config.loss.psnr = 0.6
    config.loss.colourfulness = 0.12
    config.freeze = "layer2"
    config.encoder_rate = 0.2
    config.schedule = "constant"
    config.epochs = 1000
    config.batch_size, config.eval_batch_size = 16, 16
    config.image_size = 160
    config.warmup_steps = 200
    config.ema = 0.999
    config.checkpoint_every = 250
    config.data.source = "folder"
    config.data.names = ""
    config.data.limit_per_group = 0
    config.data.aged = 0.15
    config.data.unhinted = 0.5
    config.data.lab = "device"
    return config
