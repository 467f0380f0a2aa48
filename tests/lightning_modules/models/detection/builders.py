"""What the tests of detectors build and feed."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lightning_modules.models.detection.detector import Detector
from lightning_modules.models.detection.faster_rcnn import faster_rcnn
from lightning_modules.models.detection.fcos import fcos
from lightning_modules.models.detection.mask_rcnn import mask_rcnn
from lightning_modules.models.detection.retinanet import retinanet
from lightning_modules.models.detection.ssd300 import ssd300

Builder = Callable[..., Detector]
BUILDERS: dict[str, Builder] = {
    "faster_rcnn": faster_rcnn,
    "fcos": fcos,
    "mask_rcnn": mask_rcnn,
    "retinanet": retinanet,
    "ssd300": ssd300,
}


def light(name: str, *, num_classes: int = 3, image_size: int = 64, **options: object) -> Detector:
    """A light detector, the same one every time."""
    torch.manual_seed(0)
    return BUILDERS[name](num_classes=num_classes, image_size=image_size, scale="light", **options)


def on_shapes(name: str, **options: object) -> Detector:
    """A detector without any memory."""
    with torch.device("meta"):
        return BUILDERS[name](**options)


def num_parameters(model: nn.Module) -> int:
    """Numbers that a model holds, learning or not."""
    return sum(parameter.numel() for parameter in model.parameters())


def pictures() -> list[Tensor]:
    """A wide and a high image, neither as large as the network sees it."""
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(3, 48, 80, generator=generator), torch.rand(3, 96, 72, generator=generator)]


def targets(*, empty: tuple[int, ...] = ()) -> list[dict[str, Tensor]]:
    """Two objects in each of the images, or none."""
    boxes = torch.tensor([[4.0, 6.0, 20.0, 30.0], [30.0, 10.0, 60.0, 40.0]])
    found = []
    for position, (height, width) in enumerate([(48, 80), (96, 72)]):
        count = 0 if position in empty else 2
        masks = torch.zeros(count, height, width, dtype=torch.uint8)
        masks[:, 8:28, 6:18] = 1
        found.append({"boxes": boxes[:count], "labels": torch.tensor([0, 2])[:count], "masks": masks})
    return found
