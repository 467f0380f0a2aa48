"""The one rich console that panels, progress and messages share, so that none breaks another's lines."""

import logging

from rich.console import Console

# Without emoji, because `:100:` is a line of a file, and `:name:` may stand in a path.
console = Console(highlight=False, emoji=False)
"""Standard output. Not a terminal (a file, a pipe, CI): plain text at 80 columns, no escape codes."""

error_console = Console(stderr=True, highlight=False, emoji=False)
"""Standard error, for what must not end up in a file that standard output was sent to."""


class ConsoleHandler(logging.Handler):
    """Prints log lines above a live progress bar instead of through it, one line for each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        style = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red"}.get(record.levelname, "dim")
        line = f"{record.levelname.lower()}: {self.format(record)}"
        console.print(line, style=style, soft_wrap=True, markup=False)


def log_handler(*, level: int = logging.INFO) -> logging.Handler:
    """A handler for the lines of this level and above."""
    handler = ConsoleHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.setLevel(level)
    return handler
