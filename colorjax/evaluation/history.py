"""What a training wrote of its course, for who looks back at it."""

import json
from pathlib import Path

ROWS = "metrics.jsonl"


def read_rows(workdir: Path) -> list[dict]:
    """The rows of `metrics.jsonl`; none where there is no file, and a last line cut short by a crash is left out."""
    rows = []
    path = workdir / ROWS
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows
