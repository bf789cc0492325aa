"""The settings of a run as they are stored beside its numbers, and how those of a stored run are changed."""

import json
from typing import Any

from ml_collections import ConfigDict

_NETWORK_KEYS = ("model.name", "model.stem", "model.width", "model.answer", "model.guided")


def merge(base: ConfigDict, stored: ConfigDict, changes: dict[str, Any]) -> ConfigDict:
    """`base` with the values of a stored config and then `changes` (flattened keys); unknown keys are refused."""
    fixed = [key for key in _NETWORK_KEYS if key in changes]
    if fixed:
        raise ValueError(f"{', '.join(fixed)} cannot be changed: the weights are those of the network that was trained")
    base.update(stored)
    base.update_from_flattened_dict(changes)
    return base.lock()


def plain(config: ConfigDict) -> dict[str, Any]:
    """A config as it is written to a file."""
    return json.loads(config.to_json_best_effort())


def flat(values: dict, prefix: str = "") -> dict[str, Any]:
    """{"data": {"dir": x}} -> {"data.dir": x}."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        result |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return result
