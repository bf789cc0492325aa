"""Colour and what follows from it: formulas that know neither files nor networks.

`color` (sRGB, CIELAB, CIEDE2000, for NumPy, JAX and TensorFlow alike), `bins` (the plane of a* and b* in squares), `hints`
(colours that somebody chose), `simulation` (hints that somebody could have chosen), `metrics` (how good a prediction is).
"""

__all__ = ["bins", "color", "hints", "metrics", "simulation"]
