"""Measures of segmentation against slow loops and torchmetrics."""

import math
from collections.abc import Iterable
from itertools import product

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation, distance_transform_edt
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

from lightning_modules.metrics.boundary import Labels, boundary_f1
from lightning_modules.metrics.segmentation import Tally, joined

IGNORED = 255
Pair = tuple[Labels, Labels]


def pairs(*, classes: int, missing: tuple[int, ...] = (), count: int = 4) -> list[Pair]:
    """Truth with ignored pixels, and predictions that are right for two pixels of three."""
    generator = np.random.default_rng(classes)
    found = []
    for number in range(count):
        truth = generator.integers(classes, size=(9 + number, 14)).astype(np.uint8)
        truth[np.isin(truth, missing)] = 0
        predicted = np.where(generator.random(truth.shape) < 0.67, truth, generator.permuted(truth))
        truth[generator.random(truth.shape) < 0.1] = IGNORED
        found.append((truth, predicted.astype(np.uint8)))
    return found


def tally(pictures: list[Pair], *, classes: int) -> Tally:
    found = Tally(num_classes=classes, ignored=IGNORED)
    for truth, predicted in pictures:
        found.add(truth, predicted, loss=float((truth != IGNORED).sum()))
    return found


def slow_measures(pictures: list[Pair], *, classes: int) -> dict[str, float]:
    """The definitions of FCN, pixel by pixel: n_ij pixels of class i predicted as j, t_i of class i."""
    n = [[0] * classes for _ in range(classes)]
    for truth, predicted in pictures:
        for i, j in zip(truth.flatten().tolist(), predicted.flatten().tolist(), strict=True):
            if i != IGNORED:
                n[i][j] += 1
    t = [sum(row) for row in n]
    p = [sum(n[i][j] for i in range(classes)) for j in range(classes)]
    iu = {i: n[i][i] / (t[i] + p[i] - n[i][i]) for i in range(classes) if t[i] + p[i]}
    accuracies = [n[i][i] / t[i] for i in range(classes) if t[i]]
    return {
        "pixel_accuracy": sum(n[i][i] for i in range(classes)) / sum(t),
        "mean_accuracy": sum(accuracies) / len(accuracies),
        "miou": sum(iu.values()) / len(iu),
        "fw_iou": sum(t[i] * iu[i] for i in iu) / sum(t),
    }


@pytest.mark.parametrize("missing", [(), (2, 3)], ids=["all classes", "two absent"])
def test_measures_are_those_of_fcn(missing: tuple[int, ...]) -> None:
    pictures = pairs(classes=5, missing=missing)
    pictures[0][1][0, 0] = (
        3  # where class 3 is absent it is predicted, and class 2 neither is nor is predicted
    )
    pictures[0][0][0, 0] = 1
    found = tally(pictures, classes=5).measured()
    measures = found.measures()
    for name, expected in slow_measures(pictures, classes=5).items():
        assert measures[name] == pytest.approx(expected, abs=1e-12), name
    assert measures["loss"] == pytest.approx(1.0)
    if missing:
        assert np.isnan(found.iou[2]) and found.iou[3] == 0
        assert np.isnan(found.accuracy[2]) and np.isnan(found.accuracy[3])


def test_measures_are_those_of_torchmetrics() -> None:
    pictures = pairs(classes=5, missing=(2,))
    found = tally(pictures, classes=5).measured().measures()
    theirs = {
        "miou": MulticlassJaccardIndex(5, average="macro", ignore_index=IGNORED),
        "fw_iou": MulticlassJaccardIndex(5, average="weighted", ignore_index=IGNORED),
        "pixel_accuracy": MulticlassAccuracy(5, average="micro", ignore_index=IGNORED),
        "mean_accuracy": MulticlassAccuracy(5, average="macro", ignore_index=IGNORED),
    }
    for name, metric in theirs.items():
        for truth, predicted in pictures:
            metric.update(torch.from_numpy(predicted), torch.from_numpy(truth).long())
        assert found[name] == pytest.approx(float(metric.compute()), abs=1e-5), name


def test_rows_of_the_confusion_are_the_truth() -> None:
    truth, predicted = np.array([[0, 0, 1, IGNORED]], np.uint8), np.array([[0, 1, 1, 1]], np.uint8)
    found = tally([(truth, predicted)], classes=2).measured()
    assert found.confusion.tolist() == [[1, 1], [0, 1]]
    assert found.confusion.dtype == np.int64
    assert found.iou.tolist() == [0.5, 0.5]
    assert found.accuracy.tolist() == [0.5, 1.0]


