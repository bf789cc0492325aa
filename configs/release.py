"""An earlier release (quarter.py is what colorjax ships): guided, with the strided stem, some photographs made to look old.

On an accelerator, in one go at 256 pixels (prepared; not run yet, for none was at hand):

    python train.py --config=configs/release.py --workdir=runs/release --config.data.dir=photos

In two stages, on two CPU cores (the first from a file of ImageNet's `conv1` to `layer3`, with --config.pretrained=WEIGHTS;
`layer4` at random). The first weights inside colorjax were made much like this, but `finish` in seven sittings of
other lengths, rates and terms, and the mean of networks at the end; as it stands here it was not run.

    python train.py --config=configs/release.py:start --workdir=runs/start --config.data.dir=photos
    python train.py --config=configs/release.py:finish --workdir=runs/finish --config.data.dir=photos \\
        --config.init_from=runs/start
    colorjax export --ckpt runs/finish --out NEW_FOLDER  # then the card and the licence beside it

`finish` goes on from what it made on another day: --config.init_from=FOLDER. What of its terms was measured: see
docs/measurements/terms.md. Photographs: any folder; those of the weights are named on their card.
"""

from configs import guided

STAGES = ("", "start", "finish")


def get_config(stage=""):
    if stage not in STAGES:
        raise ValueError(f"stage {stage!r} is unknown; legal are start, finish, and none for both in one")
    config = guided.get_config()
    config.model.stem = "strided"
    config.data.source = "folder"
    config.data.names = ""
    config.data.limit_per_group = 0
    config.ema = 0.999
    config.warmup_steps = 100
    config.epochs = 40
    config.loss.delta_e = 1.0
    config.loss.psnr = 0.6
    config.loss.colourfulness = 0.12
    config.data.aged = 0.15
    config.data.unhinted = 0.6
    if stage:
        config.model.dtype = "float32"
        config.batch_size = 16
    if stage == "start":
        config.epochs = 4
        config.image_size = 64
        config.model.guided = False
        config.best_by = "l1"
        config.loss.delta_e, config.loss.psnr, config.loss.colourfulness, config.data.aged = 0.0, 0.0, 0.0, 0.0
    if stage == "finish":
        config.epochs = 8  # a quarter of an hour each
        config.image_size = 96
    return config
