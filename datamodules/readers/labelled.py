"""What every reader of classification data hands over."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from datamodules.arrays import IntArray
from datamodules.readers.class_names import check_unique
from datamodules.sources import ImageSource
from datamodules.splits import stratified_folds


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Pictures with one class each, and which of them are for what.

    Attributes:
        title: Name of the data set.
        source: N pictures.
        labels: (N,) class ids.
        class_names: C names in the order of the class ids.
        splits: Positions for ``train``, ``val`` and ``test``.
        skipped: Pictures that were left out because they could not be read.
    """

    title: str
    source: ImageSource
    labels: IntArray
    class_names: Sequence[str]
    splits: Mapping[str, IntArray]
    skipped: int = 0

    def counts(self, split: str) -> list[int]:
        """C numbers of pictures of each class in one split."""
        found = np.bincount(self.labels[self.splits[split]], minlength=len(self.class_names))
        return [int(count) for count in found]

    def digest(self) -> str:
        """Sha256 over pictures, labels and class names, in hex; see the source for what it reads."""
        found = hashlib.sha256(self.source.digest().encode())
        found.update(self.labels.tobytes())
        found.update("\n".join(self.class_names).encode())
        return found.hexdigest()

    def fold(self, *, num_folds: int, fold: int, seed: int | None) -> "Labelled":
        """Cut training and validation anew: one fold validates, the others train.

        Pictures for testing stay out of it, also where validation and test are the same.

        Args:
            num_folds: Number of folds.
            fold: The one to validate on, in [0, num_folds).
            seed: Shuffles the pictures first; None keeps neighbours together.

        Raises:
            ValueError: If there is no such fold.
        """
        if not 0 <= fold < num_folds:
            raise ValueError(f"data.fold={fold} must be in [0, {num_folds}), as data.num_folds={num_folds}")
        known = np.union1d(self.splits["train"], self.splits["val"])
        pool = np.setdiff1d(known, self.splits["test"])
        is_held_out = stratified_folds(self.labels[pool], num_folds=num_folds, seed=seed) == fold
        return replace(self, splits={**self.splits, "train": pool[~is_held_out], "val": pool[is_held_out]})


def check_classes(
    found: Sequence[str], *, where: str, class_names: Sequence[str] | None, num_classes: int | None
) -> None:
    """Compare the classes of a data set with what the configuration says.

    Args:
        found: Names in the order of the class ids.
        where: What they were found in, for the message.
        class_names: Names that are expected, in order; None expects any.
        num_classes: Number that is expected; None expects any.

    Raises:
        ValueError: If they differ, or a name stands twice.
    """
    check_unique(found, where=where)
    if num_classes is not None and len(found) != num_classes:
        raise ValueError(
            f"{where} has {len(found)} classes, but data.num_classes={num_classes}; "
            f"set data.num_classes={len(found)} or choose other data"
        )
    if class_names is not None and list(found) != list(class_names):
        missing, unexpected = sorted(set(class_names) - set(found)), sorted(set(found) - set(class_names))
        difference = (
            f"missing {missing}, unexpected {unexpected}" if missing or unexpected else "in another order"
        )
        raise ValueError(
            f"{where} has other classes than data.class_names ({difference}); correct data.class_names, "
            "or set it to null to take the classes that are found"
        )
