"""A trained network, trained on with photographs of one's own: a family's albums, a town's archive, one photographer.

    python train.py --config=configs/finetune.py --workdir=runs/mine --config.data.dir=my_photographs
    python evaluate.py --ckpt=runs/mine --ckpt=pretrained --baseline=pretrained
    colorjax colorize scans --out coloured --ckpt runs/mine

It begins from the weights inside the installation; --config.init_from names others.
The photographs must be in colour: grey ones teach nothing, and are left out. One in ten is held out, by a hash of its name;
evaluate.py measures both networks on these alone, with the settings of the run, so that no number is of a photograph that was
trained on. The network keeps its shape, and so it must be one like quarter.py's, whose terms, frozen stages and hints these
are; --config.model.answer and the like fit others. Size and looks are those of the weights inside.
Hardware and data: a GPU, or a CPU with time; a few hundred photographs or more.
"""

from configs import quarter


def get_config():
    config = quarter.get_config()
    config.init_from = "pretrained"
    config.pretrained = ""
    config.model.dtype = "auto"
    config.image_size = 192
    config.looks = (5 / 6, 7 / 6)
    config.schedule = "smooth"
    config.epochs = 5
    config.learning_rate = 1e-4  # what it knows should be bent, not replaced
    config.warmup_steps = 50
    config.ema = 0.99
    config.freeze_batch_norm = True  # else the statistics move with few batches of one kind, and colours get worse
    config.checkpoint_every = 0
    config.log_every = 10
    return config
