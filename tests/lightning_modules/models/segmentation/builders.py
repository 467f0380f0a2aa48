"""What the tests of today's segmenters build and feed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lightning_modules.models.segmentation.deeplabv3 import deeplabv3
from lightning_modules.models.segmentation.deeplabv3plus import deeplabv3plus
from lightning_modules.models.segmentation.fcn_resnet50 import fcn_resnet50
from lightning_modules.models.segmentation.fpn import fpn
from lightning_modules.models.segmentation.segmenter import Segmenter
from lightning_modules.models.segmentation.unet import unet

Builder = Callable[..., Segmenter]
SMP: dict[str, Builder] = {"deeplabv3plus": deeplabv3plus, "fpn": fpn, "unet": unet}
TORCHVISION: dict[str, Builder] = {"deeplabv3": deeplabv3, "fcn_resnet50": fcn_resnet50}
BUILDERS = SMP | TORCHVISION


def light(name: str, *, num_classes: int = 3, **options: object) -> Segmenter:
    """A light segmenter, the same one every time."""
    torch.manual_seed(0)
    return BUILDERS[name](num_classes=num_classes, scale="light", **options)


def on_shapes(name: str, **options: object) -> Segmenter:
    """A segmenter without any memory."""
    with torch.device("meta"):
        return BUILDERS[name](**options)


def num_parameters(model: nn.Module) -> int:
    """Numbers that a model learns."""
    return sum(parameter.numel() for parameter in model.parameters())


def save(state: Any, folder: Path, name: str = "weights.pth") -> str:
    """Path of a new file."""
    folder.mkdir(exist_ok=True)
    torch.save(state, folder / name)
    return str(folder / name)


def numbered(shapes: dict[str, Tensor]) -> dict[str, Tensor]:
    """A number of its own for every key, in almost no space."""
    return {
        key: torch.tensor(float(position + 1)).to(value.dtype).expand(value.shape)
        for position, (key, value) in enumerate(shapes.items())
    }
