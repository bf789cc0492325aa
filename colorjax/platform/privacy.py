"""What libraries must be told before they are imported, so that they report to nobody."""

import os

# ONNX Runtime writes a device's number and events with the program's path below the home folder, and sends them, from its
# import on; `disable_telemetry_events()` comes too late for that. Ray reports how it is used.
_SILENT = {"ORT_DISABLE_TELEMETRY": "1", "RAY_USAGE_STATS_ENABLED": "0"}


def without_telemetry() -> None:
    """Switch the telemetry of libraries off, unless the environment says something of it.

    It counts where they are not imported yet, for this process and for those that it starts.
    """
    for name, value in _SILENT.items():
        os.environ.setdefault(name, value)
