"""Random features: what a network sees that has learnt nothing, scaled to the pictures at hand."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from lightning_modules.models.style_transfer.features import LayeredFeatures
from lightning_modules.models.style_transfer.features_layers import vgg_layers, widths

CONSTANT = 1e-4
"""A channel whose deviation is less than this share of the largest one's is constant."""


class RandomFeatures(LayeredFeatures):
    """Convolutions with random weights, of which ``calibrate`` centres and scales every channel."""

    @torch.no_grad()
    def calibrate(self, images: Sequence[Tensor]) -> None:
        """Give every channel before its ReLU mean 0 and variance 1 on the pictures, layer after layer.

        Without that, the maps are nearly the same for every picture, and what is painted by them is noise.
        Each picture counts the same, whatever its size. The weights are changed, so that a checkpoint
        carries the calibration. A channel that is constant on the pictures is only centred.

        Args:
            images: (B, 3, H, W) each, normalised; sizes may differ.

        Raises:
            ValueError: If there is no picture, or one is too small.
        """
        if not images:
            raise ValueError("random features cannot be calibrated without a picture")
        maps = list(images)
        for name, layer in self.network.items():
            for each, image in zip(maps, images, strict=True):
                self._check_size(each, image, name=name)
            if isinstance(layer, nn.Conv2d):
                _standardise(layer, maps)
            maps = [layer(each) for each in maps]


def random_features(*, seed: int = 0) -> RandomFeatures:
    """Features of VGG-19's shape with random weights, average pooling and mirrored edges.

    He, Wang, Hopcroft: A powerful generative model using random weights for the deep image representation,
    2016 (https://arxiv.org/abs/1606.04801). Zeros around a picture would be an edge that is in neither
    picture; they are mirrored instead. The weights are Kaiming-normal.

    Args:
        seed: Of the weights, which depend on nothing else.
    """
    layers = vgg_layers("vgg19", pooling="average")
    generator = torch.Generator().manual_seed(seed)
    for layer in layers.values():
        if isinstance(layer, nn.Conv2d):
            layer.padding_mode = "reflect"
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(cast(Tensor, layer.bias))
    return RandomFeatures(
        layers, answered=widths(layers), source="random features, calibrated on the pictures"
    )


def _standardise(layer: nn.Conv2d, maps: Sequence[Tensor]) -> None:
    """Change a layer so that what it gives for these maps has mean 0 and variance 1 in each channel."""
    found = [layer(each) for each in maps]
    mean = torch.stack([each.mean(dim=(0, 2, 3)) for each in found]).mean(dim=0)
    squares = [(each - mean[:, None, None]).square().mean(dim=(0, 2, 3)) for each in found]
    deviation = torch.stack(squares).mean(dim=0).sqrt()
    varies = deviation > CONSTANT * deviation.max()
    deviation = torch.where(varies, deviation, torch.ones_like(deviation))
    layer.weight.div_(deviation[:, None, None, None])
    bias = cast(Tensor, layer.bias)
    bias.sub_(mean).div_(deviation)
