"""Test-time augmentation of images and pixels: mirror images, crops and scales whose answers are fused.

A view takes a task and images, asks it about images that were changed, and gives the answer for the images as
they were. Images are uint8 (B, 3, H, W), or floats in the same range where they were resized.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from torch import Tensor
from torch.nn import functional

from lightning_modules.ensembling import View
from lightning_modules.fusion_of_scores import log_of

CROPPED = 256 / 224
"""Short side of what ten crops are cut from, in sides of a crop: Krizhevsky, Sutskever, Hinton: ImageNet
classification with deep convolutional neural networks, 2012, section 4.1."""
SCALES = (1.0, 256 / 224, 384 / 224, 480 / 224, 640 / 224)
"""Short sides, in sides of a crop, at which ResNet is tested: He, Zhang, Ren, Sun, 2015
(https://arxiv.org/abs/1512.03385), section 3.4."""
PIXEL_SCALES = (0.75, 1.0, 1.25)
"""Sizes at which pixels are classified, in sizes of the image: those of DeepLab (Chen and others, 2016,
https://arxiv.org/abs/1606.00915, section 4.1, has 0.5, 0.75 and 1; larger ones suit small objects)."""


def crops_side(name: str, *, side: int) -> int | None:
    """Side in pixels at which images must arrive; None: at the network's own.

    Args:
        name: Of the test-time augmentation.
        side: At which the network sees images.
    """
    if name == "ten_crop":
        return round(side * CROPPED)
    return round(side * max(SCALES)) if name == "multi_scale" else None


def image_views(name: str, *, side: int, mirrors: bool) -> list[View]:
    """Views for answers of whole images.

    Args:
        name: ``flip``: the image and its mirror image. ``ten_crop``: corners and centre, and their mirror
            images. ``multi_scale``: those at five sizes of the image.
        side: At which the network sees images.
        mirrors: Whether mirror images are among them.
    """
    if name == "flip":
        return [View(partial(_seen, mirrored=each)) for each in (False, True)]
    scales = SCALES if name == "multi_scale" else (CROPPED,)
    return [
        View(partial(_seen, size=round(side * scale), corner=corner, side=side, mirrored=mirrored), weight)
        for scale in scales
        for corner, weight in _corners(round(side * scale), side)
        for mirrored in _sides(mirrors)
    ]


def pixel_views(name: str, *, mirrors: bool) -> list[View]:
    """Views for logarithms (B, C, H, W) of the probabilities of pixels.

    Args:
        name: ``flip``, ``multi_scale`` or ``flip_multi_scale``.
        mirrors: Whether mirror images are among them.
    """
    scales = PIXEL_SCALES if "multi_scale" in name else (1.0,)
    return [
        View(partial(_classified, scale=scale, mirrored=mirrored))
        for scale in scales
        for mirrored in _sides(mirrors and "flip" in name)
    ]


def _seen(
    member: Any,
    images: Tensor,
    *,
    mirrored: bool,
    size: int | None = None,
    corner: tuple[float, float] = (0.0, 0.0),
    side: int = 0,
) -> Any:
    """The answer for a crop, whose corner is given as shares of what is left beside it."""
    if size is not None:
        top, left = (round(share * (size - side)) for share in corner)
        images = _resized(images, (size, size))[..., top : top + side, left : left + side]
    return member.infer(images.flip(-1) if mirrored else images)


def _classified(member: Any, images: Tensor, *, scale: float, mirrored: bool) -> Tensor:
    size = (images.shape[-2], images.shape[-1])
    shown = _resized(images, [max(1, round(length * scale)) for length in size])
    found: Tensor = member.infer(shown.flip(-1) if mirrored else shown)
    found = found.flip(-1) if mirrored else found
    if found.shape[-2:] == size:
        return found
    # The mean of neighbouring probabilities, not of their logarithms: it is one again.
    return log_of(functional.interpolate(found.exp(), size=size, mode="bilinear", align_corners=False))


def _resized(images: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(images.shape[-2:]) == tuple(size):
        return images
    return functional.interpolate(images.float(), size=list(size), mode="bilinear", antialias=True)


def _corners(size: int, side: int) -> Iterator[tuple[tuple[float, float], float]]:
    """Five crops with their weights; where they are all the same, it is seen once and counts five times."""
    if size == side:
        yield (0.0, 0.0), 5.0
        return
    for corner in ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5)):
        yield corner, 1.0


def _sides(mirrors: bool) -> tuple[bool, ...]:
    return (False, True) if mirrors else (False,)
