"""Many photographs, safely: from a command's arguments to marked copies, each with a sidecar.

The way of a photograph: `colorize_command` (arguments), `places` (where its copy goes), `plan` (what would become of it),
`urls` and `transfer` (brought here, if it lies elsewhere), `colorize_many` or `colorize_cluster` (side by side, here or on
many machines), `colorize_one` (read, coloured, written), `companions` (what lies beside its copy, and signing), `proof` (what
says so in the copy and beside it, and whether it holds: `marks`, `provenance`, `sidecar`), `sheet` (a page to look through).
"""

from colorjax.archive.proof import marks, provenance, sidecar

__all__ = [
    "colorize_cluster",
    "colorize_command",
    "colorize_many",
    "colorize_one",
    "companions",
    "marks",
    "places",
    "plan",
    "proof",
    "provenance",
    "sheet",
    "sidecar",
    "transfer",
    "urls",
]
