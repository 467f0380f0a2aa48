"""Serves the MLflow pages; the one verb whose work needs no process of its own."""

from pipeline.compose import Composed
from pipeline.ui import serve


def run(*, composed: Composed, host: str = "127.0.0.1", port: int = 5000) -> int:
    """Serve the runs of the project until Ctrl-C.

    Args:
        composed: The whole configuration.
        host: Address to listen at; 0.0.0.0 lets other machines in.
        port: Port to listen at.

    Returns:
        The exit code.
    """
    return serve(root=composed.root, host=host, port=port)
