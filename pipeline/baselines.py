"""What a result must beat: the most frequent class, nearest neighbours on pixels, distances of pixels."""

from collections import Counter
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import KNeighborsClassifier

# Pixels are compared on small pictures: 10,000 at 224 pixels would take 6 GB and tell no more.
_LONGEST_SIDE = 32

Floats = NDArray[np.float64]
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


def pixel_distance(*, datamodule: LightningDataModule, limit_test: int) -> dict[str, float]:
    """How well the Euclidean distance of pixels tells which pairs of test images match.

    Args:
        datamodule: A verification data module, set up.
        limit_test: Use at most this many images: of more as many at even distances, and of listed pairs only
            so many at even distances that they have no more images.

    Returns:
        Area under the ROC curve in [0, 1] under the baseline's name, and beside it its equal error rate.

    Raises:
        ValueError: If there are no matching pairs, or no others.
    """
    images: Any = datamodule.dataset("test", augment=False)  # type: ignore[attr-defined]
    listed: Labels | None = datamodule.listed_pairs("test")  # type: ignore[attr-defined]
    if listed is None:
        pixels, labels = _pixels_and_labels(images, _evenly(len(images), limit_test))
        first, second = np.triu_indices(len(labels), k=1)
        same = labels[first] == labels[second]
    else:
        pairs = listed[_evenly(len(listed), limit_test // 2)]
        places, sides = np.unique(pairs[:, :2], return_inverse=True)
        pixels, _ = _pixels_and_labels(images, places)
        (first, second), same = sides.reshape(-1, 2).T, pairs[:, 2] == 1
    if same.all() or not same.any():
        raise ValueError(f"{np.count_nonzero(same):,} of {len(same):,} pairs of the test split match")
    # A picture is more like another one the smaller the distance is.
    likeness = -_distances(pixels)[first, second]
    name = "pixel_distance"
    return {name: float(roc_auc_score(same, likeness)), f"{name}/eer": _equal_error_rate(same, likeness)}


def _evenly(count: int, limit: int) -> Labels:
    return np.linspace(0, count - 1, min(limit, count)).round().astype(np.int64)


def _pixels_and_labels(images: Any, places: Labels) -> tuple[Floats, Labels]:
    """(N, pixels) and (N,) of the images at N places, at most 32 pixels a side."""
    items = [images[place] for place in places.tolist()]
    pixels = [_shrunk(item["image"].numpy().transpose(1, 2, 0)).ravel() for item in items]
    return np.stack(pixels).astype(np.float64), np.array([item["label"] for item in items], dtype=np.int64)


def _distances(pixels: Floats) -> Floats:
    """(N, N) Euclidean distances of (N, pixels)."""
    squares = (pixels**2).sum(axis=1)
    return np.asarray(np.sqrt((squares[:, None] + squares - 2 * pixels @ pixels.T).clip(min=0)))


def _shrunk(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    sides = (min(picture.shape[1], _LONGEST_SIDE), min(picture.shape[0], _LONGEST_SIDE))
    return np.asarray(cv2.resize(picture, sides, interpolation=cv2.INTER_AREA), np.uint8)


def _equal_error_rate(same: NDArray[np.bool_], likeness: Floats) -> float:
    """Where as many other pairs are accepted as matching ones refused, on a line between two points."""
    far, tar, _ = roc_curve(same, likeness, drop_intermediate=False)
    surplus = far + tar - 1  # rises from -1 to 1
    after = int(np.argmax(surplus >= 0))
    low, high = surplus[after - 1], surplus[after]
    return float(far[after - 1] + (far[after] - far[after - 1]) * -low / (high - low))


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
