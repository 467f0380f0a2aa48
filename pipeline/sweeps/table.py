"""A sweep as a table: a row for each trial."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.sweeps.jobs import Result
from pipeline.sweeps.varied import Axis, short_keys
from pipeline.tracking_identity import load_identity

TABLE_FILE = "table.csv"
MLFLOW_TABLE = "table.json"

TRIALS = "trials"
"""Folder below that of the sweep with what waits to be sent of trials that are runs of their own."""

Cell = float | int | str | None


def trial_folder(folder: Path, number: int) -> Path:
    """Where the run of a trial lies that trains more than once."""
    return folder / TRIALS / str(number)


def run_id_of(result: Result, *, folder: Path) -> str | None:
    """The run of a trial: its own one where it trains more than once, else that of its job.

    Args:
        result: Of the trial.
        folder: The sweep's folder.
    """
    own = load_identity(trial_folder(folder, result.trial.number))
    if own is not None:
        return own.run_id
    return next((outcome.run_id for outcome in result.outcomes if outcome.run_id), None)


def rows_of(
    results: Sequence[Result], *, axes: Sequence[Axis], objectives: Mapping[str, str], folder: Path
) -> list[dict[str, Cell]]:
    """A row for each trial in the order of their numbers.

    Args:
        results: Of the trials.
        axes: What was varied, with a value for each of them.
        objectives: Names of measures.
        folder: The sweep's folder.

    Returns:
        Number, status, what was varied, objectives with their deviations where a trial trains more than once,
        seconds, and the run's id.
    """
    repeated = any(result.deviations for result in results)
    rows = []
    for place, result in enumerate(results):
        goals: dict[str, Cell] = {}
        for name in objectives:
            goals[name] = result.values.get(name)
            goals |= {f"{name}_std": result.deviations.get(name)} if repeated else {}
        cost = round(sum(outcome.seconds for outcome in result.outcomes), 1)
        rows.append(
            {
                "trial": result.trial.number,
                "status": result.status,
                **{axis.name: axis.values[place] for axis in axes},
                **goals,
                **({} if "seconds" in goals else {"seconds": cost}),
                "run_id": run_id_of(result, folder=folder),
            }
        )
    return sorted(rows, key=lambda row: int(row["trial"] or 0))


def write_csv(path: Path, rows: Sequence[Mapping[str, Cell]]) -> Path:
    """Write the rows for people and spreadsheets; numbers in full."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["trial"])
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_json(path: Path, rows: Sequence[Mapping[str, Cell]], *, axes: Sequence[Axis]) -> Path:
    """Write the rows as `mlflow.log_table` does, so that MLflow's pages show them as a table.

    Args:
        path: The file.
        rows: See `rows_of`.
        axes: What was varied: keys that are as short here as they can be told apart.
    """
    names = list(rows[0]) if rows else ["trial"]
    short = short_keys(axis.name for axis in axes)
    # Those pages take a dot for a table within the table, and show nothing.
    columns = [short.get(name, name).replace(".", "_") for name in names]
    cells = [[_rounded(row[name]) for name in names] for row in rows]
    content: dict[str, Any] = {"columns": columns, "data": cells}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _rounded(cell: Cell) -> Cell:
    """So that a number fits into a column of those pages; the CSV file has all of it."""
    return float(f"{cell:.6g}") if isinstance(cell, float) else cell
