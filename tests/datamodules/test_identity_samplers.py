"""Batches of identities and of pairs: whole, fair, seeded, resumable, shared out."""

from collections import Counter
from itertools import chain, pairwise
from typing import Any

import numpy as np
import pytest

from datamodules import identity_samplers
from datamodules.arrays import IntArray
from datamodules.identity_samplers import BatchSampler, IdentitySampler, PairSampler, deal
from datamodules.samplers import Draw
from tests.datamodules.writers import build_verification

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 3, 7], [40, 13, 5, 1, 30]))
LISTED = np.array([[a, a + 1, int(LABELS[a] == LABELS[a + 1]), 0] for a in range(80)], dtype=np.int64)
KINDS = ("identities", "pairs", "listed")


def make(kind: str, *, seed: int = 0, batch_size: int = 12, match_share: float = 0.5) -> BatchSampler:
    if kind == "identities":
        return IdentitySampler(labels=LABELS, batch_size=batch_size, images_per_identity=4, seed=seed)
    listed = LISTED if kind == "listed" else None
    return PairSampler(
        labels=LABELS, listed=listed, batch_size=batch_size, match_share=match_share, seed=seed
    )


def as_rank(patch: pytest.MonkeyPatch, rank: int, world: int) -> None:
    patch.setattr(identity_samplers, "processes", lambda: (world, rank))


def batches_of(sampler: BatchSampler) -> list[list[Draw]]:
    draws = list(sampler)
    assert len(draws) == len(sampler)
    assert not len(draws) % sampler.batch_size
    return [draws[start : start + sampler.batch_size] for start in range(0, len(draws), sampler.batch_size)]


@pytest.mark.parametrize(("count", "size"), [(10, 3), (10, 10), (7, 5), (3, 8), (1, 4), (2, 1), (5, 4)])
def test_hands_have_no_card_twice_and_decks_go_round(count: int, size: int) -> None:
    hands = deal(count, hands=40, size=size, generator=np.random.default_rng(0))
    assert hands.shape == (40, size)
    for hand in hands.tolist():
        counts = Counter(hand)
        assert len(counts) == min(size, count)
        assert max(counts.values()) - min(counts[card] for card in range(count)) <= 1
        assert count == 1 or all(one != other for one, other in pairwise(hand))
    # No card comes a second time long before the others come once.
    totals = np.bincount(hands.ravel(), minlength=count)
    assert np.ptp(totals) <= max(2, 40 * (size % count > 0) * (count < size))
    assert not np.array_equal(
        hands, deal(count, hands=40, size=size, generator=np.random.default_rng(1))
    ) or (count == 1)


def test_batches_have_p_identities_with_k_pictures_each() -> None:
    sampler = make("identities")
    seen: Counter[int] = Counter()
    for batch in batches_of(sampler):
        positions = np.array([draw.position for draw in batch]).reshape(3, 4)
        labels = LABELS[positions]
        assert (labels == labels[:, :1]).all()
        assert len(set(labels[:, 0].tolist())) == 3
        assert all(draw.pair is None for draw in batch)
        assert all(
            len(set(group)) == min(4, int(np.sum(label == LABELS)))
            for group, label in zip(positions.tolist(), labels[:, 0], strict=True)
        )
        seen.update(labels[:, 0].tolist())
    assert len(sampler) == 96  # the 89 pictures, filled up to whole batches
    assert len(seen) == 5
    assert max(seen.values()) - min(seen.values()) <= 1


def test_pictures_of_an_identity_take_turns() -> None:
    sampler = IdentitySampler(labels=np.repeat([0, 1], 24), batch_size=8, images_per_identity=4, seed=0)
    assert sorted(draw.position for draw in sampler) == list(range(48))


