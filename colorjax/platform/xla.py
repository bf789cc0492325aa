"""What XLA must be told before it starts."""

import os
from importlib import metadata

_FLAG = "--xla_cpu_experimental_ynn_fusion_type"
_FAULTY = ((0, 10, 2), (0, 12))  # jaxlib from this version on and before that one: they have the fault, and know the flag


def without_faulty_fusions() -> None:
    """Have XLA compile for processors without YNNPACK's fusions, unless `XLA_FLAGS` says something of them.

    jaxlib 0.10.2 and 0.11 compute wrong sums with them, silently (jax issue 39103), or crash (39257, 40412). It counts
    where JAX has not started yet, for this process and for those that it starts.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if _FLAG not in flags and _FAULTY[0] <= _jaxlib() < _FAULTY[1]:
        os.environ["XLA_FLAGS"] = f"{flags} {_FLAG}=".strip()


def _jaxlib() -> tuple[int, ...]:
    """The version of the jaxlib that is installed, as (0, 10, 2)."""
    return tuple(int(part) for part in metadata.version("jaxlib").split(".")[:3] if part.isdigit())
