"""Every key of every config, with its meaning. The other files of this folder only change values.

Any key can be set on the command line: --config.batch_size=64 --config.data.source=folder --config.data.dir=photos
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    config = ConfigDict()
    config.seed = 0  # decides initial weights, order, crops: two runs with one seed see the same
    config.epochs = 20  # passes over the training photographs
    config.batch_size = 32  # over all devices
    config.eval_batch_size = 32  # likewise, for validation and evaluate.py
    config.image_size = 256  # side of the square crops that the network is trained and measured on

    config.learning_rate = 3e-4  # at the start; see `schedule`
    config.schedule = "cosine"  # to 0 over `epochs`: cosine (each epoch), smooth (each step); or constant (may stop anywhere)
    config.encoder_rate = 1.0  # 0..1: factor of the learning rate of the encoder up to layer3, which `pretrained` brings
    config.freeze = ""  # up to which stage the encoder stays as it starts: stem | layer1 | layer2 | layer3 | layer4 | "" (none)
    config.warmup_steps = 0  # linear rise to learning_rate over the first steps
    config.weight_decay = 0.01  # AdamW's; on convolution kernels only
    config.beta1 = 0.9  # AdamW's; the decay of the mean gradient
    config.ema = 0.0  # decay of a moving average of the network, which is then measured and shipped, as 0.999 (0 = without)
    config.freeze_batch_norm = False  # the network's statistics stay those that it starts with: for few or similar photographs
    config.clip_norm = 1.0  # gradients are scaled down to this global norm (0 = never)

    config.model = ConfigDict()
    config.model.name = "resnet_unet"  # resnet_unet | shallow
    config.model.stem = "full"  # resnet_unet: full (stride 1, no pooling) | strided (as torchvision, 10 times cheaper)
    config.model.width = 64  # channels of the first feature map; the others are multiples of it
    config.model.answer = 1  # chroma has 1/1, 1/2 or 1/4 of the resolution; 2 and 4 (the strided stem's) are quicker
    config.model.palette_gradient = 0.0  # 0..1, guided networks: share of the palette's gradient that reaches the trunk
    config.model.guided = False  # sees hints as well, colours that somebody chose for points: see guided.py
    config.model.dtype = "auto"  # of the computation: float32 | bfloat16 | auto (bfloat16 on accelerators)

    config.looks = (1.0,)  # when photographs are coloured: the mean over these scales; every second look is mirrored

    config.pretrained = "torchvision"  # ImageNet encoder: torchvision (downloads it) | a .pth or .safetensors file | ""
    config.init_from = ""  # a trained network to start from: a workdir, checkpoints/STEP, an exported folder, or pretrained
    config.lpips_weights = ""  # LPIPS' weight files or their folder; where given, validation measures LPIPS too

    config.loss = ConfigDict()  # a weighted sum of these terms
    config.loss.l1 = 1.0  # weight of the L1 of chroma (ab/110)
    config.loss.rarity = 0.0  # 0..1: how far rare colours count more in L1 (1 = as Zhang et al. 2016)
    config.loss.delta_e = 0.0  # weight of the mean CIEDE2000, over 100 (0 = without)
    config.loss.psnr = 0.0  # weight of minus the PSNR in RGB, over 100 dB, up to 40 dB (0 = without)
    config.loss.perceptual = 0.0  # weight of the distance of deep features (0 = without)
    config.loss.perceptual_net = "resnet18"  # whose features: resnet18 | alex | squeeze (these two make it LPIPS)
    config.loss.perceptual_weights = ""  # file of them ("" = `pretrained` or torchvision; for LPIPS `lpips_weights`)
    config.loss.colourfulness = 0.0  # weight of how far colourfulness is from the truth's, over 50 and squared (0 = without)
    config.loss.skin = 0.0  # weight of the chroma distance of pixels that look like skin (0 = without)
    config.loss.palette = 0.01  # guided networks: weight of the palette's cross-entropy; it names each point's colour bin
    config.loss.hints = 0.2  # guided networks: weight of the L1 of the pixels that hints colour, which are few
    config.loss.adversarial = 0.0  # weight of the discriminator's opinion (0 = without a discriminator)

    config.discriminator = ConfigDict()  # the other player, where loss.adversarial > 0
    config.discriminator.loss = "bce"  # how both are paid: bce | hinge | lsgan
    config.discriminator.label_smoothing = 0.1  # bce: true patches are labelled 1 - this
    config.discriminator.width = 64  # channels of its first feature map
    config.discriminator.layers = 3  # its convolutions of stride 2: patches of 16, 34, 70, 142 pixels for 1, 2, 3, 4
    config.discriminator.learning_rate = 2e-4  # its own; the same `schedule`
    config.discriminator.warmup_steps = 0  # its own
    config.discriminator.beta1 = 0.5  # its own
    config.discriminator.clip_norm = 0.0  # its own

    config.data = ConfigDict()
    config.data.source = "tfds"  # tfds | folder | sample (photographs inside the scikit-image wheel)
    config.data.dir = ""  # folder: the photographs; tfds: where TFDS keeps its data ("" = its default)
    config.data.names = ""  # tfds: comma-separated [group=]name[:split], as people=lfw:train[:4600]
    config.data.val_dir = ""  # folder: photographs of other sources to validate on; those of `dir` are all trained on then
    config.data.val_fraction = 0.1  # share held out for validation (of val_dir, if given), by a hash of each picture's name
    config.data.limit = 0  # use only this many photographs, chosen by hash (0 = all)
    config.data.limit_per_group = 0  # use only this many of each group (0 = all)
    config.data.min_size = 64  # photographs with a shorter short side are left out
    config.data.min_chroma = 2.0  # photographs with a lower mean Lab chroma are left out: they are grey
    config.data.scale_jitter = 0.15  # crops show between 1 and 1 / (1 + this) of the short side
    config.data.flip = True  # mirror half of the crops
    config.data.aged = 0.0  # 0..1: share of the training photographs made to look old: grain, fading, JPEG, ...
    config.data.unhinted = 0.25  # 0..1, guided networks: share of the training photographs without any hint
    config.data.balance = "none"  # of each batch: none | temperature (half warm, half cool) | histogram (flat, as may be)
    config.data.warm_above = 0.0  # temperature: a photograph is warm if its mean b* is above this
    config.data.lab = "host"  # where training computes Lab: host (tf.data) | device (pixels travel as uint8: a quarter)
    config.data.cache = True  # keep resized photographs on disk, about 0.35 MB each at 256
    config.data.cache_dir = ""  # where ("" = photos/ below $COLORJAX_CACHE or ~/.cache/colorjax)

    config.fsdp = False  # split parameters and optimiser over the devices as well: less memory, more communication
    config.distributed = ConfigDict()  # several processes, as on several hosts; see docs/howto/long-runs.md
    config.distributed.coordinator = ""  # HOST:PORT of process 0 | auto (SLURM, MPI, clouds) | "" ($JAX_COORDINATOR_ADDRESS)
    config.distributed.processes = 0  # how many (0 = $JAX_NUM_PROCESSES)
    config.distributed.process = -1  # which of them this is, from 0 (-1 = $JAX_PROCESS_ID)
    config.distributed.timeout = 30  # seconds without a sign of life after which a process counts as dead
    config.distributed.start_timeout = 300  # seconds that the processes wait for each other at the start

    config.log_every = 50  # steps between two lines of metrics.jsonl and TensorBoard
    config.checkpoint_every = 0  # further checkpoints each so many steps (0 = only after each epoch)
    config.keep_checkpoints = 3  # the latest so many are kept (at least 2: one may be damaged), and the best
    config.best_by = "l1"  # the best has the lowest l1 | delta_e, the highest psnr | ssim_ab, or is simply the latest
    config.panels = 8  # pictures in figures/panels.png
    return config
