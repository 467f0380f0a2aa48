"""How many matching pairs are accepted, against how many others, at every threshold of the distance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Roc:
    """Shares of pairs that are accepted, which means taken for the same, at T thresholds.

    Attributes:
        far: (T,), false accepts as a share of the pairs that do not match, ascending from 0 to 1.
        tar: (T,), true accepts as a share of those that match, ascending from 0 to 1.
        thresholds: (T,), ascending; a pair is accepted up to this distance. The first is -inf.
    """

    far: Numbers
    tar: Numbers
    thresholds: Numbers


def roc(distance: Numbers, same: Flags) -> Roc:
    """The curve of P pairs with all of its points; without any where one of the kinds is missing.

    Args:
        distance: (P,).
        same: (P,), whether a pair matches.
    """
    if same.all() or not same.any():
        return Roc(far=np.empty(0), tar=np.empty(0), thresholds=np.empty(0))
    far, tar, thresholds = roc_curve(same, -distance, drop_intermediate=False)
    return Roc(far=far, tar=tar, thresholds=-thresholds)


def area(curve: Roc) -> float:
    """The area under a curve: how often a matching pair is nearer than another one; nan without points."""
    return float(np.trapezoid(curve.tar, curve.far)) if len(curve.far) else float("nan")


def equal_error_rate(curve: Roc) -> float:
    """The share of errors where both kinds have the same, in [0, 1]; nan without points.

    False accepts rise and false rejects fall with the threshold; where they cross lies on the straight line
    between two points of the curve.
    """
    if not len(curve.far):
        return float("nan")
    excess = curve.far - (1 - curve.tar)  # rises from -1 to 1
    after = int(np.argmax(excess >= 0))
    share = -excess[after - 1] / (excess[after] - excess[after - 1])
    return float(curve.far[after - 1] + share * (curve.far[after] - curve.far[after - 1]))


def tar_at_far(curve: Roc, target: float) -> float:
    """The largest share of true accepts that no more than ``target`` false ones cost; nan without points."""
    allowed = curve.tar[curve.far <= target]
    return float(allowed[-1]) if len(allowed) else float("nan")


def accepted(distance: Numbers, same: Flags, *, threshold: float) -> tuple[float, float]:
    """True and false accepts at a threshold, as shares of their kind; nan where there is none."""
    judged = distance <= threshold
    return _share(judged[same]), _share(judged[~same])


def _share(judged: Flags) -> float:
    return float(judged.mean()) if len(judged) else float("nan")
