"""The mesh of devices and how batches and parameters lie on it: data parallel over every local device."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

DATA = "data"  # the mesh axis that batches are split over


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


def put(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """This process's share of a batch -> global arrays, split over the devices."""
    sharding = split(mesh)
    return {key: jax.make_array_from_process_local_data(sharding, value) for key, value in batch.items()}


def prefetch(batches: Iterable[dict[str, np.ndarray]], mesh: Mesh, ahead: int = 2) -> Iterator[dict[str, Any]]:
    """Batches on the devices, `ahead` of them on their way while one is being worked on."""
    waiting: deque = deque()
    for batch in batches:
        waiting.append(put(batch, mesh))
        if len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting
