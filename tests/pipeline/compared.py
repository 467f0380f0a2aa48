"""Runs as training leaves them, but made up, to be compared in tests."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pipeline.comparing.choosing import Chosen, choose
from pipeline.comparing.leaderboard import Leaderboard, leaderboard

MEASURES = {"loss": "min", "top1": "max", "f1": "max"}


def made_run(
    root: Path,
    number: int,
    *,
    model: str = "lenet5",
    task: str = "classification",
    lr: float = 0.1,
    seed: int = 0,
    fold: int | None = None,
    measures: Mapping[str, float | None] | None = None,
    history: Sequence[float] = (),
    words: Sequence[str] = (),
    config: Mapping[str, Any] | None = None,
    **facts: Any,
) -> str:
    """Write a run that has finished; returns its id, which begins with its number."""
    run_id = f"{number:08x}".ljust(32, "f")
    folder = root / "outputs" / task / model / f"2026-01-01_00-00-00_{number:08x}"
    folder.mkdir(parents=True)
    folds = {"num_folds": None if fold is None else 3, "fold": fold or 0}
    whole = {
        "seed": seed,
        "choices": {"task": task, "model": model, "data": "digits"},
        "optimizer": {"lr": lr},
        "data": {"seed": seed, "split_seed": 0, **folds},
        "task": {"monitor": "val/top1", "mode": "max"},
        "measures": MEASURES,
        **(config or {}),
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(whole))
    known = {
        "run_id": run_id,
        "started": float(number),
        "status": "FINISHED",
        "overrides": list(words),
        **facts,
    }
    (folder / "run.json").write_text(json.dumps(known))
    if measures is not None:
        (folder / "metrics.json").write_text(json.dumps(dict(measures)))
    rows = [{"epoch": epoch, "seconds": 2.0, "val/top1": value} for epoch, value in enumerate(history)]
    (folder / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return run_id


def chosen(root: Path, **settings: Any) -> Chosen:
    """What `make compare` would compare."""
    return choose(root=root, settings={"runs": None, "task_name": None, "sweep_name": None, **settings})


def board(
    root: Path, *, sort: str | None = None, metrics: Sequence[str] | None = None, **which: Any
) -> Leaderboard:
    """The table of `make compare`."""
    return leaderboard(chosen(root, **which), sort=sort, metrics=metrics)
