"""A trained network, trained on with photographs of one's own: a family's albums, a town's archive, one photographer.

    python train.py --config=configs/finetune.py --workdir=runs/mine --config.data.dir=my_photographs
    python evaluate.py --ckpt=runs/mine --ckpt=pretrained --baseline=pretrained
    colorjax colorize scans --out coloured --ckpt runs/mine

It begins from the weights inside the installation; --config.init_from names others.
The photographs must be in colour: grey ones teach nothing, and are left out. One in ten is held out, by a hash of its name;
evaluate.py measures both networks on these alone, with the settings of the run, so that no number is of a photograph that was
trained on. The network keeps its shape: another stem or width, or an unguided one, is refused. Terms, batch and size (96
pixels; what comes out works at it, too) are those of release.py:finish; on a GPU --config.image_size=256 is worth trying.
Hardware and data: a GPU, or a CPU with time; a few hundred photographs or more.
"""

from configs import release


def get_config():
    config = release.get_config("finish")
    config.init_from = "pretrained"
    config.pretrained = ""
    config.model.dtype = "auto"
    config.epochs = 5
    config.learning_rate = 1e-4  # what it knows should be bent, not replaced
    config.warmup_steps = 50
    config.ema = 0.99
    config.freeze_batch_norm = True  # else the statistics move with few batches of one kind, and colours get worse
    config.log_every = 10
    return config