@pytest.mark.parametrize("kind", ["pairs", "listed"])
@pytest.mark.parametrize("share", [0.5, 0.25, 1.0, 0.0])
def test_a_fixed_share_of_pairs_matches(kind: str, share: float) -> None:
    allowed = {(int(a), int(b)): bool(same) for a, b, same, _ in LISTED}
    for batch in batches_of(make(kind, batch_size=16, match_share=share)):
        pairs = [(batch[place], batch[place + 1]) for place in range(0, 16, 2)]
        for number, (one, other) in enumerate(pairs):
            same = bool(LABELS[one.position] == LABELS[other.position])
            assert one.pair == (number, 0, same)
            assert other.pair == (number, 1, same)
            assert one.position != other.position
            assert kind == "pairs" or allowed[one.position, other.position] == same
        assert sum(one.pair[2] for one, _ in pairs if one.pair) == 8 * share


def test_listed_pairs_take_turns() -> None:
    sampler = make("listed", batch_size=20)
    assert len(sampler) == 160
    drawn = Counter(
        (one.position, other.position)
        for batch in batches_of(sampler)
        for one, other in zip(batch[::2], batch[1::2], strict=True)
    )
    for same in (0, 1):
        rows = [(int(a), int(b)) for a, b, own, _ in LISTED if own == same]
        assert max(drawn[row] for row in rows) - min(drawn[row] for row in rows) <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_and_the_epoch_decide_the_order(kind: str) -> None:
    sampler = make(kind)
    first = list(sampler)
    assert first == list(make(kind))
    assert first != list(make(kind, seed=1))
    sampler.set_epoch(1)
    second = list(sampler)
    assert [draw.position for draw in first] != [draw.position for draw in second]
    seeds = {draw.seed(0) for draw in [*first, *second]}
    assert len(seeds) == len(first) + len(second)  # repeated pictures are augmented anew


@pytest.mark.parametrize("kind", KINDS)
def test_resuming_yields_the_rest_and_then_whole_epochs(kind: str) -> None:
    whole, resumed = make(kind), make(kind)
    whole.set_epoch(3)
    resumed.resume(epoch=3, consumed=24)
    resumed.set_epoch(3)  # Lightning does so at the start of the resumed epoch
    assert list(resumed) == list(whole)[24:]
    assert len(resumed) == len(whole)
    for sampler in (whole, resumed):
        sampler.set_epoch(4)
    assert list(resumed) == list(whole)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("world", [2, 3])
def test_processes_get_whole_batches_and_as_many(
    kind: str, world: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = []
    for rank in range(world):
        as_rank(monkeypatch, rank, world)
        sampler = make(kind)
        parts.append(batches_of(sampler))
        sampler.resume(epoch=0, consumed=12)
        assert list(sampler) == list(chain(*parts[rank][1:]))
    assert len({len(part) for part in parts}) == 1
    places = [draw.repeat for part in parts for batch in part for draw in batch]
    assert sorted(places) == list(range(len(places)))  # nothing is dealt out twice
    for batch in (batch for part in parts for batch in part):
        labels = [int(LABELS[draw.position]) for draw in batch]
        if kind == "identities":
            assert len(set(labels)) == 3
        else:
            assert sum(draw.pair[2] for draw in batch if draw.pair) == 6


def test_the_module_trains_on_what_it_is_asked_for() -> None:
    words: dict[str, Any] = {"sampler": "pairs", "batch_size": 10, "match_share": 0.4}
    module = build_verification("digits_pairs", **words)
    module.setup("fit")
    batch = next(iter(module.train_dataloader()))
    rows = np.concatenate([pairs.numpy() for pairs in batch["pairs"]])
    assert rows[:, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert rows[:, 3].tolist() == [-1] * 10
    labels: IntArray = batch["label"].numpy().reshape(5, 2)
    assert (labels[:, 0] == labels[:, 1]).tolist() == rows[::2, 2].astype(bool).tolist()
    assert rows[::2, 2].sum() == 2
    module.resume(0, 3)
    assert len(list(module.train_dataloader())) == 108 - 3


def test_workers_augment_as_the_process_itself() -> None:
    found = []
    for workers in (0, 1):
        module = build_verification("digits_pairs", transforms="light", num_workers=workers)
        module.setup("fit")
        batch = next(iter(module.train_dataloader()))
        found.append((batch["image"].numpy().tobytes(), batch["index"].tolist()))
    assert found[0] == found[1]
