"""Boxes of several detectors as one list, against slow loops and against ensemble-boxes."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from ensemble_boxes.ensemble_boxes_nms import cpu_soft_nms_float
from torch import Tensor

from lightning_modules.fusion_of_boxes import SAME_OBJECT, SIGMA, Found, fused_boxes, softly_suppressed

SIZE = (60, 100)


def found(*rows: tuple[float, float, float, float, float, int]) -> Found:
    """Detections of x1 y1 x2 y2 score label."""
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return {"boxes": table[:, :4], "scores": table[:, 4], "labels": table[:, 5].long()}


def many(seed: int, *, count: int = 12) -> Found:
    """Boxes around few places, so that many overlap."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, 3, (count, 2), generator=generator) * torch.tensor([30.0, 18.0])
    corner = corner + 4 * torch.rand(count, 2, generator=generator)
    size = 15 + 4 * torch.rand(count, 2, generator=generator)
    return {
        "boxes": torch.cat([corner, corner + size], dim=1),
        "scores": torch.rand(count, generator=generator),
        "labels": torch.randint(0, 2, (count,), generator=generator),
    }


def overlap(a: list[float], b: list[float]) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inside = max(0.0, wide) * max(0.0, high)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return inside / (sum(areas) - inside)


def slow_wbf(answers: list[Found], weights: list[float]) -> list[tuple[float, list[float], int]]:
    """Weighted boxes fusion as the paper says it, section 3: score, box and label."""
    rows = [
        (score * weight, weight, box, label)
        for answer, weight in zip(answers, weights, strict=True)
        for box, score, label in zip(
            *(answer[key].tolist() for key in ("boxes", "scores", "labels")), strict=True
        )
    ]
    clusters: list[list[Any]] = []
    for row in sorted(rows, key=lambda row: -row[0]):
        shared = [
            overlap(mean_box(cluster), row[2]) if cluster[0][3] == row[3] else 0.0 for cluster in clusters
        ]
        if shared and max(shared) > SAME_OBJECT:
            clusters[shared.index(max(shared))].append(row)
        else:
            clusters.append([row])
    scored = [
        (
            sum(row[0] for row in rows) / len(rows) * min(len(rows), len(answers)) / sum(weights),
            mean_box(rows),
            rows[0][3],
        )
        for rows in clusters
    ]
    return sorted(scored, key=lambda each: -each[0])


def mean_box(rows: list[Any]) -> list[float]:
    total = sum(row[0] for row in rows)
    return [sum(row[0] * row[2][side] for row in rows) / total for side in range(4)]


@pytest.mark.parametrize("weights", [[1 / 3] * 3, [0.6, 0.3, 0.1]])
def test_weighted_fusion_is_that_of_the_paper(weights: list[float]) -> None:
    answers = [many(seed) for seed in range(3)]
    fused = fused_boxes(answers, weights=weights, size=SIZE, fusion="wbf")
    expected = slow_wbf(answers, weights)
    assert len(fused["scores"]) == len(expected) < 36
    for place, (score, box, label) in enumerate(expected):
        assert float(fused["scores"][place]) == pytest.approx(score, abs=1e-6)
        assert fused["boxes"][place].tolist() == pytest.approx(box, abs=1e-4)
        assert int(fused["labels"][place]) == label


def test_what_one_of_two_found_has_half_of_its_score() -> None:
    both, one = (10.0, 10.0, 30.0, 30.0, 0.8, 1), (50.0, 10.0, 70.0, 30.0, 0.6, 0)
    fused = fused_boxes([found(both, one), found(both)], weights=[0.5, 0.5], size=SIZE, fusion="wbf")
    assert fused["scores"].tolist() == pytest.approx([0.8, 0.3])
    assert fused["labels"].tolist() == [1, 0]


def slow_soft(given: Found) -> list[float]:
    """Bodla's loop, each class by itself."""
    scores = given["scores"].tolist()
    boxes, labels = given["boxes"].tolist(), given["labels"].tolist()
    waiting = list(range(len(scores)))
    while waiting:
        best = max(waiting, key=lambda place: scores[place])
        waiting.remove(best)
        for place in waiting:
            if labels[place] == labels[best]:
                scores[place] *= math.exp(-(overlap(boxes[best], boxes[place]) ** 2) / SIGMA)
    return scores


def test_soft_suppression_is_that_of_a_slow_loop_and_of_the_library() -> None:
    given = many(5, count=20)
    lessened = softly_suppressed(**given)
    assert lessened.tolist() == pytest.approx(slow_soft(given), abs=1e-6)
    # The library changes the scores that it is given, and returns places.
    alone = {key: value[given["labels"] == 0] for key, value in given.items()}
    theirs = alone["scores"].double().numpy().copy()
    boxes = alone["boxes"].double().numpy()
    cpu_soft_nms_float(boxes, theirs, Nt=0.5, sigma=SIGMA, thresh=0.001, method=2)
    assert sorted(softly_suppressed(**alone).tolist()) == pytest.approx(sorted(theirs.tolist()), abs=1e-6)


