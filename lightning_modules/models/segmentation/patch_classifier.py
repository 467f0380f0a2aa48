"""The slow baseline: a small classifier sees a window around every pixel and names the one in the middle."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_modules.models.segmentation.options import Scale, check_pretrained, is_light
from lightning_modules.models.segmentation.segmenter import Segmenter
from lightning_modules.models.segmentation.weights import load_file

PATCHES_AT_ONCE = 2048
PATCH_PIXELS_IN_TRAINING = 50_000_000
"""Pixels of all patches of a training step, which keeps what each layer made of them: tens of gigabytes."""
# Channels and kernel of each convolution; a 2x2 max pooling follows each.
Layers = tuple[tuple[int, int], ...]
PUBLISHED_SIDE, PUBLISHED_HIDDEN = 95, 200
PUBLISHED_LAYERS: Layers = ((48, 4), (48, 5), (48, 4), (48, 4))
LIGHT_SIDE, LIGHT_HIDDEN = 33, 128
LIGHT_LAYERS: Layers = ((16, 4), (32, 4), (64, 3))
LIGHT_STRIDE = 8


def patch_classifier(
    *,
    num_classes: int = 2,
    scale: Scale = "published",
    stride: int | None = None,
    pretrained: str = "none",
    load_weights: bool = True,
) -> Segmenter:
    """Sliding window: a small network classifies the pixel in the middle of every patch by itself.

    Cireşan, Giusti, Gambardella, Schmidhuber: Deep neural networks segment neuronal membranes in electron
    microscopy images, 2012
    (https://papers.nips.cc/paper/4741-deep-neural-networks-segment-neuronal-membranes-in-electron-microscopy-images);
    also Farabet and others, 2013, and the first idea that lectures on segmentation name, to say that nobody
    does it. Neighbours share nothing, though their patches overlap almost entirely: the multiply-adds that
    are counted are for a whole image. For 128 x 128 pixels and 11 classes the light form takes 36,000
    million of them with a stride of 1, and 560 million with its usual 8; ``fcn8s`` takes 300 million, once,
    for all pixels.

    Args:
        num_classes: With the background; 2 as published for membranes.
        scale: ``published``: four convolutions and two linear layers on patches of 95 pixels;
            ``light``: three convolutions with batch norm on patches of 33 pixels, 0.1 million parameters.
        stride: Every how many pixels, down and across, one is classified; scores between them are
            interpolated. 1 is the real thing; None for 1, or 8 in light.
        pretrained: ``none``, or the path of a state-dict file; nobody published weights.
        load_weights: False leaves the network random.

    Raises:
        ValueError: If an argument is unknown or out of its range; in training, if a step has more patches
            than any memory holds.
    """
    light = is_light(scale)
    check_pretrained(
        pretrained, words=("none",), light=light, load_weights=load_weights, instead="model=fcn8s"
    )
    chosen = (LIGHT_STRIDE if light else 1) if stride is None else stride
    side = LIGHT_SIDE if light else PUBLISHED_SIDE
    if not 1 <= chosen <= side:
        raise ValueError(f"model.stride={chosen} must be 1 to {side}, the side of a patch, or null")
    network = SlidingWindow(
        layers=LIGHT_LAYERS if light else PUBLISHED_LAYERS,
        side=side,
        hidden=LIGHT_HIDDEN if light else PUBLISHED_HIDDEN,
        num_classes=num_classes,
        stride=chosen,
        has_norm=light,
    )
    if load_weights and pretrained != "none":
        load_file(network, pretrained, last_layers=("classifier.2.",))
    return Segmenter(network, body="features", divisor=chosen)


class SlidingWindow(nn.Module):
    """Cuts an image into overlapping patches and classifies each of them, a few thousand at once.

    Outside the image there are zeros, the mean colour.

    Shape: (B, 3, H, W) to (B, C, H / stride, W / stride).

    Args:
        layers: Channels and kernel of each convolution.
        side: Of a patch in pixels, odd.
        hidden: Width of the linear layer before the scores.
        num_classes: C.
        stride: Distance of the pixels that are classified.
        has_norm: Whether there is batch norm behind each convolution.
    """

    def __init__(
        self, *, layers: Layers, side: int, hidden: int, num_classes: int, stride: int, has_norm: bool
    ) -> None:
        super().__init__()
        assert side % 2 == 1 and stride <= side, (side, stride)
        self.side, self.stride = side, stride
        self.features, width = _features(layers, side=side, has_norm=has_norm)
        self.classifier = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, num_classes)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Scores of every ``stride``-th pixel of normalised images."""
        windows = self._windows(images)
        if self.training and torch.is_grad_enabled():
            self._check_memory(windows)
        # Whole rows of patches at a time: all patches of an image take a thousand times its memory.
        rows = max(1, PATCHES_AT_ONCE // (len(windows) * windows.shape[3]))
        scores = [self._scores(part) for part in torch.split(windows, rows, dim=2)]
        return torch.cat(scores, dim=2)

    def _windows(self, images: Tensor) -> Tensor:
        """A view (B, 3, rows, columns, side, side) of the images with a margin of zeros."""
        before, after = self.side // 2 - self.stride // 2, self.side // 2
        padded = functional.pad(images, (before, after, before, after))
        return padded.unfold(2, self.side, self.stride).unfold(3, self.side, self.stride)

    def _check_memory(self, windows: Tensor) -> None:
        count = len(windows) * windows.shape[2] * windows.shape[3]
        allowed = PATCH_PIXELS_IN_TRAINING // self.side**2
        if count > allowed:
            raise ValueError(
                f"model.stride={self.stride} makes {count:,} patches of {self.side} pixels in one "
                f"training step, and memory is for {allowed:,}; raise model.stride, lower data.image_size or "
                "data.batch_size, or take model.scale=light"
            )

    def _scores(self, windows: Tensor) -> Tensor:
        count, channels, rows, columns = windows.shape[:4]
        patches = windows.permute(0, 2, 3, 1, 4, 5).reshape(-1, channels, self.side, self.side)
        scores: Tensor = self.classifier(self.features(patches))
        return scores.view(count, rows, columns, -1).permute(0, 3, 1, 2)


def _features(layers: Layers, *, side: int, has_norm: bool) -> tuple[nn.Sequential, int]:
    """Convolutions and poolings, and how many numbers they make of a patch."""
    parts: list[nn.Module] = []
    before = 3
    for width, kernel in layers:
        convolution = nn.Conv2d(before, width, kernel)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        norm = [nn.BatchNorm2d(width)] if has_norm else []
        parts += [convolution, *norm, nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        before, side = width, (side - kernel + 1) // 2
    return nn.Sequential(*parts, nn.Flatten()), before * side**2
