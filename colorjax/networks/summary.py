"""`train.py --summary`: parameters, feature maps and cost of a network, from shapes alone."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from colorjax.networks import state
from colorjax.networks.resnet import count_parameters


def describe(config: Any) -> str:
    """What it is, the parameter table, every feature map's shape, and the GFLOPs of one picture at `image_size`, unhinted."""
    params, stats = jax.eval_shape(lambda: state.init_network(config.model, jax.random.key(0)))
    graphdef = state.graphdef(config.model)
    size = config.image_size
    order: list[str] = []

    def maps(params: Any, stats: Any, luma: jax.Array) -> dict[str, jax.Array]:
        model = nnx.merge(graphdef, params, stats)
        model.eval()
        features = model.feature_maps(luma)
        order[:] = features  # JAX sorts the names of a dictionary
        return features

    luma = jax.ShapeDtypeStruct((1, size, size, 1), jnp.float32)
    shapes = jax.eval_shape(maps, params, stats, luma)
    lowered = jax.jit(lambda *a: maps(*a)["chroma"]).lower(params, stats, luma)
    lines = [_kind(config.model), "", "parameters"]
    for path, node in _modules(params):
        lines.append(f"  {path:<24}{count_parameters(node):>12,}")
    lines += [f"  {'total':<24}{count_parameters(params):>12,}", "", f"feature maps of a {size}x{size} picture"]
    for name in order:
        lines.append(f"  {name:<24}{' x '.join(map(str, shapes[name].shape[1:])):>20}")
    lines += ["", f"{lowered.cost_analysis()['flops'] / 1e9:.1f} GFLOP a picture, forward"]
    return "\n".join(lines)


def _kind(model: Any) -> str:
    """Its name and shape, at which resolution it answers, and whether it sees hints."""
    stem = f"stem={model.stem}, " if model.name == "resnet_unet" else ""
    answer = "chroma at full resolution" if model.answer == 1 else f"chroma at 1/{model.answer} of the resolution"
    return f"{model.name}, {stem}width={model.width}, {answer}{', follows hints' if model.guided else ''}"


def _modules(params: dict) -> list[tuple[str, dict]]:
    rows = []
    for name, node in params.items():
        if name == "encoder":
            rows += [(f"encoder.{child}", grandchild) for child, grandchild in node.items()]
        else:
            rows.append((name, node))
    return rows
