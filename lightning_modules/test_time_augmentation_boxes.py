"""Test-time augmentation of detectors: mirror images and other sizes, with boxes mapped back."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from lightning_modules.ensembling import View

Found = dict[str, Tensor]

BOX_SCALES = (0.75, 1.0, 1.25)
"""Sizes at which a detector sees images, in sizes that it was trained at; rounded to 32 pixels."""


def box_views(name: str, *, mirrors: bool, resizable: bool) -> list[View]:
    """Views for detections.

    Args:
        name: ``flip``, ``multi_scale`` or ``flip_multi_scale``.
        mirrors: Whether mirror images are among them.
        resizable: Whether every network can see images of other sizes.

    Raises:
        ValueError: If sizes are asked for of a network that has one.
    """
    scales = BOX_SCALES if "multi_scale" in name else (1.0,)
    if len(scales) > 1 and not resizable:
        raise ValueError(f"tta={name}: this network is made for one size of images; take flip or none")
    return [
        View(partial(_found, scale=scale, mirrored=mirrored))
        for scale in scales
        for mirrored in ((False, True) if mirrors and "flip" in name else (False,))
    ]


def _found(member: Any, images: list[Tensor], *, scale: float, mirrored: bool) -> list[Found]:
    # The detector resizes images itself, and maps boxes and masks back to what it was given.
    member.model.rescale(scale)
    try:
        found = member.infer([image.flip(-1) for image in images] if mirrored else images)
    finally:
        member.model.rescale(1.0)
    if not mirrored:
        return list(found)
    return [_mirrored(each, width=image.shape[-1]) for each, image in zip(found, images, strict=True)]


def _mirrored(found: Found, *, width: int) -> Found:
    """Boxes x1 y1 x2 y2 with exclusive ends, and masks, of a mirrored image of so many pixels."""
    left, top, right, bottom = found["boxes"].unbind(dim=1)
    back = {**found, "boxes": torch.stack((width - right, top, width - left, bottom), dim=1)}
    return {**back, "masks": found["masks"].flip(-1)} if "masks" in found else back
