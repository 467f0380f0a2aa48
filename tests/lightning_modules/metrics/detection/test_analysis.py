"""What tables and figures get, against the measures and slow loops."""

import numpy as np
import pytest

from lightning_modules.metrics.detection.analysis import analyse, best_threshold
from lightning_modules.metrics.detection.matching import matched, objects_to_find
from lightning_modules.metrics.detection.measures import detection_measures
from tests.lightning_modules.metrics.detection.images import random_images, written

NAMES = ["cat", "dog", "cow", "absent"]


def test_the_means_of_the_table_are_the_measures() -> None:
    judged = random_images(30, with_masks=True, most=40)
    measures = detection_measures(judged, num_classes=4, with_masks=True)
    analysis = analyse(judged, class_names=NAMES)
    rows = analysis["per_class"]
    for column, measure in {
        "ap": "map",
        "ap_50": "map_50",
        "ap_75": "map_75",
        "recall": "mar_100",
        "voc07_ap_50": "voc07_map_50",
        "voc10_ap_50": "voc10_map_50",
        "segm_ap": "segm_map",
        "segm_ap_50": "segm_map_50",
    }.items():
        mean = np.mean([row[column] for row in rows[:3]])
        assert mean == pytest.approx(measures[measure], abs=1e-9), column
        assert np.isnan(rows[3][column]), column
    curves = analysis["curves"]
    assert curves["mean"].mean(axis=1) == pytest.approx([measures["map_50"], measures["map_75"]])
    assert curves["precision"].shape == (2, 4, 101)
    assert np.isnan(curves["precision"][:, 3]).all()


def test_the_threshold_is_the_best_of_all() -> None:
    judged = random_images(30)
    matches, objects = matched(judged), objects_to_find(judged)
    threshold, f1 = best_threshold(matches, wanted=len(objects))
    slow = {}
    for score in sorted(set(matches.score.tolist())):
        chosen = matches.score >= score
        precision = (matches.match[chosen] >= 0).mean()
        recall = (matches.match[chosen] >= 0).sum() / len(objects)
        slow[score] = 2 * precision * recall / (precision + recall) if precision + recall else 0
    assert f1 == pytest.approx(max(slow.values()))
    assert slow[threshold] == pytest.approx(f1)
    assert f1 > 0.1


def test_precision_and_recall_of_the_table_are_those_at_the_threshold() -> None:
    judged = random_images(30)
    analysis = analyse(judged, class_names=NAMES)
    images, confusion, rows = analysis["images"], analysis["confusion"], analysis["per_class"]
    right = sum(len(image["right"]) for image in images)
    missed = sum(len(image["missed"]) for image in images)
    wrong = sum(len(image["wrong"]) for image in images)
    wanted = sum(int(row["objects"]) for row in rows)
    assert right + missed == wanted == confusion[:4].sum()
    assert 2 * right / (2 * right + wrong + missed) == pytest.approx(analysis["f1"])
    found = sum(float(row["recall_at_threshold"]) * int(row["objects"]) for row in rows[:3])
    assert found == pytest.approx(right)
    assert sum(kind["count"] for kind in analysis["errors"] if kind["kind"] != "missed") == wrong
    assert [image["index"] for image in images] == [one.index for one in judged]


def test_mistakes_of_an_image_name_its_boxes() -> None:
    box, other, nowhere = (0, 0, 40, 40), (100, 100, 140, 140), (200, 200, 220, 220)
    objects = [(0, (60, 60, 90, 90)), (0, box), (1, other)]
    found = [
        (0, 0.1, nowhere),
        (0, 0.7, nowhere),
        (0, 0.6, box),
        (1, 0.9, other),
        (0, 0.95, (60, 60, 70, 70)),
    ]
    judged = [written(), written(objects=objects, found=found, crowd=[0], index=5)]
    analysis = analyse(judged, class_names=["cat", "dog"])
    assert analysis["score_threshold"] == pytest.approx(0.6)
    assert analysis["images"] == [
        {"index": 0, "right": [], "wrong": [], "missed": []},
        {"index": 5, "right": [3, 2], "wrong": [1], "missed": []},
    ]
    alone = analyse([written(objects=objects, found=found[3:4], crowd=[0])], class_names=["cat", "dog"])
    assert alone["images"] == [{"index": 0, "right": [0], "wrong": [], "missed": [1]}]


@pytest.mark.parametrize(
    "judged",
    [[], [written()], [written(found=[(0, 0.9, (0, 0, 9, 9))])], [written(objects=[(0, (0, 0, 9, 9))])]],
)
def test_nothing_found_or_nothing_there_can_be_analysed(judged: list) -> None:  # type: ignore[type-arg]
    analysis = analyse(judged, class_names=["cat", "dog"])
    assert (analysis["score_threshold"], analysis["f1"]) == (0.5, 0.0)
    assert len(analysis["per_class"]) == 2
    assert analysis["curves"]["mean"].shape == (2, 101)
    assert analysis["confusion"].shape == (3, 3)
