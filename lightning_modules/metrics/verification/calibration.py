"""What a distance means: up to which two images show the same, and how probable it is."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from lightning_modules.metrics.verification.roc import Flags, Numbers

RIDGE = 1e-4
"""Weight of half the squared slope, per standard deviation, against the mean loss: where no pair is judged
wrongly, the best slope would be infinite."""

LEAST = 1e-4
"""Slope per standard deviation of pairs whose distance says nothing, or the contrary."""


def best_threshold(distance: Numbers, same: Flags) -> float:
    """The distance up to which to take two images for the same.

    It is the one with the highest balanced accuracy: the mean of the shares of matching and of other pairs
    that are judged rightly, whichever kind there are more of. Between two distances every threshold is
    the same, and the middle is taken; of several gaps that are equally good, the widest.

    Args:
        distance: (P,).
        same: (P,), whether a pair matches.

    Returns:
        nan where one of the kinds is missing.
    """
    order = np.argsort(distance, kind="stable")
    return best_of_sorted(distance[order], same[order])


def best_of_sorted(distance: Numbers, same: Flags) -> float:
    """As ``best_threshold``, of distances that ascend."""
    matching = int(same.sum())
    if not 0 < matching < len(same):
        return float("nan")
    true = np.cumsum(same)
    false = np.arange(1, len(same) + 1) - true
    width = np.diff(distance)
    # After the last of equal distances. A threshold above all is as good as one below all.
    ends = np.append(np.flatnonzero(width > 0), len(same) - 1)
    # In whole numbers, so that equally good is equal.
    gain = true[ends] * (len(same) - matching) - false[ends] * matching
    best = ends[gain == gain.max()]
    inner = best[best < len(same) - 1]
    if not len(inner):
        return float(distance[-1])
    widest = inner[np.argmax(width[inner])]
    return float(distance[widest] + width[widest] / 2)


def logistic(distance: Numbers, same: Flags, *, threshold: float) -> Numbers:
    """How the probability that two images show the same falls with their distance.

    A logistic regression on ``threshold - distance`` without an intercept: at the threshold it is as
    probable as not, so that whoever judges by one of them judges by the other.

    Args:
        distance: (P,).
        same: (P,), whether a pair matches; both kinds weigh the same, however many pairs they have.
        threshold: The distance up to which two images are taken for the same.

    Returns:
        (2,) for P(same) = sigmoid(result[0] + result[1] * distance), where result[1] is below 0 and
        result[0] is -result[1] * threshold; nan where one of the kinds is missing.
    """
    if same.all() or not same.any():
        return np.full(2, np.nan)
    spread = distance.std() or 1.0
    scaled = ((threshold - distance) / spread)[:, None]
    regression = LogisticRegression(
        C=1 / (RIDGE * len(same)), class_weight="balanced", fit_intercept=False, tol=1e-6
    )
    slope = max(regression.fit(scaled, same).coef_[0, 0], LEAST) / spread
    return np.array([slope * threshold, -slope])
