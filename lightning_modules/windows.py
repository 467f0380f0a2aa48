"""Images that are too large for one look: windows that overlap, and answers blended where they do."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

AT_ONCE = 8
"""Windows that a network sees at a time: beside them only the answer itself grows with the image."""


def blended(answer: Callable[[Tensor], Tensor], images: Tensor, *, window: int, overlap: float) -> Tensor:
    """Answers for whole images from answers for windows.

    Where windows overlap, the mean is weighted by the distance from the edges of each window: a network
    knows least there, and no seam is left. An image that fits into one window is seen whole.

    Args:
        answer: Takes (N, channels, h, w) with h and w at most ``window``; returns (N, C, h, w).
        images: (B, channels, H, W).
        window: Side in pixels; 0 for images seen whole.
        overlap: Of neighbours, as a share of the side, in [0, 1).

    Returns:
        (B, C, H, W).

    Raises:
        ValueError: If ``window`` or ``overlap`` is out of its range.
    """
    check_windows(window=window, overlap=overlap)
    if not window or max(images.shape[-2:]) <= window:
        return answer(images)
    answers = [_blended(answer, image, window=window, overlap=overlap) for image in images]
    return answers[0][None] if len(answers) == 1 else torch.stack(answers)


def check_windows(*, window: int | None, overlap: float) -> None:
    """Look at the side and the overlap of windows; None and 0 stand for images seen whole.

    Raises:
        ValueError: If one is out of its range.
    """
    if window is not None and window < 0:
        raise ValueError(f"window={window} must be at least 1 pixel; null or 0 sees images whole")
    if not 0 <= overlap < 1:
        raise ValueError(f"window_overlap={overlap} must be at least 0 and below 1")


def positions(length: int, *, window: int, overlap: float) -> list[int]:
    """Where windows begin so that they cover a length; the last one is moved to end with it.

    Args:
        length: In pixels.
        window: Length of a window.
        overlap: Share of a window that the next one covers, too; in [0, 1).
    """
    if length <= window:
        return [0]
    step = max(1, int(window * (1 - overlap)))
    return [*range(0, length - window, step), length - window]


def _blended(answer: Callable[[Tensor], Tensor], image: Tensor, *, window: int, overlap: float) -> Tensor:
    height, width = image.shape[-2:]
    high, wide = min(height, window), min(width, window)
    weight = _pyramid(high, image)[:, None] * _pyramid(wide, image)
    weights, sums = image.new_zeros(height, width, dtype=torch.float32), None
    rows = positions(height, window=window, overlap=overlap)
    columns = positions(width, window=window, overlap=overlap)
    for corners in _groups([(top, left) for top in rows for left in columns]):
        parts = answer(torch.stack([image[:, y : y + high, x : x + wide] for y, x in corners])).float()
        if sums is None:
            sums = parts.new_zeros(parts.shape[1], height, width)
        for (y, x), part in zip(corners, parts, strict=True):
            sums[:, y : y + high, x : x + wide] += part * weight
            weights[y : y + high, x : x + wide] += weight
    assert sums is not None
    return sums.div_(weights)


def _pyramid(length: int, like: Tensor) -> Tensor:
    """(length,) weights that rise from the ends to the middle, above 0."""
    rising = torch.arange(1, length + 1, device=like.device, dtype=torch.float32)
    return torch.minimum(rising, rising.flip(0)) / length


def _groups(corners: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    for start in range(0, len(corners), AT_ONCE):
        yield corners[start : start + AT_ONCE]
