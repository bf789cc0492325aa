"""colorjax gives grey photographs their colour.

from colorjax import Colorizer, checkpoint, color, colorize_file
"""

from typing import TYPE_CHECKING, Any

from colorjax.platform.version import VERSION as __version__

__all__ = ["Colorizer", "__version__", "checkpoint", "color", "colorize_file"]

if TYPE_CHECKING:
    from colorjax import checkpoint
    from colorjax.archive.colorize_many import colorize_file
    from colorjax.inference.colorizer import Colorizer
    from colorjax.science import color


def __getattr__(name: str) -> Any:
    """Import JAX only when it is needed: `colorjax --help` answers at once."""
    import importlib

    if name == "Colorizer":
        return importlib.import_module("colorjax.inference.colorizer").Colorizer
    if name == "colorize_file":
        return importlib.import_module("colorjax.archive.colorize_many").colorize_file
    if name == "checkpoint":
        return importlib.import_module("colorjax.checkpoint")
    if name == "color":
        return importlib.import_module("colorjax.science.color")
    raise AttributeError(f"module 'colorjax' has no attribute {name!r}")
