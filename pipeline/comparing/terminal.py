"""A leaderboard on the terminal: as many columns as fit, the rest is in the page."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.comparing.columns import COST_TITLES, Column, board_columns
from pipeline.comparing.leaderboard import Leaderboard

_LONGEST = 28
_GAP = 2

_LEFT_OUT_FIRST = ("started", *reversed(COST_TITLES.values()))


def show(board: Leaderboard, *, top: int, console: Console) -> None:
    """Print the best rows, and below them what they leave out.

    Args:
        board: The rows.
        top: How many of them.
        console: Where to.
    """
    columns = board_columns(board, board.groups[:top])
    fitting = _fitting(columns, last=[*_LEFT_OUT_FIRST, *reversed(board.measures[1:])], width=console.width)
    console.print(_table(board, fitting))
    hidden = len(board.groups) - top
    lines = [f"{hidden} more row{'s' if hidden > 1 else ''}; top={len(board.groups)} shows all"]
    dropped = [column.title for column in columns if column not in fitting]
    more = [f"too wide for this terminal, but in the page: {', '.join(dropped)}"] if dropped else []
    for line in (*(lines if hidden > 0 else []), *more, *board.notes):
        console.print(Text(line, style="dim"))
    for line in board.warnings:
        console.print(Text(f"warning: {line}", style="yellow"))


def _table(board: Leaderboard, columns: Sequence[Column]) -> Table:
    better = {"max": "more", "min": "less"}[board.modes[board.sort]]
    title = f"{board.title}: by {board.sort}, {better} is better"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, _GAP, 0, 0))
    for column in columns:
        style = "bold" if column.title == board.sort else None
        table.add_column(column.title, justify="right" if column.ranks else "left", style=style)
    cells = [[_cut(cell) for cell in column.cells] for column in columns]
    for number, row in enumerate(zip(*cells, strict=True)):
        table.add_row(*row, style="green" if number == 0 else None)
    return table


def _fitting(columns: Sequence[Column], *, last: Sequence[str], width: int) -> list[Column]:
    """Those that fit beside each other; the least important ones go first."""
    kept = list(columns)
    for title in last:
        if sum(_width(column) + _GAP for column in kept) <= width:
            break
        kept = [column for column in kept if column.title != title]
    return kept


def _width(column: Column) -> int:
    return max(len(column.title), *(len(_cut(cell)) for cell in column.cells))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
