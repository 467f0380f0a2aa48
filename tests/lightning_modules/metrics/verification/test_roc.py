"""The curve of accepted pairs against scikit-learn, torchmetrics and slow loops."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torchmetrics.classification import BinaryEER

from lightning_modules.metrics.verification.roc import accepted, area, equal_error_rate, roc, tar_at_far
from tests.lightning_modules.metrics.verification.made import Flags, Numbers, distances

TIES = pytest.mark.parametrize("ties", [False, True], ids=["no ties", "ties"])


def slow_curve(distance: Numbers, same: Flags) -> list[tuple[float, float]]:
    """False and true accepts, at no distance and at each distance, ascending."""
    points = [(0.0, 0.0)]
    for threshold in sorted(set(distance.tolist())):
        yes = [bool(kind) for each, kind in zip(distance, same, strict=True) if each <= threshold]
        points.append((yes.count(False) / int((~same).sum()), yes.count(True) / int(same.sum())))
    return points


@TIES
def test_area_is_that_of_sklearn(ties: bool) -> None:
    distance, same = distances(matching=120, others=400, ties=ties)
    assert area(roc(distance, same)) == pytest.approx(roc_auc_score(same, -distance), abs=1e-12)
    assert 0.8 < area(roc(distance, same)) < 0.99


@TIES
def test_the_curve_has_every_point(ties: bool) -> None:
    distance, same = distances(matching=40, others=90, ties=ties)
    curve = roc(distance, same)
    np.testing.assert_allclose(np.stack([curve.far, curve.tar], axis=1), slow_curve(distance, same))
    assert (np.diff(curve.thresholds) > 0).all()
    assert curve.thresholds[0] == -math.inf
    for far, tar, threshold in zip(curve.far, curve.tar, curve.thresholds, strict=True):
        assert accepted(distance, same, threshold=threshold) == pytest.approx((tar, far))


@TIES
def test_equal_error_rate_is_where_the_errors_cross(ties: bool) -> None:
    distance, same = distances(matching=60, others=170, ties=ties, seed=1)
    points = slow_curve(distance, same)
    for (far, tar), (next_far, next_tar) in pairwise(points):
        if next_far >= 1 - next_tar:
            shares = np.linspace(0, 1, 100_001)
            fars, rejects = far + shares * (next_far - far), 1 - tar - shares * (next_tar - tar)
            expected = fars[np.abs(fars - rejects).argmin()]
            break
    assert equal_error_rate(roc(distance, same)) == pytest.approx(expected, abs=1e-5)


def test_equal_error_rate_is_that_of_torchmetrics() -> None:
    distance, same = distances(matching=3_000, others=7_000, seed=2)
    theirs = BinaryEER()(torch.from_numpy(-distance), torch.from_numpy(same).long())
    # Theirs takes the nearest point of the curve, which is within one pair of the crossing.
    assert equal_error_rate(roc(distance, same)) == pytest.approx(float(theirs), abs=1 / 3_000)


def test_equal_error_rate_by_hand() -> None:
    # Accepted one by one: matching, other, matching, other; the errors are equal after two, 1/2 each.
    assert equal_error_rate(roc(np.array([0.1, 0.2, 0.3, 0.4]), np.array([1, 0, 1, 0], bool))) == 0.5
    # All at once: on the way from (0, 0) to (1, 1).
    assert equal_error_rate(roc(np.ones(4), np.array([1, 0, 1, 0], bool))) == 0.5
    assert equal_error_rate(roc(np.array([0.1, 0.2, 0.3, 0.4]), np.array([1, 1, 0, 0], bool))) == 0.0
    assert equal_error_rate(roc(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 0, 1, 1], bool))) == 1.0


@TIES
@pytest.mark.parametrize("target", [0.1, 0.01, 0.001])
def test_true_accepts_at_a_share_of_false_ones(target: float, ties: bool) -> None:
    distance, same = distances(matching=50, others=200, ties=ties)
    allowed = [tar for far, tar in slow_curve(distance, same) if far <= target]
    assert tar_at_far(roc(distance, same), target) == pytest.approx(max(allowed))


def test_a_share_that_is_met_exactly_is_allowed() -> None:
    distance = np.arange(20) / 20
    same = np.arange(20) % 2 == 1  # an other pair before each matching one
    assert tar_at_far(roc(distance, same), 0.1) == 0.1
    assert tar_at_far(roc(distance, same), 0.0999) == 0.0


@pytest.mark.parametrize("kind", [True, False])
def test_pairs_of_one_kind_have_no_curve(kind: bool) -> None:
    curve = roc(np.array([0.1, 0.2]), np.array([kind, kind]))
    assert len(curve.far) == len(curve.tar) == len(curve.thresholds) == 0
    assert all(math.isnan(value) for value in (area(curve), equal_error_rate(curve), tar_at_far(curve, 0.1)))
