"""Judged images: from tensors, and from several processes."""

import json
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as reference

from lightning_modules.metrics.detection.records import Judged, encoded, joined, judge
from tests.lightning_modules.metrics.detection.images import random_images


def tensors(found: int = 3, objects: int = 2) -> dict[str, Any]:
    return {
        "index": 7,
        "height": 20,
        "width": 30,
        "true_boxes": torch.rand(objects, 4),
        "true_labels": torch.arange(objects),
        "true_areas": torch.rand(objects),
        "is_crowd": torch.zeros(objects, dtype=torch.bool),
        "is_difficult": torch.ones(objects, dtype=torch.bool),
    }


def detections(count: int = 3) -> dict[str, torch.Tensor]:
    return {"boxes": torch.rand(count, 4), "scores": torch.rand(count), "labels": torch.arange(count)}


def test_tensors_become_arrays_of_the_stated_types() -> None:
    found = detections()
    judged = judge({**found, "boxes": found["boxes"].double().requires_grad_()}, **tensors())
    types = {name: str(value.dtype) for name, value in vars(judged).items() if hasattr(value, "dtype")}
    assert types == {
        **dict.fromkeys(("boxes", "scores", "true_boxes", "true_areas"), "float32"),
        **dict.fromkeys(("labels", "true_labels"), "int64"),
        **dict.fromkeys(("is_crowd", "is_difficult"), "bool"),
    }
    assert judged.boxes == pytest.approx(found["boxes"].numpy())
    assert (judged.masks, judged.true_masks) == (None, None)


def test_an_image_without_anything_has_its_shapes() -> None:
    judged = judge(detections(0), **tensors(objects=0))
    assert (judged.boxes.shape, judged.true_boxes.shape) == ((0, 4), (0, 4))
    empty = torch.zeros(0, 20, 30)
    assert judge({**detections(0), "masks": empty}, **tensors(objects=0), true_masks=empty).masks == []


def test_what_is_not_a_number_is_left_out_with_its_mask() -> None:
    found = {**detections(), "masks": torch.eye(3)[:, None].expand(3, 2, 3)}
    found["boxes"][0, 2] = torch.inf
    found["scores"][1] = torch.nan
    judged = judge(found, **tensors())
    assert judged.labels.tolist() == [2]
    assert judged.masks == encoded(found["masks"][2:])
    assert np.isfinite(judged.boxes).all()


def test_run_lengths_are_those_of_coco_and_can_be_written_as_json() -> None:
    masks = torch.rand(4, 13, 17) > 0.5
    found = json.loads(json.dumps(encoded(masks)))
    assert [mask["size"] for mask in found] == [[13, 17]] * 4
    assert (reference.decode(found).transpose(2, 0, 1) == masks.numpy()).all()


def test_images_that_two_processes_saw_count_once_and_in_order() -> None:
    whole = random_images(5)
    everyone = joined([[whole[0], whole[2], whole[4]], [whole[1], whole[3], whole[0]], []])
    assert [one.index for one in everyone] == [0, 1, 2, 3, 4]
    assert joined([]) == []


def test_judged_images_can_be_sent() -> None:
    one = random_images(1, with_masks=True)[0]
    sent: Judged = pickle.loads(pickle.dumps(one))
    assert sent.masks == one.masks
    assert (sent.boxes == one.boxes).all()
