"""colorjax gives grey photographs their colour.

from colorjax import Colorizer, color
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Colorizer", "__version__", "color"]

if TYPE_CHECKING:
    from colorjax import color
    from colorjax.colorizer import Colorizer


def __getattr__(name: str) -> Any:
    """Import JAX only when it is needed: `colorjax --help` answers at once."""
    import importlib

    if name == "Colorizer":
        return importlib.import_module("colorjax.colorizer").Colorizer
    if name == "color":
        return importlib.import_module("colorjax.color")
    raise AttributeError(f"module 'colorjax' has no attribute {name!r}")
