"""Which pairs are measured, and their distances."""

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_modules.metrics.verification import pairs as module
from lightning_modules.metrics.verification.pairs import distances_of, drawn, join, pairs_of
from lightning_modules.metrics.verification.records import Tally, joined
from tests.lightning_modules.metrics.verification.made import embedded, pair_euclidean, seen_as

NONE = torch.zeros(0, 4, dtype=torch.int64)


def test_every_two_images_are_a_pair() -> None:
    labels = np.array([4, 0, 4, 2, 0, 4])
    found = drawn(labels, most=15)
    pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert pairs == list(combinations(range(6), 2))
    assert found.same.tolist() == [labels[a] == labels[b] for a, b in pairs]
    assert set(found.fold.tolist()) == {-1}


@pytest.mark.parametrize(("identities", "matching"), [(2, 500), (10, 500), (150, 150)])
def test_of_too_many_pairs_some_of_both_kinds_are_drawn(identities: int, matching: int) -> None:
    labels = np.random.default_rng(0).permutation(np.arange(300) % identities)
    found = drawn(labels, most=1_000)
    assert len(set(zip(found.first.tolist(), found.second.tolist(), strict=True))) == 1_000
    assert (found.first < found.second).all()
    assert (found.same == (labels[found.first] == labels[found.second])).all()
    assert found.same.sum() == matching
    again = drawn(labels, most=1_000)
    assert (again.first == found.first).all()
    assert (again.second == found.second).all()


def test_where_few_pairs_do_not_match_more_matching_ones_are_drawn() -> None:
    found = drawn(np.array([0] * 50 + [1]), most=200)
    assert (found.same.sum(), (~found.same).sum()) == (150, 50)


def test_all_pairs_are_equally_probable(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.array([0, 1, 0, 2, 1, 0, 3, 1])
    counts = np.zeros((8, 8))
    for seed in range(600):
        monkeypatch.setattr(module, "SEED", seed)
        found = drawn(labels, most=6)
        counts[found.first, found.second] += 1
    matching = labels[:, None] == labels
    above = np.triu(np.ones((8, 8), bool), 1)
    # Three of the 6 matching pairs, and three of the 22 others.
    assert counts[above & matching] / 600 == pytest.approx(0.5, abs=0.08)
    assert counts[above & ~matching] / 600 == pytest.approx(3 / 22, abs=0.06)


@pytest.mark.parametrize("labels", [[3], [3, 3], [3, 5]])
def test_few_images(labels: list[int]) -> None:
    found = drawn(np.array(labels), most=10)
    assert len(found.first) == len(labels) - 1
    assert found.same.tolist() == [labels == [3, 3]] * (len(labels) - 1)
    assert (
        len(distances_of(found, torch.ones(len(labels), 2), pair_distances=pair_euclidean)) == len(labels) - 1
    )


def test_listed_pairs_are_joined_by_their_number_whatever_the_order() -> None:
    listed = [[3, 0, 0, 1], [0, 3, 1, 2], [1, 1, 1, 0], [2, 1, 0, 0]]
    found = pairs_of(seen_as(torch.randn(4, 2), [0, 1, 2, 0], pairs=listed), most=1)
    rows = zip(found.first, found.second, found.same, found.fold, strict=True)
    assert [[int(each) for each in row] for row in rows] == listed


def test_a_pair_whose_images_came_from_two_processes() -> None:
    first, second = Tally(), Tally()
    rows = torch.tensor([[7, 1, 1, 3]]), torch.tensor([[7, 0, 1, 3], [8, 0, 0, 4]])
    first.add(
        torch.randn(2, 3), labels=torch.tensor([5, 5]), index=torch.tensor([2, 0]), pairs=[rows[0], NONE]
    )
    second.add(torch.randn(1, 3), labels=torch.tensor([5]), index=torch.tensor([1]), pairs=[rows[1]])
    for tallies in ([first, second], [second, first], [second, first, second]):  # the last: an image twice
        seen = joined(tallies)
        assert seen.index.tolist() == [0, 1, 2]
        assert np.allclose(seen.embeddings[2], first.embeddings[0][0])
        found = pairs_of(seen, most=10)
        assert [each.tolist() for each in vars(found).values()] == [[1], [2], [True], [3]]


def test_listed_pairs_of_a_part_are_those_that_are_whole() -> None:
    rows = torch.tensor([[0, 1, 1, 0], [1, 0, 0, 0], [2, 1, 1, 0], [2, 0, 1, 0]])
    found = join(rows, torch.tensor([4, 4, 5, 6]))
    assert [each.tolist() for each in found] == [[6], [5], [True], [0]]
    assert len(join(rows[:2], torch.tensor([4, 4])).first) == 0
    tally = Tally()  # nothing whole: no pairs, and not all of them
    tally.add(torch.randn(3, 2), labels=torch.zeros(3), index=torch.arange(3), pairs=[rows[:1], NONE, NONE])
    assert len(pairs_of(joined([tally]), most=10).first) == 0


def test_distances_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.arange(30) % 4
    embeddings, found = embedded(labels), drawn(labels, most=1_000)
    sizes = []

    def spy(a: Tensor, b: Tensor) -> Tensor:
        sizes.append(len(a))
        return pair_euclidean(a, b)

    monkeypatch.setattr(module, "AT_ONCE", 800)
    parts = distances_of(found, embeddings, pair_distances=spy)
    assert sizes == [100, 100, 100, 100, 35]
    slow = [
        float((embeddings[a] - embeddings[b]).square().sum().sqrt()) for a, b in combinations(range(30), 2)
    ]
    assert parts == pytest.approx(slow, abs=1e-6)
    assert parts.dtype == np.float64
