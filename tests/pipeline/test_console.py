"""Words with colons are shown as they are: rich would make pictures of some."""

import io
import logging

import pytest
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from pipeline import console as consoles

LINE = "pairs.txt:100: /data/:smile:/a.png"


@pytest.fixture(params=["console", "error_console"])
def shared(request: pytest.FixtureRequest) -> Console:
    """One of the consoles, so that it writes into a buffer."""
    console: Console = getattr(consoles, request.param)
    return console


@pytest.mark.parametrize("markup", [True, False])
def test_names_between_colons_are_no_emoji(shared: Console, markup: bool) -> None:
    table = Table()
    table.add_column(LINE)
    table.add_row(LINE)
    with shared.capture() as captured:
        for shown in (LINE, Panel(LINE), table):
            shared.print(shown, markup=markup, soft_wrap=True)
    assert captured.get().count(LINE) == 4


def test_log_lines_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.StringIO()
    # `file` would be given back as the stream of this test, to which later ones would write.
    monkeypatch.setattr(consoles.console, "_file", buffer)
    logger = logging.Logger("alone")
    logger.addHandler(consoles.log_handler())
    logger.warning(LINE)
    assert buffer.getvalue() == f"warning: {LINE}\n"
