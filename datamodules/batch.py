"""The contract between data modules and tasks: one batch and one metadata type per task.

Shapes: B images, C classes. Images stay uint8 RGB until they are on the device; scaling,
normalisation and the reduction to one channel of grey data happen there.
"""

from typing import TypedDict

from torch import Tensor


class ImageBatch(TypedDict):
    """What `predict` hands to every task.

    Attributes:
        image: uint8 (B, 3, H, W), RGB in [0, 255].
        index: int64 (B,), position of each image in its data set.
    """

    image: Tensor
    index: Tensor


class ClassificationBatch(ImageBatch):
    """Images with one class each.

    Attributes:
        label: int64 (B,), class ids in [0, C).
    """

    label: Tensor


class ClassificationMetadata(TypedDict):
    """What a classifier must know of its data; plain values, stored in every checkpoint.

    Attributes:
        class_names: C names in the order of the class ids.
        class_counts: C sizes of the training split, for class weights.
        image_size: Side of the square images a network sees, in pixels.
        channels: 1 where the data is grey (images still arrive as RGB), else 3.
        mean: Mean of each channel of images in [0, 1]; `channels` values.
        std: Standard deviation of each channel; `channels` values, above 0.
    """

    class_names: list[str]
    class_counts: list[int]
    image_size: int
    channels: int
    mean: list[float]
    std: list[float]
