"""A gallery as one Parquet file that is whole at any moment."""

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import Mistake
from pipeline.work.gallery import Gallery

FORMAT = "1"
"""Version of the file's layout."""

_COLUMNS = ("identity", "file", "content")
_KEYS = ("gallery_format", "model", "run_id", "embedding_size")


def gallery_path(given: str | None, *, folder: Path) -> Path:
    """Where a gallery is or will be.

    Args:
        given: What a person typed as `gallery=`; None: the folder's own.
        folder: Of the run, or of the checkpoint.

    Raises:
        Mistake: The ending is not that of a gallery.
    """
    path = Path(given).expanduser() if given else folder / "gallery.parquet"
    if path.suffix != ".parquet" or path.is_dir():
        raise Mistake(f"gallery={given}: a gallery is a file; give a name that ends in .parquet")
    return path


def check_model(gallery: Gallery, path: Path, *, model: str, run_id: str) -> None:
    """Refuse a gallery of another network, to which every distance would be meaningless.

    Args:
        gallery: The gallery.
        path: Its file.
        model: Id of the network that is to be compared with it.
        run_id: The run that trained that.

    Raises:
        Mistake: The ids differ.
    """
    if gallery.model == model:
        return
    way_out = f"take run={gallery.run_id[:8]}"
    if gallery.run_id == run_id:
        way_out = "take the checkpoint of this run that it was made with (checkpoint=FILE)"
    raise Mistake(
        f"gallery={path} was made with model {gallery.model} of run {gallery.run_id[:8]}, and this is model "
        f"{model} of run {run_id[:8]}: encodings of two networks cannot be compared; {way_out}, or enroll "
        "anew into another file (gallery=NEW.parquet)"
    )


def write_gallery(gallery: Gallery, path: Path) -> None:
    """Write a gallery that is `locked`; whatever interrupts it leaves either the old file or the new one.

    Args:
        gallery: What to write.
        path: The file; an older one is replaced.
    """
    size = gallery.encodings.shape[1]
    values = pa.array(np.ascontiguousarray(gallery.encodings).ravel(), pa.float32())
    columns = [pa.array(list(texts), pa.string()) for texts in _texts(gallery)]
    table = pa.table(
        [*columns, pa.FixedSizeListArray.from_arrays(values, size)], names=[*_COLUMNS, "encoding"]
    ).replace_schema_metadata(
        dict(zip(_KEYS, (FORMAT, gallery.model, gallery.run_id, str(size)), strict=True))
    )
    # One name, so that what a process that was killed has left of somebody does not stay.
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") as file:
            pq.write_table(table, file, write_page_checksum=True)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _texts(gallery: Gallery) -> tuple[list[str], list[str], list[str]]:
    return list(gallery.identities), list(gallery.files), list(gallery.contents)


def read_gallery(path: Path) -> Gallery:
    """Read a gallery.

    Args:
        path: A file that `make enroll` wrote.

    Raises:
        Mistake: The file is missing, damaged, or no gallery.
    """
    if not path.is_file():
        raise Mistake(f"gallery={path}: there is no such file; make enroll input=FOLDER writes one")
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise Mistake(
            f"gallery={path} cannot be read: it is damaged, cut short, or no Parquet file; put back a copy, "
            "or delete it and enroll anew"
        ) from error
    facts = _facts(table, path)
    encodings = table["encoding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    identities, files, contents = (table[name].to_pylist() for name in _COLUMNS)
    return Gallery(
        model=facts["model"],
        run_id=facts["run_id"],
        identities=identities,
        files=files,
        contents=contents,
        encodings=encodings.reshape(-1, int(facts["embedding_size"])),
    )


def _facts(table: pa.Table, path: Path) -> Mapping[str, str]:
    """What the file says of itself, where it is a gallery.

    Raises:
        Mistake: It is none, or one of another version.
    """
    stored = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    if not set(_KEYS) <= stored.keys():
        raise Mistake(
            f"gallery={path} is a Parquet file, but no gallery; give one that make enroll wrote, or another "
            "name for a new one"
        )
    if stored["gallery_format"] != FORMAT:
        raise Mistake(
            f"gallery={path} has format {stored['gallery_format']}, and this version reads format {FORMAT}; "
            "use the version that wrote it, or enroll anew into another file"
        )
    expected = pa.schema(
        [*((name, pa.string()) for name in _COLUMNS), ("encoding", _encoding(stored["embedding_size"]))]
    )
    if not table.schema.equals(expected) or any(column.null_count for column in table.columns):
        raise Mistake(
            f"gallery={path} says that it is a gallery, but its columns are not those of one; put back a "
            "copy, or delete it and enroll anew"
        )
    return stored


def _encoding(size: str) -> pa.DataType:
    return pa.list_(pa.float32(), int(size)) if size.isdecimal() else pa.null()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until no other process changes a gallery, and keep others waiting.

    The system lets go of the lock when its process ends, however it ends. Where there is no gallery
    afterwards, neither its lock nor the folders that were made for it stay.
    """
    made = [folder for folder in path.parents if not folder.exists()]
    lock = path.with_name(f".{path.name}.lock")
    with _held(lock):
        try:
            yield
        finally:
            if not path.exists():
                lock.unlink(missing_ok=True)
                _remove_empty(made)


def _held(lock: Path) -> TextIO:
    """The file of a lock that is held until the file is closed."""
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
        fcntl.lockf(file.fileno(), fcntl.LOCK_EX)
        if _is_there(lock, file):
            return file
        file.close()  # whoever had it has removed it: the next one would hold another


def _is_there(lock: Path, file: TextIO) -> bool:
    try:
        return os.path.samestat(lock.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders, the innermost first, as far as nobody else has put something there."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()
