"""What is reported of a split, and what it does not depend on."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from lightning_modules.metrics.verification.records import check_finite
from tests.lightning_modules.metrics.verification.made import embedded, measured, seen_as

LABELS = np.random.default_rng(1).permutation(np.repeat(np.arange(8), 9))
OF_PAIRS = {"auc", "eer", "accuracy", "accuracy_standard_error", "tar", "far"}
AT = {f"tar_at_far_{target}" for target in ("0.1", "0.01", "0.001", "0.0001")}
OF_IMAGES = {"rank1", "rank5", "recall_1", "recall_5", "map"}


def test_every_measure_has_its_name() -> None:
    found = measured(seen_as(embedded(LABELS), LABELS))
    measures = found.measures()
    assert set(measures) == OF_PAIRS | AT | OF_IMAGES
    assert measures["auc"] == pytest.approx(roc_auc_score(found.same, -found.distance))
    assert measures["accuracy"] == pytest.approx(found.accuracies.mean())
    assert len(found.first) == len(found.fold) == len(found.distance) == 72 * 71 / 2
    assert set(found.fold.tolist()) == set(range(10))
    accept = found.distance <= found.threshold
    assert measures["tar"] == pytest.approx(accept[found.same].mean())
    assert measures["far"] == pytest.approx(accept[~found.same].mean())


def test_a_monotone_change_of_the_distance_changes_no_order() -> None:
    """Thresholds lie in the middle between distances, so what depends on them keeps only under a scale."""
    seen = seen_as(embedded(LABELS), LABELS)
    plain = measured(seen).measures()
    squared = measured(seen, change=lambda distance: distance.square() - 3).measures()
    for name in {"auc", "eer"} | AT | OF_IMAGES:
        assert squared[name] == pytest.approx(plain[name], abs=1e-6), name
    scaled = measured(seen, change=lambda distance: 4 * distance + 1).measures()
    assert scaled == pytest.approx(plain, abs=2e-3)
    other = measured(seen, change=lambda distance: -distance).measures()
    assert other["auc"] == pytest.approx(1 - plain["auc"])


@pytest.mark.parametrize("listed", [False, True], ids=["all pairs", "listed pairs"])
def test_the_order_of_the_images_changes_nothing(listed: bool) -> None:
    """The same images in other places of the split; their pairs are then dealt to other folds."""
    embeddings = embedded(LABELS)
    order = np.random.default_rng(2).permutation(72)
    new = np.argsort(order)
    pairs = [
        [a, b, int(LABELS[a] == LABELS[b]), (a + b) % 5] for a in range(0, 72, 2) for b in range(a + 1, 72, 3)
    ]
    moved = [[int(new[a]), int(new[b]), *rest] for a, b, *rest in pairs]
    plain = measured(seen_as(embeddings, LABELS, pairs=pairs if listed else None)).measures()
    found = measured(
        seen_as(embeddings[torch.from_numpy(order)], LABELS[order], pairs=moved if listed else None)
    ).measures()
    drawn = {"rank1", "rank5"} | (set() if listed else {"accuracy", "accuracy_standard_error"})
    for name, value in plain.items():
        assert found[name] == pytest.approx(value, abs=0.02 if name in drawn else 1e-9), name


def test_listed_pairs_are_measured_and_no_others() -> None:
    embeddings = torch.tensor([[0.0], [0.1], [5.0], [5.3], [9.0]])
    pairs = [[1, 0, 1, 0], [2, 3, 1, 0], [0, 2, 0, 1], [4, 3, 0, 1]]
    found = measured(seen_as(embeddings, [0, 0, 1, 1, 2], pairs=pairs))
    assert found.first.tolist() == [1, 2, 0, 4]
    assert found.second.tolist() == [0, 3, 2, 3]
    assert found.distance == pytest.approx([0.1, 0.3, 5.0, 3.7])
    assert found.fold.tolist() == [0, 0, 1, 1]
    assert found.threshold == pytest.approx(2.0)
    # No fold has both kinds: the threshold that was calibrated judges, and there is no error.
    measures = found.measures()
    assert measures["accuracy"] == 1
    assert "accuracy_standard_error" not in measures
    strict = measured(seen_as(embeddings, [0, 0, 1, 1, 2], pairs=pairs), threshold=0.2).measures()
    assert (strict["accuracy"], strict["tar"], strict["far"]) == (0.75, 0.5, 0)


def test_without_a_threshold_nothing_is_said_that_needs_one() -> None:
    found = measured(seen_as(embedded(LABELS), LABELS), threshold=float("nan")).measures()
    assert set(found) == (OF_PAIRS | AT | OF_IMAGES) - {"tar", "far"}


@pytest.mark.parametrize(("labels", "named"), [([0, 1, 2], set()), ([4, 4, 4], OF_IMAGES), ([3], set())])
def test_what_cannot_be_computed_is_left_out(labels: list[int], named: set[str]) -> None:
    assert set(measured(seen_as(torch.randn(len(labels), 4), labels)).measures()) == named


def test_shares_below_one_pair_are_named() -> None:
    note = measured(seen_as(embedded(LABELS[:40]), LABELS[:40])).unresolved()
    others = int((LABELS[:40, None] != LABELS[:40]).sum() // 2)
    assert 100 < others < 1_000
    assert note.startswith(f"tar_at_far_0.001, tar_at_far_0.0001: {others} pairs that do not match")
    assert f"{1 / others:.3g}" in note
    ten = [0, 0, 1, 1, 1, 1, 1]
    assert (
        measured(seen_as(embedded(ten), ten)).unresolved().startswith("tar_at_far_0.01, ")
    )  # 0.1 is one pair
    many = np.arange(160) % 8
    assert measured(seen_as(embedded(many), many)).unresolved() == ""


def test_embeddings_that_are_no_numbers_are_refused() -> None:
    embeddings = embedded(LABELS)
    embeddings[3, 2] = float("nan")
    embeddings[5, 1] = float("inf")
    with pytest.raises(
        ValueError, match=r"embeddings of 2 of 72 images of val are not finite numbers.*optimizer\.lr"
    ):
        check_finite(seen_as(embeddings, LABELS), split="val")
    check_finite(seen_as(embedded(LABELS), LABELS), split="val")
