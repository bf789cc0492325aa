"""Learning: from a config and batches to checkpoints.

`checks` (whether the settings make sense), `workdirs` (the folder of a run), `runs` (its start and end), `ageing` (what the
network sees), `losses` (what it costs), `optim` (how far it moves), `steps` (one update), `telemetry` (what is told).
"""

__all__ = ["ageing", "checks", "losses", "optim", "runs", "steps", "telemetry", "workdirs"]
