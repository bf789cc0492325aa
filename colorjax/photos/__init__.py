"""Photo files in and out: orientation, colour profile, bit depth, alpha, metadata, limits for hostile files, atomic writes.

`finding` (which files are photographs), `kinds` (what a file is, whatever its name), `parts` (of which files are made),
`limits` (before anything is decoded), `reading` (pages, one at a time) and `pixels` (upright, in sRGB), `profiles` (to sRGB),
`strips` (a part at a time), `metadata` (what a file says of itself), `naming` (what formats are called), `writing` (a copy,
whole or not at all), `formats` (what single formats need).
"""

from colorjax.photos import parts
from colorjax.photos.finding import (
    ASTRAY,
    HINTS,
    OWN_COPY,
    OWN_MAP,
    PICTURES,
    SUFFIXES,
    PassedOver,
    find,
    in_words,
    is_astray,
    is_photograph,
    legible,
    other,
    unwanted,
)
from colorjax.photos.formats.beside import CREDENTIALS
from colorjax.photos.formats.grafting import can_refresh, graft
from colorjax.photos.kinds import UNUSUAL, kind
from colorjax.photos.metadata import PROBLEMS, Metadata, Photo, PhotoError
from colorjax.photos.naming import FORMATS, file_format, format_of
from colorjax.photos.reading import MAX_PAGES, MAX_PIXELS, allow_large, measure, pages, read, read_reduced, read_rgb, to_u8
from colorjax.photos.writing import LOSSY, atomic, encode, not_carried, sweep, write

__all__ = [
    "ASTRAY",
    "CREDENTIALS",
    "FORMATS",
    "HINTS",
    "LOSSY",
    "MAX_PAGES",
    "MAX_PIXELS",
    "OWN_COPY",
    "OWN_MAP",
    "PICTURES",
    "PROBLEMS",
    "SUFFIXES",
    "UNUSUAL",
    "Metadata",
    "PassedOver",
    "Photo",
    "PhotoError",
    "allow_large",
    "atomic",
    "can_refresh",
    "encode",
    "file_format",
    "find",
    "format_of",
    "graft",
    "in_words",
    "is_astray",
    "is_photograph",
    "kind",
    "legible",
    "measure",
    "not_carried",
    "other",
    "pages",
    "parts",
    "read",
    "read_reduced",
    "read_rgb",
    "sweep",
    "to_u8",
    "unwanted",
    "write",
]
