"""MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100 through torchvision, as arrays."""

from pathlib import Path
from typing import Any

import numpy as np

from datamodules.arrays import ByteArray, IntArray
from datamodules.readers.labelled import Labelled
from datamodules.sources import ArraySource
from datamodules.splits import stratified_split


def download(dataset_class: Any, *, data_dir: Path) -> None:
    """Fetch the files of a torchvision data set unless they are there.

    Args:
        dataset_class: A class of ``torchvision.datasets`` with ``root``, ``train`` and ``download``.
        data_dir: Folder to put them in.

    Raises:
        FileNotFoundError: If they cannot be fetched.
    """
    try:
        for train in (True, False):
            dataset_class(root=data_dir, train=train, download=True)
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"{dataset_class.__name__} could not be fetched into data.data_dir={data_dir} ({error}); "
            "try again later or put its files there by hand"
        ) from error


def read_arrays(
    dataset_class: Any, *, title: str, data_dir: Path, val_fraction: float, split_seed: int
) -> Labelled:
    """Read a data set that torchvision keeps in memory.

    Args:
        dataset_class: A class of ``torchvision.datasets`` with ``data``, ``targets`` and ``classes``.
        title: Name of the data set.
        data_dir: Folder with its files.
        val_fraction: Share of the published training part that validates instead; each class gives
            the same share.
        split_seed: Decides which pictures these are.

    Raises:
        FileNotFoundError: If the files are not there.
        ValueError: If they are damaged.
    """
    parts = [_read_part(dataset_class, data_dir, train=train) for train in (True, False)]
    (train_pixels, train_labels, names), (test_pixels, test_labels, _) = parts
    train, val = stratified_split(train_labels, fractions=[val_fraction], seed=split_seed)
    return Labelled(
        title=title,
        source=ArraySource(np.concatenate([train_pixels, test_pixels]), title=title),
        labels=np.concatenate([train_labels, test_labels]),
        class_names=names,
        splits={"train": train, "val": val, "test": len(train_labels) + np.arange(len(test_labels))},
    )


def _read_part(dataset_class: Any, data_dir: Path, *, train: bool) -> tuple[ByteArray, IntArray, list[str]]:
    name = dataset_class.__name__
    try:
        part = dataset_class(root=data_dir, train=train, download=False)
    except (OSError, RuntimeError, ValueError, AssertionError, EOFError) as error:
        raise _explained(error, name, data_dir) from error
    return np.asarray(part.data, dtype=np.uint8), np.asarray(part.targets, dtype=np.int64), list(part.classes)


def _explained(error: Exception, name: str, data_dir: Path) -> Exception:
    if "Dataset not found" in str(error):  # torchvision's words, also where a checksum is wrong
        return FileNotFoundError(
            f"no complete {name} under data.data_dir={data_dir} ({data_dir.resolve()}); set "
            "data.download=true to fetch it, or data.data_dir to the folder that has it"
        )
    return ValueError(
        f"the files of {name} under data.data_dir={data_dir} are damaged ({error}); remove them and set "
        "data.download=true to fetch them again"
    )
