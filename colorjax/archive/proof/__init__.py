"""What marks a copy and proves where it comes from: in its metadata, drawn into it, beside it.

`provenance` (the mark in its XMP), `bearing` (whether a file bears it), `marks` (what is drawn), `sidecar` (what says so beside
it, and whether it holds).
"""

__all__ = ["bearing", "marks", "provenance", "sidecar"]
