"""colorjax gives grey photographs their colour.

from colorjax import Colorizer, color
"""

from typing import TYPE_CHECKING, Any

from colorjax.platform.version import VERSION as __version__

__all__ = ["Colorizer", "__version__", "color"]

if TYPE_CHECKING:
    from colorjax.inference.colorizer import Colorizer
    from colorjax.science import color


def __getattr__(name: str) -> Any:
    """Import JAX only when it is needed: `colorjax --help` answers at once."""
    import importlib

    if name == "Colorizer":
        return importlib.import_module("colorjax.inference.colorizer").Colorizer
    if name == "color":
        return importlib.import_module("colorjax.science.color")
    raise AttributeError(f"module 'colorjax' has no attribute {name!r}")
