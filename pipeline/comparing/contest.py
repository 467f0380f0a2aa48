"""Which two networks are measured on the same images, and by what."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.comparing.leaderboard import Leaderboard, other_data
from pipeline.comparing.listed import COSTS, Listed
from pipeline.errors import Mistake


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Two networks.

    Attributes:
        first: Of the best row the run that is best on validation.
        second: The same of the next row.
        names: Measures of test by which they are compared.
    """

    first: Listed
    second: Listed
    names: Sequence[str]


def contest(board: Leaderboard, *, named: bool, paired: bool | None, typed: bool) -> Contest | str | None:
    """Choose what is measured.

    Args:
        board: The rows.
        named: Whether a person named each run.
        paired: As it was typed; None: where two runs are named.
        typed: Whether a person named the measures.

    Returns:
        None where nothing is to be measured, or in words why it cannot be, where nobody asked for it.

    Raises:
        Mistake: It was asked for and cannot be.
    """
    if paired is False or (paired is None and not (named and len(board.groups) == 2)):
        return None
    if len(board.groups) < 2:
        raise Mistake(f"paired=true: {board.title} is a single row, and a test takes two; name other runs")
    first, second = (group.best(_mode(group.first)) for group in board.groups[:2])
    reason = _reason(first, second)
    if reason and paired:
        raise Mistake(f"paired=true: {reason}")
    return reason or Contest(first=first, second=second, names=_names(board, typed=typed))


def _mode(listed: Listed) -> str:
    return str(listed.config["task"]["mode"])


def _reason(first: Listed, second: Listed) -> str:
    """Why two runs cannot be measured on the same images; empty where they can."""
    for listed in (first, second):
        if not any((listed.run.folder / "checkpoints").glob("*.ckpt")):
            return f"run {listed.name} has kept no checkpoint that could be measured"
    for warning in other_data([first, second]):
        return f"runs {first.name} and {second.name} cannot be measured on the same images: {warning}"
    return ""


def _names(board: Leaderboard, *, typed: bool) -> list[str]:
    """The measures of the table, of test; of average precisions, which are slow, the first one only."""
    plain = [name.rpartition("/")[2] for name in board.measures if name not in COSTS]
    slow = [name for name in plain if "map" in name or "mar_" in name]
    chosen = plain if typed else [name for name in plain if name not in slow[1:]]
    return [f"test/{name}" for name in dict.fromkeys(chosen)]
