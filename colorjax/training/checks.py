"""What values the settings of a training may have."""

import math

from ml_collections import ConfigDict

from colorjax import checkpoint, networks
from colorjax.checkpoint import settings
from colorjax.data import balance
from colorjax.networks import perceptual
from colorjax.networks import state as states
from colorjax.training import losses

_POSITIVE = (
    *("epochs", "batch_size", "eval_batch_size", "learning_rate", "log_every", "keep_checkpoints"),
    *("discriminator.learning_rate", "discriminator.width", "discriminator.layers"),
    *("distributed.timeout", "distributed.start_timeout"),
)
_NOT_NEGATIVE = (
    *("seed", "weight_decay", "warmup_steps", "clip_norm", "discriminator.warmup_steps", "discriminator.clip_norm"),
    *("checkpoint_every", "panels", "data.limit", "data.limit_per_group", "data.min_size", "data.min_chroma"),
    *(
        "loss.l1",
        "loss.delta_e",
        "loss.psnr",
        "loss.perceptual",
        "loss.colourfulness",
        "loss.skin",
        "loss.hints",
        "loss.palette",
        "loss.adversarial",
    ),
)
_BELOW_1 = ("beta1", "ema", "discriminator.beta1", "discriminator.label_smoothing", "data.val_fraction")
_NAMES = {
    "best_by": checkpoint.BEST_BY,
    "data.balance": balance.BALANCES,
    "schedule": ("cosine", "smooth", "constant"),
    "data.lab": ("host", "device"),
    "discriminator.loss": losses.ADVERSARIAL,
    "loss.perceptual_net": perceptual.NETS,
}
_SMALLEST_PICTURE = 16  # SSIM's window is 11 pixels wide


def check(config: ConfigDict) -> None:
    """Raise ValueError, naming key, value and what is legal, where a value makes no sense."""
    values = settings.flat(config.to_dict())
    for key, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{key}={value} must be a finite number")
    for key in _POSITIVE:
        if not values[key] > 0:
            raise ValueError(f"{key}={values[key]} must be positive")
    for key in _NOT_NEGATIVE:
        if not values[key] >= 0:
            raise ValueError(f"{key}={values[key]} must not be negative")
    for key in _BELOW_1:
        if not 0 <= values[key] < 1:
            raise ValueError(f"{key}={values[key]} must be at least 0 and below 1")
    for key, legal in _NAMES.items():
        if values[key] not in legal:
            raise ValueError(f"{key}={values[key]!r} is unknown; legal are {', '.join(legal)}")
    for key in ("encoder_rate", "loss.rarity", "data.aged", "data.unhinted"):
        if not 0 <= values[key] <= 1:
            raise ValueError(f"{key}={values[key]} must be between 0 and 1")
    if not any(values[f"loss.{name}"] for name in ("l1", "delta_e", "psnr", "perceptual", "adversarial")):
        raise ValueError("loss.l1, delta_e, psnr, perceptual and adversarial are all 0: there is nothing to learn")
    if (config.freeze or config.encoder_rate != 1) and config.model.name != "resnet_unet":
        raise ValueError(
            f"freeze={config.freeze!r} and encoder_rate={config.encoder_rate} need model.name=resnet_unet, which has an encoder"
        )
    networks.check(config.model)
    states.frozen_stages(config.freeze)
    if config.loss.rarity and not config.loss.l1:
        raise ValueError(f"loss.rarity={config.loss.rarity} weights the pixels of L1, but loss.l1=0")
    lpips = config.loss.perceptual and config.loss.perceptual_net != "resnet18"
    if lpips and not (config.loss.perceptual_weights or config.lpips_weights):
        raise ValueError(
            f"loss.perceptual_net={config.loss.perceptual_net!r} needs its weights: "
            "--config.loss.perceptual_weights or --config.lpips_weights says where they are"
        )
    smallest = perceptual.SMALLEST_PICTURE if config.loss.perceptual or config.lpips_weights else _SMALLEST_PICTURE
    smallest *= config.model.answer if config.loss.perceptual else 1  # that term sees what the network answers
    if config.image_size < smallest:
        raise ValueError(f"image_size={config.image_size} must be at least {smallest}")
    if not config.looks or not all(0.5 <= scale <= 2 for scale in config.looks):
        raise ValueError(f"looks={config.looks} must be one scale or several, each between 0.5 and 2")
    if not 0 <= config.data.scale_jitter <= 3:
        raise ValueError(f"data.scale_jitter={config.data.scale_jitter} must be between 0 and 3")
