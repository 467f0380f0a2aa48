"""Steps for pictures with a class for each pixel that albumentations lacks."""

from collections.abc import Sequence
from typing import Any

from datamodules.arrays import ByteArray
from datamodules.batch import IGNORED
from datamodules.transforms import MaskStep, StepSchema
from datamodules.windows import GREY, Window


class RandomScaleCrop(MaskStep):
    """Resize by a random factor, then crop at random, or pad on all sides, to a square.

    What most networks for segmentation are trained with (https://arxiv.org/abs/1706.05587, section 4.1: 0.5
    to 2.0). Masks take the class of the nearest pixel, by centres: OpenCV's plain nearest neighbour, which
    albumentations' RandomScale takes by default, is off by half a pixel. Padding does not count.

    Args:
        size: Side in pixels of the result.
        low: Smallest factor, above 0.
        high: Largest factor, at least ``low``.
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
        self, *, size: int, low: float = 0.5, high: float = 2.0, fill: Sequence[int] = GREY, p: float = 1.0
    ) -> None:
        if size < 1 or not 0 < low <= high:
            raise ValueError(
                f"RandomScaleCrop takes 0 < low <= high and size >= 1, not {low=}, {high=}, {size=}"
            )
        super().__init__(p=p)
        self.size = size
        self.low = low
        self.high = high
        self.fill = tuple(fill)

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw factor and place; called by albumentations."""
        height, width = params["shape"][:2]
        factor = self.py_random.uniform(self.low, self.high)
        rows, columns = max(round(height * factor), 1), max(round(width * factor), 1)
        window = Window(
            resized=(rows, columns),
            left=self._first(columns),
            top=self._first(rows),
            size=(self.size, self.size),
        )
        return {"window": window}

    def apply(self, img: ByteArray, window: Window, **params: Any) -> ByteArray:
        """Change the picture; called by albumentations.

        Args:
            img: uint8 (H, W, 3), RGB.
            window: What is shown.
            params: What albumentations hands to every step; not used.
        """
        return window.show(img, fill=self.fill, is_mask=False)

    def apply_to_mask(self, mask: ByteArray, window: Window, **params: Any) -> ByteArray:
        """Change the mask; called by albumentations.

        Args:
            mask: uint8 (H, W), class ids.
            window: What is shown.
            params: What albumentations hands to every step; not used.
        """
        return window.show(mask, fill=(IGNORED,), is_mask=True)

    def _first(self, length: int) -> int:
        """First row or column that is shown: drawn where there is more than room for, else in the middle."""
        if length > self.size:
            return int(self.py_random.randint(0, length - self.size))
        return (length - self.size) // 2
