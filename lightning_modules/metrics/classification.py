"""The measures of a classifier by the names under which they are logged."""

from torchmetrics import Metric
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassF1Score,
)

from lightning_modules.metrics.auc import MacroAUROC

CALIBRATION_BINS = 15


def classification_measures(*, num_classes: int, exact_auc: bool) -> dict[str, Metric]:
    """Measures of (B, C) probabilities and (B,) labels.

    Args:
        num_classes: C.
        exact_auc: See ``MacroAUROC``; on training data, bins do.

    Returns:
        ``top1``, ``top5`` (of all C if there are fewer), ``f1`` (mean over classes), ``auc`` (one
        against the rest, mean over classes) and ``ece`` (15 equal bins, mean absolute difference), each
        in [0, 1].
    """
    top5 = min(5, num_classes)
    return {
        "top1": MulticlassAccuracy(num_classes, average="micro", validate_args=False),
        "top5": MulticlassAccuracy(num_classes, average="micro", top_k=top5, validate_args=False),
        "f1": MulticlassF1Score(num_classes, average="macro", validate_args=False),
        "auc": MacroAUROC(num_classes=num_classes, exact=exact_auc),
        "ece": MulticlassCalibrationError(
            num_classes, n_bins=CALIBRATION_BINS, norm="l1", validate_args=False
        ),
    }
