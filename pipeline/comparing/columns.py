"""The columns of a leaderboard, the same on a terminal and in a page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.comparing.groups import Group
from pipeline.comparing.leaderboard import Leaderboard
from pipeline.comparing.listed import COSTS
from pipeline.panels import shown_number, shown_time

COST_TITLES = {
    "seconds": "time",
    "images_per_second": "images/s",
    "parameters": "params",
    "peak_memory_gib": "GiB",
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column.

    Attributes:
        title: Its heading.
        about: What it is, in full.
        cells: A text for each row; empty where nobody knows.
        ranks: By what rows are ordered when somebody orders by this column; None: by its texts.
    """

    title: str
    about: str
    cells: Sequence[str]
    ranks: Sequence[float] | None = None


def board_columns(board: Leaderboard, groups: Sequence[Group]) -> list[Column]:
    """Run, the values that differ, measures, costs and date; what nobody knows is left out."""
    found = [Column(title="run", about="beginning of its id", cells=[group.name for group in groups])]
    for key, name in board.keys.items():
        cells = [group.first.values.get(key, "") for group in groups]
        found.append(Column(title=name, about=key, cells=cells, ranks=_numbers(cells)))
    for name in board.measures:
        better = {"max": "more", "min": "less"}[board.modes[name]]
        cells = [spread_text(group, name) for group in groups]
        found.append(
            Column(title=name, about=f"{better} is better", cells=cells, ranks=[g.mean(name) for g in groups])
        )
    if board.has_repetitions:
        about = "over which its measures spread: mean ± deviation of a sample"
        found.append(Column(title="over", about=about, cells=[group.over for group in groups]))
    for name in COSTS:
        cells = [cost_text(group, name) for group in groups]
        ranks = [group.mean(name) for group in groups]
        found.append(Column(title=COST_TITLES[name], about=name, cells=cells, ranks=ranks))
    started = [max(float(listed.run.facts["started"]) for listed in group.runs) for group in groups]
    dates = [f"{datetime.fromtimestamp(moment):%m-%d %H:%M}" for moment in started]
    found.append(Column(title="started", about="its latest run", cells=dates, ranks=started))
    return [column for column in found if any(column.cells)]


def as_text(value: float, name: str) -> str:
    """A measure with four decimals, a cost with three figures."""
    return f"{value:.3g}" if name in COSTS else f"{value:.4f}"


def spread_text(group: Group, name: str) -> str:
    """A measure, with its deviation where it has one; empty where nobody measured it."""
    mean, deviation = group.mean(name), group.deviation(name)
    if math.isnan(mean):
        return ""
    return as_text(mean, name) + (f" ± {as_text(deviation, name)}" if math.isfinite(deviation) else "")


def cost_text(group: Group, name: str) -> str:
    """A cost in its unit; empty where nobody measured it."""
    mean = group.mean(name)
    if math.isnan(mean):
        return ""
    if name == "seconds":
        return shown_time(mean)
    return f"{mean:.2f}" if name == "peak_memory_gib" else shown_number(float(f"{mean:.3g}"))


def _numbers(cells: Sequence[str]) -> list[float] | None:
    """Values of a key as numbers, where all of them are."""
    try:
        return [float(cell) if cell not in ("", "null") else math.nan for cell in cells]
    except ValueError:
        return None
