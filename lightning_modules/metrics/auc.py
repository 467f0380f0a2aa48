"""Area under the receiver operating characteristic, one class against the rest."""

import warnings
from typing import Any

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassAUROC
from torchmetrics.utilities.data import dim_zero_cat


class MacroAUROC(MulticlassAUROC):
    """Mean over the classes of the area under the curve of each class against all others.

    torchmetrics counts a class that never occurs as 0 and warns; here the mean is over the classes
    that have both positive and negative images. NaN if there is none.

    Args:
        num_classes: C.
        exact: Keep all probabilities (memory grows with the data) or count them in bins, which are
            finest near 0 and 1, where the probabilities of a trained network are.
    """

    def __init__(self, *, num_classes: int, exact: bool) -> None:
        bins = None if exact else _bins()
        super().__init__(num_classes, average="none", thresholds=bins, validate_args=False)

    def compute(self) -> Tensor:  # type: ignore[override]
        """The mean area, in [0, 1], a tensor without dimensions."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="No (positive|negative) samples in targets")
            areas: Any = super().compute()
        positives = self._positives()
        comparable = (positives > 0) & (positives < positives.sum())
        return torch.as_tensor(areas)[comparable].mean()

    def _positives(self) -> Tensor:
        """(C,) number of images of each class."""
        if self.thresholds is None:
            return torch.bincount(dim_zero_cat(self.target), minlength=self.num_classes)
        return self.confmat[0, :, 1].sum(dim=-1)


def _bins() -> Tensor:
    """Thresholds from 0 to 1, evenly spaced in the scores that belong to the probabilities."""
    return torch.cat([torch.zeros(1), torch.linspace(-28, 14, 127).sigmoid(), torch.ones(1)])
