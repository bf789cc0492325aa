"""What computes a network's answer: XLA, or ONNX Runtime, which is faster on processors."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from colorjax.checkpoint import Network
from colorjax.inference import onnx_graph
from colorjax.networks import state
from colorjax.platform import sharding

Predict = Callable[..., np.ndarray]  # (luma, hints=None) -> chroma, see `Engine`
_LARGE = 2**20  # pixels, above which ONNX Runtime gives memory back between layers: half of it, for a quarter more time


class MissingPackageError(ValueError):
    """A package that an engine or an export needs is not there, or broken."""


class Engine(NamedTuple):
    """name: of ENGINES. about: what computes, for sidecars, where that is not JAX on its first device.

    predict: luma (B, H, W, 1) float32 in -1..1 -> chroma (B, H / answer, W / answer, 2), likewise; of a guided network
    also (luma, hints), hints (B, H, W, 3) float32 as `hints.drawn` has them. features: likewise -> the map
    (B, H', W', C) that a guided network's palette looks at.
    """

    name: str
    about: dict[str, str]
    predict: Predict
    features: Predict


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
    def asking(what: str) -> Predict:
        run = state.predict(state.graphdef(network.config.model), what)
        return lambda luma, hints=None: np.asarray(run(network.params, network.stats, luma, hints))

    return Engine("jax", {"engine": "jax"}, asking("chroma"), asking("up1"))


def _onnx(network: Network) -> Engine:
    with needs_packages("onnx"):
        import onnxruntime

        guided = network.config.model.guided
        model = onnx_graph.build(network.config.model, network.params, network.stats, {}, features=guided)
        run = run_onnx(model, guided)
    about = {"platform": "cpu", "kind": "cpu", "engine": "onnx", "onnxruntime": onnxruntime.__version__}
    return Engine("onnx", about, run, functools.partial(run, output=onnx_graph.FEATURES))


@contextlib.contextmanager
def needs_packages(extra: str) -> Iterator[None]:
    """Raises MissingPackageError, naming the extra of colorjax, where a package cannot be imported."""
    try:
        yield
    except ImportError as error:
        what = f"the package {error.name} is missing" if error.name else " ".join(str(error).split())
        raise MissingPackageError(f"{what}: pip install 'colorjax[{extra}]'") from error


def run_onnx(model: bytes, guided: bool) -> Predict:
    """`Engine.predict` of a serialised ONNX model, or of another of its outputs."""
    import onnxruntime

    @functools.cache
    def session(keeps_memory: bool) -> Any:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        options.intra_op_num_threads = sharding.processors()  # by itself it would take those that it may not
        options.enable_cpu_mem_arena = keeps_memory
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(luma: np.ndarray, hints: np.ndarray | None = None, output: str = onnx_graph.CHROMA) -> np.ndarray:
        given = {onnx_graph.LUMA: luma}
        if guided:
            given[onnx_graph.HINTS] = np.zeros((*luma.shape[:3], 3), np.float32) if hints is None else hints
        given = {name: np.ascontiguousarray(np.moveaxis(value, -1, 1), np.float32) for name, value in given.items()}
        (answer,) = session(luma.size <= _LARGE).run([output], given)
        return np.moveaxis(answer, 1, -1)

    return run


ENGINES: dict[str, Callable[[Network], Engine]] = {"jax": _jax, "onnx": _onnx}
