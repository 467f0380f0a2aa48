"""What the tests of the lectures' networks build and feed."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lightning_modules.models.segmentation.dilated_vgg import dilated_vgg
from lightning_modules.models.segmentation.encoder_decoder import encoder_decoder
from lightning_modules.models.segmentation.fcn import fcn8s, fcn16s, fcn32s
from lightning_modules.models.segmentation.patch_classifier import patch_classifier
from lightning_modules.models.segmentation.segmenter import Segmenter
from lightning_modules.models.segmentation.segnet import segnet

Builder = Callable[..., Segmenter]
FCNS: dict[str, Builder] = {"fcn32s": fcn32s, "fcn16s": fcn16s, "fcn8s": fcn8s}
BUILDERS: dict[str, Builder] = FCNS | {
    "segnet": segnet,
    "encoder_decoder": encoder_decoder,
    "dilated_vgg": dilated_vgg,
    "patch_classifier": patch_classifier,
}


def light(name: str, *, num_classes: int = 3, **options: object) -> Segmenter:
    """A light segmenter, the same one every time."""
    torch.manual_seed(0)
    return BUILDERS[name](num_classes=num_classes, scale="light", **options)


def on_shapes(name: str, **options: object) -> Segmenter:
    """A segmenter without any memory."""
    with torch.device("meta"):
        return BUILDERS[name](**options)


def num_parameters(model: nn.Module) -> int:
    """Numbers that a model holds, learning or not."""
    return sum(parameter.numel() for parameter in model.parameters())


def two_classes() -> tuple[Tensor, Tensor]:
    """Four noisy pictures of 64 pixels with a bright square each, and their masks."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(4, 64, 64, dtype=torch.int64)
    for position in range(4):
        corner = 8 + 8 * position
        masks[position, corner : corner + 20, 40 - corner // 2 : 62 - corner // 2] = 1
    noise = torch.randn(4, 3, 64, 64, generator=generator) * 0.3
    return noise + masks[:, None] * 1.5, masks
