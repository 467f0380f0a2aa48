"""What a result must beat: always the most frequent class, and nearest neighbours on pixels."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from sklearn.neighbors import KNeighborsClassifier

# Pixels are compared on small pictures: 10,000 at 224 pixels would take 6 GB and tell no more.
_LONGEST_SIDE = 32

Labels = NDArray[np.int64]


def majority_and_nearest_neighbours(
    *,
    datamodule: LightningDataModule,
    neighbours: list[int],
    limit_train: int,
    limit_test: int,
) -> dict[str, float]:
    """Top-1 accuracy on the test split of classifiers that learn nothing.

    Args:
        datamodule: A classification data module, set up.
        neighbours: Numbers of neighbours to choose from; the best on the validation split is taken.
        limit_train: Use at most this many training images.
        limit_test: Use at most this many images of the other splits.

    Returns:
        Accuracy in [0, 1] by the baseline's name: the majority class, and k nearest
        neighbours (L2 on pixels).
    """
    train = _arrays(datamodule, "train", limit_train)
    val = _arrays(datamodule, "val", limit_test)
    test = _arrays(datamodule, "test", limit_test)
    most_frequent = Counter(train[1].tolist()).most_common(1)[0][0]
    scores = {k: _nearest_neighbours(k, train, val) for k in neighbours if k <= len(train[1])}
    best = max(scores, key=lambda k: scores[k])
    return {
        "majority": float(np.mean(test[1] == most_frequent)),
        f"{best}_nearest_neighbours": _nearest_neighbours(best, train, test),
    }


def commonest_class(*, datamodule: LightningDataModule, limit_test: int) -> dict[str, float]:
    """Measures on the test split of masks that show the commonest class of training everywhere.

    Args:
        datamodule: A segmentation data module, set up.
        limit_test: Use at most this many images.

    Returns:
        Mean IoU in [0, 1] under the baseline's name, and beside it its pixel accuracy, which is high where
        most of the pixels are background, and says little for that.
    """
    metadata: Any = datamodule.metadata  # type: ignore[attr-defined]
    chosen = int(np.argmax(metadata["class_counts"]))
    counts = _pixels(datamodule, classes=len(metadata["class_names"]), limit=limit_test)
    if not counts.sum():
        raise ValueError("no pixel of the test split has a class")
    share = float(counts[chosen] / counts.sum())
    name = "commonest_class_everywhere"
    # Of the classes that are there, only this one overlaps with what is said: by its share of all pixels.
    return {name: share / np.count_nonzero(counts), f"{name}/pixel_accuracy": share}


def _pixels(datamodule: Any, *, classes: int, limit: int) -> Labels:
    """(C,) pixels of each class in the test split; those that do not count have ids above the classes."""
    dataset = datamodule.dataset("test", augment=False)
    counts = np.zeros(256, dtype=np.int64)
    for place in range(min(limit, len(dataset))):
        counts += np.bincount(np.asarray(dataset[place]["mask"]).ravel(), minlength=256)
    return counts[:classes]


def _arrays(datamodule: Any, split: str, limit: int) -> tuple[NDArray[np.float32], Labels]:
    images, labels = datamodule.raw_arrays(split, limit=limit, side=_LONGEST_SIDE)
    return images.reshape(len(images), -1).astype(np.float32), labels


def _nearest_neighbours(
    k: int, train: tuple[NDArray[np.float32], Labels], test: tuple[NDArray[np.float32], Labels]
) -> float:
    classifier = KNeighborsClassifier(n_neighbors=k, algorithm="brute").fit(*train)
    return float(classifier.score(*test))
