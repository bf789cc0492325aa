"""Devices and processes: the mesh, how batches and parameters lie on it, and how several processes become one run."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

DATA = "data"  # the mesh axis that batches are split over, and with fsdp parameters too
_SMALLEST_SPLIT = 2**12  # numbers; smaller arrays are cheaper to keep whole than to gather


def processors() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def connect(settings: Any) -> None:
    """Join the run's other processes, as `config.distributed` or the environment says; a process alone joins none.

    To be called before any device is used. Raises ValueError for settings that do not fit, RuntimeError where the
    coordinator does not answer.
    """
    address = settings.coordinator or os.environ.get("JAX_COORDINATOR_ADDRESS", "")
    if not address or jax.distributed.is_initialized():
        return
    count, index = _number(settings.processes, 0, "JAX_NUM_PROCESSES"), _number(settings.process, -1, "JAX_PROCESS_ID")
    where = {} if address == "auto" else {"coordinator_address": address, "num_processes": count, "process_id": index}
    if where and ":" not in address:
        raise ValueError(f"distributed.coordinator={address!r} must be HOST:PORT of process 0, or auto")
    if where and None not in (count, index) and not 0 <= index < count:
        raise ValueError(f"distributed.process={index} must be at least 0 and below distributed.processes={count}")
    jax.config.update("jax_enable_preemption_service", False)  # SIGTERM is answered by telemetry.Stop
    patience = {"heartbeat_timeout_seconds": settings.timeout, "shutdown_timeout_seconds": settings.timeout}
    jax.distributed.initialize(**where, **patience, initialization_timeout=settings.start_timeout)
    if jax.process_index():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, the first process tells for all


def leave(message: str) -> NoReturn:
    """End the program with exit code 1; one of several processes without waiting for the others, which then notice it."""
    if not jax.distributed.is_initialized():
        sys.exit(message)
    lost = "\nanother process of this run seems to be gone; the same commands go on from the last checkpoint"
    sys.stdout.flush()
    print(message + (lost if _of_the_others(message) else ""), file=sys.stderr, flush=True)
    os._exit(1)


def _of_the_others(message: str) -> bool:
    """Whether an error is of the connection between the processes."""
    return any(word in message for word in ("Gloo", "NCCL", "nccl", "coordination", "UNAVAILABLE", "heartbeat", "barrier"))


def _number(value: int, unset: int, variable: str) -> int | None:
    """A setting, else the environment's, else None: JAX may find it out."""
    if value != unset:
        return value
    return int(os.environ[variable]) if variable in os.environ else None


def device() -> dict[str, str]:
    """JAX's first device: the same on the same machine."""
    first = jax.devices()[0]
    return {"platform": first.platform, "kind": first.device_kind, "jax": jax.__version__}


def make_mesh(batch_size: int | None = None) -> Mesh:
    """One axis over all devices. Raises ValueError where `batch_size` is not a multiple of their number."""
    count = jax.device_count()
    if batch_size is not None and batch_size % count:
        raise ValueError(f"batch_size={batch_size} is not a multiple of the {count} devices in mesh axis {DATA!r}")
    return jax.make_mesh((count,), (DATA,), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    """On every device, whole."""
    return NamedSharding(mesh, PartitionSpec())


def split(mesh: Mesh) -> NamedSharding:
    """Split over the devices along the first axis."""
    return NamedSharding(mesh, PartitionSpec(DATA))


def layout(mesh: Mesh, shapes: Any, fsdp: bool) -> Any:
    """Where each array of a state lies: everywhere, or with `fsdp` split along its longest axis that the devices divide.

    Arrays without such an axis, and small ones, are everywhere (ZeRO stage 3, Rajbhandari et al. 2020, by annotation).
    """

    def one(shape: jax.ShapeDtypeStruct) -> NamedSharding:
        axes = [axis for axis, length in enumerate(shape.shape) if length % mesh.size == 0]
        if not fsdp or shape.size < _SMALLEST_SPLIT or not axes:
            return replicated(mesh)
        longest = max(axes, key=lambda axis: shape.shape[axis])
        return NamedSharding(mesh, PartitionSpec(*[None] * longest, DATA))

    return jax.tree.map(one, shapes)


def place(tree: Any, places: Any) -> Any:
    """Arrays that every process holds whole -> the same, laid out as `places` says."""

    def one(leaf: Any, sharding: NamedSharding) -> jax.Array:
        whole = np.asarray(leaf)
        return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])

    return jax.tree.map(one, tree, places)


def put(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """This process's share of a batch -> global arrays, split over the devices."""
    sharding = split(mesh)
    return {key: jax.make_array_from_process_local_data(sharding, value) for key, value in batch.items()}


def prefetch(batches: Iterable[dict[str, np.ndarray]], mesh: Mesh, ahead: int = 2) -> Iterator[dict[str, Any]]:
    """Batches on the devices, `ahead` of them on their way while one is being worked on; the first waits for no other."""
    waiting: deque = deque()
    for number, batch in enumerate(batches):
        waiting.append(put(batch, mesh))
        if number == 0 or len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting


def whole(share: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every process's share of a batch, one after the other."""
    return multihost_utils.process_allgather(share, tiled=True) if jax.process_count() > 1 else share


def texts(text: str) -> list[str]:
    """The text of every process, in all of them."""
    if jax.process_count() == 1:
        return [text]
    own = np.frombuffer(text.encode("utf-8", "surrogateescape"), np.uint8)
    lengths = multihost_utils.process_allgather(np.array(len(own)))
    padded = np.zeros(max(1, lengths.max()), np.uint8)
    padded[: len(own)] = own
    every = multihost_utils.process_allgather(padded)
    return [bytes(row[:length]).decode("utf-8", "surrogateescape") for row, length in zip(every, lengths.ravel(), strict=True)]


def on_first(work: Callable[[], None]) -> None:
    """Let the first process do something while the others wait. A ValueError or OSError of it is raised in all of them."""
    problem: Exception | None = None
    if jax.process_index() == 0:
        try:
            work()
        except (ValueError, OSError) as error:
            problem = error
    told = texts(str(problem) if problem else "")[0]
    if problem or told:
        raise problem or ValueError(told)


class Agreement:
    """Whether any process wants something, asked each step without waiting: the answer is that of the step before."""

    def __init__(self, mesh: Mesh):
        self._sharding, self._asked = split(mesh), None
        self._any = jax.jit(lambda wishes: wishes.max(), out_shardings=replicated(mesh))

    def __call__(self, wish: bool) -> bool:
        """Note this process's wish; the same answer in every process. A process alone is answered at once."""
        if jax.process_count() == 1:
            return wish
        wishes = np.full(jax.local_device_count(), wish, np.int32)
        before, self._asked = self._asked, self._any(jax.make_array_from_process_local_data(self._sharding, wishes))
        return bool(before) if before is not None else False
