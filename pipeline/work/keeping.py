"""The network that a run is judged by, handed to MLflow: its checkpoint, and packed as a model."""

from pathlib import Path

from pipeline.console import console
from pipeline.session import Session
from pipeline.tracking_models import NAME


def keep_network(session: Session, checkpoint: Path) -> None:
    """Give MLflow the kept checkpoint and, with `logger.log_model`, a model that it can serve.

    Args:
        session: The run, still open.
        checkpoint: In its folder.
    """
    session.keep_file(checkpoint, "checkpoints")
    tracker = session.tracker
    if not session.leads or tracker is None or not tracker.wants_model:
        return
    from pipeline.served.saving import try_to_pack  # here, or every rank would load all of MLflow

    folder = session.folder / NAME
    with console.status("packing the network for MLflow"):
        is_packed = try_to_pack(checkpoint, folder)
    if is_packed:
        tracker.log_model(folder)
