"""A comparison as one HTML page that needs no network and no other file."""

import math
from collections.abc import Sequence
from html import escape

from pipeline.comparing.columns import Column, board_columns
from pipeline.comparing.page_parts import SCRIPT, STYLE
from pipeline.comparing.report import Report

_MOST_SHOWN = 500


def page(report: Report) -> str:
    """Write the page.

    Args:
        report: What was found.
    """
    board = report.board
    body = [
        f"<h1>{escape(board.title)}</h1>",
        f"<p class=quiet>task {escape(board.task)} · {_counted(report)} · by {escape(board.sort)}, "
        f"{'more' if board.modes[board.sort] == 'max' else 'less'} is better · {escape(report.written)}</p>",
        *(f"<p class=warning>{escape(line)}</p>" for line in board.warnings),
        _findings(report.findings),
        _table(board_columns(board, board.groups[:_MOST_SHOWN]), first=board.sort),
        *(f"<p class=quiet>{escape(line)}</p>" for line in board.notes),
        _differences(report),
        f"<div class=figures>{''.join(f'<figure>{one}</figure>' for one in report.drawings)}</div>",
        _commands(report),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(board.title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main><script>{SCRIPT}</script></body></html>\n"
    )


def _counted(report: Report) -> str:
    runs = sum(len(group.runs) for group in report.board.groups)
    rows = len(report.board.groups)
    return f"{runs} runs" if runs == rows else f"{runs} runs in {rows} rows"


def _findings(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<section><h2>Is it better?</h2><ul>{items}</ul></section>"


def _table(columns: Sequence[Column], *, first: str) -> str:
    heads = "".join(_head(column, is_first=column.title == first) for column in columns)
    rows = []
    for place in range(len(columns[0].cells)):
        rows.append(f"<tr>{''.join(_cell(column, place) for column in columns)}</tr>")
    return (
        f"<section class=wide><table id=runs><thead><tr>{heads}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></section>"
    )


def _head(column: Column, *, is_first: bool) -> str:
    kinds = " ".join(["number"] * (column.ranks is not None) + ["sorted"] * is_first)
    button = f"<button>{escape(column.title)}</button>"
    return f'<th title="{escape(column.about)}" class="{kinds}">{button}</th>'


def _cell(column: Column, place: int) -> str:
    text = escape(column.cells[place])
    if column.ranks is None:
        return f"<td>{text}</td>"
    rank = column.ranks[place]
    return f'<td class=number data-rank="{"" if math.isnan(rank) else repr(float(rank))}">{text}</td>'


def _differences(report: Report) -> str:
    """Every row with all values in which it differs, by their full keys, and the ids of its runs."""
    board = report.board
    items = []
    for group in board.groups[:_MOST_SHOWN]:
        values = " ".join(f"{key}={group.first.values.get(key, '')}" for key in board.keys)
        ids = " ".join(listed.run.run_id for listed in group.runs)
        items.append(
            f"<dt>{escape(group.name)}</dt><dd>{escape(values)}<br><small>{escape(ids)}</small></dd>"
        )
    return (
        "<details><summary>every row with its full keys and the whole ids of its runs</summary>"
        f"<dl>{''.join(items)}</dl></details>"
    )


def _commands(report: Report) -> str:
    lines = "".join(
        f"<li>{escape(why)}<pre>{escape(word)}</pre></li>" for word, why in report.commands.items()
    )
    return f"<section><h2>What to type next</h2><ul>{lines}</ul></section>"
