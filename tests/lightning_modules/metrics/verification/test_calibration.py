"""The threshold and the probability of a distance, against slow searches."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from lightning_modules.metrics.verification.calibration import LEAST, RIDGE, best_threshold, logistic
from lightning_modules.metrics.verification.protocol import balanced_accuracy
from tests.lightning_modules.metrics.verification.made import Numbers, distances


def slow_best(distance: Numbers, same: Numbers) -> float:
    """The best balanced accuracy of any threshold."""
    candidates = [distance.min() - 1, *(distance + 1e-9), *(distance - 1e-9)]
    return max(((distance[same] <= each).mean() + (distance[~same] > each).mean()) / 2 for each in candidates)


@pytest.mark.parametrize("ties", [False, True], ids=["no ties", "ties"])
@pytest.mark.parametrize(("matching", "others"), [(30, 30), (10, 200), (150, 20)])
def test_no_threshold_is_better(matching: int, others: int, ties: bool) -> None:
    for seed in range(5):
        distance, same = distances(matching=matching, others=others, ties=ties, seed=seed)
        found = balanced_accuracy(distance, same, threshold=best_threshold(distance, same))
        assert found == pytest.approx(slow_best(distance, same), abs=1e-12)


@pytest.mark.parametrize(
    ("matching", "others", "expected"),
    [
        ([0.1, 0.3], [0.7, 0.9], 0.5),  # the middle of the gap
        ([0.1, 0.4], [0.3, 0.9], 0.65),  # 0.1 to 0.3 is as good, and narrower
        ([0.1, 0.8], [0.5, 0.9], 0.3),  # 0.8 to 0.9 is as good, and narrower
        ([0.2, 0.2], [0.2, 0.2], 0.2),
        ([0.8, 0.9], [0.1, 0.2], 0.9),  # the wrong way round: all or nothing is the best
    ],
)
def test_thresholds_by_hand(matching: list[float], others: list[float], expected: float) -> None:
    distance, same = np.array(matching + others), np.array([True] * 2 + [False] * 2)
    for order in (slice(None), slice(None, None, -1)):
        assert best_threshold(distance[order], same[order]) == pytest.approx(expected)


def test_the_threshold_does_not_depend_on_how_many_pairs_there_are_of_a_kind() -> None:
    distance, same = distances(matching=40, others=40)
    twice = np.repeat(np.arange(80), np.where(same, 1, 25))
    assert best_threshold(distance[twice], same[twice]) == best_threshold(distance, same)


def test_nothing_is_calibrated_by_one_kind() -> None:
    for same in (np.ones(3, bool), np.zeros(3, bool)):
        assert math.isnan(best_threshold(np.arange(3.0), same))
        assert np.isnan(logistic(np.arange(3.0), same, threshold=1.0)).all()


@pytest.mark.parametrize("scale", [0.01, 1.0, 50.0])
def test_probabilities_are_those_of_logistic_regression(scale: float) -> None:
    distance, same = distances(matching=100, others=300)
    distance, threshold = distance * scale, 1.1 * scale
    scaled = (threshold - distance) / distance.std()
    weights = np.where(same, 0.5 / same.sum(), 0.5 / (~same).sum())

    def loss(slope: float) -> float:
        logits = slope * scaled
        losses = np.logaddexp(0, np.where(same, -logits, logits))
        return float((weights * losses).sum() + RIDGE / 2 * slope**2)

    best = minimize_scalar(loss, bounds=(0, 100), method="bounded", options={"xatol": 1e-9}).x
    intercept, slope = logistic(distance, same, threshold=threshold)
    assert slope * distance.std() == pytest.approx(-best, rel=1e-3)
    assert intercept == pytest.approx(-slope * threshold)
    assert slope < 0


def test_both_kinds_weigh_the_same() -> None:
    distance, same = distances(matching=2_000, others=2_000)
    few = np.flatnonzero(~same | (np.cumsum(same) <= 200))
    part, whole = (logistic(distance[some], same[some], threshold=1.0) for some in (few, slice(None)))
    np.testing.assert_allclose(part, whole, rtol=0.1)


def test_pairs_that_are_told_apart_and_pairs_that_are_all_alike() -> None:
    same = np.array([1, 1, 0, 0], bool)
    intercept, slope = logistic(np.array([0.1, 0.2, 0.8, 0.9]), same, threshold=0.5)
    assert math.isfinite(slope)
    assert 1 / (1 + math.exp(-(intercept + slope * 0.1))) > 0.99
    assert logistic(np.ones(4), same, threshold=1.0) == pytest.approx([LEAST, -LEAST])


def test_no_distance_makes_images_more_alike() -> None:
    """Pairs that are the wrong way round say nothing, rather than the contrary of the threshold."""
    distance, same = np.array([0.8, 0.9, 0.1, 0.2]), np.array([1, 1, 0, 0], bool)
    intercept, slope = logistic(distance, same, threshold=0.9)
    assert slope == pytest.approx(-LEAST / distance.std())
    assert intercept == pytest.approx(-0.9 * slope)
