"""Pairs of images and maps of their embeddings: which are worth showing, and how they are shown."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from pipeline.figures_verification import PairScene

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MOST_MAPPED = 2000
"""Images on a map: those of more take minutes to place."""

_FEW_COLUMNS = (
    50  # as many as t-SNE's authors leave of an input (https://jmlr.org/papers/v9/vandermaaten08a.html)
)
_ITERATIONS = 500  # of 2,000 images 5 s on one core; as many again leave the map as it is
_LEAST_MAPPED = 5  # fewer have no neighbourhoods


def hardest_pairs(measured: Any, count: int) -> tuple[Integers, Integers]:
    """The most distant matching pairs and the nearest others; no image is shown twice among either.

    Args:
        measured: What the task measured: ``first``, ``second``, ``same`` and ``distance`` of P pairs.
        count: How many of either.

    Returns:
        Their places among the pairs, hardest first.
    """
    order = np.argsort(measured.distance, kind="stable")
    matching, others = order[measured.same[order]][::-1], order[~measured.same[order]]
    return _without_repetition(measured, matching, count), _without_repetition(measured, others, count)


def _without_repetition(measured: Any, places: Integers, count: int) -> Integers:
    """The first of these pairs that have no image in common."""
    seen: set[int] = set()
    chosen: list[int] = []
    for place in places.tolist():
        both = {int(measured.first[place]), int(measured.second[place])}
        if len(chosen) < count and not both & seen:
            seen |= both
            chosen.append(place)
    return np.array(chosen, dtype=np.int64)


def pair_scene(measured: Any, place: int, *, images: Any, names: Sequence[str]) -> PairScene:
    """One pair with its pictures.

    Args:
        measured: What the task measured, see `hardest_pairs`; NaN as its ``threshold`` stands for none.
        place: Which pair.
        images: The measured split, without augmentation.
        names: Of identities, in the order of their ids.
    """
    distance, same = float(measured.distance[place]), bool(measured.same[place])
    sides = [images[int(side[place])] for side in (measured.first, measured.second)]
    first, second = (np.asarray(side["image"], np.uint8).transpose(1, 2, 0) for side in sides)
    labels = [int(side["label"]) for side in sides]
    return PairScene(
        first=first,
        second=second,
        names=(names[labels[0]], names[labels[1]]),
        distance=distance,
        is_right=None if np.isnan(measured.threshold) else (distance <= measured.threshold) == same,
    )


def mapped(embeddings: Floats) -> tuple[Integers, Floats]:
    """Places of images in a plane in which neighbours are mostly what they were (t-SNE), always the same.

    Args:
        embeddings: (N, D).

    Returns:
        (M,) which images, at most ``MOST_MAPPED`` at even distances, and (M, 2) where they lie; none of fewer
        than five.
    """
    count = min(len(embeddings), MOST_MAPPED)
    chosen = np.linspace(0, len(embeddings) - 1, count).round().astype(np.int64)
    if count < _LEAST_MAPPED:
        return chosen[:0], np.zeros((0, 2))
    points = embeddings[chosen].astype(np.float64)
    columns = min(_FEW_COLUMNS, *points.shape)
    if columns < points.shape[1]:
        points = PCA(n_components=columns, random_state=0).fit_transform(points)
    perplexity = min(30.0, (count - 1) / 3)
    plane = TSNE(perplexity=perplexity, init="pca", max_iter=_ITERATIONS, random_state=0)
    return chosen, plane.fit_transform(points)
