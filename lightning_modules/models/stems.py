"""Lets networks that were made for large photographs see small images."""

from typing import Literal

from torch import nn

Stem = Literal["auto", "imagenet", "small"]
STEMS = ("auto", "imagenet", "small")
LARGEST_SMALL_IMAGE = 64

# A stem's pooling comes after one convolution, or after three where 7x7 is made of 3x3.
_LATEST_POOLING = 3


def wants_small_stem(*, stem: str, image_size: int, pretrained: bool | str) -> bool:
    """Whether a network is to keep the size of its images at first.

    Args:
        stem: ``imagenet`` as published, ``small``, or ``auto``: small up to 64 pixels, unless weights are
            given.
        image_size: Side of the images in pixels.
        pretrained: Whether weights are loaded.

    Raises:
        ValueError: If ``stem`` is unknown.
    """
    if stem not in STEMS:
        raise ValueError(f"model.stem={stem} is not one of {', '.join(STEMS)}")
    return stem == "small" or (stem == "auto" and image_size <= LARGEST_SMALL_IMAGE and not pretrained)


def keep_size_at_first(network: nn.Module) -> None:
    """Take the stride out of the first convolution and leave out the pooling that follows it.

    The weights keep their shapes. Networks that cut the image into patches (a kernel as large as its
    stride) stay as they are: their positions are learned for one number of patches.

    Args:
        network: Changed in place.
    """
    convolutions = 0
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Conv2d):
            convolutions += 1
            if convolutions == 1 and not _halves(module):
                return
            if convolutions == 1:
                module.stride = (1, 1)
        elif isinstance(module, nn.MaxPool2d) and convolutions >= 1:
            _replace(network, name, nn.Identity())
            return
        if convolutions > _LATEST_POOLING:
            return


def _halves(convolution: nn.Conv2d) -> bool:
    return convolution.stride == (2, 2) and convolution.kernel_size > (2, 2)


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)
