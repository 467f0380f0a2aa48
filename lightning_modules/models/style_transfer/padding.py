"""Pictures of any size for networks that halve them a few times."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional


def padded(pictures: Tensor, *, multiple: int) -> Tensor:
    """Pictures (B, 3, H, W), continued below and beside by their edges to the next multiple.

    Edges are repeated and not mirrored, since a picture may be smaller than what is added.

    Args:
        pictures: Of any size.
        multiple: Of which height and width become one, and at least twice: what is halved down to a single
            place could neither be mirrored around itself nor be normalised.
    """
    # Nothing negative is divided: ONNX rounds that towards zero.
    sides = [(side + multiple - 1) // multiple * multiple for side in pictures.shape[-2:]]
    height, width = (max(2 * multiple, side) for side in sides)
    below, beside = height - pictures.shape[-2], width - pictures.shape[-1]
    return functional.pad(pictures, (0, beside, 0, below), mode="replicate") if below or beside else pictures


def cropped(pictures: Tensor, size: Sequence[int]) -> Tensor:
    """The upper left part of pictures (B, 3, H, W), of a height and width; a view."""
    return pictures[..., : size[0], : size[1]]
