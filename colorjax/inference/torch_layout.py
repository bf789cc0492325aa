"""A network's numbers as PyTorch has them: torchvision's names for a ResNet, its layouts, in a safetensors file.

`encoder.layer2.0.downsample.0.weight` is a shortcut's convolution, `up3.up.weight` a transposed one. Convolutions are (out,
in, h, w), transposed ones (in, out, h, w) and not mirrored as in Flax. `benchmarks/speed/torch_unet.py` has a module that
takes them.
"""

import json
from typing import Any

import numpy as np
import safetensors.numpy

from colorjax.checkpoint import Network
from colorjax.networks import pretrained

_DOUBLE = (2, 2)  # height and width of the kernels of transposed convolutions, and of no others


def tensors(params: Any, stats: Any) -> dict[str, np.ndarray]:
    """{name: float32 array} of a network's nested dicts, as `load_state_dict` takes them once they are tensors."""
    trees, found = {"params": params, "stats": stats}, {}
    for key, tree, path in pretrained.torch_keys(trees):
        value = np.asarray(_at(trees[tree], path), np.float32)
        if value.ndim == 4:
            transposed = value.shape[:2] == _DOUBLE
            value = value[::-1, ::-1].transpose(2, 3, 0, 1) if transposed else value.transpose(3, 2, 0, 1)
        found[key] = np.ascontiguousarray(value)
    return found


def trees(named: dict[str, np.ndarray], params: Any, stats: Any) -> tuple[Any, Any]:
    """The way back: (params, stats) with the numbers of `tensors`; the given ones say what there is.

    Raises KeyError for a name that is missing, ValueError for another shape and for names that have no place.
    """
    made: dict[str, dict] = {"params": {}, "stats": {}}
    given, left = {"params": params, "stats": stats}, set(named)
    for key, tree, path in pretrained.torch_keys(given):
        value, shape = named[key], np.shape(_at(given[tree], path))
        if value.ndim == 4:
            value = value.transpose(2, 3, 0, 1)[::-1, ::-1] if shape[:2] == _DOUBLE else value.transpose(2, 3, 1, 0)
        if value.shape != shape:
            raise ValueError(f"{key} has shape {named[key].shape}, which does not become {shape}")
        *parents, last = path
        node = made[tree]
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = np.ascontiguousarray(value)
        left.discard(key)
    if left:
        raise ValueError(f"nothing in the network is called {', '.join(sorted(left))}")
    return made["params"], made["stats"]


def to_bytes(network: Network, about: dict[str, str]) -> bytes:
    """A safetensors file of a network; `about` and its `config.model` are in the file's metadata."""
    model = json.dumps(network.config.model.to_dict(), sort_keys=True)
    return safetensors.numpy.save(tensors(network.params, network.stats), {"format": "pt", "model": model} | about)


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        tree = tree[name]
    return tree