def test_the_whole_set_is_measured_and_not_the_mean_of_its_pictures() -> None:
    """One pixel of class 1 is missed in a picture where it is alone, 99 are found in another."""
    few, many = np.zeros((10, 10), np.uint8), np.ones((10, 10), np.uint8)
    few[0, 0], many[0, 0] = 1, 0
    pictures = [(few, np.zeros_like(few)), (many, many)]
    whole = tally(pictures, classes=2).measured().iou[1]
    means = np.mean([tally([picture], classes=2).measured().iou[1] for picture in pictures])
    assert whole == pytest.approx(0.99)
    assert means == pytest.approx(0.5)


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_measure_together_what_one_measures(processes: int) -> None:
    pictures = pairs(classes=6, count=7)
    alone = tally(pictures, classes=6).measured()
    parts = [tally(pictures[rank::processes][::-1], classes=6) for rank in range(processes)]
    together = joined(parts).measured()
    assert (together.confusion == alone.confusion).all()
    np.testing.assert_allclose(together.boundary_f1, alone.boundary_f1, rtol=1e-14)
    assert together.measures() == pytest.approx(alone.measures(), rel=1e-14)


def test_a_process_without_pictures_changes_nothing() -> None:
    some = tally(pairs(classes=3), classes=3)
    together = joined([tally([], classes=3), some]).measured()
    assert together.measures() == some.measured().measures()


@pytest.mark.filterwarnings("error")
def test_where_nothing_counts_nothing_is_known() -> None:
    truth = np.full((4, 4), IGNORED, np.uint8)
    found = tally([(truth, np.zeros_like(truth))], classes=3).measured()
    assert not found.confusion.any()
    assert all(math.isnan(value) for value in found.measures().values())
    assert np.isnan(found.boundary_f1).all()


# --- Contours -------------------------------------------------------------------------------------------


def slow_boundary_f1(truth: Labels, predicted: Labels, *, classes: int) -> list[float]:
    height, width = truth.shape
    tolerance = max(1.0, 0.0075 * math.sqrt(height**2 + width**2)) + 1e-9
    # Of pixels that are equally near the one that SciPy takes.
    slack, (rows, columns) = distance_transform_edt(truth == IGNORED, return_indices=True)
    filled = truth[rows, columns]

    def contour(labels: Labels, c: int) -> dict[tuple[int, int], bool]:
        found = {}
        for y, x in product(range(height), range(width)):
            around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            others = [(v, u) for v, u in around if 0 <= v < height and 0 <= u < width and labels[v, u] != c]
            if labels[y, x] == c and others:
                found[y, x] = truth[y, x] != IGNORED and any(truth[v, u] != IGNORED for v, u in others)
        return found

    def near(point: tuple[int, int], others: Iterable[tuple[int, int]], slack: float) -> bool:
        return any(math.dist(point, other) <= tolerance + slack for other in others)

    scores = []
    for c in range(classes):
        true, guessed = contour(filled, c), contour(predicted, c)
        if not true and not any(guessed.values()):
            scores.append(math.nan)
        elif not true or not guessed:
            scores.append(0.0)
        else:
            found = [near(point, guessed, slack[point]) for point in true]
            judged = []
            for point, certain in guessed.items():
                is_right = any(near(point, [other], certain * slack[other]) for other in true)
                judged += [is_right] if is_right or certain else []
            recall = sum(found) / len(found)
            precision = sum(judged) / len(judged) if judged else 1.0
            scores.append(2 * recall * precision / (recall + precision) if recall + precision else 0.0)
    return scores


def square(*, top: int, left: int, side: int = 10, size: tuple[int, int] = (40, 40)) -> Labels:
    labels = np.zeros(size, np.uint8)
    labels[top : top + side, left : left + side] = 1
    return labels


def both(truth: Labels, predicted: Labels, *, classes: int = 2) -> list[float]:
    """The score of each class, which the slow loop gives, too."""
    found: list[float] = boundary_f1(truth, predicted, num_classes=classes, ignored=IGNORED).tolist()
    assert found == pytest.approx(slow_boundary_f1(truth, predicted, classes=classes), abs=1e-12, nan_ok=True)
    return found


