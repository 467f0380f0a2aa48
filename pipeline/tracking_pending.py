"""What earlier runs could not tell the server: sent by the next one."""

from pathlib import Path

from pipeline.tracking_identity import load_identity, public_address
from pipeline.tracking_lock import claim, release
from pipeline.tracking_queue import PENDING_FILE, read_entries, replace_entries
from pipeline.tracking_server import ServerRun
from pipeline.tracking_store import tracking_uri


def send_pending(root: Path) -> int:
    """Send what earlier runs could not: outages, and the last second before a `kill -9`.

    Runs that are alive keep theirs, runs of another server wait for it, and the first outage ends
    the attempt.

    Args:
        root: Folder that holds `outputs/`.

    Returns:
        The number of entries that were sent.
    """
    uri = tracking_uri(root)
    sent = 0
    for pending in sorted((root / "outputs").rglob(PENDING_FILE)):
        identity = load_identity(pending.parent)
        if identity is None or identity.server != public_address(uri):
            continue
        entries, left = _send_folder(pending, ServerRun(uri=uri, identity=identity))
        sent += entries - left
        if left:
            break
    return sent


def _send_folder(pending: Path, server: ServerRun) -> tuple[int, int]:
    """How many entries there were and how many are left; none where the run is alive."""
    folder = pending.parent
    if not claim(folder):
        return 0, 0
    try:
        server.folder = folder
        entries = read_entries(pending)
        left = server.send(entries)
        replace_entries(pending, left)
        return len(entries), len(left)
    finally:
        release(folder)
