"""The networks: their layers, their numbers, and what is ported into them. `make` builds one by its name.

`convolution` (layers), `resnet`, `unet`, `shallow`, `patchgan` (networks), `state` (all that training changes), `statedict`
and `pretrained` (ImageNet's weights, read and ported), `perceptual` (distances of features), `summary` (a network described).

Every network: luma (B, H, W, 1) in -1..1 -> chroma (B, H, W, 2) in -1..1, at any height and width. With `model.answer` 2 or 4
chroma has that part of the height and width, rounded up; `full_size` scales it up. Guided ones also take hints (B, H, W, 3):
chroma, and 1 where there is one; 0 elsewhere. None or all 0: there are none.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from colorjax.networks.patchgan import PatchGAN
from colorjax.networks.resnet import STEMS
from colorjax.networks.shallow import Shallow
from colorjax.networks.unet import ResNetUNet

__all__ = [
    "ANSWERS",
    "MODELS",
    "check",
    "convolution",
    "full_size",
    "make",
    "make_discriminator",
    "patchgan",
    "perceptual",
    "pretrained",
    "resnet",
    "shallow",
    "state",
    "statedict",
    "summary",
    "unet",
]

MODELS: dict[str, Callable[..., nnx.Module]] = {"resnet_unet": ResNetUNet, "shallow": Shallow}
_DTYPES = ("auto", "float32", "bfloat16")
ANSWERS = (1, 2, 4)


def check(model: Any) -> None:
    """Raise ValueError, listing what is legal, where `config.model` describes no network."""
    if model.name not in MODELS:
        raise ValueError(f"model.name={model.name!r} is unknown; legal are {', '.join(MODELS)}")
    if model.dtype not in _DTYPES:
        raise ValueError(f"model.dtype={model.dtype!r} is unknown; legal are {', '.join(_DTYPES)}")
    if model.width < 4 or model.width % 4:
        raise ValueError(f"model.width={model.width} must be a positive multiple of 4")
    if model.stem not in STEMS:
        raise ValueError(f"model.stem={model.stem!r} is unknown; legal are {', '.join(STEMS)}")
    if model.answer not in ANSWERS:
        raise ValueError(f"model.answer={model.answer} is unknown; legal are {', '.join(map(str, ANSWERS))}")
    if model.answer > 1 and (model.name, model.stem) != ("resnet_unet", "strided"):
        raise ValueError(f"model.answer={model.answer} needs model.name=resnet_unet and model.stem=strided")
    if not 0 <= model.palette_gradient <= 1:
        raise ValueError(f"model.palette_gradient={model.palette_gradient} must be between 0 and 1")


def make(model: Any, rngs: nnx.Rngs) -> nnx.Module:
    """The network that `config.model` describes. Raises ValueError as `check`."""
    check(model)
    options = {key: model[key] for key in ("width", "stem", "answer", "guided", "palette_gradient")}
    return MODELS[model.name](**options, dtype=_dtype(model.dtype), rngs=rngs)


def full_size(chroma: jax.Array, shape: tuple[int, int], answer: int) -> jax.Array:
    """Chroma of a network of this `model.answer` at the size (H, W) of its picture, bicubic and in -1..1."""
    if answer == 1:
        return chroma
    batch, rows, columns, _ = chroma.shape
    large = jax.image.resize(chroma, (batch, rows * answer, columns * answer, 2), "cubic")
    return jnp.clip(large[:, : shape[0], : shape[1]], -1, 1)


def make_discriminator(discriminator: Any, dtype: str, rngs: nnx.Rngs) -> PatchGAN:
    """The network that `config.discriminator` describes, computing in `config.model.dtype`. Raises ValueError."""
    for key in ("width", "layers"):
        if discriminator[key] < 1:
            raise ValueError(f"discriminator.{key}={discriminator[key]} must be positive")
    return PatchGAN(width=discriminator.width, layers=discriminator.layers, dtype=_dtype(dtype), rngs=rngs)


def _dtype(name: str) -> jnp.dtype:
    if name == "auto":
        name = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    return jnp.dtype(name)
