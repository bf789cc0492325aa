"""Films: a film in, the same film in colour out; its luma plane, its clock and all that travels with it stay as they are.

The way of a film: `jobs` (the command, and its work shot by shot), `containers` (films in and out) or `sequences` (folders of
DPX, TIFF, PNG), `lists` (where shots begin, and hints, in files that people write), `coloring` (decoding, the network and
encoding side by side), `steadying` (the colours of a shot), `chroma` (Cb and Cr of these colours beside an untouched Y').
"""

__all__ = ["chroma", "coloring", "containers", "jobs", "lists", "sequences", "steadying"]
