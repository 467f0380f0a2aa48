"""Kinds of errors: one planted at a time, and what its repair is worth."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from lightning_modules.metrics.detection.coco import coco_measures
from lightning_modules.metrics.detection.errors import KINDS, average_precision, errors, gains
from lightning_modules.metrics.detection.matching import matched, objects_to_find
from lightning_modules.metrics.detection.records import Judged
from tests.lightning_modules.metrics.detection.images import Box, random_images, written

CAT, DOG = 0, 1
BOX, NEAR, POOR = (0, 0, 40, 40), (0, 0, 36, 40), (20, 0, 60, 40)  # IoU 0.9 and 1/3 with the first
ALMOST, BARELY = (19.9, 0, 59.9, 40), (32, 0, 72, 40)  # IoU 0.335 and 1/9
OTHER, NOWHERE = (150, 100, 190, 140), (250, 180, 290, 220)

Detections = Sequence[tuple[int, float, Box]]

PLANTED: dict[str, tuple[Detections, dict[str, int]]] = {
    "nothing is wrong": ([(CAT, 0.9, NEAR), (DOG, 0.9, OTHER)], {}),
    "duplicate": ([(CAT, 0.9, NEAR), (DOG, 0.9, OTHER), (CAT, 0.5, BOX)], {"duplicate": 1}),
    "class": ([(CAT, 0.9, BOX), (CAT, 0.8, OTHER)], {"class": 1}),
    "localisation": ([(CAT, 0.8, POOR), (DOG, 0.9, OTHER)], {"localisation": 1}),
    "both": ([(DOG, 0.9, OTHER), (DOG, 0.8, POOR)], {"both": 1, "missed": 1}),
    "background": ([(CAT, 0.9, BOX), (DOG, 0.9, OTHER), (CAT, 0.95, NOWHERE)], {"background": 1}),
    "missed": ([(CAT, 0.9, BOX)], {"missed": 1}),
    "still localisation": ([(CAT, 0.8, BARELY), (DOG, 0.9, OTHER)], {"localisation": 1}),
}


def image(found: Detections, *, crowd: Sequence[int] = (), difficult: Sequence[int] = ()) -> list[Judged]:
    """A cat and a dog."""
    return [written(objects=[(CAT, BOX), (DOG, OTHER)], found=found, crowd=crowd, difficult=difficult)]


def counts(judged: Sequence[Judged]) -> dict[str, int]:
    """How many of each kind, without those that do not occur."""
    found = errors(matched(judged), objects=objects_to_find(judged)).counts()
    assert list(found) == list(KINDS)
    return {kind: count for kind, count in found.items() if count}


def rises(judged: Sequence[Judged]) -> dict[str, float]:
    return gains(matched(judged), objects=objects_to_find(judged), num_classes=2)


@pytest.mark.parametrize(("found", "expected"), PLANTED.values(), ids=PLANTED.keys())
def test_each_kind_is_told_from_the_others(found: Detections, expected: dict[str, int]) -> None:
    assert counts(image(found)) == expected


def test_the_larger_overlap_says_what_it_was_meant_to_be() -> None:
    """A dog on a cat, with a dog that overlaps it a little beside."""
    judged = [written(objects=[(CAT, BOX), (DOG, POOR)], found=[(DOG, 0.9, NEAR), (DOG, 0.95, POOR)])]
    assert counts(judged) == {"class": 1}


def test_the_same_place_in_another_image_is_another_place() -> None:
    judged = [*image([(CAT, 0.9, BOX)]), written(found=[(DOG, 0.9, OTHER)], index=1)]
    assert counts(judged) == {"background": 1, "missed": 1}


def test_crowds_and_difficult_objects_make_no_errors() -> None:
    inside = [(CAT, 0.9, (2, 2, 9, 9)), (CAT, 0.8, (9, 9, 15, 15)), (DOG, 0.9, OTHER)]
    assert counts(image(inside, crowd=[0])) == {}
    difficult = [(CAT, 0.9, BOX), (CAT, 0.8, NEAR), (DOG, 0.9, OTHER)]
    assert counts(image(difficult, difficult=[0])) == {}
    assert counts(image(difficult)) == {"duplicate": 1}


WORTH = {
    "class": ([(CAT, 0.9, BOX), (CAT, 0.8, OTHER)], {"class": 0.5, "missed": 0.0}),
    "localisation": ([(CAT, 0.8, POOR), (DOG, 0.9, OTHER)], {"localisation": 0.5}),
    "missed": ([(CAT, 0.9, BOX)], {"missed": 0.5}),
    "background": (PLANTED["background"][0], {"background": 0.25}),
    "harmless": (PLANTED["duplicate"][0], {"duplicate": 0.0}),
    "the object is found elsewhere": (
        [(CAT, 0.9, POOR), (CAT, 0.8, BOX), (DOG, 0.9, OTHER)],
        {"localisation": 0.25},
    ),
    "one repair for each object": (
        [(CAT, 0.9, POOR), (CAT, 0.8, ALMOST), (DOG, 0.9, OTHER)],
        {"localisation": 0.5},
    ),
}


@pytest.mark.parametrize(("found", "expected"), WORTH.values(), ids=WORTH.keys())
def test_a_repair_is_worth_what_it_is(found: Detections, expected: dict[str, float]) -> None:
    assert {kind: rises(image(found))[kind] for kind in expected} == pytest.approx(expected)


def test_a_duplicate_above_another_object_costs() -> None:
    objects = [(CAT, BOX), (CAT, OTHER)]
    judged = [written(objects=objects, found=[(CAT, 0.9, BOX), (CAT, 0.8, NEAR), (CAT, 0.7, OTHER)])]
    # From recall 0.51 on precision is 2/3: 50 of 101 points rise by 1/3.
    assert rises(judged)["duplicate"] == pytest.approx(50 / 101 / 3)


REPAIRED_ONCE = {
    "one repair for each object": ([(CAT, 0.9, POOR), (CAT, 0.8, ALMOST)], 51 / 101),
    "none for an object that was found": ([(CAT, 0.9, POOR), (CAT, 0.8, BOX)], 51 / 101 / 2),
}


@pytest.mark.parametrize(("found", "expected"), REPAIRED_ONCE.values(), ids=REPAIRED_ONCE.keys())
def test_an_object_is_not_found_twice_by_repairs(found: Detections, expected: float) -> None:
    """Beside it is a cat that nobody found: recall ends at one half."""
    judged = [written(objects=[(CAT, BOX), (CAT, OTHER)], found=found)]
    assert rises(judged)["localisation"] == pytest.approx(expected)


def test_nothing_to_find_gains_nothing() -> None:
    assert set(rises([written(found=[(CAT, 0.9, BOX)])]).values()) == {0.0}
    assert set(rises([]).values()) == {0.0}
    assert rises([written(objects=[(CAT, BOX)])])["missed"] == 1


@pytest.mark.parametrize("seed", range(3))
def test_right_detections_are_those_that_coco_counts(seed: int) -> None:
    judged = [
        replace(one, is_difficult=np.zeros_like(one.is_difficult)) for one in random_images(40, seed=seed)
    ]
    assert max(len(one.labels) for one in judged) > 200
    matches, objects = matched(judged), objects_to_find(judged)
    own = [
        average_precision(matches.match[matches.label == label] >= 0, wanted=int((objects == label).sum()))
        for label in range(3)
    ]
    expected = coco_measures(judged, num_classes=4, kind="bbox")["map_50"]
    assert np.mean(own) == pytest.approx(expected, abs=1e-9)


def test_what_is_found_does_not_depend_on_what_is_less_sure() -> None:
    judged = random_images(20)
    whole = matched(judged)
    sure = [
        replace(one, boxes=one.boxes[keep], scores=one.scores[keep], labels=one.labels[keep])
        for one in judged
        for keep in [one.scores >= 0.5]
    ]
    assert whole.match[whole.score >= 0.5].tolist() == matched(sure).match.tolist()
