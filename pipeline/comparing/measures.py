"""Names of measures: which ones a table shows, by which it is ordered, and whether more is better."""

from collections.abc import Sequence
from typing import Any

from pipeline.comparing.listed import COSTS, Listed
from pipeline.errors import Mistake
from pipeline.measures import STAGES
from pipeline.problems import way_out

SHOWN = 3
"""Measures in a table, unless somebody names others."""

_STAGES = ("test", "val", "train")


def known_names(runs: Sequence[Listed]) -> list[str]:
    """Every measure that one of the runs has, then the costs."""
    names = dict.fromkeys(name for listed in runs for name in listed.measures)
    costs = [name for name in COSTS if any(name in listed.cost for listed in runs)]
    return [*names, *costs]


def in_full(name: str, *, runs: Sequence[Listed], key: str) -> str:
    """`top1` is `test/top1`, or `val/top1` where nobody has tested.

    Args:
        name: As it was typed.
        runs: Among whose measures.
        key: What it was typed as, for the message.

    Raises:
        Mistake: None of the runs has it.
    """
    known = known_names(runs)
    found = next((one for one in (name, *(f"{stage}/{name}" for stage in _STAGES)) if one in known), None)
    if found is None:
        plain = [one.partition("/")[2] for one in known if one.partition("/")[0] in STAGES]
        words = known if "/" in name else dict.fromkeys([*plain, *(one for one in known if one in COSTS)])
        raise Mistake(
            f"{key}={name}: none of the runs has it; {way_out(name, words, otherwise='there are')[0]}"
        )
    return found


def watched(runs: Sequence[Listed]) -> str:
    """What most trainings watched: of test where that was measured, else as it is."""
    monitors = [listed.monitor for listed in runs]
    monitor = max(dict.fromkeys(monitors), key=monitors.count)
    of_test = f"test/{monitor.partition('/')[2]}"
    return of_test if any(of_test in listed.measures for listed in runs) else monitor


def shown_names(runs: Sequence[Listed], *, first: str) -> list[str]:
    """The measures of a table: what it is ordered by, then of test those that the task's file lists first."""
    known = set(known_names(runs))
    plain = dict.fromkeys(name for listed in runs for name in listed.config.get("measures") or {})
    stage = first.partition("/")[0] if "/" in first else "val"
    of_test = [f"test/{name}" for name in plain]
    others = of_test if known.intersection(of_test) else [f"{stage}/{name}" for name in plain]
    own = [] if first in COSTS else [first]
    return [name for name in dict.fromkeys([*own, *others]) if name in known][:SHOWN]


def mode_of(name: str, *, runs: Sequence[Listed]) -> str:
    """`max` or `min`: which of a measure or cost is better."""
    if name in COSTS:
        return COSTS[name]
    stage, _, plain = name.rpartition("/")
    directions: dict[str, Any] = {}
    for listed in runs:
        directions |= listed.config.get("measures") or {}
    if plain in directions:
        return str(directions[plain])
    return "min" if "loss" in plain or stage == "cost" or plain.startswith("style_") else "max"


def is_share(name: str, *, task: str) -> bool:
    """Whether a measure lies in [0, 1], so that differences can be said in percentage points."""
    return task != "style_transfer" and name not in COSTS and "loss" not in name
