"""A queue between training and the tracking server: on disk first, then sent by a thread of its own.

Whatever the server does, `put` returns at once. An entry leaves the file only when it was sent, so
neither an outage nor `kill -9` loses one.
"""

import json
import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

PENDING_FILE = "pending_metrics.jsonl"
"""Metrics that wait in a run's folder, with the parameters, tags and file names that wait with them."""

LONGEST_PAUSE = 30.0
"""Seconds between two attempts while the server does not answer."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing to tell the server.

    Attributes:
        kind: What it is; `file` has a path in `key` and the folder to put it in as `value`, `text`
            the name of the file in `key` and its content as `value`.
        key: Name of the metric, parameter, tag or data set.
        value: Number of a metric, text of everything else.
        step: Training step of a metric.
        time: Milliseconds since 1970 of a metric.
    """

    kind: Literal["metric", "param", "tag", "input", "text", "file", "status"]
    key: str
    value: float | str
    step: int = 0
    time: int = 0


class Outbox:
    """Entries on their way; `send` is called by one thread and returns those it could not send.

    Args:
        send: Sends entries and returns what must be tried again; must not raise.
        interval: Seconds between two sendings while all is well.
    """

    def __init__(self, *, send: Callable[[Sequence[Entry]], list[Entry]], interval: float) -> None:
        self._send = send
        self._interval = interval
        self._waiting: list[Entry] = []
        self._file: Path | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tracking", daemon=True)

    def open(self, folder: Path) -> None:
        """Keep waiting entries in `folder`, take up those an earlier process left, and start sending."""
        with self._lock:
            self._file = folder / PENDING_FILE
            self._waiting = read_entries(self._file) + self._waiting
            self._rewrite()
        self._thread.start()

    def put(self, entries: Sequence[Entry]) -> None:
        """Add entries; returns at once, after they are on disk."""
        with self._lock:
            self._waiting.extend(entries)
            if self._file is not None:
                _write(self._file, entries, mode="a")

    def close(self) -> int:
        """Send what can be sent now and stop; returns how many entries are left on disk."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pass()
        return len(self._waiting)

    def _run(self) -> None:
        pause = self._interval
        while not self._closing.wait(pause):
            pause = self._interval if self._pass() else min(2 * pause, LONGEST_PAUSE)

    def _pass(self) -> bool:
        with self._lock:
            batch = list(self._waiting)
        if not batch:
            return True
        left = self._send(batch)
        with self._lock:
            self._waiting = left + self._waiting[len(batch) :]
            self._rewrite()
        return not left

    def _rewrite(self) -> None:
        if self._file is not None:
            replace_entries(self._file, self._waiting)


def read_entries(path: Path) -> list[Entry]:
    """Entries of a file; a line that a killed process left half written is dropped."""
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            entries.append(Entry(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return entries


def replace_entries(path: Path, entries: Sequence[Entry]) -> None:
    """Make a file hold these entries, whole or not at all; none removes it."""
    if not entries:
        path.unlink(missing_ok=True)
        return
    partial = path.with_suffix(".partial")
    _write(partial, entries, mode="w")
    os.replace(partial, path)


def _write(path: Path, entries: Sequence[Entry], *, mode: Literal["a", "w"]) -> None:
    """A full disk is no reason for training to stop: the entries are still in memory."""
    try:
        with path.open(mode, encoding="utf-8") as handle:
            handle.writelines(json.dumps(asdict(entry)) + "\n" for entry in entries)
    except OSError as problem:
        log.warning("%s cannot be written (%s); metrics wait in memory", path.name, problem)
