"""LeNet-5 in the form that is taught today."""

from collections import OrderedDict
from typing import Literal

from torch import Tensor, nn

from lightning_modules.models.weights import prepare

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}
SMALLEST_IMAGE = 16


class LeNet5(nn.Module):
    """Two convolutions with pooling, then three linear layers.

    Args:
        num_classes: C.
        in_channels: Channels of the images.
        image_size: Side of the square images, at least 16 pixels.
        activation: Between the layers.
    """

    def __init__(
        self, *, num_classes: int, in_channels: int, image_size: int, activation: type[nn.Module]
    ) -> None:
        super().__init__()
        side = ((image_size - 4) // 2 - 4) // 2
        self.features = nn.Sequential(
            OrderedDict(
                c1=nn.Sequential(nn.Conv2d(in_channels, 6, kernel_size=5), activation(), nn.MaxPool2d(2)),
                c3=nn.Sequential(nn.Conv2d(6, 16, kernel_size=5), activation(), nn.MaxPool2d(2)),
                c5=nn.Sequential(nn.Flatten(), nn.Linear(16 * side * side, 120), activation()),
                f6=nn.Sequential(nn.Linear(120, 84), activation()),
            )
        )
        self.classifier = nn.Linear(84, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (B, C) of normalised images (B, in_channels, image_size, image_size)."""
        scores: Tensor = self.classifier(self.features(images))
        return scores


def lenet5(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    image_size: int = 32,
    activation: Literal["relu", "tanh"] = "relu",
    pretrained: bool | str = False,
    freeze: str = "none",
) -> LeNet5:
    """LeNet-5 with full connections, max pooling and a linear output: 61,706 parameters at 1x32x32.

    LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998
    (https://doi.org/10.1109/5.726791). The original has trainable sub-sampling, a partly connected
    third layer and a radial basis output, and tanh between the layers.

    Shape: (B, in_channels, image_size, image_size) to (B, num_classes).

    Args:
        num_classes: Number of classes.
        in_channels: 1 for grey images, 3 for colour.
        image_size: Side of the images in pixels, at least 16.
        activation: ``relu`` or ``tanh``.
        pretrained: False, or the path of a state-dict file.
        freeze: ``none``, ``all_but_head`` or ``stage:N``, N from 1 to 4.

    Raises:
        ValueError: If the images are too small, or the activation or ``freeze`` is unknown.
    """
    if image_size < SMALLEST_IMAGE:
        raise ValueError(f"lenet5 needs data.image_size of at least {SMALLEST_IMAGE}, not {image_size}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"model.activation={activation} is not one of {', '.join(ACTIVATIONS)}")
    model = LeNet5(
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        activation=ACTIVATIONS[activation],
    )
    prepare(model, pretrained=pretrained, freeze=freeze)
    return model
