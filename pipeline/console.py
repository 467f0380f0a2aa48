"""The one rich console that panels, progress and messages share, so that none breaks another's lines."""

import logging

from rich.console import Console
from rich.logging import RichHandler

console = Console(highlight=False)
"""Standard output. Not a terminal (a file, a pipe, CI): plain text at 80 columns, no escape codes."""

error_console = Console(stderr=True, highlight=False)
"""Standard error, for what must not end up in a file that standard output was sent to."""


def log_handler(*, level: int = logging.INFO) -> logging.Handler:
    """A handler that prints log lines above a live progress bar instead of through it."""
    handler = RichHandler(console=console, show_path=False, show_time=False, markup=False)
    handler.setLevel(level)
    return handler
