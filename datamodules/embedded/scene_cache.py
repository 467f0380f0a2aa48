"""Arrays that are made once and kept on disk, whole or not at all, and shared between processes."""

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.disk import read_json, write_json

log = logging.getLogger(__name__)

Arrays = dict[str, npt.NDArray[Any]]

MANIFEST = "manifest.json"


def cached_arrays(
    *, cache_dir: Path, title: str, decided_by: Mapping[str, Any], make: Callable[[], Arrays]
) -> Arrays:
    """Read arrays from disk, or make them and keep them there.

    Files whose sha256 is not that of the manifest are made anew. Processes may do this at the same time:
    each writes a folder of its own and renames it, and all of them make the same arrays. Where nothing
    can be written, the arrays stay in memory.

    Args:
        cache_dir: Folder in which the folder of these arrays stands.
        title: What they are, for the log and the name of the folder.
        decided_by: Plain values of everything that decides the content; the folder is named by their digest.
        make: Makes the arrays by name.

    Returns:
        The arrays, mapped from their files where they are on disk, and then not to be written to.
    """
    folder = cache_dir / f"{title}_{_sha256(repr(sorted(decided_by.items())).encode())[:16]}"
    found = _read(folder)
    if found is not None:
        return found
    arrays = make()
    try:
        _write(folder, arrays, decided_by)
    except OSError as error:
        log.warning("%s cannot be kept in %s and stay in memory (%s)", title, cache_dir, error.strerror)
        return arrays
    log.info("%s are kept in %s", title, folder)
    return _read(folder) or arrays


class SharedBytes:
    """A flat array of bytes that is sent to a spawned process by the name of its file, if it has one.

    Args:
        content: uint8 (N,), in memory or mapped from a file.
    """

    def __init__(self, content: npt.NDArray[np.uint8]) -> None:
        self.content = content

    def __getstate__(self) -> dict[str, Any]:
        file = self.content.filename if isinstance(self.content, np.memmap) else None
        return {"file": file, "content": None if file else self.content}

    def __setstate__(self, state: dict[str, Any]) -> None:
        is_mapped = state["file"] is not None
        self.content = np.lib.format.open_memmap(state["file"], mode="r") if is_mapped else state["content"]


def _read(folder: Path) -> Arrays | None:
    """None where there are none, or where they are damaged."""
    manifest = read_json(folder / MANIFEST)
    if manifest is None:
        return None
    try:
        arrays: Arrays = {}
        for name, expected in manifest["sha256"].items():
            arrays[name] = np.lib.format.open_memmap(folder / f"{name}.npy", mode="r")
            if content_digest(arrays[name]) != expected:
                raise ValueError(f"{name}.npy is not what was written")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        log.warning("%s is damaged and is made anew (%s)", folder, error)
        return None
    return arrays


def _write(folder: Path, arrays: Arrays, decided_by: Mapping[str, Any]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}_", dir=folder.parent))
    try:
        partial.chmod(0o755)  # mkdtemp's own would shut out colleagues who share the data
        for name, array in arrays.items():
            np.save(partial / f"{name}.npy", array)
        digests = {name: content_digest(array) for name, array in arrays.items()}
        write_json(partial / MANIFEST, {"sha256": digests, "decided_by": dict(decided_by)})
        _put_in_place(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _put_in_place(partial: Path, folder: Path) -> None:
    """Rename; what another process has put there meanwhile stays, what is damaged goes."""
    if folder.exists() and _read(folder) is None:
        damaged = Path(tempfile.mkdtemp(prefix=f".{folder.name}_", dir=folder.parent))
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            os.replace(folder, damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    try:
        os.replace(partial, folder)
    except OSError:
        if not folder.exists():
            raise


def content_digest(array: npt.NDArray[Any]) -> str:
    """Sha256 of type, shape and content of an array, in hex."""
    found = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
