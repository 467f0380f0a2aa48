"""Steps for pictures with objects that albumentations lacks in the form of the papers.

Each shows a window of the resized picture: a crop where the window lies inside it, a canvas where it
is larger.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from datamodules.arrays import ByteArray
from datamodules.transforms import BoxStep, StepSchema
from datamodules.windows import GREY, Array, Window

_ROUNDS = 50  # overlaps that are drawn before the whole picture is taken


class WindowStep(BoxStep):
    """Base of the steps; its methods are called by albumentations.

    Args:
        fill: RGB in [0, 255] of what lies outside the picture.
        p: Probability of the step.
    """

    def __init__(self, *, fill: Sequence[int] = GREY, p: float = 1.0) -> None:
        if len(fill) != 3 or not all(0 <= value <= 255 for value in fill):
            raise ValueError(
                f"{type(self).__name__} takes fill=[r, g, b] with values in [0, 255], not {fill=}"
            )
        super().__init__(p=p)
        self.fill = tuple(fill)

    def apply(self, img: ByteArray, window: Window, **params: Any) -> ByteArray:
        """Show the window of a picture, uint8 (H, W, 3)."""
        return window.show(img, fill=self.fill, is_mask=False)

    def apply_to_mask(self, mask: ByteArray, window: Window, **params: Any) -> ByteArray:
        """Show the window of a mask, uint8 (H, W)."""
        return window.show(mask, fill=(0,), is_mask=True)

    def apply_to_bboxes(self, bboxes: Array, window: Window, **params: Any) -> Array:
        """Move boxes (N, 4 or more), given in multiples of the picture's sides."""
        return window.move(bboxes)


