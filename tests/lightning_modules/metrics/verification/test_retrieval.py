"""Looking images up, against pytorch-metric-learning and slow loops."""

import math

import numpy as np
import pytest
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from torch import Tensor

from lightning_modules.metrics.verification import retrieval
from lightning_modules.metrics.verification.records import Ids
from lightning_modules.metrics.verification.retrieval import Retrieval, deal_galleries, retrieve
from tests.lightning_modules.metrics.verification.made import embedded, euclidean

LABELS = np.random.default_rng(0).permutation([*range(9)] * 5 + [9, 10, 11] + [0] * 10)
"""Nine identities with several images, one of them with many, and three with a single one."""


def look_up(embeddings: Tensor, labels: Ids, *, max_queries: int = 1_000) -> Retrieval:
    return retrieve(embeddings, labels, distances=euclidean, max_queries=max_queries)


def slow_lists(embeddings: Tensor, labels: Ids) -> list[list[bool]]:
    """For each image with another of its identity whether the others are of it, nearest first."""
    found = []
    for query in range(len(labels)):
        others = [other for other in range(len(labels)) if other != query]
        others.sort(key=lambda other: float((embeddings[query] - embeddings[other]).norm()))
        right = [bool(labels[other] == labels[query]) for other in others]
        if any(right):
            found.append(right)
    return found


def test_recall_and_precision_are_those_of_slow_loops() -> None:
    embeddings = embedded(LABELS, noise=1.0)
    lists = slow_lists(embeddings, LABELS)
    assert len(lists) == len(LABELS) - 3
    precisions = []
    for right in lists:
        places = [place for place, hit in enumerate(right, start=1) if hit]
        precisions.append(sum(number / place for number, place in enumerate(places, start=1)) / len(places))
    found = look_up(embeddings, LABELS)
    assert found.recall_1 == pytest.approx(sum(right[0] for right in lists) / len(lists))
    assert found.recall_5 == pytest.approx(sum(any(right[:5]) for right in lists) / len(lists))
    assert found.map == pytest.approx(sum(precisions) / len(precisions), abs=1e-9)
    assert 0.3 < found.recall_1 < found.recall_5 < 1


def test_recall_and_precision_are_those_of_pytorch_metric_learning() -> None:
    embeddings = embedded(LABELS, noise=1.0, seed=3)
    names = ("precision_at_1", "mean_average_precision")
    calculator = AccuracyCalculator(include=names, k=len(LABELS) - 1, device=torch.device("cpu"))
    theirs = calculator.get_accuracy(embeddings, torch.from_numpy(LABELS))
    found = look_up(embeddings, LABELS)
    assert found.recall_1 == pytest.approx(theirs["precision_at_1"])
    assert found.map == pytest.approx(theirs["mean_average_precision"], abs=1e-6)


def test_ranks_are_those_of_a_slow_loop() -> None:
    embeddings = embedded(LABELS, noise=1.0)
    shares: dict[int, list[float]] = {1: [], 5: []}
    for gallery in deal_galleries(LABELS).tolist():
        probes = [place for place in range(len(LABELS)) if place not in gallery]
        ranks = []
        for probe in probes:
            nearest = sorted(gallery, key=lambda each: float((embeddings[probe] - embeddings[each]).norm()))
            ranks.append([LABELS[each] for each in nearest].index(LABELS[probe]) + 1)
        for rank in shares:
            shares[rank].append(sum(each <= rank for each in ranks) / len(ranks))
    found = look_up(embeddings, LABELS)
    assert (found.rank1, found.rank5) == pytest.approx((np.mean(shares[1]), np.mean(shares[5])))
    assert 0.2 < found.rank1 < found.rank5 < 1


def test_galleries_have_one_image_of_each_identity_and_take_turns() -> None:
    galleries = deal_galleries(LABELS)
    assert galleries.shape == (10, 12)
    assert (LABELS[galleries] == np.arange(12)).all()
    assert [len(set(column)) for column in galleries.T] == [10, *[5] * 8, 1, 1, 1]
    assert (deal_galleries(LABELS) == galleries).all()
    assert deal_galleries(np.array([0, 1, 0, 1, 2])).shape == (2, 3)


def test_what_is_as_near_as_the_right_one_counts_as_nearer() -> None:
    labels = np.array([0, 0, 0, 1, 1])
    found = look_up(torch.ones(5, 2), labels)
    assert (found.rank1, found.recall_1) == (0, 0)
    assert (found.rank5, found.recall_5) == (1, 1)
    # Each of the three: 2 others before 2 right ones; each of the two: 3 others before 1.
    assert found.map == pytest.approx((3 * (1 / 3 + 2 / 4) / 2 + 2 * (1 / 4)) / 5)


def test_equal_images_of_one_identity_are_found() -> None:
    labels = np.array([0, 0, 1, 1])
    found = look_up(torch.tensor([[0.0], [0.0], [1.0], [1.0]]), labels)
    assert vars(found) == dict.fromkeys(("rank1", "rank5", "recall_1", "recall_5", "map"), 1.0)


def test_identities_with_a_single_image_are_in_the_way_only() -> None:
    labels = np.array([0, 0, 7])
    near = look_up(torch.tensor([[0.0], [1.0], [0.1]]), labels)
    assert (near.recall_1, near.recall_5) == (0, 1)
    assert near.map == 0.5
    far = look_up(torch.tensor([[0.0], [1.0], [5.0]]), labels)
    assert far.recall_1 == far.rank1 == far.map == 1


def test_without_two_images_of_an_identity_nothing_can_be_said() -> None:
    assert all(math.isnan(value) for value in vars(look_up(torch.randn(3, 2), np.arange(3))).values())


def test_of_many_images_evenly_spaced_ones_are_looked_up() -> None:
    embeddings = embedded(LABELS, noise=1.0)
    several = np.flatnonzero(np.bincount(LABELS)[LABELS] > 1)
    asked = []

    def spy(a: Tensor, b: Tensor) -> Tensor:
        asked.append(a)
        return euclidean(a, b)

    found = retrieve(embeddings, LABELS, distances=spy, max_queries=11)
    assert torch.equal(torch.cat(asked), embeddings[several[::5]][:11])
    lists = np.array([right[0] for right in slow_lists(embeddings, LABELS)])
    assert found.recall_1 == pytest.approx(lists[::5][:11].mean())
    assert 0 <= found.rank1 <= found.rank5 <= 1


def test_parts_do_not_change_the_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings = embedded(LABELS, noise=1.0)
    whole = look_up(embeddings, LABELS)
    monkeypatch.setattr(retrieval, "AT_ONCE", 4 * len(LABELS))
    assert vars(look_up(embeddings, LABELS)) == pytest.approx(vars(whole))
