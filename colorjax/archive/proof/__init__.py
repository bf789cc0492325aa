"""What marks a copy and proves where it comes from: in its metadata, drawn into it, beside it.

`provenance` (the mark in its XMP), `marks` (what is drawn), `sidecar` (what says so beside it, and whether it holds).
"""

__all__ = ["marks", "provenance", "sidecar"]
