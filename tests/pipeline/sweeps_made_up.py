"""Sweeps of which nothing was trained: made-up results and the folder that goes with them."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.sweeps.folder import FACTS_FILE, JOBS_FILE, Sweep
from pipeline.sweeps.jobs import Outcome, Result, Status, Trial

ID = "5eed" + "0" * 28


def made_up(
    number: int,
    *words: str,
    status: Status = "FINISHED",
    message: str = "",
    goals: Sequence[Mapping[str, float]] = ({"val/top1": 0.5},),
) -> Result:
    """What a trial came to, with a job for each entry of `goals`."""
    outcomes = tuple(
        Outcome(
            number=number * len(goals) + place,
            trial=number,
            overrides=tuple(words),
            status=status,
            code=0 if status in ("FINISHED", "PRUNED") else 1,
            run_id=f"{number:02x}{place:02x}" + "a" * 28,
            folder=None,
            measures=measures,
            seconds=10.0 + number,
        )
        for place, measures in enumerate(goals)
    )
    names = goals[0] if status == "FINISHED" else {}
    values = {name: math.fsum(one[name] for one in goals) / len(goals) for name in names}
    return Result(
        trial=Trial(number=number, overrides=tuple(words)),
        status=status,
        values=values,
        deviations={name: _deviation([one[name] for one in goals]) for name in names if len(goals) > 1},
        outcomes=outcomes,
        message=message,
    )


def _deviation(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


def made_up_sweep(root: Path, results: Sequence[Result] = (), **facts: Any) -> Sweep:
    """A sweep's folder with its facts and a line for each job."""
    folder = root / "outputs" / "sweeps" / "2026-11-21_12-00-00_5eed0000"
    folder.mkdir(parents=True)
    all_facts = {
        "sweep_id": ID,
        "started": time.time(),
        "status": "FINISHED",
        "words": ["model=lenet5,resnet8", "optimizer.lr=0.1,0.01"],
        "task": "classification",
        "objectives": {"val/top1": "max"},
        "method": "grid",
        **facts,
    }
    all_facts.setdefault("fixed", all_facts["words"])
    (folder / FACTS_FILE).write_text(json.dumps(all_facts))
    sweep = Sweep(folder=folder, facts=all_facts)
    (folder / JOBS_FILE).touch()
    for result in results:
        for outcome in result.outcomes:
            sweep.add(outcome)
    return sweep
