"""Settings of runs; `base.py` explains every key."""