def test_soft_suppression_lessens_what_is_returned() -> None:
    boxes = found((10, 10, 30, 30, 0.9, 0), (11, 10, 31, 30, 0.8, 0), (11, 10, 31, 30, 0.7, 1))
    fused = fused_boxes([boxes], weights=[1.0], size=SIZE, fusion="soft_nms")
    assert fused["labels"].tolist() == [0, 1, 0]
    assert fused["scores"].tolist()[:2] == pytest.approx([0.9, 0.7])
    assert float(fused["scores"][2]) == pytest.approx(0.8 * math.exp(-((380 / 420) ** 2) / SIGMA))


def test_plain_suppression_keeps_the_most_certain_of_each_class() -> None:
    first = found((10, 10, 30, 30, 0.6, 0), (50, 10, 70, 30, 0.5, 1))
    second = found((11, 10, 31, 30, 0.9, 0), (10, 10, 30, 30, 0.4, 1))
    fused = fused_boxes([first, second], weights=[0.5, 0.5], size=SIZE, fusion="nms")
    assert fused["boxes"].tolist() == [[11, 10, 31, 30], [50, 10, 70, 30], [10, 10, 30, 30]]
    assert fused["scores"].tolist() == pytest.approx([0.9, 0.5, 0.4])
    fused = fused_boxes([first, second], weights=[0.8, 0.2], size=SIZE, fusion="nms")
    assert fused["boxes"][0].tolist() == [10, 10, 30, 30]


@pytest.mark.parametrize("fusion", ["wbf", "soft_nms", "nms"])
def test_a_single_list_stays_as_it_is(fusion: str) -> None:
    alone = found((5, 5, 25, 25, 0.9, 0), (60, 30, 99, 59, 0.5, 1), (6, 5, 26, 25, 0.4, 1))
    for count in (1, 3):
        fused = fused_boxes([alone] * count, weights=[1 / count] * count, size=SIZE, fusion=fusion)
        kept = slice(0, 3)
        if fusion == "soft_nms" and count > 1:  # it keeps copies, with less
            kept = slice(0, 1)
        torch.testing.assert_close(fused["boxes"][kept], alone["boxes"][kept], rtol=0, atol=1e-4)
        torch.testing.assert_close(fused["scores"][kept], alone["scores"][kept], rtol=0, atol=1e-6)


@pytest.mark.parametrize("fusion", ["wbf", "soft_nms", "nms"])
def test_nothing_found_is_nothing(fusion: str) -> None:
    fused = fused_boxes([found(), found()], weights=[0.5, 0.5], size=SIZE, fusion=fusion)
    assert fused["boxes"].shape == (0, 4)
    assert fused["labels"].dtype == torch.int64


def test_boxes_are_cut_at_the_image_and_nonsense_is_left_out() -> None:
    given = found((-5, 40, 20, 80, 0.9, 0), (float("nan"), 1, 5, 5, 0.8, 0), (120, 10, 130, 20, 0.7, 0))
    for fusion in ("wbf", "soft_nms", "nms"):
        fused = fused_boxes([given], weights=[1.0], size=SIZE, fusion=fusion)
        assert fused["boxes"].tolist() == [pytest.approx([0, 40, 20, 60])]


def filled(box: list[int]) -> Tensor:
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def test_a_fused_box_has_the_mask_of_the_most_certain_that_went_into_it() -> None:
    # Two are less sure: the fused box is nearer to theirs.
    places = [[10, 10, 30, 30], [11, 10, 31, 30], [10, 10, 30, 30]]
    scores = [0.6, 0.8, 0.6]
    answers = [
        {**found((*place, score, 0)), "masks": filled(place)[None]}  # type: ignore[arg-type]
        for place, score in zip(places, scores, strict=True)
    ]
    other = {**found((10, 10, 30, 30, 0.9, 1)), "masks": filled([0, 0, 1, 1])[None]}
    fused = fused_boxes([*answers, other], weights=[1 / 4] * 4, size=SIZE, fusion="wbf")
    for place, label in enumerate(fused["labels"].tolist()):
        expected = filled(places[1]) if label == 0 else filled([0, 0, 1, 1])
        assert torch.equal(fused["masks"][place], expected)
    plain = fused_boxes(answers, weights=[1 / 3] * 3, size=SIZE, fusion="nms")
    assert torch.equal(plain["masks"], filled(places[1])[None])
    assert np.prod(plain["masks"].shape) == SIZE[0] * SIZE[1]
