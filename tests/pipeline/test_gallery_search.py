"""Who is nearest: a plain matrix and FAISS against a slow loop, and against each other."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.work import search
from pipeline.work.gallery import Encodings, Gallery
from pipeline.work.search import find_nearest


class Euclidean:
    """Distances by a product of matrices, which is inexact for neighbours."""

    def distances(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.cdist(a, b, compute_mode="use_mm_for_euclid_dist")

    def pair_distances(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).norm(dim=1)

    def probabilities(self, distance: Tensor) -> Tensor:
        return torch.sigmoid(-distance)


class Weighted(Euclidean):
    """Absolute differences, some of which make images more alike; below 0 where they are very much so."""

    def distances(self, a: Tensor, b: Tensor) -> Tensor:
        return self.pair_distances(a[:, None], b[None])

    def pair_distances(self, a: Tensor, b: Tensor) -> Tensor:
        return ((a - b).abs() * torch.linspace(-0.5, 1, a.shape[-1])).sum(dim=-1) - 2


def random_rows(count: int, *, seed: int, size: int = 16) -> Encodings:
    rows = np.random.default_rng(seed).normal(size=(count, size))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def a_gallery(encodings: Encodings, *, of_each: int) -> Gallery:
    names = [f"person {place // of_each}" for place in range(len(encodings))]
    files = [f"/{place}.png" for place in range(len(encodings))]
    return Gallery(model="", run_id="", identities=names, files=files, contents=files, encodings=encodings)


def slowly(task: Any, queries: Encodings, gallery: Gallery) -> list[tuple[int, int]]:
    """Nearest, and nearest of another identity, by looking at every pair."""
    found = []
    for query in torch.from_numpy(queries):
        each = [
            float(task.pair_distances(query[None], torch.from_numpy(row)[None])) for row in gallery.encodings
        ]
        nearest = min(range(len(each)), key=each.__getitem__)
        others = [
            place for place in range(len(each)) if gallery.identities[place] != gallery.identities[nearest]
        ]
        found.append((nearest, min(others, key=each.__getitem__, default=-1)))
    return found


@pytest.mark.parametrize("way", ["matrix", "faiss"])
@pytest.mark.parametrize("of_each", [1, 3, 40, 500], ids="{} images each".format)
def test_nearest_and_second_are_those_of_a_slow_loop(
    way: str, of_each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_ROWS", 64)  # several blocks, the last one smaller
    monkeypatch.setattr(search, "_QUERIES", 7)
    gallery, queries = a_gallery(random_rows(500, seed=0), of_each=of_each), random_rows(20, seed=1)
    queries[3] = gallery.encodings[77]
    expected = slowly(Euclidean(), queries, gallery)
    found = find_nearest(
        Euclidean(), queries, gallery, is_euclidean=True, large=1 if way == "faiss" else 10**9
    )
    assert list(zip(found.nearest.tolist(), found.second.tolist(), strict=True)) == expected
    distances = np.linalg.norm(queries - gallery.encodings[found.nearest], axis=1)
    assert found.distance == pytest.approx(distances, abs=1e-6)
    assert found.distance[3] == 0, "an image that is enrolled itself"
    if of_each == 500:
        assert np.isinf(found.second_distance).all()
    else:
        second = np.linalg.norm(queries - gallery.encodings[found.second], axis=1)
        assert found.second_distance == pytest.approx(second, abs=1e-6)


def test_a_distance_that_is_not_euclidean_is_never_left_to_faiss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_by_faiss", None)
    gallery, queries = a_gallery(random_rows(60, seed=2), of_each=3), random_rows(9, seed=3)
    found = find_nearest(Weighted(), queries, gallery, is_euclidean=False, large=1)
    expected = slowly(Weighted(), queries, gallery)
    assert list(zip(found.nearest.tolist(), found.second.tolist(), strict=True)) == expected
    assert (found.distance < 0).any()
    assert expected != slowly(Euclidean(), queries, gallery)


def test_many_images_of_one_person_do_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than FAISS is asked for; the matrix takes over."""
    monkeypatch.setattr(search, "_MOST", 20)
    monkeypatch.setattr(search, "_by_faiss", None)
    rows = random_rows(100, seed=4)
    rows[:60] = rows[0] + 0.001 * rows[:60]
    gallery = a_gallery(rows, of_each=60)
    found = find_nearest(Euclidean(), rows[:1], gallery, is_euclidean=True, large=1)
    assert found.second.tolist() == [slowly(Euclidean(), rows[:1], gallery)[0][1]]


def test_of_equal_images_the_first_enrolled_is_nearest() -> None:
    rows = random_rows(1, seed=5).repeat(40, axis=0)
    for large in (1, 100):
        found = find_nearest(
            Euclidean(), rows[:1], a_gallery(rows, of_each=1), is_euclidean=True, large=large
        )
        assert (found.nearest.tolist(), found.second.tolist()) == ([0], [1])


BESIDE_TORCH = """
import sys, threading
import numpy as np, torch
from tests.pipeline.test_gallery_search import Euclidean, a_gallery, random_rows
from pipeline.work.search import LARGE, find_nearest

torch.set_num_threads(2)
network, pictures = torch.nn.Conv2d(3, 32, 3), torch.rand(8, 3, 64, 64)
before = network(pictures).sum()
small = a_gallery(random_rows(200, seed=0), of_each=2)
find_nearest(Euclidean(), small.encodings[:5], small, is_euclidean=True)
assert "faiss" not in sys.modules, "imported for a small gallery"
gallery, queries = a_gallery(random_rows(LARGE, seed=0), of_each=2), random_rows(50, seed=1)
found = find_nearest(Euclidean(), queries, gallery, is_euclidean=True)
assert "faiss" in sys.modules
plain = find_nearest(Euclidean(), queries, gallery, is_euclidean=True, large=10**9)
for name in ("nearest", "second", "distance", "second_distance"):
    assert np.array_equal(getattr(found, name), getattr(plain, name)), name
network(pictures).sum().backward()
torch.testing.assert_close(network(pictures).sum(), before)
print("well")
"""


def test_faiss_and_torch_live_in_one_process() -> None:
    """Each brings an OpenMP of its own, which at worst abort or hang: in a real process, with two threads."""
    done = subprocess.run(
        [sys.executable, "-c", BESIDE_TORCH],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "well"), done.stderr
