"""ImageNet's ResNet-18 from torchvision's weight files -> the encoder, whose stem takes lightness instead of RGB."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from colorjax.networks import statedict
from colorjax.networks.resnet import GREY_MEAN, GREY_STD, ResNetEncoder
from colorjax.platform import caching

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])
STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")
_WIDTH = 64  # ResNet-18's


def load_encoder(name: str, params: dict, stats: dict) -> tuple[dict, dict, list[str]]:
    """Put pretrained weights into a network's encoder -> (params, stats, names of the stages left as they were).

    name: "torchvision" (downloads the official file once) or the path of a .pth or .safetensors file with torchvision's
    key names. params, stats: nested dicts of a `resnet_unet`; they are not changed.
    Raises ValueError where the network has no such encoder, or the file has keys missing or misshapen (all are named);
    caching.DownloadError where the download fails.
    """
    if "encoder" not in params:
        raise ValueError(f"pretrained={name!r} needs model.name=resnet_unet: this network has no ResNet-18 encoder")
    width = params["encoder"]["conv1"]["bias"].shape[0]
    if width != _WIDTH:
        raise ValueError(f"pretrained={name!r} needs model.width={_WIDTH} (ResNet-18's), not {width}")
    path = _file(name)
    ours = {name: module for name, module in params["encoder"].items() if "hints" not in name}  # torchvision's net takes none
    encoder_params, encoder_stats, left = port(statedict.read_state_dict(path), ours, stats["encoder"])
    if left:
        print(
            f"PRETRAINED: {path.name} has no {', '.join(left)}; the rest is loaded, these start at random",
            file=sys.stderr,
        )
    return params | {"encoder": params["encoder"] | encoder_params}, stats | {"encoder": encoder_stats}, left


def load_rgb_encoder(name: str) -> tuple[dict, dict]:
    """torchvision's own net, whose stem takes RGB -> (params, stats) for `ResNetEncoder(channels=3, stem="strided")`.

    name and errors as of `load_encoder`; ValueError also where anything but layer4 is missing.
    """
    weights = statedict.read_state_dict(_file(name))
    network = ResNetEncoder(width=_WIDTH, stem="strided", dtype=jnp.float32, rngs=nnx.Rngs(0), channels=3)
    _, params, stats = nnx.split(network, nnx.Param, ...)
    params, stats, left = port(weights, nnx.to_pure_dict(params), nnx.to_pure_dict(stats))
    if set(left) - {"layer4"}:
        raise ValueError(f"{name} has no {', '.join(left)}; the perceptual term needs the stem and layer1 to layer3")
    return params, stats


def _file(name: str) -> Path:
    if name == "torchvision":
        return caching.download(caching.RESNET18_URL, caching.RESNET18_SHA256_PREFIX)
    return Path(name).expanduser()


def port(weights: dict[str, np.ndarray], params: dict, stats: dict) -> tuple[dict, dict, list[str]]:
    """torchvision's ResNet-18 state dict -> (params, stats, stages not in it) of the encoder given as nested dicts.

    Kernels go from OIHW to HWIO, the stem through `fold_stem` where the encoder has one channel. A stage that is missing as
    a whole keeps its numbers.
    Raises ValueError naming every key that is missing from a stage that is there, or has another shape.
    """
    weights = {key: value.astype(np.float32) for key, value in weights.items() if not key.endswith("num_batches_tracked")}
    trees = {"params": _copy(params), "stats": _copy(stats)}
    left, faults = [], []
    if "conv1.weight" in weights:
        kernel, legal = weights["conv1.weight"], (_WIDTH, 3, 7, 7)
        if kernel.shape != legal:
            faults.append(f"conv1.weight has shape {kernel.shape}; it must have {legal}")
            kernel = np.zeros(legal, np.float32)
        if trees["params"]["conv1"]["kernel"].shape[2] == 1:
            kernel, bias = fold_stem(kernel)
        else:
            bias = np.zeros(_WIDTH, np.float32)
        weights["conv1.weight"], weights["conv1.bias"] = kernel, bias
    for stage in STAGES:
        wanted = {key: (tree, path) for key, tree, path in torch_keys(trees) if _stage(key) == stage}
        absent = [key for key in wanted if key not in weights]
        if len(absent) == len(wanted):
            left.append(stage)
            continue
        faults += [f"{key} is missing" for key in absent if key != "conv1.bias"]  # the bias comes of the kernel
        for key in wanted.keys() - set(absent):
            tree, path = wanted[key]
            value = weights[key].transpose(2, 3, 1, 0) if weights[key].ndim == 4 else weights[key]
            *parents, last = path
            node = trees[tree]
            for parent in parents:
                node = node[parent]
            if node[last].shape == value.shape:
                node[last] = jnp.asarray(value)
            else:
                faults.append(f"{key} has shape {tuple(weights[key].shape)}, which does not become {node[last].shape}")
    if left == list(STAGES):
        raise ValueError(f"these are not the weights of a ResNet-18: none of its keys is there, but {list(weights)[:5]}")
    if faults:
        raise ValueError("the ResNet-18 weights do not fit:\n  " + "\n  ".join(sorted(faults)))
    return trees["params"], trees["stats"], left


def fold_stem(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """torchvision's RGB stem (64, 3, 7, 7) -> (one-channel kernel (64, 1, 7, 7), bias (64,)), float32.

    For a grey level g given to all three channels, torchvision's net convolves (g - mean_c) / std_c; the encoder convolves
    z = (g - GREY_MEAN) / GREY_STD. Both sums agree wherever the kernel does not reach over the border, where torchvision
    pads with its mean colour and the encoder with GREY_MEAN.
    """
    kernel = kernel.astype(np.float64)
    scale = (GREY_STD / IMAGENET_STD)[None, :, None, None]
    offset = ((GREY_MEAN - IMAGENET_MEAN) / IMAGENET_STD)[None, :, None, None]
    return (kernel * scale).sum(1, keepdims=True).astype(np.float32), (kernel * offset).sum((1, 2, 3)).astype(np.float32)


def _stage(key: str) -> str:
    head = key.split(".")[0]
    return head if head.startswith("layer") else "stem"


_LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
_MODULES = {"shortcut": "downsample.0", "shortcut_bn": "downsample.1", "block0": "0", "block1": "1"}


def torch_keys(trees: dict[str, dict]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Every number of an encoder, or a whole network, as (PyTorch's key, torchvision's words; tree it is in; path there)."""

    def walk(node: dict, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for name, child in node.items():
            yield from walk(child, (*path, name)) if isinstance(child, dict) else [(*path, name)]

    for tree, root in trees.items():
        for path in walk(root, ()):
            *modules, leaf = path
            yield ".".join([*(_MODULES.get(m, m) for m in modules), _LEAVES[leaf]]), tree, path


def _copy(tree: Any) -> Any:
    return {name: _copy(child) for name, child in tree.items()} if isinstance(tree, dict) else tree
