"""One picture with its objects: what readers give, transforms change and data sets hand on."""

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from datamodules.arrays import ByteArray, IntArray

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class BoxedPicture:
    """A picture and its N objects.

    Attributes:
        picture: uint8 (H, W, 3), RGB.
        boxes: float32 (N, 4), x1 y1 x2 y2 in pixels; x2 and y2 are exclusive.
        labels: int64 (N,), class ids in [0, C).
        areas: float32 (N,), area of each object in pixels.
        is_crowd: bool (N,), whether a box stands for many objects.
        is_difficult: bool (N,), as PASCAL VOC marks them.
        masks: uint8 (N, H, W), 1 inside the object; None where there are none or nobody asked.
    """

    picture: ByteArray
    boxes: FloatArray
    labels: IntArray
    areas: FloatArray
    is_crowd: BoolArray
    is_difficult: BoolArray
    masks: ByteArray | None = None

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.boxes)

    def chosen(self, which: IntArray | BoolArray) -> "BoxedPicture":
        """The same picture with some of its objects, by position or by flag."""
        rows = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "picture"}
        return replace(self, **{name: rows[name][which] for name in rows if rows[name] is not None})
