"""The mesh of devices and how batches and parameters lie on it: data parallel over every local device."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

DATA = "data"  # the mesh axis that batches are split over


def make_mesh(batch_sizes: dict[str, int]) -> Mesh:
    """One axis over all devices. Raises ValueError where a batch size is not a multiple of their number."""
    count = jax.device_count()
    for key, size in batch_sizes.items():
        if size % count or size < 1:
            raise ValueError(f"{key}={size} is not a positive multiple of the {count} devices in mesh axis {DATA!r}")
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
