"""Judged images for the tests: random ones with every trap in them, and ones that are written by hand."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from lightning_modules.metrics.detection.records import Judged, RunLengths, encoded

Box = Sequence[float]

HEIGHT, WIDTH = 240, 320


def written(
    *,
    objects: Sequence[tuple[int, Box]] = (),
    found: Sequence[tuple[int, float, Box]] = (),
    crowd: Sequence[int] = (),
    difficult: Sequence[int] = (),
    index: int = 0,
) -> Judged:
    """An image from (class, box) and (class, score, box); `crowd` and `difficult` name objects."""
    true_boxes = np.array([box for _, box in objects], dtype=np.float32).reshape(-1, 4)
    places = np.arange(len(objects))
    return Judged(
        index=index,
        height=HEIGHT,
        width=WIDTH,
        boxes=np.array([box for _, _, box in found], dtype=np.float32).reshape(-1, 4),
        scores=np.array([score for _, score, _ in found], dtype=np.float32),
        labels=np.array([label for label, _, _ in found], dtype=np.int64),
        masks=None,
        true_boxes=true_boxes,
        true_labels=np.array([label for label, _ in objects], dtype=np.int64),
        true_areas=(true_boxes[:, 2:] - true_boxes[:, :2]).prod(axis=1),
        is_crowd=np.isin(places, crowd),
        is_difficult=np.isin(places, difficult),
        true_masks=None,
    )


def random_images(
    count: int, *, num_classes: int = 4, seed: int = 0, with_masks: bool = False, most: int = 260
) -> list[Judged]:
    """Images with crowds, difficult objects, areas unlike those of the boxes, ties and many detections.

    Every fifth image has no object and every seventh no detection; the last class never occurs.
    """
    generator = np.random.default_rng(seed)
    return [
        _random_image(generator, index, num_classes, with_masks=with_masks, most=most)
        for index in range(count)
    ]


def _random_image(
    generator: np.random.Generator, index: int, num_classes: int, *, with_masks: bool, most: int
) -> Judged:
    objects = 0 if index % 5 == 4 else int(generator.integers(1, 9))
    found = 0 if index % 7 == 6 else int(generator.integers(1, most))
    true_boxes = _boxes(generator, objects)
    true_labels = generator.integers(0, max(num_classes - 1, 1), objects)
    near = generator.integers(0, max(objects, 1), found)
    moved = true_boxes[near] + generator.normal(0, 4, (found, 4)) if objects else _boxes(generator, found)
    stray = generator.random(found) < 0.3
    boxes = np.where(stray[:, None], _boxes(generator, found), moved)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    labels = true_labels[near] if objects else generator.integers(0, num_classes, found)
    wrong = generator.random(found) < 0.2
    boxes = boxes.astype(np.float32)
    return Judged(
        index=index,
        height=HEIGHT,
        width=WIDTH,
        boxes=boxes,
        scores=generator.random(found).round(2).astype(np.float32),  # rounded: ties
        labels=np.where(wrong, generator.integers(0, num_classes, found), labels).astype(np.int64),
        masks=_masks(boxes) if with_masks else None,
        true_boxes=true_boxes.astype(np.float32),
        true_labels=true_labels.astype(np.int64),
        true_areas=((true_boxes[:, 2:] - true_boxes[:, :2]).prod(axis=1) * 0.6).astype(np.float32),
        is_crowd=generator.random(objects) < 0.15,
        is_difficult=generator.random(objects) < 0.2,
        true_masks=_masks(true_boxes) if with_masks else None,
    )


def _boxes(generator: np.random.Generator, count: int) -> NDArray[np.float64]:
    corner = generator.random((count, 2)) * (WIDTH - 80, HEIGHT - 80)
    size = np.exp(generator.uniform(np.log(8), np.log(280), (count, 2)))
    return np.concatenate([corner, np.minimum(corner + size, (WIDTH, HEIGHT))], axis=1)


def _masks(boxes: NDArray[np.floating]) -> list[RunLengths]:
    """The ellipse inside each box."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    middle = (boxes[:, :2] + boxes[:, 2:])[:, :, None, None] / 2
    half = (boxes[:, 2:] - boxes[:, :2])[:, :, None, None] / 2
    inside = ((columns - middle[:, 0]) / half[:, 0]) ** 2 + ((rows - middle[:, 1]) / half[:, 1]) ** 2 <= 1
    return encoded(torch.from_numpy(inside))
