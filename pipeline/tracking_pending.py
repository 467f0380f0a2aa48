"""What earlier runs could not tell the server: found, and sent by `make sync` or beside the next run."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.tracking_file import PENDING_FILE, count_entries
from pipeline.tracking_identity import Identity, load_identity, public_address
from pipeline.tracking_queue import Outbox
from pipeline.tracking_server import ServerRun
from pipeline.tracking_store import tracking_uri

_WITHOUT_RUNS = frozenset(("checkpoints", "figures", "model"))
"""Folders of a run that may hold many files, and never a run."""

_SECONDS_TO_END = 10.0


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A run, or a sweep, of which something waits.

    Attributes:
        folder: Its folder.
        identity: Who it is; None where `tracking.json` is missing or broken.
        entries: How many wait.
    """

    folder: Path
    identity: Identity | None
    entries: int

    @property
    def run_id(self) -> str:
        """The id that people use; of a run without identity what its folder's name ends with."""
        return self.identity.run_id if self.identity else self.folder.name.rpartition("_")[2]


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What became of it.

    Attributes:
        sent: Entries that the server has now.
        left: Entries that still wait.
        why: For what, in words; empty where nothing is left.
        alive: Whether a process of its own is at work, which sends what is left.
        silent: Whether the server did not answer: other runs would only wait for it as long.
    """

    sent: int
    left: int
    why: str = ""
    alive: bool = False
    silent: bool = False


def waiting_runs(root: Path) -> list[Waiting]:
    """Every run of which something waits: sweeps before their trainings, which name them as their parents.

    Args:
        root: Folder that holds `outputs/`.
    """
    return sorted(filter(None, map(_waiting, _folders(root / "outputs"))), key=_order)


def send_waiting(waiting: Waiting, *, uri: str, told: Callable[[int], object] = lambda _: None) -> Delivery:
    """Send what waits of one run.

    Args:
        waiting: The run.
        uri: Address of the server.
        told: Is given the number of entries each time that some are settled.
    """
    identity = waiting.identity
    if identity is None:
        return Delivery(sent=0, left=waiting.entries, why="its tracking.json is missing or broken")
    if identity.server != public_address(uri):
        return Delivery(sent=0, left=waiting.entries, why=f"it belongs to {identity.server}")
    server = ServerRun(uri=uri, identity=identity)
    server.folder = waiting.folder.resolve()
    outbox = Outbox(send=server.send, interval=0)
    if not outbox.open(waiting.folder):
        why = "another process is at work on it, and sends it"
        return Delivery(sent=0, left=waiting.entries, why=why, alive=True)
    try:
        before = outbox.left
        why = "" if outbox.drain(told) else f"MLflow at {identity.server} {server.problem}"
        return Delivery(sent=before - outbox.left, left=outbox.left, why=why, silent=server.silent)
    finally:
        outbox.leave()


def send_pending(root: Path, *, stop: threading.Event | None = None) -> int:
    """Send what earlier runs could not: outages, and the last second before a `kill -9`.

    Runs that are alive keep theirs, runs of another server wait for it, and a server that does not answer
    ends the attempt.

    Args:
        root: Folder that holds `outputs/`.
        stop: Ends the attempt after the run at hand.

    Returns:
        The number of entries that were sent.
    """
    uri, sent = tracking_uri(root), 0
    for waiting in waiting_runs(root):
        if stop is not None and stop.is_set():
            break
        if waiting.identity is None or waiting.identity.server != public_address(uri):
            continue
        delivery = send_waiting(waiting, uri=uri)
        sent += delivery.sent
        if delivery.silent:
            break
    return sent


class EarlierRuns:
    """Sends what earlier runs could not, in a thread: training does not wait for it.

    Args:
        root: Folder that holds `outputs/`.
    """

    def __init__(self, root: Path) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(root,), name="earlier-runs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the run at hand, or in its middle where it takes long; the rest waits on."""
        self._stop.set()
        self._thread.join(_SECONDS_TO_END)

    def _run(self, root: Path) -> None:
        send_pending(root, stop=self._stop)


def _folders(outputs: Path) -> Iterator[Path]:
    for path, folders, files in os.walk(outputs):
        folders[:] = [name for name in folders if name not in _WITHOUT_RUNS]
        if PENDING_FILE in files:
            yield Path(path)


def _waiting(folder: Path) -> Waiting | None:
    """None where a training beside this process has sent it all since its folder was seen."""
    try:
        entries = count_entries(folder / PENDING_FILE)
    except FileNotFoundError:
        return None
    return Waiting(folder=folder, identity=load_identity(folder), entries=entries)


def _order(waiting: Waiting) -> tuple[bool, Path]:
    return "mlflow.parentRunId" in (waiting.identity.tags if waiting.identity else ()), waiting.folder
