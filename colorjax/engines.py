"""What computes a network's answer: XLA, or ONNX Runtime, which is faster on processors."""

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from colorjax import graph, state
from colorjax.checkpoint import Network

Predict = Callable[[np.ndarray], np.ndarray]


class Engine(NamedTuple):
    """name: of ENGINES. about: which program in which version, for sidecars.

    predict: luma (B, H, W, 1) float32 in -1..1 -> chroma (B, H, W, 2) float32 in -1..1.
    """

    name: str
    about: dict[str, str]
    predict: Predict


def make(network: Network, name: str = "auto") -> Engine:
    """An engine for a network; "auto" is `chosen`. Raises ValueError for an unknown one, and where its package is missing."""
    name = chosen(network) if name == "auto" else name
    if name not in ENGINES:
        raise ValueError(f"engine={name!r} is unknown; legal are auto, {', '.join(ENGINES)}")
    return ENGINES[name](network)


def chosen(network: Network) -> str:
    """The faster engine that is there: ONNX Runtime where there is no accelerator and `colorjax[onnx]` is installed, else JAX.

    A network that asks for bfloat16 by name is JAX's: the other one computes in float32.
    """
    there = all(importlib.util.find_spec(package) for package in ("onnx", "onnxruntime"))
    return "onnx" if there and jax.default_backend() == "cpu" and network.config.model.dtype != "bfloat16" else "jax"


def _jax(network: Network) -> Engine:
    run = state.predict(state.graphdef(network.config.model))
    params, stats = network.params, network.stats
    return Engine("jax", {"engine": "jax"}, lambda luma: np.asarray(run(params, stats, luma)))


def _onnx(network: Network) -> Engine:
    with needs_packages("onnx"):
        import onnxruntime

        model = graph.build(network.config.model.name, network.params, network.stats, {})
    return Engine("onnx", {"engine": "onnx", "onnxruntime": onnxruntime.__version__}, run_onnx(model))


@contextlib.contextmanager
def needs_packages(extra: str) -> Iterator[None]:
    """Raises ValueError, naming the extra of colorjax, where a package is missing."""
    try:
        yield
    except ImportError as error:
        raise ValueError(f"the package {error.name} is missing: pip install 'colorjax[{extra}]'") from error


def run_onnx(model: bytes | str) -> Predict:
    """`Engine.predict` of an ONNX model, serialised or in a file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = _threads()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def predict(luma: np.ndarray) -> np.ndarray:
        batch, height, width, _ = luma.shape
        given = np.ascontiguousarray(luma, np.float32).reshape(batch, 1, height, width)
        (chroma,) = session.run([graph.OUTPUT], {graph.INPUT: given})
        return np.moveaxis(chroma, 1, -1)

    return predict


def _threads() -> int:
    """The processors that this process may use; ONNX Runtime by itself would take those that it may not, and say so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


ENGINES: dict[str, Callable[[Network], Engine]] = {"jax": _jax, "onnx": _onnx}
