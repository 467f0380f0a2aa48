"""Images of any size with a mask each: how they become tensors, and what is wrong with them."""

from collections import defaultdict

import torch
from torch import Tensor

from datamodules.batch import IGNORED, SegmentationBatch


def stacked(batch: SegmentationBatch) -> tuple[Tensor, Tensor]:
    """Images (B, 3, H, W), and masks int64 (B, H, W), of a batch that is trained on.

    Raises:
        ValueError: If the images differ in size.
    """
    sizes = sorted({(image.shape[-2], image.shape[-1]) for image in batch["image"]})
    if len(sizes) > 1:
        raise ValueError(
            f"images of {sizes[0]} and {sizes[-1]} pixels in one batch; let transforms.train end with "
            "padding and a crop to data.image_size, as transforms=segmentation_light does"
        )
    return torch.stack(batch["image"]), torch.stack(batch["mask"]).long()


def check_masks(batch: SegmentationBatch, *, num_classes: int) -> None:
    """Look for pixels of no class, and for masks that do not fit their image.

    Raises:
        ValueError: If there is one; it names the position of the image in its data set.
    """
    for image, mask, index in zip(batch["image"], batch["mask"], batch["index"].tolist(), strict=True):
        if image.shape[-2:] != mask.shape:
            raise ValueError(
                f"image {index} has {tuple(image.shape[-2:])} pixels (height, width) and its mask "
                f"{tuple(mask.shape)}; `make data` lists such pairs"
            )
        if int((mask + 1).max()) > num_classes:  # in uint8, 255 + 1 is 0
            strange = sorted({value for value in mask.flatten().tolist() if num_classes <= value != IGNORED})
            raise ValueError(
                f"the mask of image {index} has the values {strange}, and the classes are 0 to "
                f"{num_classes - 1} ({IGNORED} is ignored); `make data` lists such masks"
            )


def of_one_size(images: list[Tensor], *, pixels: int) -> list[list[int]]:
    """Places in the list of images whose images can be stacked, size by size.

    Args:
        images: (channels, H, W) each.
        pixels: At most so many are put together, which bounds the memory; a larger image is alone.
    """
    groups: defaultdict[torch.Size, list[int]] = defaultdict(list)
    for place, image in enumerate(images):
        groups[image.shape].append(place)
    parts = []
    for size, places in groups.items():
        count = max(1, pixels // (size[-2] * size[-1]))
        parts += [places[start : start + count] for start in range(0, len(places), count)]
    return parts
