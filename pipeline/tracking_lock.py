"""Who may send a run's entries: one process, until it lets go or ends, however it ends."""

import fcntl
import os
from pathlib import Path

LOCK_FILE = ".tracking.lock"

_held: dict[Path, int] = {}
"""Folders of this process: the system would give it its own lock a second time, and then drop both."""


def claim(folder: Path) -> bool:
    """Take the lock of a run's folder; False where somebody has it."""
    key = folder.resolve()
    if key in _held:
        return False
    # Not flock: a data loader's worker would inherit it and keep it after its parent was killed.
    handle = os.open(key / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return False
    _held[key] = handle
    return True


def release(folder: Path) -> None:
    """Give the lock back."""
    handle = _held.pop(folder.resolve(), None)
    if handle is not None:
        os.close(handle)
