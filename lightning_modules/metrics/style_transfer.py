"""How much of the content's layout and of the style's texture a painted picture has."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
WINDOW = 11
"""Side in pixels of the Gaussian window through which structure is compared, as published."""

PLACES = 2**15
"""Places that are compared at a time: each takes 5 kB, and a photograph has millions."""


def structural_similarity(pictures: Tensor, contents: Tensor) -> float:
    """Mean structural similarity of the luminance, 1 for equal pictures; nan for those under 11 pixels.

    Wang and others: Image quality assessment: from error visibility to structural similarity, 2004
    (https://ece.uwaterloo.ca/~z70wang/publications/ssim.pdf): Gaussian window of 11 x 11 pixels, σ = 1.5. The
    luminance alone: a picture in the style's colours may have all of the content's layout.

    Args:
        pictures: (B, 3, H, W), RGB in [0, 1].
        contents: Of the same shape.
    """
    if min(pictures.shape[-2:]) < WINDOW:
        return float("nan")
    grey, like = (_luminance(images.double()) for images in (pictures, contents))
    number, _, height, width = grey.shape
    high, wide = height - WINDOW + 1, width - WINDOW + 1
    rows = max(1, PLACES // (number * width))
    bands = [slice(top, top + rows + WINDOW - 1) for top in range(0, high, rows)]
    total = sum(_sum_of_places(grey[..., band, :], like[..., band, :]) for band in bands)
    return float(total / (number * high * wide))


def gram_distance(grams: Sequence[Tensor], targets: Sequence[Tensor]) -> float:
    """Mean over the layers of ‖G - G'‖ / ‖G'‖: 0 for the style itself, 1 for a black map.

    Unlike the style loss it has neither weights nor a normalisation to choose, so that runs can be compared.

    Args:
        grams: G of each layer, (B, C, C), by the number of its places.
        targets: G' of each layer, (1, C, C) or (B, C, C), by the number of its own places.
    """
    each = [
        torch.linalg.matrix_norm(gram - target) / torch.linalg.matrix_norm(target).clamp_min(1e-30)
        for gram, target in zip(grams, targets, strict=True)
    ]
    return float(torch.stack([ratio.mean() for ratio in each]).mean())


def mean_measures(parts: Sequence[Mapping[int, Mapping[str, float]]]) -> dict[str, float]:
    """Mean of each measure over the pictures of all processes; one seen twice counts once.

    Args:
        parts: Of each process, measures by name of each picture by its position.
    """
    pictures: dict[int, Any] = {}
    for part in parts:
        pictures |= part
    rows = [pictures[index] for index in sorted(pictures)]
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]} if rows else {}


def _sum_of_places(pictures: Tensor, contents: Tensor) -> Tensor:
    """Over the windows that lie in the pictures (B, 1, H, W).

    The mean of torchmetrics also has those over its mirrored edges, which is another number than that of the
    paper and of scikit-image.
    """
    _, places = structural_similarity_index_measure(
        pictures, contents, data_range=1.0, sigma=1.5, return_full_image=True
    )
    edge = WINDOW // 2
    inside: Tensor = places[..., edge:-edge, edge:-edge]
    return inside.sum()


def _luminance(images: Tensor) -> Tensor:
    return (images * images.new_tensor(LUMA).view(3, 1, 1)).sum(dim=1, keepdim=True)
