"""Colour and what follows from it: formulas that know neither files nor networks.

`color` (sRGB, CIELAB, CIEDE2000, for NumPy, JAX and TensorFlow alike), `bins` (the plane of a* and b* in squares), `hints`
(colours that somebody chose), `simulation` (hints that somebody could have chosen), `metrics` (how good a prediction is),
`toning` (what a picture is by its pixels: in colour already, a negative), `tints` (stronger, warmer, more saturated).
"""

__all__ = ["bins", "color", "hints", "metrics", "simulation", "tints", "toning"]
