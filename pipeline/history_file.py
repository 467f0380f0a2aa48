"""`history.jsonl` of a run: one row of numbers for each epoch. Imports nothing heavy."""

import json
from pathlib import Path
from typing import Any

HISTORY_FILE = "history.jsonl"


def read_history(path: Path) -> list[dict[str, Any]]:
    """The rows of a history file; none where there is no file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]
