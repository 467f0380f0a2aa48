"""Which checkpoints of a run are what, by their names; no torch here."""

import re
from pathlib import Path

_RECENT = re.compile(r"recent_(\d+)")  # callbacks.keep_last
_SNAPSHOT = re.compile(r"snapshot_(\d+)")  # callbacks.snapshots
# What is not named by callbacks.checkpoint.filename, which a person may choose.
_OWN = (_RECENT, _SNAPSHOT, re.compile("last|average|ensemble"))


def kept_best(folder: Path) -> list[Path]:
    """The best epochs, as `callbacks.checkpoint` kept them, in the order of their names.

    Args:
        folder: A run's `checkpoints/`.
    """
    return [path for path in _all(folder) if not any(own.fullmatch(path.stem) for own in _OWN)]


def kept_recent(folder: Path) -> list[Path]:
    """The last epochs, as `callbacks.keep_last` kept them, the oldest first."""
    return _numbered(folder, _RECENT)


def kept_snapshots(folder: Path) -> list[Path]:
    """The ends of cycles of the learning rate, as `callbacks.snapshots` kept them, the oldest first."""
    return _numbered(folder, _SNAPSHOT)


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.ckpt"))


def _numbered(folder: Path, name: re.Pattern[str]) -> list[Path]:
    numbers = {path: found.group(1) for path in _all(folder) if (found := name.fullmatch(path.stem))}
    return sorted(numbers, key=lambda path: int(numbers[path]))