class RandomIouCrop(WindowStep):
    """Cut out a patch that overlaps some object by a given share.

    SSD (https://arxiv.org/abs/1512.02325, section 2.2): an overlap is drawn from a list, then patches until
    one overlaps at least one object that much (intersection over union of patch and box). Objects are kept
    if their centre lies in the patch. albumentations' box-safe crops keep whole objects instead. A picture
    without objects stays as it is.

    Args:
        overlaps: Smallest overlaps to draw from; 0 is any patch with an object's centre, 1 the whole picture.
        min_side: Shortest side of the patch as a share of the picture's, in (0, 1].
        max_aspect: Widest aspect, at least 1, in multiples of the picture's pixels; the narrowest is its
            inverse.
        trials: Patches that are tried before another overlap is drawn.
        p: Probability of the step.
    """

    class InitSchema(StepSchema):
        """Types for albumentations, which replaces refused arguments by defaults without this."""

        overlaps: Sequence[float]
        min_side: float
        max_aspect: float
        trials: int

    def __init__(
        self,
        *,
        overlaps: Sequence[float] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0),
        min_side: float = 0.3,
        max_aspect: float = 2.0,
        trials: int = 40,
        p: float = 1.0,
    ) -> None:
        if not overlaps or not all(0 <= overlap <= 1 for overlap in overlaps):
            raise ValueError(f"RandomIouCrop takes a list of overlaps in [0, 1], not {overlaps=}")
        if not 0 < min_side <= 1 or max_aspect < 1 or trials < 1:
            raise ValueError(
                "RandomIouCrop takes 0 < min_side <= 1, max_aspect >= 1 and trials >= 1, not "
                f"{min_side=}, {max_aspect=}, {trials=}"
            )
        super().__init__(p=p)
        self.overlaps = tuple(overlaps)
        self.min_side = min_side
        self.max_aspect = max_aspect
        self.trials = trials

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the patch; called by albumentations."""
        height, width = params["shape"][:2]
        boxes = np.asarray(data.get("bboxes", np.empty((0, 4))), dtype=np.float64)[:, :4]
        left, top, right, bottom = self._patch(boxes * (width, height, width, height), height, width)
        size = (bottom - top, right - left)
        return {"window": Window(resized=(height, width), left=left, top=top, size=size)}

    def apply_to_bboxes(self, bboxes: Array, window: Window, **params: Any) -> Array:
        """Move the boxes whose centre is shown."""
        moved = window.move(bboxes)
        centres = (moved[:, :2] + moved[:, 2:4]) / 2
        shown: Array = moved[((centres > 0) & (centres < 1)).all(axis=1)]
        return shown

    def _patch(self, boxes: Array, height: int, width: int) -> tuple[int, int, int, int]:
        whole = (0, 0, width, height)
        for _ in range(_ROUNDS if len(boxes) else 0):
            overlap = self.py_random.choice(self.overlaps)
            if overlap == 1:
                return whole
            patches = self._patches(height, width)
            fitting = np.flatnonzero(_best_overlaps(patches, boxes) >= overlap)
            if len(fitting):
                left, top, right, bottom = patches[fitting[0]].tolist()
                return left, top, right, bottom
        return whole

    def _patches(self, height: int, width: int) -> Array:
        """Draw patches (K, 4), K at most ``trials``, of an allowed aspect, in whole pixels."""
        picture = np.array([width, height])
        shares = self.random_generator.uniform(self.min_side, 1.0, size=(self.trials, 2))
        sides = np.maximum((picture * shares).astype(np.int64), 1)
        corners = ((picture - sides) * self.random_generator.random((self.trials, 2))).astype(np.int64)
        aspects = sides[:, 0] / sides[:, 1]
        allowed = (aspects <= self.max_aspect) & (aspects >= 1 / self.max_aspect)
        patches: Array = np.concatenate([corners, corners + sides], axis=1)[allowed]
        return patches


class ZoomOut(WindowStep):
    """Lay the picture somewhere on a larger canvas, so that its objects become small.

    SSD (https://arxiv.org/abs/1512.02325, section 3.6): up to 4 times as long sides, or 16 times the area,
    filled with the mean colour, on every other picture.

    Args:
        max_side: Longest side of the canvas in multiples of the picture's, at least 1.
        fill: RGB in [0, 255] of the canvas.
        p: Probability of the step.
    """

    class InitSchema(StepSchema):
        """Types for albumentations, which replaces refused arguments by defaults without this."""

        max_side: float
        fill: Sequence[int]

    def __init__(self, *, max_side: float = 4.0, fill: Sequence[int] = GREY, p: float = 0.5) -> None:
        if max_side < 1:
            raise ValueError(f"ZoomOut takes max_side >= 1, not {max_side=}")
        super().__init__(fill=fill, p=p)
        self.max_side = max_side

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the canvas; called by albumentations."""
        height, width = params["shape"][:2]
        factor = self.py_random.uniform(1.0, self.max_side)
        size = (int(height * factor), int(width * factor))
        left, top = self.py_random.randint(0, size[1] - width), self.py_random.randint(0, size[0] - height)
        return {"window": Window(resized=(height, width), left=-left, top=-top, size=size)}


class LargeScaleJitter(WindowStep):
    """Resize within a wide range, then crop or pad to a square.

    Ghiasi et al., 2021 (https://arxiv.org/abs/2012.07177, section 3): 0.1 to 2 times the size at which the
    picture just fits. A large picture is cropped at random; a small one lies in the upper left corner.

    Args:
        size: Side in pixels of the result.
        low: Smallest scale, above 0.
        high: Largest scale, at least ``low``.
        fill: RGB in [0, 255] of what is padded.
        p: Probability of the step.
    """

    class InitSchema(StepSchema):
        """Types for albumentations, which replaces refused arguments by defaults without this."""

        size: int
        low: float
        high: float
        fill: Sequence[int]

    def __init__(
        self, *, size: int, low: float = 0.1, high: float = 2.0, fill: Sequence[int] = GREY, p: float = 1.0
    ) -> None:
        if size < 1 or not 0 < low <= high:
            raise ValueError(
                f"LargeScaleJitter takes 0 < low <= high and size >= 1, not {low=}, {high=}, {size=}"
            )
        super().__init__(fill=fill, p=p)
        self.size = size
        self.low = low
        self.high = high

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw scale and crop; called by albumentations."""
        height, width = params["shape"][:2]
        scale = self.py_random.uniform(self.low, self.high) * self.size / max(height, width)
        rows, columns = max(round(height * scale), 1), max(round(width * scale), 1)
        left = self.py_random.randint(0, max(columns - self.size, 0))
        top = self.py_random.randint(0, max(rows - self.size, 0))
        size = (self.size, self.size)
        return {"window": Window(resized=(rows, columns), left=left, top=top, size=size)}


def _best_overlaps(patches: Array, boxes: Array) -> Array:
    """Largest intersection over union of each of K patches with a box whose centre it holds; else -1.

    Args:
        patches: (K, 4), x1 y1 x2 y2.
        boxes: (N, 4), N at least 1.

    Returns:
        (K,) values in [0, 1] or -1.
    """
    near, far = patches[:, None, :2], patches[:, None, 2:]
    shared = (np.minimum(far, boxes[None, :, 2:]) - np.maximum(near, boxes[None, :, :2])).clip(min=0)
    intersection = shared.prod(axis=-1)
    union = (far - near).prod(axis=-1) + (boxes[:, 2:] - boxes[:, :2]).prod(axis=-1) - intersection
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = ((near < centres) & (centres < far)).all(axis=-1)
    best: Array = np.where(inside, intersection / union, -1.0).max(axis=1)
    return best
