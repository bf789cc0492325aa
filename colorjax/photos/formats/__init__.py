"""What single formats need: nothing outside of `photos` imports from here.

TIFF: `directories` (its tags), `pictures` (which of its directories are photographs), `levels` (which
show the same, smaller). `deep`: pixels of more than 8 bits.
`successors`: JPEG 2000 and JPEG XL. `beside`: what is damaged or left behind beside the pixels. `salvage`: what is left of a
file that is cut short. `doubts`: what another reader sees. `grafting`: a copy's pixels under other metadata.
"""

__all__ = ["beside", "deep", "directories", "doubts", "grafting", "levels", "pictures", "salvage", "successors"]
