"""How MLflow loads a network of this project, also where there is no clone of it.

Standard library only: MLflow imports this file by its bare name before anything else of the project is there.
"""

import atexit
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
    """A folder with the archive's files, which is gone when the process ends."""
    folder = tempfile.mkdtemp(prefix="vision_pipeline_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder
