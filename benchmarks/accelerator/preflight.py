"""Whether what `train.py` imports is installed, looked at first: for machines that nobody has tried. It needs Python alone."""

import platform
import re
import tomllib
from importlib import metadata

from benchmarks import common

# Neither TensorFlow nor imagecodecs: packs are WebP, which Pillow reads.
NEEDED = (
    *("jax", "flax", "optax", "orbax-checkpoint", "ml_collections", "ml_dtypes", "jaxtyping"),
    *("safetensors", "numpy", "pillow", "scipy", "tqdm"),
)


def check() -> None:
    """Raises SystemExit, naming every package that is not installed."""
    missing = [name for name, version in _installed().items() if version is None]
    if missing:
        raise SystemExit(
            f"{', '.join(missing)}: not installed here, and train.py needs it; benchmarks/accelerator/README.md says how to "
            "bring packages along as wheels"
        )


def versions() -> str:
    """The versions that are installed; those older than pyproject.toml asks for are said to be so."""
    asked = _asked_for()
    told = [f"Python {platform.python_version()}"]
    for name, version in _installed().items():
        least = asked.get(name, "0")
        older = f" (older than {least}, with which it was tried)" if _numbers(version) < _numbers(least) else ""
        told.append(f"{name} {version}{older}")
    return ", ".join(told)


def _installed() -> dict[str, str | None]:
    """The version of each package that is needed, None where there is none."""

    def version(name: str) -> str | None:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    return {name: version(name) for name in NEEDED}


def _asked_for() -> dict[str, str]:
    """{package: the least version} of pyproject.toml."""
    lines = tomllib.loads((common.ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return dict(match.groups() for line in lines if (match := re.match(r"([\w-]+)>=([\d.]+)", line)))


def _numbers(version: str) -> tuple[int, ...]:
    """The first three numbers of a version, as (0, 11, 2)."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
