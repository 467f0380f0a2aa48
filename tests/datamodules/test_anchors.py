"""Anchors by k-means: they find what was planted, fit better than a grid, and never worse when more."""

import time

import numpy as np
import pytest

from datamodules.anchors import kmeans_anchors, mean_overlap

PLANTED = np.array([[10.0, 12.0], [18.0, 60.0], [70.0, 25.0], [90.0, 110.0], [220.0, 200.0]])


def planted(*, spread: float = 0.05, size: int = 200) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    generator = np.random.default_rng(3)
    factors = np.exp(generator.normal(0, spread, size=(size, len(PLANTED), 2)))
    return (PLANTED * factors).reshape(-1, 2)


def test_planted_clusters_are_found() -> None:
    found = np.array(kmeans_anchors(planted(), count=5))
    assert np.allclose(found, PLANTED, rtol=0.03)


def test_a_single_anchor_is_the_median() -> None:
    shapes = np.array([[9.0, 9.0], [10.0, 10.0], [10.0, 10.0], [11.0, 11.0]])
    assert kmeans_anchors(shapes, count=1) == [[10.0, 10.0]]


def test_anchors_are_sorted_plain_numbers_and_always_the_same() -> None:
    shapes = planted(spread=0.4)
    found = kmeans_anchors(shapes, count=7)
    assert found == kmeans_anchors(shapes, count=7)
    assert all(type(side) is float for pair in found for side in pair)
    areas = [width * height for width, height in found]
    assert areas == sorted(areas)


def test_anchors_fit_better_than_a_grid_of_as_many() -> None:
    shapes = planted(spread=0.3)
    grid = np.linspace(shapes.min(axis=0), shapes.max(axis=0), 3)
    uniform = np.array([[width, height] for width in grid[:, 0] for height in grid[:, 1]])
    fitted = np.array(kmeans_anchors(shapes, count=9))
    assert mean_overlap(shapes, fitted) > mean_overlap(shapes, uniform) + 0.1


def test_the_search_betters_its_start() -> None:
    """Where centres are not moved, they stay boxes of the data."""
    shapes = planted(spread=0.3)
    found = kmeans_anchors(shapes, count=5)
    assert sum(pair in shapes.tolist() for pair in found) <= 2


def test_more_anchors_never_fit_worse() -> None:
    for spread in (0.05, 0.8):
        shapes = planted(spread=spread, size=60)
        fits = [mean_overlap(shapes, np.array(kmeans_anchors(shapes, count=n))) for n in range(1, 16)]
        assert fits == sorted(fits)


def test_each_different_shape_may_have_its_anchor() -> None:
    shapes = np.repeat(PLANTED, 3, axis=0)
    assert kmeans_anchors(shapes, count=5) == PLANTED[np.argsort(PLANTED.prod(axis=1))].tolist()


@pytest.mark.parametrize("count", [0, 6])
def test_more_anchors_than_different_shapes_are_refused(count: int) -> None:
    shapes = np.concatenate([np.repeat(PLANTED, 3, axis=0), [[0.0, 5.0]]])
    with pytest.raises(ValueError, match=rf"num_anchors={count} must be at least 1 and at most 5"):
        kmeans_anchors(shapes, count=count)


def test_many_boxes_are_thinned() -> None:
    shapes = planted(spread=0.05, size=60_000)
    start = time.monotonic()
    found = np.array(kmeans_anchors(shapes, count=5))
    assert time.monotonic() - start < 5
    assert np.allclose(found, PLANTED, rtol=0.03)
