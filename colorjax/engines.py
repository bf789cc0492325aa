"""What computes a network's answer: XLA, or ONNX Runtime, which is faster on processors."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from colorjax import graph, sharding, state
from colorjax.checkpoint import Network

Predict = Callable[[np.ndarray], np.ndarray]
_LARGE = 2**20  # pixels, above which ONNX Runtime gives memory back between layers: half of it, for a quarter more time


class MissingPackageError(ValueError):
    """A package that an engine or an export needs is not there, or broken."""


class Engine(NamedTuple):
    """name: of ENGINES. about: what computes, for sidecars, where that is not JAX on its first device.

    predict: luma (B, H, W, 1) float32 in -1..1 -> chroma (B, H, W, 2) float32 in -1..1.
    """

    name: str
    about: dict[str, str]
    predict: Predict


def make(network: Network, name: str = "auto") -> Engine:
    """An engine for a network. Raises ValueError for an unknown one, MissingPackageError where its packages are missing.

    "auto": ONNX Runtime where there is no accelerator and `colorjax[onnx]` is installed, else JAX. A network that asks for
    bfloat16 by name is JAX's: the other one computes in float32.
    """
    if name == "auto":
        if jax.default_backend() == "cpu" and network.config.model.dtype != "bfloat16":
            with contextlib.suppress(MissingPackageError):
                return _onnx(network)
        return _jax(network)
    if name not in ENGINES:
        raise ValueError(f"engine={name!r} is unknown; legal are auto, {', '.join(ENGINES)}")
    return ENGINES[name](network)


def _jax(network: Network) -> Engine:
    run = state.predict(state.graphdef(network.config.model))
    params, stats = network.params, network.stats
    return Engine("jax", {"engine": "jax"}, lambda luma: np.asarray(run(params, stats, luma)))


def _onnx(network: Network) -> Engine:
    with needs_packages("onnx"):
        import onnxruntime

        model = graph.build(network.config.model.name, network.params, network.stats, {})
        predict = run_onnx(model)
    about = {"platform": "cpu", "kind": "cpu", "engine": "onnx", "onnxruntime": onnxruntime.__version__}
    return Engine("onnx", about, predict)


@contextlib.contextmanager
def needs_packages(extra: str) -> Iterator[None]:
    """Raises MissingPackageError, naming the extra of colorjax, where a package cannot be imported."""
    try:
        yield
    except ImportError as error:
        what = f"the package {error.name} is missing" if error.name else " ".join(str(error).split())
        raise MissingPackageError(f"{what}: pip install 'colorjax[{extra}]'") from error


def run_onnx(model: bytes) -> Predict:
    """`Engine.predict` of a serialised ONNX model."""
    import onnxruntime

    @functools.cache
    def session(keeps_memory: bool) -> Any:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        options.intra_op_num_threads = sharding.processors()  # by itself it would take those that it may not
        options.enable_cpu_mem_arena = keeps_memory
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def predict(luma: np.ndarray) -> np.ndarray:
        batch, height, width, _ = luma.shape
        given = np.ascontiguousarray(luma, np.float32).reshape(batch, 1, height, width)
        (chroma,) = session(luma.size <= _LARGE).run([graph.OUTPUT], {graph.INPUT: given})
        return np.moveaxis(chroma, 1, -1)

    return predict


ENGINES: dict[str, Callable[[Network], Engine]] = {"jax": _jax, "onnx": _onnx}
