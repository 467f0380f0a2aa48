"""Sweeps without training: a search is asked and told, and a function stands for the training."""

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from hydra.core.override_parser.overrides_parser import OverridesParser

from pipeline.sweeps.folder import FACTS_FILE, Sweep
from pipeline.sweeps.jobs import Result, Search, Status, Trial
from pipeline.sweeps.searches import search_of
from pipeline.sweeps.settings import SearchSettings

LR = "optimizer.lr=tag(log, interval(1e-4, 1e-1))"
DECAY = "optimizer.weight_decay=interval(0.0, 0.1)"


def a_sweep(root: Path, **facts: Any) -> Sweep:
    """A new sweep's folder and facts."""
    sweep_id = facts.pop("sweep_id", uuid4().hex)
    folder = root / "outputs" / "sweeps" / f"now_{sweep_id[:8]}"
    folder.mkdir(parents=True)
    known = {"sweep_id": sweep_id, "started": time.time(), "objectives": {"val/top1": "max"}, **facts}
    (folder / FACTS_FILE).write_text(json.dumps(known))
    return Sweep(folder=folder, facts=known)


def again(sweep: Sweep) -> Sweep:
    """The same sweep, as another process reads it."""
    return Sweep(folder=sweep.folder, facts=json.loads((sweep.folder / FACTS_FILE).read_text()))


def search(*words: str, root: Path, sweep: Sweep | None = None, **settings: Any) -> Search:
    """A search over `words`."""
    space = OverridesParser.create().parse_overrides(list(words))
    return search_of(SearchSettings(**settings), space=space, sweep=sweep or a_sweep(root), root=root)


def values_of(trial: Trial) -> dict[str, Any]:
    words = OverridesParser.create().parse_overrides(list(trial.overrides))
    return {word.get_key_element(): word.value() for word in words}


def result(trial: Trial, status: Status = "FINISHED", **values: float) -> Result:
    """What a trial came to; `top1` stands for val/top1."""
    named = {f"val/{name}": value for name, value in values.items()}
    return Result(trial=trial, status=status, values=named, deviations={}, outcomes=())


def quality(values: Mapping[str, Any]) -> float:
    """Best at a learning rate of 0.01 and no weight decay."""
    rate, decay = float(values["optimizer.lr"]), float(values.get("optimizer.weight_decay", 0.0))
    return -((math.log10(rate) + 2) ** 2) - decay


def run(
    search: Search, count: int = 1000, of: Callable[[Mapping[str, Any]], float] = quality
) -> list[Result]:
    """Ask, compute and tell, at most `count` times."""
    results: list[Result] = []
    while len(results) < count and (trial := search.next()) is not None:
        results.append(result(trial, top1=of(values_of(trial))))
        search.told(results[-1])
    return results
