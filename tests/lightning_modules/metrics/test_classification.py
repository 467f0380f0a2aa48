"""Measures against scikit-learn and slow loops."""

import math
import warnings

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from torch import Tensor

from lightning_modules.metrics.auc import MacroAUROC
from lightning_modules.metrics.classification import classification_measures


def answers(*, classes: int, count: int = 300, sharpness: float = 2.0) -> tuple[Tensor, Tensor]:
    """Probabilities that are right more often than not, and labels."""
    generator = torch.Generator().manual_seed(classes)
    labels = torch.randint(classes, (count,), generator=generator)
    scores = sharpness * torch.randn(count, classes, generator=generator)
    scores[torch.arange(count), labels] += sharpness
    return scores.softmax(dim=1), labels


def measured(
    probabilities: Tensor, labels: Tensor, *, classes: int, exact_auc: bool = True
) -> dict[str, float]:
    """All measures, told in three batches of different sizes."""
    measures = classification_measures(num_classes=classes, exact_auc=exact_auc)
    for part in (slice(0, 10), slice(10, 150), slice(150, None)):
        for measure in measures.values():
            measure.update(probabilities[part], labels[part])
    return {name: float(measure.compute()) for name, measure in measures.items()}


def slow_calibration_error(probabilities: Tensor, labels: Tensor, bins: int = 15) -> float:
    members: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for row, label in zip(probabilities, labels, strict=True):
        confidence = float(row.max())
        members[math.ceil(confidence * bins) - 1].append((confidence, int(row.argmax()) == int(label)))
    gaps = [abs(sum(right for _, right in each) - sum(sure for sure, _ in each)) for each in members if each]
    return sum(gaps) / len(labels)


@pytest.mark.parametrize("classes", [3, 10])
def test_against_scikit_learn(classes: int) -> None:
    probabilities, labels = answers(classes=classes)
    found = measured(probabilities, labels, classes=classes)
    guesses, truth, scores = probabilities.argmax(1).numpy(), labels.numpy(), probabilities.numpy()
    assert set(found) == {"top1", "top5", "f1", "auc", "ece"}
    assert found["top1"] == pytest.approx(reference.accuracy_score(truth, guesses))
    top5 = reference.top_k_accuracy_score(truth, scores, k=5) if classes > 5 else 1.0
    assert found["top5"] == pytest.approx(top5)
    assert found["f1"] == pytest.approx(reference.f1_score(truth, guesses, average="macro"))
    assert found["auc"] == pytest.approx(
        reference.roc_auc_score(truth, scores / scores.sum(1, keepdims=True), multi_class="ovr")
    )
    assert found["ece"] == pytest.approx(slow_calibration_error(probabilities, labels), abs=1e-6)


@pytest.mark.parametrize("exact", [True, False])
def test_area_leaves_absent_classes_out_without_a_warning(exact: bool) -> None:
    probabilities, labels = answers(classes=4, sharpness=1.0)
    labels = labels.clamp(max=2)
    auc = MacroAUROC(num_classes=4, exact=exact)
    auc.update(probabilities, labels)
    expected = np.mean([reference.roc_auc_score(labels == c, probabilities[:, c]) for c in range(3)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert float(auc.compute()) == pytest.approx(expected, abs=1e-6 if exact else 2e-3)


def test_area_of_one_class_alone_is_not_a_number() -> None:
    auc = MacroAUROC(num_classes=3, exact=True)
    auc.update(torch.rand(5, 3).softmax(1), torch.zeros(5, dtype=torch.long))
    assert math.isnan(float(auc.compute()))


def test_binned_area_is_close_also_for_a_sure_network() -> None:
    probabilities, labels = answers(classes=10, sharpness=8.0, count=3000)
    found = [measured(probabilities, labels, classes=10, exact_auc=exact)["auc"] for exact in (True, False)]
    assert found[0] == pytest.approx(found[1], abs=2e-3)
