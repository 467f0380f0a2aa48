"""One digit scene: handwritten digits on a part of a photograph, with masks that are exact to the pixel."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.arrays import ByteArray, IntArray
from datamodules.boxed_picture import FloatArray

SCENE_SIDES = range(96, 161, 16)
"""Sides in pixels of the square scenes."""

MOST_DIGITS = 6
SMALLEST_DIGIT, LARGEST_DIGIT = 16, 40
FREE_MARGIN = 2
"""Pixels between the squares of two digits."""

LEAST_CONTRAST = 90
"""Grey levels between a digit's colour and the mean of what it covers."""

_FINEST_DETAIL, _COARSEST_DETAIL = 0.75, 4.0
_TRIES = 40
_COLOURS_TO_TRY = 256
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True, kw_only=True)
class Material:
    """What the scenes of one split are made of.

    Attributes:
        photographs: uint8 (H, W, 3) each, RGB.
        scans: (N, 8, 8), ink in [0, 16].
        labels: int64 (N,), the digits.
    """

    photographs: Sequence[ByteArray]
    scans: npt.NDArray[np.float64]
    labels: IntArray


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A picture with N digits.

    Attributes:
        picture: uint8 (S, S, 3), RGB.
        instances: uint8 (S, S), 0 for the background and k for the k-th digit, from 1.
        boxes: float32 (N, 4), x1 y1 x2 y2 tight around each digit; x2 and y2 are exclusive.
        labels: int64 (N,).
        areas: float32 (N,), pixels of each digit.
    """

    picture: ByteArray
    instances: ByteArray
    boxes: FloatArray
    labels: IntArray
    areas: FloatArray


def make_scene(material: Material, *, seed: int) -> Scene:
    """Make one scene.

    Args:
        material: Photographs and scans to choose from.
        seed: Decides everything.
    """
    generator = np.random.default_rng(seed)
    side = int(generator.choice(SCENE_SIDES))
    picture = _background(material.photographs, side, generator)
    instances = np.zeros((side, side), dtype=np.uint8)
    chosen = []
    for square in _squares(side, generator):
        scan = int(generator.integers(len(material.scans)))
        chosen.append(scan)
        _draw(picture, instances, square, material.scans[scan], len(chosen), generator)
    boxes, areas = _measured(instances, len(chosen))
    return Scene(
        picture=picture, instances=instances, boxes=boxes, labels=material.labels[chosen], areas=areas
    )


def _background(photographs: Sequence[ByteArray], side: int, generator: np.random.Generator) -> ByteArray:
    """A square of a photograph at a random place and scale, mirrored or not."""
    photograph = photographs[int(generator.integers(len(photographs)))]
    height, width = photograph.shape[:2]
    coarsest = min(_COARSEST_DETAIL, min(height, width) / side)
    cut = int(side * _log_uniform(_FINEST_DETAIL, coarsest, generator))
    top, left = generator.integers(height - cut + 1), generator.integers(width - cut + 1)
    part = photograph[top : top + cut, left : left + cut]
    if generator.random() < 0.5:
        part = part[:, ::-1]
    interpolation = cv2.INTER_AREA if cut > side else cv2.INTER_CUBIC
    resized = cv2.resize(np.ascontiguousarray(part), (side, side), interpolation=interpolation)
    return np.asarray(resized, dtype=np.uint8)


Square = tuple[int, int, int]
"""Top, left and side in pixels."""


def _squares(side: int, generator: np.random.Generator) -> list[Square]:
    """Places for 1 to 6 digits; one that fits nowhere becomes smaller, and is left out below 16 pixels."""
    placed: list[Square] = []
    for _ in range(generator.integers(1, MOST_DIGITS + 1)):
        size = round(_log_uniform(SMALLEST_DIGIT, LARGEST_DIGIT, generator))
        while size >= SMALLEST_DIGIT:
            square = _free_square(placed, size, side, generator)
            if square is not None:
                placed.append(square)
                break
            size = int(0.8 * size)
    return placed


def _free_square(
    placed: Sequence[Square], size: int, side: int, generator: np.random.Generator
) -> Square | None:
    for top, left in generator.integers(side - size + 1, size=(_TRIES, 2)).tolist():
        if all(_are_apart((top, left, size), other) for other in placed):
            return top, left, size
    return None


def _are_apart(first: Square, second: Square) -> bool:
    return any(
        first[axis] + first[2] + FREE_MARGIN <= second[axis]
        or second[axis] + second[2] + FREE_MARGIN <= first[axis]
        for axis in (0, 1)
    )


def _draw(
    picture: ByteArray,
    instances: ByteArray,
    square: Square,
    scan: npt.NDArray[np.float64],
    number: int,
    generator: np.random.Generator,
) -> None:
    """Blend one digit into the picture, and write its number where it has more than half its ink."""
    top, left, size = square
    place = (slice(top, top + size), slice(left, left + size))
    ink = cv2.resize(scan, (size, size), interpolation=cv2.INTER_CUBIC).clip(0, None)
    ink = ink / ink.max()
    below = picture[place].astype(np.float64)
    colour = _colour(float((below @ _LUMA).mean()), generator)
    picture[place] = (below + (colour - below) * ink[..., None]).round().astype(np.uint8)
    instances[place][ink > 0.5] = number


def _colour(brightness: float, generator: np.random.Generator) -> IntArray:
    """A random colour that stands out from a brightness in [0, 255]."""
    colours = generator.integers(256, size=(_COLOURS_TO_TRY, 3))
    stands_out = np.abs(colours @ _LUMA - brightness) >= LEAST_CONTRAST
    if stands_out.any():
        return np.asarray(colours[stands_out.argmax()])
    return np.full(3, 255 if brightness < 128 else 0, dtype=np.int64)


def _measured(instances: ByteArray, count: int) -> tuple[FloatArray, FloatArray]:
    """Boxes (N, 4) and areas (N,) of the digits, found in the map itself."""
    boxes, areas = np.zeros((count, 4), dtype=np.float32), np.zeros(count, dtype=np.float32)
    for k in range(count):
        rows, columns = np.nonzero(instances == k + 1)
        boxes[k] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        areas[k] = len(rows)
    return boxes, areas


def _log_uniform(low: float, high: float, generator: np.random.Generator) -> float:
    return math.exp(generator.uniform(math.log(low), math.log(high)))
