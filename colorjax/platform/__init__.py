"""What the machine has, and what it needs to be told: nothing here knows of photographs.

`version` (this version's name), `xla` (flags, set before JAX starts), `privacy` (no library reports to anybody), `quiet` (nor
writes into our output), `usage` (how commands are asked for), `caching` (what is kept between runs), `sharding` (devices and
processes). Importing this wing sets XLA's flags and switches telemetry off; it imports no JAX.
"""

from colorjax.platform import privacy, xla

__all__ = ["caching", "privacy", "quiet", "sharding", "usage", "version", "xla"]

xla.without_faulty_fusions()
privacy.without_telemetry()
