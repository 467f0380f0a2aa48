"""The contract between data modules and tasks: one batch and one metadata type per task.

Shapes: B images, C classes. Images stay uint8 RGB until they are on the device; scaling,
normalisation and the reduction to one channel of grey data happen there.
"""

from typing import TypedDict

from torch import Tensor

IGNORED = 255
"""Value of the pixels of a segmentation mask that neither train nor count."""


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


class DetectionBatch(TypedDict):
    """Images of any size with the boxes of their objects; lists have B entries, one for each image.

    Attributes:
        image: uint8 (3, H, W) each, RGB in [0, 255].
        index: int64 (B,), position of each image in its data set.
        boxes: float32 (N, 4) each, x1 y1 x2 y2 in pixels of the image; x2 and y2 are exclusive.
        labels: int64 (N,) each, class ids in [0, C); no id stands for the background.
        areas: float32 (N,) each, area of the object in pixels: that of its mask where the data has one.
        is_crowd: bool (N,) each, whether a box stands for many objects; not trained on.
        is_difficult: bool (N,) each, whether PASCAL VOC leaves the object out of its measure.
        masks: uint8 (N, H, W) each, 1 inside the object; an empty list where they were not asked for.
    """

    image: list[Tensor]
    index: Tensor
    boxes: list[Tensor]
    labels: list[Tensor]
    areas: list[Tensor]
    is_crowd: list[Tensor]
    is_difficult: list[Tensor]
    masks: list[Tensor]


class DetectionMetadata(TypedDict):
    """What a detector must know of its data; plain values, stored in every checkpoint.

    Attributes:
        class_names: C names in the order of the class ids.
        class_counts: C numbers of objects in the training split.
        category_ids: C ids that the data's own files use for the classes, for results in its format.
        image_size: Short side in pixels at which a network sees the images.
        scale: Size of network that suits the data: ``light`` or ``published``.
        has_masks: Whether the objects have masks.
    """

    class_names: list[str]
    class_counts: list[int]
    category_ids: list[int]
    image_size: int
    scale: str
    has_masks: bool


class SegmentationBatch(TypedDict):
    """Images with a class for each pixel; lists have B entries, one for each image.

    Images that are trained on have one size, so that a task may stack them; others have any.

    Attributes:
        image: uint8 (3, H, W) each, RGB in [0, 255].
        index: int64 (B,), position of each image in its data set.
        mask: uint8 (H, W) each, class ids in [0, C); ``IGNORED`` where a pixel does not count.
    """

    image: list[Tensor]
    index: Tensor
    mask: list[Tensor]


class SegmentationMetadata(TypedDict):
    """What a segmenter must know of its data; plain values, stored in every checkpoint.

    Attributes:
        class_names: C names in the order of the class ids.
        class_counts: C numbers of pixels in the training split, for class weights.
        palette: C colours, RGB in [0, 255], in which masks are drawn and written.
        image_size: Side in pixels of the square parts of images that are trained on.
        channels: 1 where the data is grey (images still arrive as RGB), else 3.
        mean: Mean of each channel of images in [0, 1]; `channels` values.
        std: Standard deviation of each channel; `channels` values, above 0.
        scale: Size of network that suits the data: ``light`` or ``published``.
    """

    class_names: list[str]
    class_counts: list[int]
    palette: list[list[int]]
    image_size: int
    channels: int
    mean: list[float]
    std: list[float]
    scale: str


class VerificationBatch(ImageBatch):
    """Images of identities, with the pairs in which they are compared.

    Where no pairs are listed (every ``pairs`` is empty), each two images of a batch, or of a whole split, are
    a pair.

    Attributes:
        label: int64 (B,), identity ids. Those of the training split are [0, C) for its C identities.
        pairs: B tensors, int64 (P, 4) each, a row for each listed pair that the image is in: number of the
            pair in its split (in training: in its batch), side of the image in it (0 or 1), 1 where the pair
            matches and else 0, and fold of the protocol, at least 0, or -1 where the data have no folds.
    """

    label: Tensor
    pairs: list[Tensor]


class VerificationMetadata(TypedDict):
    """What a verifier must know of its data; plain values, stored in every checkpoint.

    Attributes:
        num_identities: C, identities of the training split.
        image_size: Side of the square images a network sees, in pixels.
        channels: 1 where the data is grey (images still arrive as RGB), else 3.
        mean: Mean of each channel of images in [0, 1]; `channels` values.
        std: Standard deviation of each channel; `channels` values, above 0.
    """

    num_identities: int
    image_size: int
    channels: int
    mean: list[float]
    std: list[float]


class StyleTransferBatch(TypedDict):
    """Content pictures of any size with the style pictures they shall be painted like; lists have B entries.

    Contents that are trained on have one size, so that a task may stack them; others have any.

    Attributes:
        image: uint8 (3, H, W) each, the content, RGB in [0, 255].
        index: int64 (B,), position of each content in its data set.
        style: For each content its style pictures, uint8 (3, h, w) of any size; several are blended.
        style_index: int64 (B,), number of each list of style pictures: equal numbers, equal pictures.
    """

    image: list[Tensor]
    index: Tensor
    style: list[list[Tensor]]
    style_index: Tensor


class StyleTransferMetadata(TypedDict):
    """What style transfer must know of its data; plain values, stored in every checkpoint.

    Attributes:
        image_size: Longer side in pixels of what is painted; side of the square crops that are trained on.
        content_size: Height and width of the one content picture, or None where there are many.
        num_styles: Style pictures that are blended.
        channels: 3.
        mean: Mean of each channel of ImageNet's images in [0, 1], which published features expect.
        std: Standard deviation of each channel, above 0.
    """

    image_size: int
    content_size: list[int] | None
    num_styles: int
    channels: int
    mean: list[float]
    std: list[float]
