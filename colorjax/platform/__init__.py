"""What the machine has, and what it needs to be told: nothing here knows of photographs.

`version` (this version's name), `xla` (flags, set before JAX starts), `caching` (what is kept between runs), `sharding`
(devices and processes). Importing this wing sets XLA's flags; it imports no JAX.
"""

from colorjax.platform import xla

__all__ = ["caching", "sharding", "version", "xla"]

xla.without_faulty_fusions()
