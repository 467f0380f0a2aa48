"""A queue between training and the tracking server: on disk first, then sent by a thread of its own.

Whatever the server does, `put` returns at once. An entry leaves the file only when it was sent, so
neither an outage nor `kill -9` loses one.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.tracking_file import FACTS, PENDING_FILE, Entry, PendingFile
from pipeline.tracking_lock import claim, release

LONGEST_PAUSE = 30.0
"""Seconds between two attempts while the server does not answer."""

PORTION = 1000
"""Facts in one request; MLflow takes no more metrics than that."""

SECONDS_BETWEEN_SAVES = 5.0
"""While a long queue is sent: what a crash in between would send again is left out by the server."""

log = logging.getLogger(__name__)


class Outbox:
    """Entries on their way.

    Args:
        send: Sends entries and says whether they are settled; called by one thread at a time, must not raise.
        interval: Seconds between two sendings while all is well.
    """

    def __init__(self, *, send: Callable[[Sequence[Entry]], bool], interval: float) -> None:
        self._send = send
        self._interval = interval
        self._facts: list[Entry] = []
        self._others: list[Entry] = []
        self._folder: Path | None = None
        self._file: PendingFile | None = None
        self._saved = 0.0
        self._changed = False
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tracking", daemon=True)

    @property
    def left(self) -> int:
        """How many entries wait."""
        return len(self._facts) + len(self._others)

    def open(self, folder: Path) -> bool:
        """Keep waiting entries in `folder` and take up those that an earlier process left.

        Returns:
            Whether that could be done; if not, because another process is about to send them, entries wait in
            memory until it is done.
        """
        self._folder = folder
        return self._own()

    def start(self) -> None:
        """Send from now on, in a thread."""
        self._thread.start()

    def put(self, entries: Sequence[Entry]) -> None:
        """Add entries; returns at once, after they are on disk."""
        with self._lock:
            self._add(entries)
            if self._file is not None:
                self._file.append(entries)

    def close(self, *, patience: float) -> int:
        """Send what can be sent in this time and stop.

        Returns:
            How many entries are left on disk.
        """
        self._closing.set()
        if self._thread.ident is None:
            self._thread.start()
        self._thread.join(patience)
        if not self._thread.is_alive():
            self.leave()
        return self.left

    def drain(self, told: Callable[[int], object] = lambda _: None) -> bool:
        """Send what waits now, facts first and the status last.

        Args:
            told: Is given the number of entries each time that some are settled.

        Returns:
            False where something of it is left.
        """
        self._saved = time.monotonic()
        settled = self._drain_facts(told) and self._drain_others(told)
        if self._changed or (self._file is not None and self._file.behind):
            self._save()
        return settled

    def leave(self) -> None:
        """Let another process have the file."""
        if self._file is not None and self._folder is not None:
            if self._file.behind and self.left:
                log.warning("%d entries could not be kept on disk and are lost", self.left)
            release(self._folder)
            self._file = None

    def _run(self) -> None:
        pause = self._interval
        while not self._closing.wait(pause):
            pause = self._interval if self._pass() else min(2 * pause, LONGEST_PAUSE)
        self._pass()

    def _pass(self) -> bool:
        self._own()
        return self.drain()

    def _drain_facts(self, told: Callable[[int], object]) -> bool:
        waiting = len(self._facts)  # not what comes meanwhile, or a quick training would be sent step by step
        for start in range(0, waiting, PORTION):
            portion = self._facts[: min(PORTION, waiting - start)]
            if not self._settle(portion, told):
                return False
            if time.monotonic() - self._saved > SECONDS_BETWEEN_SAVES:
                self._save()
        return True

    def _drain_others(self, told: Callable[[int], object]) -> bool:
        """One by one; after one failed others would only cost more timeouts. The status may still pass."""
        failed = False
        for entry in sorted(self._others, key=_is_status):
            if failed and not _is_status(entry):
                continue
            if self._settle([entry], told):
                self._save()  # at once, since not all of these may be sent twice
            elif _is_status(entry):
                return False  # one status does not overtake another
            else:
                failed = True
                self._move_back(entry)
        return not failed

    def _settle(self, portion: Sequence[Entry], told: Callable[[int], object]) -> bool:
        if not self._send(portion):
            return False
        with self._lock:
            if portion[0].kind in FACTS:
                del self._facts[: len(portion)]
            else:
                self._others.remove(portion[0])
            self._changed = True
        told(len(portion))
        return True

    def _move_back(self, entry: Entry) -> None:
        """Behind the others, because it may be the only one that fails."""
        with self._lock:
            self._others.remove(entry)
            self._others.append(entry)

    def _add(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            (self._facts if entry.kind in FACTS else self._others).append(entry)

    def _own(self) -> bool:
        """Whether the file is ours, which it becomes as soon as nobody else has it."""
        if self._file is None and self._folder is not None and claim(self._folder):
            file = PendingFile(self._folder / PENDING_FILE)
            earlier = file.take_over()
            with self._lock:
                newer, self._facts, self._others = self._facts + self._others, [], []
                self._add([*earlier, *newer])
                file.append(newer)
                self._file = file
            if file.behind:
                self._save()
        return self._file is not None

    def _save(self) -> None:
        """Write what is left. Only the thread that sends takes entries away, so none is lost meanwhile."""
        file, self._saved, self._changed = self._file, time.monotonic(), False
        if file is None:
            return
        with self._lock:
            facts, others = list(self._facts), list(self._others)
            if not facts and not others:
                file.clear()
                return
        if file.draft([*facts, *others]):
            with self._lock:
                file.take_draft([*self._facts[len(facts) :], *self._others[len(others) :]])


def _is_status(entry: Entry) -> bool:
    return entry.kind == "status"
