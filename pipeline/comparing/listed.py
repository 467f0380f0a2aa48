"""What a leaderboard knows of one run, read from its folder alone."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rich.progress import track
from yaml import YAMLError

from pipeline.console import console
from pipeline.history_file import HISTORY_FILE, read_history
from pipeline.runs import Run
from pipeline.tracking_values import flatten

COSTS = {"seconds": "min", "images_per_second": "max", "parameters": "min", "peak_memory_gib": "min"}
"""What a run cost, and whether more or less of it is better; of training, `parameters` of the network."""

KIND = "kind"
"""The key under which it stands that a network was not trained but made of others."""

_MANY = 200  # runs, above which reading takes two seconds


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A finished run.

    Attributes:
        run: The run.
        config: Its resolved configuration.
        values: The same by dotted keys, as texts that could be typed, with `KIND` beside them.
        measures: What `metrics.json` says, without what is not a number.
    """

    run: Run
    config: Mapping[str, Any]
    values: Mapping[str, str]
    measures: Mapping[str, float]

    @property
    def name(self) -> str:
        """The first letters of its id."""
        return self.run.run_id[:8]

    @property
    def monitor(self) -> str:
        """The measure that its training watched, such as `val/top1`."""
        return str(self.config["task"]["monitor"])

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """Its measures by epoch."""
        return read_history(self.run.folder / HISTORY_FILE)

    @cached_property
    def cost(self) -> dict[str, float]:
        """See `COSTS`; what nobody measured is left out."""
        facts = {name: self.run.facts.get(name) for name in COSTS}
        if facts["seconds"] is None and self.history:  # runs of earlier versions
            facts["seconds"] = sum(row.get("seconds", 0.0) for row in self.history)
        return {name: float(value) for name, value in facts.items() if value is not None}

    def value(self, name: str) -> float:
        """A measure, or a cost; nan where nobody measured it."""
        found = self.measures.get(name, self.cost.get(name) if name in COSTS else None)
        return math.nan if found is None else found


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Runs that could be read, and the others.

    Attributes:
        listed: Those that have finished with measures.
        left_out: How many have not, by the reason: their status, or in words.
    """

    listed: Sequence[Listed]
    left_out: Mapping[str, int]


def read_all(runs: Sequence[Run]) -> Reading:
    """Read runs; what is not finished is counted instead.

    Args:
        runs: In any order.
    """
    listed: list[Listed] = []
    left_out: dict[str, int] = {}
    for run in track(
        runs,
        "reading runs",
        console=console,
        transient=True,
        disable=len(runs) < _MANY or not console.is_terminal,
    ):
        found = _read(run)
        if isinstance(found, str):
            left_out[found] = left_out.get(found, 0) + 1
        else:
            listed.append(found)
    return Reading(listed=listed, left_out=left_out)


def _read(run: Run) -> Listed | str:
    """A run, or why it is not listed."""
    if run.facts.get("pruned"):
        return "pruned"
    if run.facts.get("status") != "FINISHED":
        return str(run.facts.get("status", "unfinished")).lower()
    path = run.folder / "metrics.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        config = run.config
        values = {KIND: _kind(run), **dict(flatten(config))}
    except (OSError, ValueError, AssertionError, YAMLError):
        return "unreadable" if path.exists() else "without measures"
    measures = {name: float(value) for name, value in found.items() if value is not None}
    return (
        Listed(run=run, config=config, values=values, measures=measures) if measures else "without measures"
    )


def _kind(run: Run) -> str:
    """How the network came about: trained, or made of the networks of other runs."""
    if "ensemble" in run.facts:
        return str(run.facts["ensemble"]["fusion"])  # its model is called ensemble
    return f"average ({run.facts['average']['which']})" if "average" in run.facts else "trained"
