"""COCO's measures against the reference implementation."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lightning_modules.metrics.detection.coco import NAMES, Kind, coco_measures
from lightning_modules.metrics.detection.measures import detection_measures
from lightning_modules.metrics.detection.records import Judged
from tests.lightning_modules.metrics.detection.images import random_images, written

CLASSES = 4


def reference(judged: Sequence[Judged], kind: Kind) -> list[float]:
    """The twelve numbers of pycocotools, by way of its own forms of truth and results."""
    truth: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for one in judged:
        for place in range(len(one.true_labels)):
            left, top, right, bottom = (float(value) for value in one.true_boxes[place])
            truth.append({"id": len(truth) + 1, "image_id": one.index})
            truth[-1] |= {"category_id": int(one.true_labels[place]), "iscrowd": int(one.is_crowd[place])}
            truth[-1] |= {"bbox": [left, top, right - left, bottom - top]}
            truth[-1] |= {"area": float(one.true_areas[place])}
            if kind == "segm":
                assert one.true_masks is not None
                truth[-1]["segmentation"] = dict(one.true_masks[place])
        for place in range(len(one.labels)):
            left, top, right, bottom = (float(value) for value in one.boxes[place])
            results.append({"image_id": one.index, "category_id": int(one.labels[place])})
            results[-1]["score"] = float(one.scores[place])
            if kind == "segm":
                assert one.masks is not None
                results[-1]["segmentation"] = dict(one.masks[place])
            else:
                results[-1]["bbox"] = [left, top, right - left, bottom - top]
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        data.dataset = {
            "images": [{"id": one.index, "height": one.height, "width": one.width} for one in judged],
            "annotations": truth,
            "categories": [{"id": label} for label in range(CLASSES)],
        }
        data.createIndex()
        evaluation = COCOeval(data, data.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(number) for number in evaluation.stats]


@pytest.mark.parametrize("seed", [0, 1])
def test_boxes_agree_with_the_reference(seed: int) -> None:
    judged = random_images(40, seed=seed)
    assert max(len(one.labels) for one in judged) > 100
    assert any(one.is_crowd.any() for one in judged)
    found = coco_measures(judged, num_classes=CLASSES, kind="bbox")
    expected = reference(judged, "bbox")
    assert list(found) == list(NAMES)
    assert list(found.values()) == pytest.approx(expected, abs=1e-9)
    assert min(expected) > 0.01, "nothing would be compared"
    assert len(set(expected)) == 12


def test_masks_agree_with_the_reference() -> None:
    judged = random_images(12, with_masks=True, most=30)
    expected = reference(judged, "segm")
    found = coco_measures(judged, num_classes=CLASSES, kind="segm")
    assert list(found.values()) == pytest.approx(expected, abs=1e-9)
    assert expected != pytest.approx(reference(judged, "bbox"), abs=1e-3)


def test_more_than_a_hundred_detections_of_one_class_are_too_many() -> None:
    box = (10, 10, 50, 50)
    strays = [(0, 0.9, (100, 100, 120, 120))] * 100
    judged = [written(objects=[(0, box)], found=[*strays, (0, 0.8, box)])]
    found = coco_measures(judged, num_classes=CLASSES, kind="bbox")
    assert list(found.values()) == pytest.approx(reference(judged, "bbox"), abs=1e-9)
    assert found["map"] == 0


def test_sizes_are_those_of_the_objects_and_not_of_their_boxes() -> None:
    box = (0, 0, 40, 40)
    judged = written(objects=[(0, box)], found=[(0, 0.9, box)])
    slim = replace(judged, true_areas=np.array([900], dtype=np.float32))
    assert coco_measures([judged], num_classes=1, kind="bbox")["map_medium"] == 1
    measures = coco_measures([slim], num_classes=1, kind="bbox")
    assert (measures["map_small"], measures["map_medium"]) == (1, -1)


def test_boxes_are_compared_in_doubles() -> None:
    """In float32, a width far from the origin is rounded."""
    objects = [(0, (3000.1, 0, 3004.3, 10))]
    exact = np.float32(3000.1) + (np.float64(np.float32(3004.3)) - np.float64(np.float32(3000.1))) / 2
    judged = [written(objects=objects, found=[(0, 0.9, (3000.1, 0, exact, 10))])]
    found = coco_measures(judged, num_classes=CLASSES, kind="bbox")
    assert list(found.values()) == pytest.approx(reference(judged, "bbox"), abs=1e-9)


EMPTY = {
    "no image": [],
    "nothing at all": [written(), written(index=1)],
    "no object": [written(found=[(0, 0.5, (0, 0, 9, 9))])],
}


@pytest.mark.parametrize("judged", EMPTY.values(), ids=EMPTY.keys())
def test_where_no_object_is_every_measure_is_minus_one(judged: list[Judged]) -> None:
    measures = detection_measures(judged, num_classes=2, with_masks=False)
    assert set(measures.values()) == {-1.0}
    assert [*measures][:12] == list(NAMES)
    assert [*measures][12:] == ["voc07_map_50", "voc10_map_50"]


def test_objects_that_nobody_found_count_as_missed() -> None:
    judged = [written(objects=[(1, (0, 0, 40, 40))])]
    measures = detection_measures(judged, num_classes=3, with_masks=False)
    assert {name for name, value in measures.items() if value == 0} == {
        *(name for name in NAMES if name.split("_")[-1] not in ("small", "large")),
        "voc07_map_50",
        "voc10_map_50",
    }
    assert measures["map_small"] == -1


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        measures = detection_measures(
            random_images(3, with_masks=True, most=9), num_classes=4, with_masks=True
        )
    assert (capfd.readouterr(), caplog.text) == (("", ""), "")
    assert [name for name in measures if name.startswith("segm_")] == [f"segm_{name}" for name in NAMES]


def test_measures_do_not_change_what_they_measure() -> None:
    judged = random_images(4, with_masks=True, most=9)
    first = detection_measures(judged, num_classes=CLASSES, with_masks=True)
    assert detection_measures(judged, num_classes=CLASSES, with_masks=True) == first
