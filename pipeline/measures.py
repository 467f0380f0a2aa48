"""Checks of what a run is judged by: does the task have this measure, and is more of it better or less?"""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.problems import MISSING, Problem, nearest

STAGES = ("train", "val", "test")


def check_watched(path: str, node: Mapping[str, Any], measures: Mapping[str, str]) -> Iterator[Problem]:
    """Check the monitor and the mode of a node against the measures of the task.

    Args:
        path: Dotted path of the node, such as `callbacks.early_stopping`.
        node: Its content, with a `monitor` of the form `val/top1`.
        measures: `max` or `min` by the measure's name, as the task's file lists them.
    """
    monitor, mode = node["monitor"], node.get("mode")
    stage, _, name = monitor.partition("/")
    if monitor == MISSING or stage not in STAGES:  # reported elsewhere
        return
    if name not in measures:
        near = nearest(name, measures)
        right = f"{stage}/{near}" if near else ""
        end = f"did you mean {right!r}?" if right else f"its measures are {', '.join(measures)}"
        yield Problem(f"{path}.monitor", monitor, f"the task has no such measure; {end}", right)
    elif mode in ("min", "max") and mode != measures[name]:
        better = {"min": "less", "max": "more"}[measures[name]]
        yield Problem(
            f"{path}.mode", mode, f"of {name}, {better} is better; set {measures[name]}", measures[name]
        )
