"""What marks a copy and proves where it comes from: in its metadata, drawn into it, beside it; signed where there is a key.

`provenance` (the mark in its XMP), `bearing` (whether a file bears it), `marks` (what is drawn), `sidecar` (what says so beside
it, and whether it holds), `likeness` (of copy and source), `keys` (who signs), `manifests` (C2PA's content credentials of a
copy), `films` (those of a film), `signatures` (of its sidecar), `checking` (whether all of it holds).
"""

__all__ = ["bearing", "checking", "films", "keys", "likeness", "manifests", "marks", "provenance", "sidecar", "signatures"]
