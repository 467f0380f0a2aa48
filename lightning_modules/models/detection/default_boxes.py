"""The boxes that SSD starts from, of any sizes."""

from collections.abc import Sequence

import torch
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator

from lightning_modules.models.detection.anchors import Shapes


class GivenDefaultBoxes(DefaultBoxGenerator):  # type: ignore[misc]
    """Default boxes of exactly the given sizes.

    Args:
        anchors: Width and height in pixels, for each map.
        image_size: Side in pixels that they belong to; SSD keeps boxes as shares of the image.
        steps: Stride of each map in pixels of the network's input; None to take it from the map.
    """

    def __init__(
        self, anchors: Sequence[Shapes], *, image_size: int, steps: Sequence[int] | None = None
    ) -> None:
        # Ratios and scales are only counted by the base class; its boxes are replaced below.
        nothing: list[list[int]] = [[] for _ in anchors]
        steps_or_none = None if steps is None else list(steps)
        super().__init__(nothing, scales=[1.0] * (len(anchors) + 1), steps=steps_or_none)
        # On the CPU even while a network is built on shapes alone: sizes are numbers, not weights.
        self._wh_pairs = [
            torch.tensor([list(anchor) for anchor in level], device="cpu") / image_size for level in anchors
        ]

    def num_anchors_per_location(self) -> list[int]:
        """How many boxes there are at every place of each map."""
        return [len(level) for level in self._wh_pairs]
