"""Orders whose batches are made on purpose: some identities with some pictures each, or pairs.

An epoch has whole batches only, as many for every process, and about as many pictures as the data. Cards are
dealt from shuffled decks: nothing comes a second time before everything else came once.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator

import numpy as np

from datamodules.arrays import IntArray
from datamodules.randomness import stable_hash
from datamodules.samplers import Draw, TrainSampler, processes


def deal(count: int, *, hands: int, size: int, generator: np.random.Generator) -> IntArray:
    """Deal hands from one shuffled deck after another.

    Args:
        count: Cards in a deck, at least 1.
        hands: Number of hands, H.
        size: Cards in a hand.
        generator: Shuffles.

    Returns:
        int64 (H, size) in [0, count). No card is twice in a hand, unless the hand is larger than the deck:
        then every card is in it about as often. Neighbours in a hand differ, unless there is one card only.
    """
    if count <= size:
        orders = generator.permuted(np.tile(np.arange(count), (hands, 1)), axis=1)
        return orders[:, np.arange(size) % count].astype(np.int64)
    decks, dealt = [generator.permutation(count)], count
    while dealt < hands * size:
        # The cards of the hand that the last deck has begun wait until it is full.
        begun = decks[-1][count - dealt % size :]
        deck = generator.permutation(count)
        is_held = np.isin(deck, begun)
        fresh, room = deck[~is_held], -dealt % size
        rest = generator.permutation(np.concatenate([fresh[room:], deck[is_held]]))
        decks.append(np.concatenate([fresh[:room], rest]))
        dealt += count
    return np.concatenate(decks)[: hands * size].reshape(hands, size).astype(np.int64)


class Decks:
    """The pictures of each identity as a deck.

    Args:
        labels: (N,) identity ids.
    """

    def __init__(self, labels: IntArray) -> None:
        self._order = np.argsort(labels, kind="stable")
        _, self._starts, self.counts = np.unique(labels[self._order], return_index=True, return_counts=True)

    def hands(self, identities: IntArray, *, size: int, generator: np.random.Generator) -> IntArray:
        """Deal a hand of pictures of each of some identities.

        Args:
            identities: (H,) places of the identities among all, in order of their ids; they may come again.
            size: Pictures in a hand.
            generator: Shuffles.

        Returns:
            int64 (H, size), positions of pictures.
        """
        found = np.empty((len(identities), size), dtype=np.int64)
        visits = np.argsort(identities, kind="stable")
        each, starts = np.unique(identities[visits], return_index=True)
        for identity, rows in zip(each.tolist(), np.split(visits, starts[1:]), strict=True):
            places = deal(int(self.counts[identity]), hands=len(rows), size=size, generator=generator)
            found[rows] = self._order[self._starts[identity] + places]
        return found


class BatchSampler(TrainSampler):
    """Base of the orders that make whole batches; process r of n gets batches r, r + n, r + 2n and so on.

    Args:
        size: Number of pictures that an epoch should have; it is filled up to whole batches.
        batch_size: Pictures in a batch, for each process.
        seed: With the epoch, decides the order.
    """

    def __init__(self, *, size: int, batch_size: int, seed: int) -> None:
        super().__init__(size=size, seed=seed)
        self.batch_size = batch_size

    @property
    def num_batches(self) -> int:
        """Batches of an epoch over all processes."""
        world, _ = processes()
        return world * math.ceil(self.size / (self.batch_size * world))

    def __len__(self) -> int:
        """Items of a whole epoch on this process, also while resuming."""
        world, _ = processes()
        return self.num_batches // world * self.batch_size

    def __iter__(self) -> Iterator[Draw]:
        """The draws of this process that are still to come in this epoch."""
        world, rank = processes()
        epoch = self.epoch
        indices, places = self.order(epoch)
        mine = places.reshape(-1, self.batch_size)[rank::world].ravel()[self.consumed :]
        pairs = self.pairs(indices)
        draws = zip(indices[mine].tolist(), mine.tolist(), strict=True)
        # The place in the epoch tells several draws of one picture apart.
        return (Draw(index, epoch, place, pairs[place] if pairs else None) for index, place in draws)

    def pairs(self, indices: IntArray) -> list[tuple[int, int, int]]:
        """The pair of each draw of an epoch, see `Draw`; empty where they are drawn one by one."""
        return []

    def order(self, epoch: int) -> tuple[IntArray, IntArray]:
        """Indices of the whole epoch over all processes, batch after batch, and their places in it."""
        indices = self.batches(np.random.default_rng(stable_hash(self.seed, epoch)))
        return indices.ravel(), np.arange(indices.size)

    @abstractmethod
    def batches(self, generator: np.random.Generator) -> IntArray:
        """Indices of an epoch, (`num_batches`, `batch_size`)."""


class IdentitySampler(BatchSampler):
    """Batches of P identities with K pictures each (section 2 of https://arxiv.org/abs/1703.07737).

    Every identity comes as often as the others. One with fewer than K pictures shows some of them more than
    once, each time with another augmentation.

    Args:
        labels: (N,) identity ids.
        batch_size: P x K.
        images_per_identity: K.
        seed: With the epoch, decides the order.
    """

    def __init__(self, *, labels: IntArray, batch_size: int, images_per_identity: int, seed: int) -> None:
        super().__init__(size=len(labels), batch_size=batch_size, seed=seed)
        self._decks = Decks(labels)
        self._each = images_per_identity

    def batches(self, generator: np.random.Generator) -> IntArray:
        """P groups of K neighbours in each batch, of different identities."""
        count, groups = len(self._decks.counts), self.batch_size // self._each
        identities = deal(count, hands=self.num_batches, size=groups, generator=generator)
        pictures = self._decks.hands(identities.ravel(), size=self._each, generator=generator)
        return pictures.reshape(self.num_batches, self.batch_size)


def kinds_in_batch(*, batch_size: int, match_share: float) -> tuple[int, int]:
    """Matching and other pairs in a batch of pictures; the share is rounded to whole pairs."""
    matches = round(match_share * (batch_size // 2))
    return matches, batch_size // 2 - matches


class PairSampler(BatchSampler):
    """Batches of pairs, a fixed share of which matches.

    Where no pairs are listed, a matching pair is of an identity with at least two pictures, and another pair
    of two identities; each identity comes as often as the others.

    Args:
        labels: (N,) identity ids.
        listed: int64 (P, 4), see `Identified`; None draws any two pictures.
        batch_size: Pictures in a batch: twice the number of pairs.
        match_share: Share of matching pairs in every batch, in [0, 1], rounded to whole pairs.
        seed: With the epoch, decides the order.
    """

    def __init__(
        self, *, labels: IntArray, listed: IntArray | None, batch_size: int, match_share: float, seed: int
    ) -> None:
        super().__init__(
            size=len(labels) if listed is None else 2 * len(listed), batch_size=batch_size, seed=seed
        )
        self._labels = labels
        self._listed = listed
        self._decks = Decks(labels)
        self._matches, self._others = kinds_in_batch(batch_size=batch_size, match_share=match_share)

    def batches(self, generator: np.random.Generator) -> IntArray:
        """Neighbours are pairs: the matching ones of each batch first."""
        draw = self._drawn if self._listed is None else self._of_list
        kinds = [
            draw(is_match, generator)
            for is_match, size in ((True, self._matches), (False, self._others))
            if size
        ]
        return np.concatenate([pairs.reshape(self.num_batches, -1) for pairs in kinds], axis=1)

    def pairs(self, indices: IntArray) -> list[tuple[int, int, int]]:
        """Number in the batch, side, and whether the pair matches, of each draw of an epoch."""
        numbers = np.arange(len(indices)) % self.batch_size // 2
        sides = np.arange(len(indices)) % 2
        rows = np.stack([numbers, sides, numbers < self._matches], axis=1).tolist()
        return [(number, side, same) for number, side, same in rows]

    def _of_list(self, is_match: bool, generator: np.random.Generator) -> IntArray:
        assert self._listed is not None
        rows = np.flatnonzero(self._listed[:, 2] == is_match)
        size = self._matches if is_match else self._others
        chosen = deal(len(rows), hands=self.num_batches, size=size, generator=generator)
        return self._listed[rows[chosen.ravel()], :2]

    def _drawn(self, is_match: bool, generator: np.random.Generator) -> IntArray:
        if is_match:
            able = np.flatnonzero(self._decks.counts >= 2)
            chosen = deal(len(able), hands=self.num_batches, size=self._matches, generator=generator)
            return self._decks.hands(able[chosen.ravel()], size=2, generator=generator)
        count = len(self._decks.counts)
        identities = deal(count, hands=self.num_batches, size=2 * self._others, generator=generator)
        return self._decks.hands(identities.ravel(), size=1, generator=generator).reshape(-1, 2)
