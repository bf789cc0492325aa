"""Films: a film in, the same film in colour out; its luma plane, its clock and all that travels with it stay as they are.

The way of a film: `arguments` (the command's), `command` (to its exit code), `containers` (films in and out) or `sequences`
(folders of DPX, TIFF, PNG), `shots` (where they begin, and hints, in files that people write), `job` (shot by shot, and on
from where it stopped), `coloring` (decoding, the network and encoding side by side), `steadying` (the colours of a shot),
`chroma` (Cb and Cr of these colours beside an untouched Y'), `checking` (the sidecar, and whether it holds).
"""

__all__ = ["arguments", "checking", "chroma", "coloring", "command", "containers", "job", "sequences", "shots", "steadying"]
