"""The pairs of images in which a split is measured: those that its data list, or all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_modules.metrics.verification.records import Ids, Seen

Compare = Callable[[Tensor, Tensor], Tensor]
"""Distances of embeddings to embeddings."""
NO_FOLD = -1
SEED = 0
"""Of everything that is drawn, so that one split is always measured on the same pairs."""
AT_ONCE = 2**22
"""Numbers of embeddings that are compared at a time; this bounds the memory."""


class Listed(NamedTuple):
    """P pairs as tensors on the device of their rows.

    Attributes:
        first: int64 (P,), places of images.
        second: int64 (P,), places of images.
        same: bool (P,), whether both show the same identity.
        fold: int64 (P,), part of the protocol; -1 where the data have no folds.
    """

    first: Tensor
    second: Tensor
    same: Tensor
    fold: Tensor


@dataclass(frozen=True)
class ImagePairs:
    """P pairs of N images.

    Attributes:
        first: int64 (P,), places in [0, N).
        second: int64 (P,), places in [0, N).
        same: bool (P,), whether both show the same identity.
        fold: int64 (P,), part of the protocol; -1 where the data have no folds.
    """

    first: Ids
    second: Ids
    same: NDArray[np.bool_]
    fold: Ids


def pairs_of(seen: Seen, *, most: int) -> ImagePairs:
    """The pairs that the data list, all of them; every two images where they list none.

    Args:
        seen: The images.
        most: See ``drawn``.
    """
    if not len(seen.pair_rows):
        return drawn(seen.labels, most=most)
    found = join(torch.from_numpy(seen.pair_rows), torch.from_numpy(seen.pair_images))
    first, second, same, fold = (each.numpy() for each in found)
    return ImagePairs(first=first, second=second, same=same, fold=fold)


def join(rows: Tensor, images: Tensor) -> Listed:
    """Pairs of which both images are there, in the order of their numbers.

    Args:
        rows: int64 (R, 4): number of the pair, side, whether it matches, fold. One may be there twice.
        images: int64 (R,), place of the image that each row belongs to.
    """
    order = torch.argsort(2 * rows[:, 0] + rows[:, 1])
    rows, images = rows[order], images[order]
    number, side = rows[:, 0], rows[:, 1]
    whole = (number[:-1] == number[1:]) & (side[:-1] == 0) & (side[1:] == 1)
    left = torch.nonzero(whole).flatten()
    return Listed(first=images[left], second=images[left + 1], same=rows[left, 2].bool(), fold=rows[left, 3])


def drawn(labels: Ids, *, most: int) -> ImagePairs:
    """Every two images, N(N - 1)/2 pairs; of more than can be measured some, drawn at random.

    Matching pairs are rare where there are many identities, so that a plain draw may have none. Here up to
    half of what is drawn matches: no measure depends on how many pairs of each kind there are.

    Args:
        labels: (N,), identity ids.
        most: Draw as many where there are more, at least 2.
    """
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    places = np.arange(len(labels))
    # Sorted by identity, the partners of an image with a higher place are first its own, then all others.
    ends = np.searchsorted(ordered, ordered, side="right")
    matching, others = ends - places - 1, len(labels) - ends
    count = min(int(matching.sum()), max(most // 2, most - int(others.sum())))
    generator = np.random.default_rng(SEED)
    alike, offset = _some(matching, count=count, generator=generator)
    apart, distance = _some(others, count=min(int(others.sum()), most - count), generator=generator)
    left = order[np.concatenate([alike, apart])]
    right = order[np.concatenate([alike + 1 + offset, ends[apart] + distance])]
    same = np.arange(len(left)) < count
    first, second = np.minimum(left, right), np.maximum(left, right)
    reading = np.lexsort((second, first))
    return ImagePairs(
        first=first[reading],
        second=second[reading],
        same=same[reading],
        fold=np.full(len(first), NO_FOLD, dtype=np.int64),
    )


def distances_of(pairs: ImagePairs, embeddings: Tensor, *, pair_distances: Compare) -> NDArray[np.float64]:
    """Distance (P,) of each pair, computed in parts.

    Args:
        pairs: P pairs of N images.
        embeddings: (N, D).
        pair_distances: Distances (P,) of embeddings (P, D) to embeddings (P, D), row by row.
    """
    size = max(1, AT_ONCE // max(1, embeddings.shape[1]))
    parts = []
    for start in range(0, max(1, len(pairs.first)), size):
        first, second = (
            embeddings[torch.from_numpy(each[start : start + size]).to(embeddings.device)]
            for each in (pairs.first, pairs.second)
        )
        parts.append(pair_distances(first, second).double().cpu())
    return torch.cat(parts).numpy()


def _some(counts: Ids, *, count: int, generator: np.random.Generator) -> tuple[Ids, Ids]:
    """Draw among things that lie in rows: the row of each that is drawn, and its place in the row.

    Args:
        counts: Things in each row.
        count: How many to draw, none twice.
        generator: What draws; not used where all are taken.
    """
    stops = np.cumsum(counts)
    total = int(stops[-1]) if len(stops) else 0
    numbers = np.arange(total) if count == total else generator.choice(total, count, replace=False)
    rows = np.searchsorted(stops, numbers, side="right")
    return rows, numbers - (stops - counts)[rows]
