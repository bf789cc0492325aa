"""How far apart two pictures look to a network trained on photographs: a loss in training, LPIPS as a metric.

Zhang, Isola, Efros, Shechtman, Wang: The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, CVPR 2018;
version 0.1, as the `lpips` package computes it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from colorjax.networks import pretrained, statedict
from colorjax.networks.resnet import ResNetEncoder, max_windows

NETS = ("resnet18", "alex", "squeeze")
SMALLEST_PICTURE = 32  # AlexNet's last map would be empty below 31 pixels, SqueezeNet's below 17
_LPIPS_MEAN, _LPIPS_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # LPIPS' shift and scale, for RGB in 0..1
_RESNET_MAPS, _RESNET_CHANNELS = ("stem", "layer1", "layer2", "layer3"), (64, 64, 128, 256)
_ALEX = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}  # convolution: (stride, padding)
_ALEX_POOLED = (3, 6)  # convolutions that a pooling comes before
_FIRES = (3, 4, 6, 7, 9, 10, 11, 12)
_FIRES_POOLED, _FIRES_TAPPED = (3, 6, 9), (4, 7, 9, 10, 11, 12)
_CHANNELS = {"alex": (64, 192, 384, 256, 256), "squeeze": (64, 128, 256, 384, 384, 512, 512)}

Features = Callable[[Any, jax.Array], list[jax.Array]]


@dataclass(frozen=True, eq=False)
class Perceptual:
    """A frozen network and the distance it gives. weights: its numbers, to be passed to `distance`."""

    name: str
    weights: Any
    features: Features

    def distance(self, weights: Any, rgb: Float[Array, "b h w 3"], other: Float[Array, "b h w 3"]) -> Float[Array, " b"]:
        """0 for equal pictures (sRGB in 0..1, at least SMALLEST_PICTURE pixels a side); its gradient is finite everywhere.

        At each place of each feature map the squared distance of the two unit vectors of features, weighted by channel,
        averaged over the places; LPIPS adds up the maps, resnet18 (all channels alike) averages them.
        """
        if min(rgb.shape[1:3]) < SMALLEST_PICTURE:
            raise ValueError(f"{self.name} needs pictures of {SMALLEST_PICTURE} pixels or more, not {rgb.shape[1:3]}")
        mean, std = (jnp.array(numbers, jnp.float32).reshape(1, 1, 1, 3) for numbers in (_LPIPS_MEAN, _LPIPS_STD))
        normalised = [(picture - mean) / std for picture in (rgb, other)]
        with jax.default_matmul_precision("highest"):
            ours, theirs = (self.features(weights["net"], picture) for picture in normalised)
            parts = zip(weights["lin"], ours, theirs, strict=True)
            return sum(((_unit(f) - _unit(g)) ** 2 @ lin).mean((1, 2)) for lin, f, g in parts)


def _unit(features: jax.Array) -> jax.Array:
    features = features.astype(jnp.float32)
    square = (features**2).sum(-1, keepdims=True)
    some = square > 0  # the square root has no gradient at 0
    return jnp.where(some, features / (jnp.sqrt(jnp.where(some, square, 1.0)) + 1e-10), 0.0)


def resnet18(name: str) -> Perceptual:
    """ImageNet's ResNet-18, stem to layer3. name and errors as of `pretrained.load_encoder`."""
    params, stats = pretrained.load_rgb_encoder(name)
    graphdef = nnx.eval_shape(lambda: ResNetEncoder(width=64, stem="strided", dtype=jnp.float32, rngs=nnx.Rngs(0), channels=3))
    graphdef = nnx.split(graphdef, nnx.Param, ...)[0]

    def features(net: Any, picture: jax.Array) -> list[jax.Array]:
        encoder = nnx.merge(graphdef, net["params"], net["stats"])
        encoder.eval()
        maps = encoder.maps(picture)
        return [maps[stage] for stage in _RESNET_MAPS]

    lin = [jnp.full(channels, 1 / len(_RESNET_MAPS)) for channels in _RESNET_CHANNELS]
    return Perceptual("resnet18", {"net": {"params": params, "stats": stats}, "lin": lin}, features)


def lpips(net: str, path: str) -> Perceptual:
    """LPIPS with `net` "alex" or "squeeze". path: as of `find`. Raises ValueError, OSError where its weights are not there."""
    found = find(path)
    if net not in found:
        raise ValueError(f"{path}: the weights of LPIPS({net}) are not there; it holds those of {', '.join(found) or 'no net'}")
    return found[net]


