"""Films: a film in, the same film in colour out; its luma plane, its clock and all that travels with it stay as they are.

The way of a film: `jobs` (the command, and its work shot by shot), `containers` (films in and out) or `sequences` (folders of
DPX, TIFF, PNG), `lists` (where shots begin, and hints, in files that people write), `coloring` (decoding, the network and
encoding side by side), `chroma` (Cb and Cr of these colours beside an untouched Y'). And the way of a shot: `shots` (where a
film is cut), `flow` (where things went from frame to frame), `following` (the frames of a shot, each beside its neighbours),
`carrying` (hints along the flow), `steadying` (the colour of a shot, without flicker), `dissolves` (that of two shots).
"""

__all__ = [
    "carrying",
    "chroma",
    "coloring",
    "containers",
    "dissolves",
    "flow",
    "following",
    "jobs",
    "lists",
    "sequences",
    "shots",
    "steadying",
]