@pytest.mark.parametrize("size", [(9, 14), (40, 30)])
def test_contours_of_noise_are_those_of_the_slow_loop(size: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    truth = np.repeat(np.repeat(generator.integers(4, size=size), 5, 0), 5, 1)[: size[0], : size[1]].astype(
        np.uint8
    )
    predicted = np.roll(truth, 2, axis=1)
    predicted[generator.random(size) < 0.05] = 2
    truth[generator.random(size) < 0.1] = IGNORED
    scores = both(truth, predicted, classes=5)
    assert any(0 < score < 1 for score in scores)
    assert math.isnan(scores[4])


def test_a_contour_may_be_off_by_the_tolerance() -> None:
    truth = square(top=10, left=10)
    assert both(truth, truth) == [1.0, 1.0]
    assert both(truth, square(top=10, left=11)) == [1.0, 1.0]  # 0.75 % of 57 pixels is less than one
    far = both(truth, square(top=10, left=14))
    assert all(0 < score < 1 for score in far)


def test_the_tolerance_grows_with_the_picture() -> None:
    wide = {"size": (160, 300)}  # 0.75 % of 340 pixels are 2.55
    truth = square(top=20, left=20, side=30, **wide)
    found = [
        boundary_f1(
            truth,
            square(top=20, left=20 + shift, side=30, **wide),
            num_classes=2,
            ignored=IGNORED,
        )[1]
        for shift in (2, 3)
    ]
    assert found[0] == 1.0
    assert found[1] < 1.0


def test_what_is_missed_and_what_is_made_up_both_score_nothing() -> None:
    nothing, object_ = np.zeros((40, 40), np.uint8), square(top=5, left=5)
    assert both(object_, nothing) == [0.0, 0.0]
    assert both(nothing, object_) == [0.0, 0.0]
    assert [math.isnan(score) for score in both(nothing, nothing)] == [True, True]


def rimmed(*, width: int) -> tuple[Labels, Labels]:
    """An object, and the same with a ring of ignored pixels around it, as VOC has."""
    whole = square(top=10, left=10, side=20)
    inside = whole == 1
    ring = binary_dilation(inside, iterations=width - width // 2) & ~square(
        top=10 + width // 2, left=10 + width // 2, side=20 - 2 * (width // 2)
    ).astype(bool)
    return whole, np.where(ring, IGNORED, whole).astype(np.uint8)


@pytest.mark.parametrize("width", [1, 2, 3, 5, 7])
def test_a_rim_of_ignored_pixels_is_no_contour(width: int) -> None:
    whole, truth = rimmed(width=width)
    for constant in (0, 1):
        found = boundary_f1(truth, np.full_like(truth, constant), num_classes=2, ignored=IGNORED)
        assert found.tolist() == [0.0, 0.0]
    assert both(truth, whole) == [1.0, 1.0]
    shifted = both(truth, np.roll(whole, 9, axis=1))
    assert all(0 < score < 0.9 for score in shifted)


@pytest.mark.parametrize("width", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("inside", ["object", "background", "noise"])
def test_what_is_predicted_in_ignored_pixels_is_never_wrong(width: int, inside: str) -> None:
    _, truth = rimmed(width=width)
    noise = np.random.default_rng(0).integers(2, size=truth.shape)
    fills = {"object": np.ones_like(truth), "background": np.zeros_like(truth), "noise": noise}
    assert both(truth, np.where(truth == IGNORED, fills[inside], truth).astype(np.uint8)) == [1.0, 1.0]


def test_an_object_made_up_in_ignored_pixels_says_nothing() -> None:
    truth = np.zeros((40, 40), np.uint8)
    truth[5:25, 5:25] = IGNORED
    assert all(math.isnan(score) for score in both(truth, square(top=10, left=10)))
    assert both(truth, square(top=20, left=20)) == [0.0, 0.0]  # it reaches out of them


def test_where_regions_meet_at_ignored_pixels_every_prediction_there_is_right() -> None:
    generator = np.random.default_rng(0)
    for _ in range(5):
        truth = np.kron(generator.integers(3, size=(4, 4)), np.ones((9, 9))).astype(np.uint8)
        top, left = generator.integers(20, size=2)
        truth[top : top + 14, left : left + 11] = IGNORED
        noise = generator.integers(3, size=truth.shape)
        predicted = np.where(truth == IGNORED, noise, truth).astype(np.uint8)
        found = boundary_f1(truth, predicted, num_classes=3, ignored=IGNORED)
        assert np.nanmin(found) == 1.0


def test_contours_are_averaged_over_pictures_and_then_over_classes() -> None:
    good, bad = square(top=10, left=10), square(top=25, left=25)
    empty = np.zeros((40, 40), np.uint8)
    three = good.copy()
    three[30:35, 30:35] = 2
    pictures = [(good, good), (good, bad), (empty, empty), (three, three)]
    found = tally(pictures, classes=4).measured()
    scores = np.array([slow_boundary_f1(*picture, classes=4) for picture in pictures])
    assert found.boundary_f1[:3] == pytest.approx(np.nanmean(scores[:, :3], axis=0))
    assert found.boundary_f1[2] == 1.0 and math.isnan(found.boundary_f1[3])
    assert found.measures()["boundary_f1"] == pytest.approx(found.boundary_f1[:3].mean())