def find(path: str) -> dict[str, Perceptual]:
    """Every LPIPS whose weights are at `path`: a folder, or files separated by commas (.pth, .pt, .safetensors).

    A net needs two files: torchvision's AlexNet or SqueezeNet 1.1 (keys "features.*"; a classifier is ignored), and LPIPS'
    linear weights, as the `lpips` package has them ("lin0.model.1.weight") or by name ("alex.lin0").
    Raises ValueError or OSError where a file cannot be read.
    """
    dicts = [statedict.read_state_dict(file) for file in _files(path)]
    found = {}
    for net, channels in _CHANNELS.items():
        kernels = [k for k in map(_kernels, dicts) if _is_net(net, k)]
        lins = [lin for lin in (_lin(net, weights) for weights in dicts) if [len(x) for x in lin] == list(channels)]
        if kernels and lins:
            found[net] = Perceptual(net, {"net": kernels[0], "lin": lins[0]}, _alex if net == "alex" else _squeeze)
    return found


def given(path: str) -> dict[str, Perceptual]:
    """`find` for the setting `lpips_weights`: nothing where it is empty, ValueError where it is not and no net is complete."""
    found = find(path) if path else {}
    if path and not found:
        raise ValueError(
            f"lpips_weights={path} holds no net's weights; one needs torchvision's AlexNet or SqueezeNet 1.1 (keys features.*) "
            "and the linear weights of the lpips package"
        )
    return found


def _files(path: str) -> Iterator[Path]:
    for part in map(str.strip, path.split(",")):
        one = Path(part).expanduser()
        if one.is_dir():
            yield from sorted(p for p in one.iterdir() if p.suffix in (".pth", ".pt", ".safetensors") and p.is_file())
        else:
            yield one


def _kernels(weights: dict[str, np.ndarray]) -> dict[str, jax.Array]:
    """The convolutions of a state dict, kernels in HWIO."""
    kept = {key.removeprefix("features."): value for key, value in weights.items() if key.startswith("features.")}
    return {key: jnp.asarray(v.transpose(2, 3, 1, 0) if v.ndim == 4 else v, jnp.float32) for key, v in kept.items()}


def _is_net(net: str, kernels: dict[str, jax.Array]) -> bool:
    first = kernels.get("0.weight")
    size = {"alex": (11, 11, 3, 64), "squeeze": (3, 3, 3, 64)}[net]
    last = {"alex": "10.weight", "squeeze": "12.expand3x3.weight"}[net]
    return first is not None and first.shape == size and last in kernels


def _lin(net: str, weights: dict[str, np.ndarray]) -> list[jax.Array]:
    named = [(f"{net}.lin{i}", f"lin{i}.model.1.weight") for i in range(len(_CHANNELS[net]))]
    keys = [next((key for key in pair if key in weights), None) for pair in named]
    return [] if None in keys else [jnp.asarray(weights[key], jnp.float32).ravel() for key in keys]


def _conv(net: Any, key: str, x: jax.Array, stride: int = 1, padding: int = 0) -> jax.Array:
    """A convolution and ReLU."""
    pads = [(padding, padding)] * 2
    y = jax.lax.conv_general_dilated(
        x, net[f"{key}.weight"], (stride, stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return nnx.relu(y + net[f"{key}.bias"].reshape(1, 1, 1, -1))


def _pool(x: jax.Array, ceil: bool) -> jax.Array:
    """3x3 max pooling of stride 2, unpadded; `ceil`: a window may reach over the end."""
    height, width = ((side - 3 + ceil) // 2 + 1 for side in x.shape[1:3])
    return max_windows(x, 3, 0, (height, width))


def _alex(net: Any, x: jax.Array) -> list[jax.Array]:
    maps = []
    for layer, (stride, padding) in _ALEX.items():
        x = _conv(net, str(layer), _pool(x, ceil=False) if layer in _ALEX_POOLED else x, stride, padding)
        maps.append(x)
    return maps


def _squeeze(net: Any, x: jax.Array) -> list[jax.Array]:
    x = _conv(net, "0", x, stride=2)
    maps = [x]
    for layer in _FIRES:
        x = _conv(net, f"{layer}.squeeze", _pool(x, ceil=True) if layer in _FIRES_POOLED else x)
        x = jnp.concatenate([_conv(net, f"{layer}.expand{n}x{n}", x, padding=n // 2) for n in (1, 3)], axis=-1)
        if layer in _FIRES_TAPPED:
            maps.append(x)
    return maps
