"""colorjax gives grey photographs their colour."""

__version__ = "0.1.0"
