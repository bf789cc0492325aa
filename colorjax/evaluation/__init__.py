"""Judging: trained networks, the grey picture and the truth, on the same photographs.

`measuring` (the metrics of a batch), `evaluators` (of a set, with intervals), `guidance` (with more and more hints),
`history` (what a training wrote), `comparison` (several networks side by side), `figures` and `report` (what is shown).
"""

__all__ = ["comparison", "evaluators", "figures", "guidance", "history", "measuring", "report"]
