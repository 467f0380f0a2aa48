"""What came of a comparison, put together for the terminal, the page and the files."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from matplotlib.figure import Figure

from pipeline.bootstrap import CONFIDENCE, Interval
from pipeline.comparing.groups import Group
from pipeline.comparing.leaderboard import Leaderboard
from pipeline.comparing.verdict import BetweenSeeds, Verdict, between_seeds, paired_words, seeds_words
from pipeline.figures_compare import Curves, bars_figure, cost_figure, curves_figure, drawing

_COST_WORDS = {"seconds": "seconds of training", "parameters": "parameters of the network"}
_DRAWN = 20
_OF_NETWORKS = (
    "this is said of these two networks; of what they were trained with, several seeds each would tell"
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """A comparison.

    Attributes:
        board: The rows.
        verdict: Two networks on the same images; None where none were measured.
        seeds: The two best rows by their trainings; None where one has a single training.
        findings: Both in words.
        drawings: Figures as SVG.
        commands: What to type next, with a reason each.
        written: Date and time.
    """

    board: Leaderboard
    verdict: Verdict | None
    seeds: BetweenSeeds | None
    findings: Sequence[str]
    drawings: Sequence[str] = ()
    commands: Mapping[str, str] = field(default_factory=dict)
    written: str = field(default_factory=lambda: f"{datetime.now():%Y-%m-%d %H:%M}")


def report(board: Leaderboard, *, verdict: Verdict | None, commands: Mapping[str, str], top: int) -> Report:
    """Put a comparison together.

    Args:
        board: The rows.
        verdict: Two networks on the same images; None where none were measured.
        commands: What to type next.
        top: How many rows are drawn at most.
    """
    seeds = _seeds(board)
    return Report(
        board=board,
        verdict=verdict,
        seeds=seeds,
        findings=_findings(board, verdict, seeds),
        drawings=[drawing(one) for one in _figures(board, board.groups[: min(top, _DRAWN)], verdict=verdict)],
        commands=commands,
    )


def _seeds(board: Leaderboard) -> BetweenSeeds | None:
    if len(board.groups) < 2 or not board.has_repetitions:
        return None
    first, second = (group.values(board.sort) for group in board.groups[:2])
    return between_seeds(first, second, name=board.sort, mode=board.modes[board.sort])


def _findings(board: Leaderboard, verdict: Verdict | None, seeds: BetweenSeeds | None) -> list[str]:
    lines = []
    if verdict is not None:
        labels = {
            listed.run.run_id: f"{listed.name} ({board.label(group)})"
            for group in board.groups
            for listed in group.runs
        }
        short = {run: label if label.count(run[:8]) == 1 else run[:8] for run, label in labels.items()}
        lines += paired_words(verdict, labels=short, task=board.task)
        if seeds is None:
            lines.append(_OF_NETWORKS)
    if seeds is not None:
        names = [board.label(group) for group in board.groups[:2]]
        lines.append(seeds_words(seeds, names=names, task=board.task))
    return lines


def _figures(board: Leaderboard, groups: Sequence[Group], *, verdict: Verdict | None) -> Iterator[Figure]:
    rows = _labelled(board, groups)
    curves = _curves(rows)
    if curves:
        yield curves_figure(curves, name=groups[0].first.monitor)
    tested = {} if board.has_repetitions or verdict is None else _tested(verdict, name=board.sort)
    bars = {
        label: tested.get(group.first.run.run_id) or _spread(group, board.sort)
        for label, group in rows.items()
    }
    about = f"{CONFIDENCE:.0%} intervals" if tested else "mean ± deviation" if board.has_repetitions else ""
    known = {label: found for label, found in bars.items() if math.isfinite(found.value)}
    if known:
        yield bars_figure(known, name=board.sort, about=about)
    for cost, words in _COST_WORDS.items():
        points = {
            label: (group.mean(cost), group.mean(board.sort))
            for label, group in rows.items()
            if math.isfinite(group.mean(cost)) and math.isfinite(group.mean(board.sort))
        }
        if len({spent for spent, _ in points.values()}) > 1 and cost != board.sort:
            yield cost_figure(points, name=board.sort, cost=words)


def _labelled(board: Leaderboard, groups: Sequence[Group]) -> dict[str, Group]:
    """Rows by labels that no other has."""
    labels = [board.label(group) for group in groups]
    return {
        label if labels.count(label) == 1 else f"{label} {group.name}": group
        for label, group in zip(labels, groups, strict=True)
    }


def _curves(rows: Mapping[str, Group]) -> Curves:
    found = {}
    for label, group in rows.items():
        lines = [
            [(row["epoch"] + 1, row[listed.monitor]) for row in listed.history if listed.monitor in row]
            for listed in group.runs
        ]
        if any(lines):
            found[label] = [line for line in lines if line]
    return found


def _tested(verdict: Verdict, *, name: str) -> dict[str, Interval]:
    """Of both networks, a measure with its own interval."""
    ends = next(([one.first, one.second] for one in verdict.measures if one.name == name), [])
    return dict(zip(verdict.runs, ends, strict=False))


def _spread(group: Group, name: str) -> Interval:
    mean, reach = group.mean(name), group.deviation(name)
    return Interval(value=mean, low=mean - reach, high=mean + reach)
