"""What a result must beat: guessing the most frequent class, and nearest neighbours on pixels."""

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


def _arrays(datamodule: Any, split: str, limit: int) -> tuple[NDArray[np.float32], Labels]:
    images, labels = datamodule.raw_arrays(split, limit=limit, side=_LONGEST_SIDE)
    return images.reshape(len(images), -1).astype(np.float32), labels


def _nearest_neighbours(
    k: int, train: tuple[NDArray[np.float32], Labels], test: tuple[NDArray[np.float32], Labels]
) -> float:
    classifier = KNeighborsClassifier(n_neighbors=k, algorithm="brute").fit(*train)
    return float(classifier.score(*test))
