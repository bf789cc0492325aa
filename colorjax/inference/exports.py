"""A trained network for other programs: as ONNX, StableHLO or safetensors, compared with JAX before it is written."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from jax import export

from colorjax import photos
from colorjax.checkpoint import CheckpointError, Network
from colorjax.inference import engines, onnx_graph, torch_layout
from colorjax.networks import state
from colorjax.platform.version import VERSION

TOLERANCE = 1e-3  # of chroma in -1..1: 0.11 Lab units
_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
_SHAPES = ((1, 64, 96), (2, 45, 33))  # of the pictures on which a file is compared with JAX


def check_new(path: str | Path) -> Path:
    """The file that a network may be written into. Raises CheckpointError where it is there already, or cannot be."""
    path = Path(path).expanduser()
    if path.exists():
        raise CheckpointError(f"{path} is there already; export writes a new file")
    if taken := next((place for place in path.parents if place.exists() and not place.is_dir()), None):
        raise CheckpointError(f"{taken} is a file; name a folder for {path.name}")
    return path


def write(network: Network, path: str | Path, kind: str) -> tuple[int, float]:
    """Write a network into a new file of `kind` (of KINDS) -> (bytes, largest difference of its chroma from JAX's).

    These take any batch, height and width, and compute in float32. onnx: luma (B, 1, H, W) -> chroma (B, 2, H, W).
    stablehlo: what `jax.export.deserialize` reads, for CPU, CUDA, ROCm and TPU; luma (B, H, W, 1) -> chroma (B, H, W, 2).
    Those of guided networks also take hints, (B, 3, H, W) and (B, H, W, 3), all 0 where there are none.
    safetensors: the numbers alone, in PyTorch's layout, see `torch_layout`; what is compared is what they become, read back.
    Raises ValueError for another kind and where a package is missing, CheckpointError where the path is taken,
    FloatingPointError where the file's answers differ from JAX's by more than TOLERANCE.
    """
    if kind not in KINDS:
        raise ValueError(f"format {kind!r} is unknown; legal are {', '.join(KINDS)}")
    path = check_new(path)
    network = _in_float32(network)
    data, predict = KINDS[kind](network)
    expected = engines.make(network, "jax").predict
    difference = 0.0
    for shape in _SHAPES:
        rng = np.random.default_rng(0)
        given = [rng.uniform(-1, 1, (*shape, channels)).astype(np.float32) for channels in _channels(network)]
        apart = np.abs(predict(*given) - expected(*given)).max()
        if not apart <= TOLERANCE:
            raise FloatingPointError(f"the {kind} file answers otherwise than JAX, by {apart:.2g}; it was not written")
        difference = max(difference, float(apart))
    with photos.atomic(path) as stream:
        stream.write(data)
    return len(data), difference


def _channels(network: Network) -> tuple[int, ...]:
    """Of each input: luma, and hints where the network is guided."""
    return (1, 3) if network.config.model.guided else (1,)


def _sides(network: Network) -> str:
    """Of the answer, beside those of luma."""
    answer = network.config.model.answer
    return "height, width" if answer == 1 else f"height / {answer}, width / {answer}, rounded up"


def _in_float32(network: Network) -> Network:
    config = copy.deepcopy(network.config)
    config.model.dtype = "float32"
    return Network(config, network.params, network.stats, network.source, network.digest)


def _about(network: Network) -> dict[str, str]:
    """What a file says of itself."""
    about = {
        "colorjax": VERSION,
        "weights_sha256": network.digest,
        "image_size": str(network.config.image_size),
        "luma": "(L* - 50) / 50 of CIELAB, D65; (batch, 1, height, width)",
        "chroma": f"(a*, b*) / 110; (batch, 2, {_sides(network)})",
    }
    if network.config.model.guided:
        square = "a square of 1/50 of the short side, at least 3 pixels, around each hint"
        about["hints"] = f"chroma, and 1, in {square}; 0 elsewhere; (batch, 3, height, width)"
    return about


def _onnx(network: Network) -> tuple[bytes, engines.Predict]:
    about = _about(network)
    with engines.needs_packages("onnx"):
        data = onnx_graph.build(network.config.model, network.params, network.stats, about)
        return data, engines.run_onnx(data, network.config.model.guided)


def _stablehlo(network: Network) -> tuple[bytes, engines.Predict]:
    run = state.predict(state.graphdef(network.config.model))
    *sides, _ = export.symbolic_shape("batch, height, width, 1")
    given = [jax.ShapeDtypeStruct((*sides, channels), jnp.float32) for channels in _channels(network)]
    answer = jax.jit(lambda *given: run(network.params, network.stats, *given))
    data = export.export(answer, platforms=_PLATFORMS)(*given).serialize()
    read = export.deserialize(bytearray(data))
    return bytes(data), lambda *given: np.asarray(read.call(*given))


def _safetensors(network: Network) -> tuple[bytes, engines.Predict]:
    data = torch_layout.to_bytes(network, _about(network))
    params, stats = torch_layout.trees(safetensors.numpy.load(data), network.params, network.stats)
    return data, engines.make(replace(network, params=params, stats=stats), "jax").predict


KINDS: dict[str, Callable[[Network], tuple[bytes, engines.Predict]]] = {
    "onnx": _onnx,
    "stablehlo": _stablehlo,
    "safetensors": _safetensors,
}
