"""A trained network for other programs: as ONNX or StableHLO, compared with JAX before it is written."""

import copy
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from colorjax import __version__, engines, graph, photos, state
from colorjax.checkpoint import CheckpointError, Network

TOLERANCE = 1e-3  # of chroma in -1..1: 0.11 Lab units
_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
_SHAPES = ((1, 64, 96), (2, 45, 33))  # of the pictures on which a file is compared with JAX


def write(network: Network, path: str | Path, kind: str) -> tuple[int, float]:
    """Write a network into a new file of `kind` (of KINDS) -> (bytes, largest difference of its chroma from JAX's).

    Both kinds take any batch, height and width, and compute in float32. onnx: luma (B, 1, H, W) -> chroma (B, 2, H, W).
    stablehlo: what `jax.export.deserialize` reads, for CPU, CUDA, ROCm and TPU; luma (B, H, W, 1) -> chroma (B, H, W, 2).
    Raises ValueError for another kind and where a package is missing, CheckpointError where the path is taken,
    FloatingPointError where the file's answers differ from JAX's by more than TOLERANCE.
    """
    if kind not in KINDS:
        raise ValueError(f"format {kind!r} is unknown; legal are {', '.join(KINDS)}")
    path = Path(path).expanduser()
    if path.exists():
        raise CheckpointError(f"{path} is there already; export writes a new file")
    network = _in_float32(network)
    data, predict = KINDS[kind](network)
    expected = engines.make(network, "jax").predict
    difference = 0.0
    for shape in _SHAPES:
        luma = np.random.default_rng(0).uniform(-1, 1, (*shape, 1)).astype(np.float32)
        apart = np.abs(predict(luma) - expected(luma)).max()
        if not apart <= TOLERANCE:
            raise FloatingPointError(f"the {kind} file answers otherwise than JAX, by {apart:.2g}; it was not written")
        difference = max(difference, float(apart))
    with photos.atomic(path) as stream:
        stream.write(data)
    return len(data), difference


def _in_float32(network: Network) -> Network:
    config = copy.deepcopy(network.config)
    config.model.dtype = "float32"
    return Network(config, network.params, network.stats, network.source, network.digest)


def _onnx(network: Network) -> tuple[bytes, engines.Predict]:
    about = {
        "colorjax": __version__,
        "weights_sha256": network.digest,
        "image_size": str(network.config.image_size),
        "luma": "(L* - 50) / 50 of CIELAB, D65; (batch, 1, height, width)",
        "chroma": "(a*, b*) / 110; (batch, 2, height, width)",
    }
    with engines.needs_packages("onnx"):
        data = graph.build(network.config.model.name, network.params, network.stats, about)
        return data, engines.run_onnx(data)


def _stablehlo(network: Network) -> tuple[bytes, engines.Predict]:
    run = state.predict(state.graphdef(network.config.model))
    luma = jax.ShapeDtypeStruct(export.symbolic_shape("batch, height, width, 1"), jnp.float32)
    data = export.export(jax.jit(lambda luma: run(network.params, network.stats, luma)), platforms=_PLATFORMS)(luma).serialize()
    read = export.deserialize(bytearray(data))
    return bytes(data), lambda luma: np.asarray(read.call(luma))


KINDS: dict[str, Callable[[Network], tuple[bytes, engines.Predict]]] = {"onnx": _onnx, "stablehlo": _stablehlo}
