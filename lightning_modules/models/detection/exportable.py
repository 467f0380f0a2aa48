"""A detector as ONNX can record it: one image in, its objects out."""

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from lightning_modules.models.detection.detector import Detector


class ExactTransform(GeneralizedRCNNTransform):  # type: ignore[misc]  # torchvision has no types
    """Resizes an image of any size to exactly the size that the network sees elsewhere.

    torchvision computes the size in 64 bits, but in 32 while it is recorded: some sizes then come out one
    pixel smaller, and boxes elsewhere.
    """

    def resize(self, image: Tensor, target: Any = None) -> tuple[Tensor, Any]:
        """The image (3, H, W) at the network's size; there are no targets."""
        size = self.fixed_size[::-1] if self.fixed_size is not None else self._size(image)
        resized = functional.interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0]
        return resized, target

    def _size(self, image: Tensor) -> list[Any]:
        # While it is recorded these are tensors and no numbers: what is computed with them is recorded, too.
        # Vectors, as what has no length is written in 32 bits whatever its type; divided by tensors, as a
        # number divided by a tensor is a product with its reciprocal, which rounds otherwise.
        sides = torch.stack([torch.as_tensor(side) for side in image.shape[-2:]]).to(torch.float64)
        short, long = sides.amin(dim=0, keepdim=True), sides.amax(dim=0, keepdim=True)
        factor = torch.minimum(
            torch.full_like(short, self.min_size[-1]) / short, torch.full_like(long, self.max_size) / long
        )
        return list(torch.floor(sides * factor).to(torch.int64).unbind())


class OneImageDetector(nn.Module):
    """Scales pixels, detects in the one image of a batch, and answers with a tuple instead of a dict.

    Args:
        detector: Is copied.
        prepare: From uint8 (3, H, W) to what the detector takes.
    """

    def __init__(self, detector: Detector, *, prepare: nn.Module) -> None:
        super().__init__()
        self.detector = copy.deepcopy(detector)
        self.prepare = prepare
        network = self.detector.network
        network.transform = _exact(cast(GeneralizedRCNNTransform, network.transform))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Boxes (N, 4), scores (N,), labels (N,) and perhaps masks (N, H, W) of an image (1, 3, H, W)."""
        (found,) = self.detector([self.prepare(images[0])])
        return tuple(found[name] for name in self.names)

    @property
    def names(self) -> list[str]:
        """Of the answers, in order."""
        return ["boxes", "scores", "labels", *(["masks"] if self.detector.predicts_masks else [])]


def _exact(transform: GeneralizedRCNNTransform) -> ExactTransform:
    return ExactTransform(
        transform.min_size,
        transform.max_size,
        transform.image_mean,
        transform.image_std,
        size_divisible=transform.size_divisible,
        fixed_size=transform.fixed_size,
    )
