"""Orders: complete, seeded, resumable, shared out."""

from collections import Counter

import numpy as np
import pytest

from datamodules import samplers
from datamodules.samplers import BalancedSampler, Draw, EpochSampler, OrderedSampler, even_batch_size

LABELS = np.array([0] * 90 + [1] * 9 + [3] * 1)


def make(kind: str, seed: int = 0) -> samplers.TrainSampler:
    return EpochSampler(size=100, seed=seed) if kind == "epoch" else BalancedSampler(labels=LABELS, seed=seed)


def as_rank(patch: pytest.MonkeyPatch, rank: int, world: int) -> None:
    patch.setattr(samplers, "processes", lambda: (world, rank))


def test_an_epoch_has_every_item_once_in_another_order() -> None:
    sampler = EpochSampler(size=100, seed=0)
    first = [draw.position for draw in sampler]
    sampler.set_epoch(1)
    second = [draw.position for draw in sampler]
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    assert first != list(range(100))


@pytest.mark.parametrize("kind", ["epoch", "balanced"])
def test_the_seed_decides_the_order(kind: str) -> None:
    assert list(make(kind)) == list(make(kind))
    assert list(make(kind)) != list(make(kind, seed=1))


@pytest.mark.parametrize("kind", ["epoch", "balanced"])
def test_resuming_yields_the_rest_and_then_whole_epochs(kind: str) -> None:
    whole = make(kind)
    whole.set_epoch(3)
    expected = list(whole)
    resumed = make(kind)
    resumed.resume(epoch=3, consumed=37)
    resumed.set_epoch(3)  # Lightning does so at the start of the resumed epoch
    assert list(resumed) == expected[37:]
    assert len(resumed) == 100
    resumed.set_epoch(4)
    whole.set_epoch(4)
    assert list(resumed) == list(whole)
    assert len(list(resumed)) == 100


def test_resuming_a_finished_epoch_yields_nothing() -> None:
    sampler = make("epoch")
    sampler.resume(epoch=0, consumed=128)
    assert list(sampler) == []


def test_resume_refuses_negative_numbers() -> None:
    with pytest.raises(ValueError, match="cannot resume at epoch=0, consumed=-1"):
        make("epoch").resume(epoch=0, consumed=-1)


def test_balanced_draws_every_class_as_often() -> None:
    sampler = BalancedSampler(labels=np.tile(LABELS, 30), seed=0)
    counts = Counter(int(np.tile(LABELS, 30)[draw.position]) for draw in sampler)
    assert counts.keys() == {0, 1, 3}
    assert all(abs(count - 1000) < 100 for count in counts.values())  # four deviations


def test_balanced_tells_repeated_draws_apart() -> None:
    draws = list(make("balanced"))
    rare = [draw for draw in draws if draw.position == 99]
    assert len(rare) > 1
    assert len({draw.seed(0) for draw in draws}) == len(draws)


@pytest.mark.parametrize("kind", ["epoch", "balanced"])
def test_two_processes_share_an_epoch_and_resume(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = list(make(kind))
    parts = []
    for rank in range(2):
        as_rank(monkeypatch, rank, 2)
        sampler = make(kind)
        parts.append(list(sampler))
        assert len(sampler) == 50
        sampler.resume(epoch=0, consumed=20)
        assert list(sampler) == parts[rank][20:]
    assert [draw for pair in zip(*parts, strict=True) for draw in pair] == alone


def test_training_parts_are_equal_and_evaluation_parts_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    train, evaluation = [], []
    for rank in range(3):
        as_rank(monkeypatch, rank, 3)
        train.append([draw.position for draw in EpochSampler(size=10, seed=0)])
        sampler = OrderedSampler(size=10)
        evaluation.append([draw.position for draw in sampler])
        assert len(sampler) == len(evaluation[-1])
    assert [len(part) for part in train] == [4, 4, 4]
    assert {position for part in train for position in part} == set(range(10))
    assert sorted(position for part in evaluation for position in part) == list(range(10))


def test_lightning_leaves_the_samplers_alone() -> None:
    from torch.utils.data import DistributedSampler

    assert isinstance(make("epoch"), DistributedSampler)
    assert isinstance(OrderedSampler(size=1), DistributedSampler)


@pytest.mark.parametrize("size", [21, 40, 41, 64, 100])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_every_process_gets_as_many_evaluation_batches(size: int, world: int) -> None:
    batch = even_batch_size(size=size, batch_size=10, world=world)
    parts = [len(range(rank, size, world)) for rank in range(world)]
    assert len({-(-part // batch) for part in parts}) == 1
    assert 8 <= batch <= 10


def test_draws_have_seeds_of_their_own() -> None:
    draws = [
        Draw(position, epoch, repeat) for position in range(9) for epoch in range(9) for repeat in range(9)
    ]
    assert len({draw.seed(seed) for draw in draws for seed in (0, 1)}) == 2 * 9**3
