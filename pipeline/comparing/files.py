"""A comparison as files: `leaderboard.csv`, `compare.json` and `compare.html`."""

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.comparing.groups import Group
from pipeline.comparing.leaderboard import Leaderboard
from pipeline.comparing.listed import COSTS
from pipeline.comparing.measures import known_names
from pipeline.comparing.page import page
from pipeline.comparing.report import Report

PAGE = "compare.html"


def write(report: Report, folder: Path) -> list[Path]:
    """Write all three.

    Args:
        report: What was found.
        folder: Where to.

    Returns:
        Their paths, the page first.
    """
    paths = [folder / name for name in (PAGE, "leaderboard.csv", "compare.json")]
    paths[0].write_text(page(report), encoding="utf-8")
    _write_table(report.board, paths[1])
    paths[2].write_text(json.dumps(_plain(report), indent=1), encoding="utf-8")
    return paths


def _write_table(board: Leaderboard, path: Path) -> None:
    """Every row with every measure and cost that somebody has."""
    rows = [_row(board, group) for group in board.groups]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)


def _row(board: Leaderboard, group: Group) -> dict[str, Any]:
    row: dict[str, Any] = {
        "runs": " ".join(listed.run.run_id for listed in group.runs),
        "count": len(group.runs),
    }
    row |= {key: group.first.values.get(key, "") for key in board.keys}
    for name in known_names(group.runs):
        row[name] = group.mean(name)
        if len(group.runs) > 1 and name not in COSTS:
            row[f"{name} deviation"] = group.deviation(name)
    return row


def _plain(report: Report) -> dict[str, Any]:
    board = report.board
    return {
        "title": board.title,
        "task": board.task,
        "sort": board.sort,
        "better": board.modes[board.sort],
        "rows": [_plain_row(board, group) for group in board.groups],
        "notes": list(board.notes),
        "warnings": list(board.warnings),
        "findings": list(report.findings),
        "paired": _finite(asdict(report.verdict)) if report.verdict else None,
        "between_seeds": _finite(asdict(report.seeds)) if report.seeds else None,
    }


def _plain_row(board: Leaderboard, group: Group) -> dict[str, Any]:
    names = [name for name in known_names(group.runs) if name not in COSTS]
    return {
        "label": board.label(group),
        "runs": [listed.run.run_id for listed in group.runs],
        "values": {key: group.first.values.get(key, "") for key in board.keys},
        "measures": {
            name: _finite(
                {"mean": group.mean(name), "deviation": group.deviation(name), "n": len(group.values(name))}
            )
            for name in names
        },
        "cost": _finite({name: group.mean(name) for name in COSTS}),
    }


def _finite(found: Any) -> Any:
    """What JSON can hold: null in place of what is not a number."""
    if isinstance(found, Mapping):
        return {key: _finite(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [_finite(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found
