"""How MLflow loads a network of this project, also where there is no clone of it.

Standard library only: MLflow imports this file by its bare name before anything else of the project is there.
"""

import atexit
import fcntl
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

NETWORK = "network.ckpt"
"""Weights and configuration, in the folder that MLflow hands over."""

CODE = "project.zip"
"""The project's packages beside it: one file, since hundreds would each cost a server a request."""

_PREFIX, _LOCK = "vision_pipeline_", ".lock"
_locks: list[int] = []  # of this process; held until it ends


def _load_pyfunc(data_path: str) -> Any:
    """MLflow's entry: the network, with a method `predict`.

    The code that travels with the network is used, unless the process works with the project already.

    Args:
        data_path: Folder with the two files above.
    """
    folder = Path(data_path)
    if "pipeline" not in sys.modules:
        sys.path.insert(0, _unpacked(folder / CODE))
    from pipeline.served.answering import load

    return load(folder / NETWORK)


def _unpacked(archive: Path) -> str:
    """A folder with the archive's files, which is gone when the process ends, or when the next one begins."""
    _remove_left_behind()
    folder = tempfile.mkdtemp(prefix=_PREFIX)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _locks.append(_locked(Path(folder) / _LOCK))
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder


def _remove_left_behind() -> None:
    """Remove the folders of servers that were ended by a signal: the system has let go of their locks."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            os.close(_locked(lock))
        except OSError:  # it is in use, or somebody else's
            continue
        shutil.rmtree(lock.parent, ignore_errors=True)


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
