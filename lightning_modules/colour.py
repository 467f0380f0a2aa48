"""The colours of a painted picture: the content's kept, or the style's given to the content beforehand.

Gatys, Bethge, Hertzmann, Shechtman: Preserving color in neural artistic style transfer, 2016
(https://arxiv.org/abs/1606.05897). Pictures are RGB in [0, 1], shape (B, 3, H, W); they are computed with in
64 bits, since covariances are inverted.
"""

import torch
from torch import Tensor

# Y, I and Q of RGB, NTSC 1953: the luminance is BT.601's, as in ``preprocessing.LUMA``.
YIQ = ((0.299, 0.587, 0.114), (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))
LEAST_VARIANCE = 1e-10
"""Variance, of values in [0, 1], below which a direction of colours is one colour."""


def to_yiq(images: Tensor) -> Tensor:
    """Luminance in [0, 1] and two channels of chroma of RGB images."""
    return _mixed(images, torch.tensor(YIQ, dtype=torch.float64))


def to_rgb(images: Tensor) -> Tensor:
    """RGB of what ``to_yiq`` gave."""
    return _mixed(images, torch.linalg.inv(torch.tensor(YIQ, dtype=torch.float64)))


def keep_chroma(painted: Tensor, content: Tensor) -> Tensor:
    """The luminance of a painted picture with exactly the chroma of the content, in [0, 1].

    Where no colour of that luminance and chroma exists, the nearest luminance is taken for which one does;
    there always is one: the content's own.

    Args:
        painted: (B, 3, H, W).
        content: Of the same size.
    """
    luminance = to_yiq(painted)[:, :1]
    chroma = to_yiq(content)[:, 1:]
    # Luminance is added to all three alike, so that the rest is how far each of R, G, B is from it.
    offsets = to_rgb(torch.cat([torch.zeros_like(luminance), chroma], dim=1))
    lowest, highest = -offsets.amin(dim=1, keepdim=True), 1 - offsets.amax(dim=1, keepdim=True)
    return (offsets + luminance.maximum(lowest).minimum(highest)).to(painted.dtype)


def match_histogram(images: Tensor, like: Tensor) -> Tensor:
    """Images whose colours have the mean and covariance of another picture's, by a linear map of colours.

    To keep the content's colours, the style picture is made like the content before anything is painted.
    Both are met exactly, so that values may lie a little outside [0, 1]. Where the images have fewer
    directions of colour than the other picture (grey ones have one), only these are met.

    Args:
        images: (B, 3, H, W).
        like: (B, 3, H', W') or (1, 3, H', W').
    """
    own_mean, own = _mean_and_covariance(images)
    mean, wanted = _mean_and_covariance(like)
    change = _power(wanted, 0.5) @ _power(own, -0.5)
    changed = change @ (images.to(torch.float64).flatten(2) - own_mean) + mean
    return changed.reshape_as(images).to(images.dtype)


def _mean_and_covariance(images: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 3, 1) and (B, 3, 3)."""
    colours = images.to(torch.float64).flatten(2)
    mean = colours.mean(dim=2, keepdim=True)
    centred = colours - mean
    return mean, centred @ centred.transpose(1, 2) / colours.shape[2]


def _power(covariance: Tensor, exponent: float) -> Tensor:
    """A power of symmetric matrices, in the directions in which there is any variance."""
    values, directions = torch.linalg.eigh(covariance)
    powers = torch.where(values > LEAST_VARIANCE, values.clamp_min(LEAST_VARIANCE) ** exponent, 0.0)
    raised: Tensor = directions * powers[:, None] @ directions.transpose(1, 2)
    return raised


def _mixed(images: Tensor, matrix: Tensor) -> Tensor:
    return torch.einsum("ij,bjhw->bihw", matrix.to(images.device), images.to(torch.float64))
