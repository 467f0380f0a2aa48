"""In which order a data set is read: shuffled, class-balanced or plain, and resumable in mid-epoch.

A sampler yields a `Draw`, which carries the epoch beside the index. A worker process therefore knows
the epoch of each item it is asked for, however long it lives and however far ahead it reads.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch import distributed
from torch.utils.data import DistributedSampler

from datamodules.arrays import IntArray
from datamodules.randomness import stable_hash


class Draw(NamedTuple):
    """One item asked of a data set.

    Attributes:
        position: Position in the data set.
        epoch: Epoch it is drawn for; augmentations differ between epochs.
        repeat: Tells apart several draws of one position in one epoch; 0 where there is only one.
        pair: The pair it is drawn for: its number in the batch, side of the item in it (0 or 1), and 1 where
            the pair matches and else 0. None where items are drawn one by one.
    """

    position: int
    epoch: int
    repeat: int
    pair: tuple[int, int, int] | None = None

    def seed(self, seed: int) -> int:
        """Seed of this item's augmentation, given that of the run."""
        return stable_hash(seed, self.epoch, self.position, self.repeat)


def processes() -> tuple[int, int]:
    """How many processes share the data and which this one is.

    Returns:
        World size and rank; (1, 0) outside distributed training.
    """
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size(), distributed.get_rank()
    return 1, 0


class SharingSampler(DistributedSampler[Draw]):
    """Base of the samplers here: each process gets its own part of the data.

    It is torch's DistributedSampler by name, so that Lightning leaves it alone; the parts are dealt
    out here. The number of processes is looked up when an epoch starts, because a sampler may be
    made before the process group.

    Args:
        size: Number of items in the data set.
        seed: Decides everything random about the order.
    """

    def __init__(self, *, size: int, seed: int) -> None:
        super().__init__(range(size), num_replicas=1, rank=0, shuffle=False, seed=seed)  # type: ignore[arg-type]
        self.size = size
        self.epoch = 0


class TrainSampler(SharingSampler):
    """An order for each epoch, of which the beginning can be left out to resume a run.

    Where the data cannot be dealt out evenly, the first draws of the epoch are repeated: training
    needs the same number of batches on every process.

    Args:
        size: Number of items in the data set.
        seed: With the epoch, decides the order.
    """

    def __init__(self, *, size: int, seed: int) -> None:
        super().__init__(size=size, seed=seed)
        self.consumed = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; called by Lightning before each.

        What `resume` left out stays left out while the epoch stays the same.
        """
        if epoch != self.epoch:
            self.epoch, self.consumed = epoch, 0

    def resume(self, *, epoch: int, consumed: int) -> None:
        """Go on in the middle of an epoch; later epochs are whole again.

        Args:
            epoch: The epoch that was interrupted.
            consumed: Items that this process had used up in it.
        """
        if epoch < 0 or consumed < 0:
            raise ValueError(f"cannot resume at epoch={epoch}, consumed={consumed}; both start at 0")
        self.epoch, self.consumed = epoch, consumed

    def __len__(self) -> int:
        """Items of a whole epoch on this process, also while resuming."""
        world, _ = processes()
        return math.ceil(self.size / world)

    def __iter__(self) -> Iterator[Draw]:
        """The draws of this process that are still to come in this epoch."""
        world, rank = processes()
        epoch = self.epoch
        indices, repeats = self.order(epoch)
        total = len(self) * world
        mine = slice(rank + self.consumed * world, total, world)
        pairs = zip(
            np.resize(indices, total)[mine].tolist(), np.resize(repeats, total)[mine].tolist(), strict=True
        )
        return (Draw(index, epoch, repeat) for index, repeat in pairs)

    @abstractmethod
    def order(self, epoch: int) -> tuple[IntArray, IntArray]:
        """Indices and repeats, (N,) each, of the whole epoch over all processes."""


class EpochSampler(TrainSampler):
    """Every item once in each epoch, in an order of its own.

    Args:
        size: Number of items in the data set.
        seed: With the epoch, decides the order.
    """

    def order(self, epoch: int) -> tuple[IntArray, IntArray]:
        """A permutation of all indices; no index is drawn twice."""
        generator = np.random.default_rng(stable_hash(self.seed, epoch))
        return generator.permutation(self.size), np.zeros(self.size, dtype=np.int64)


class RepeatingSampler(TrainSampler):
    """A given number of draws in each epoch, whatever the number of pictures.

    Of few pictures each is drawn about as often as the others, with another augmentation each time; of many
    an epoch sees a part, and another one the next time.

    Args:
        pictures: Number of items in the data set, at least 1.
        size: Draws in an epoch, over all processes.
        seed: With the epoch, decides the draws.
    """

    def __init__(self, *, pictures: int, size: int, seed: int) -> None:
        super().__init__(size=size, seed=seed)
        self._pictures = pictures

    def order(self, epoch: int) -> tuple[IntArray, IntArray]:
        """Permutations of all indices, one after the other; the repeat of each is its permutation."""
        generator = np.random.default_rng(stable_hash(self.seed, epoch))
        rounds = math.ceil(self.size / self._pictures)
        indices = np.concatenate([generator.permutation(self._pictures) for _ in range(rounds)])
        return indices[: self.size], np.repeat(np.arange(rounds), self._pictures)[: self.size]


class BalancedSampler(TrainSampler):
    """As many draws as items, each of a uniformly chosen class, with replacement.

    Rare classes are seen more often than once in an epoch, with another augmentation each time, and
    common ones only in part.

    Args:
        labels: (N,) class ids.
        seed: With the epoch, decides the draws.
    """

    def __init__(self, *, labels: IntArray, seed: int) -> None:
        super().__init__(size=len(labels), seed=seed)
        self._members = [np.flatnonzero(labels == label) for label in np.unique(labels)]

    def order(self, epoch: int) -> tuple[IntArray, IntArray]:
        """Indices with repetition; the repeat of each is its place in the epoch."""
        generator = np.random.default_rng(stable_hash(self.seed, epoch))
        counts = np.array([len(members) for members in self._members])
        classes = generator.integers(len(counts), size=self.size)
        places = generator.integers(counts[classes])
        indices = [self._members[c][place] for c, place in zip(classes, places, strict=True)]
        return np.array(indices, dtype=np.int64), np.arange(self.size)


class OrderedSampler(SharingSampler):
    """Every item exactly once over all processes, in order: for evaluation.

    Nothing is repeated to fill up the last batch, so that no measure counts an item twice.

    Args:
        size: Number of items in the data set.
    """

    def __init__(self, *, size: int) -> None:
        super().__init__(size=size, seed=0)

    def __len__(self) -> int:
        """Items of this process."""
        world, rank = processes()
        return len(range(rank, self.size, world))

    def __iter__(self) -> Iterator[Draw]:
        """The draws of this process; always of epoch 0, so that evaluation never varies."""
        world, rank = processes()
        return (Draw(index, 0, 0) for index in range(rank, self.size, world))


def even_batch_size(*, size: int, batch_size: int, world: int) -> int:
    """Largest batch size, at most the wanted one, that gives every process as many batches.

    What processes exchange in a batch (statistics of batch norm, say) they must exchange equally
    often: one with a batch more than the others would wait for them forever.

    Args:
        size: Items over all processes.
        batch_size: Wanted size.
        world: Number of processes.
    """
    fewest, most = size // world, -(-size // world)
    fitting = (b for b in range(batch_size, 0, -1) if -(-fewest // b) == -(-most // b))
    return next(fitting, batch_size)
