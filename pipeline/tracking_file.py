"""Entries that wait for the tracking server, a line each, in a file of the run's folder."""

import json
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PENDING_FILE = "pending_metrics.jsonl"
"""Metrics that wait in a run's folder, with the parameters, tags and file names that wait with them."""

FACTS = frozenset(("metric", "param", "tag"))
"""Kinds that go to the server in batches; of the others each is a request of its own."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One thing to tell the server.

    Attributes:
        kind: What it is; `file` has a path in `key` and the folder to put it in as `value`, `image` a path
            and the name under which the pictures of all steps line up, `model` the folder of a packed
            network, `text` the name of the file in `key` and its content as `value`.
        key: Name of the metric, parameter, tag or data set.
        value: Number of a metric, text of everything else.
        step: Training step of a metric; of an image what it is ordered by.
        time: Milliseconds since 1970 of a metric, an image and a status.
    """

    kind: Literal["metric", "param", "tag", "input", "text", "file", "image", "model", "status"]
    key: str
    value: float | str
    step: int = 0
    time: int = 0


class PendingFile:
    """The file of one run: training adds lines, the thread that sends takes the sent ones away.

    A full disk is no reason for training to stop: the file is then `behind` what is in memory, until it can
    be written whole.

    Args:
        path: Of the file; made with the first entry and gone with the last.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.behind = False
        self._draft = path.with_suffix(".partial")
        self._handle: int | None = None

    def take_over(self) -> list[Entry]:
        """Entries that an earlier process left; `behind` where that was killed in the middle of a line."""
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        self.behind = bool(text) and not text.endswith("\n")
        return _entries_of(text)

    def append(self, entries: Sequence[Entry]) -> None:
        """Add lines; a killed process loses none of them."""
        if self.behind or not entries:
            return  # when it is behind, half a line may be its last
        try:
            if self._handle is None:
                self._handle = os.open(
                    self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666
                )
            _write(self._handle, entries)
        except OSError as problem:
            self._fall_behind(problem)

    def draft(self, entries: Sequence[Entry]) -> bool:
        """Begin to write the file anew, beside the one that is there; it may take a while.

        Returns:
            Whether it could be written; if not, the old one, which holds more than it must, will do.
        """
        try:
            self._draft.write_text("".join(map(line_of, entries)), encoding="utf-8")
        except OSError:
            return False
        return True

    def take_draft(self, more: Sequence[Entry]) -> None:
        """Add what came since to the draft and put it in the file's place, whole or not at all."""
        try:
            with self._draft.open("a", encoding="utf-8") as handle:
                handle.writelines(map(line_of, more))
            os.replace(self._draft, self.path)
            self._close()
            self.behind = False
        except OSError as problem:
            self._fall_behind(problem)

    def clear(self) -> None:
        """Nothing waits any more."""
        self._close()
        self.path.unlink(missing_ok=True)
        self._draft.unlink(missing_ok=True)
        self.behind = False

    def _fall_behind(self, problem: OSError) -> None:
        if not self.behind:
            log.warning("%s cannot be written (%s); metrics wait in memory", self.path.name, problem)
        self.behind = True

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def count_entries(path: Path) -> int:
    """How many entries a file holds."""
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _entries_of(text: str) -> list[Entry]:
    """A line that a killed process left half written is dropped."""
    entries = []
    for line in text.splitlines():
        try:
            entries.append(Entry(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return entries


def line_of(entry: Entry) -> str:
    """An entry as a line of the file."""
    # By hand: `dataclasses.asdict` copies deeply and takes four times as long as this.
    fields = {
        "kind": entry.kind,
        "key": entry.key,
        "value": entry.value,
        "step": entry.step,
        "time": entry.time,
    }
    return json.dumps(fields) + "\n"


def _write(handle: int, entries: Iterable[Entry]) -> None:
    """All of it: on a nearly full disk the system takes a part and says so by its count only."""
    rest = memoryview("".join(map(line_of, entries)).encode())
    while rest:
        rest = rest[os.write(handle, rest) :]
