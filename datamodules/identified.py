"""Pictures of identities: what every verification data module has in common."""

from abc import abstractmethod
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, Literal, NotRequired

from datamodules.arrays import ByteArray, IntArray
from datamodules.base import SPLITS, DataModule, LoaderOptions, Split
from datamodules.batch import VerificationMetadata
from datamodules.drawing import captioned
from datamodules.identified_dataset import VerificationDataset, collate
from datamodules.identity_inspection import inspect_identified
from datamodules.identity_samplers import IdentitySampler, PairSampler, kinds_in_batch
from datamodules.labelled_inspection import only_problems
from datamodules.raw_arrays import raw_arrays
from datamodules.readers.identified import Identified
from datamodules.readers.problems import BrokenRecords
from datamodules.samplers import TrainSampler
from datamodules.statistics import check_statistics, complete_statistics
from datamodules.transforms import Recipe

Sampler = Literal["identities", "pairs"]


class VerificationOptions(LoaderOptions):
    """Arguments of `VerificationDataModule`, for the classes that hand them on; see there."""

    mean: NotRequired[list[float] | None]
    std: NotRequired[list[float] | None]
    sampler: NotRequired[Sampler]
    images_per_identity: NotRequired[int]
    match_share: NotRequired[float]


class VerificationDataModule(DataModule):
    """Base of the verification data; a subclass reads its files in `read`.

    Args:
        transforms: Recipes ``train`` and ``eval``, each a mapping of named steps.
        seed: Decides order and augmentation of training; splits do not depend on it.
        image_size: Side in pixels of what the network sees.
        batch_size: Pictures in a batch, for each process.
        num_workers: Processes that read pictures for each loader; 0 reads in the training process.
        channels: 1 turns pictures grey (they still arrive as RGB), 3 leaves them.
        drop_last: Changes nothing, as every batch of training is whole.
        horizontal_flip: Probability in [0, 1] at which mirror images are natural here.
        mean: Mean of each channel in [0, 1]; None computes it from the training split.
        std: Deviation of each channel; None computes it from the training split.
        sampler: ``identities`` trains on batches of some identities with ``images_per_identity`` pictures
            each; ``pairs`` on ``batch_size / 2`` pairs, those that training lists or else any two pictures.
        images_per_identity: At least 2; used with ``sampler=identities``.
        match_share: Share of matching pairs in a batch, in [0, 1]; used with ``sampler=pairs``, where it must
            leave at least one pair of each kind.
    """

    def __init__(
        self,
        *,
        transforms: Mapping[str, Recipe],
        seed: int,
        image_size: int,
        batch_size: int = 64,
        num_workers: int = 0,
        channels: int = 3,
        drop_last: bool = False,
        horizontal_flip: float = 0.0,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        sampler: Sampler = "identities",
        images_per_identity: int = 4,
        match_share: float = 0.5,
    ) -> None:
        super().__init__(
            transforms=transforms,
            seed=seed,
            image_size=image_size,
            batch_size=batch_size,
            num_workers=num_workers,
            channels=channels,
            drop_last=drop_last,
            horizontal_flip=horizontal_flip,
        )
        check_statistics(mean, std, channels)
        _check_sampler(sampler, images_per_identity, match_share)
        self.mean, self.std = mean, std
        self.sampler = sampler
        self.images_per_identity = images_per_identity
        self.match_share = match_share
        self._data: Identified | None = None

    @abstractmethod
    def read(self) -> Identified:
        """Read or list the pictures, with the splits and pairs that the data have of themselves."""

    def read_all(self) -> Identified:
        """As `read`, but with the pictures that cannot be read, too."""
        return self.read()

    @property
    def cache_dir(self) -> Path | None:
        """Where what is computed from the pictures is remembered; None for data in memory."""
        return None

    @staticmethod
    def collate(items: list[Any]) -> Any:
        """A `VerificationBatch`, or for files to predict a dict of ``image``, ``index`` and ``error``."""
        return collate(items)

    def setup(self, stage: str | None = None) -> None:
        """Read the data and compute what is missing; only the first call reads anything.

        Args:
            stage: What Lightning is about to do; all splits are made in any case. Before ``fit`` the batches
                of training are checked; who only measures may have them in any size.

        Raises:
            ValueError: If the data cannot be used, or their batches cannot be made.
        """
        if self._data is None:
            data = self.read()
            self.mean, self.std = complete_statistics(
                self.mean,
                self.std,
                source=data.source,
                positions=data.splits["train"],
                channels=self.channels,
                cache_dir=self.cache_dir,
            )
            self._data = data
        if stage == "fit":
            self._check_batches(num_identities=len(self.data.counts("train")))

    @property
    def data(self) -> Identified:
        """All pictures and their splits, after `setup`."""
        assert self._data is not None, "call setup() first"
        return self._data

    @property
    def metadata(self) -> VerificationMetadata:
        """What a verifier must know, after `setup`."""
        assert self.mean is not None, "call setup() first"
        assert self.std is not None, "call setup() first"
        return {
            "num_identities": len(self.data.counts("train")),
            "image_size": self.image_size,
            "channels": self.channels,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    def listed_pairs(self, split: Split) -> IntArray | None:
        """Pairs in which a split is measured, (P, 4) as in `Identified`; None: each two pictures are one."""
        return self.data.pairs[split]

    def summary(self) -> dict[str, Any]:
        """Name, sizes, numbers of identities and pairs, pictures left out and digest as plain values."""
        return {
            "name": self.data.title,
            "sizes": {split: len(self.data.splits[split]) for split in SPLITS},
            "identities": {split: len(self.data.counts(split)) for split in SPLITS},
            "matching_pairs": {split: self.data.num_pairs(split)[0] for split in SPLITS},
            "other_pairs": {split: self.data.num_pairs(split)[1] for split in SPLITS},
            "skipped": self.data.skipped,
            "digest": self.data.digest(),
        }

    def inspect(self) -> dict[str, Any]:
        """Splits, identities, picture sizes and what is broken; every file is read once.

        Returns:
            See `DataModule.inspect`.

        Raises:
            ValueError: If data cannot be used that ``data.on_error=skip`` would not leave out
                (`BrokenRecords`), as a report of them promises that it would.
        """
        self.prepare_data()
        try:
            return inspect_identified(self.read_all(), cache_dir=self.cache_dir)
        except BrokenRecords as error:
            if not error.skip_helps:
                raise
            return only_problems(error)

    def dataset(self, split: Split, *, augment: bool) -> VerificationDataset:
        """Pictures of one split, those that are not augmented with the pairs that it lists.

        Args:
            split: Which part of the data.
            augment: Whether the recipe for training is applied, else that for evaluation.
        """
        return VerificationDataset(
            self.data,
            split=split,
            pipeline=self.pipelines["train" if augment else "eval"],
            seed=self.seed,
            is_measured=not augment,
        )

    def make_train_sampler(self) -> TrainSampler:
        """Batches of some identities with some pictures each, or of pairs."""
        labels = self.data.labels[self.data.splits["train"]]
        self._check_batches(num_identities=len(self.data.counts("train")))
        if self.sampler == "pairs":
            return PairSampler(
                labels=labels,
                listed=self.data.pairs["train"],
                batch_size=self.batch_size,
                match_share=self.match_share,
                seed=self.seed,
            )
        return IdentitySampler(
            labels=labels,
            batch_size=self.batch_size,
            images_per_identity=self.images_per_identity,
            seed=self.seed,
        )

    def raw_arrays(self, split: Split, limit: int, side: int | None = None) -> tuple[ByteArray, IntArray]:
        """Pictures as a baseline without a network sees them; see `raw_arrays.raw_arrays`.

        Args:
            split: Which part of the data.
            limit: Most pictures; of more, as many are taken at even distances.
            side: Larger pictures are shrunk to so many pixels a side; None leaves them.
        """
        return raw_arrays(self.dataset(split, augment=False), limit=limit, side=side)

    def annotate(self, batch: Mapping[str, Any], position: int) -> ByteArray:
        """One item of a batch as the network sees it, enlarged, with its identity above.

        Args:
            batch: A collated `VerificationBatch`, or an `ImageBatch` without labels.
            position: Which item.

        Returns:
            uint8 HWC, RGB.
        """
        picture = batch["image"][position].cpu().numpy().transpose(1, 2, 0)
        label = batch.get("label")
        return captioned(picture, "" if label is None else self.data.identity_names[int(label[position])])

    def _check_batches(self, *, num_identities: int) -> None:
        size, each = self.batch_size, self.images_per_identity
        if self.sampler == "pairs":
            if size % 2:
                raise ValueError(
                    f"data.batch_size={size} makes no whole pairs (data.sampler=pairs); set data.batch_size="
                    f"{size + 1}"
                )
            _check_kinds(size, self.match_share)
            return
        if size % each or size < 2 * each:
            fitting = sorted({max(size // each, 2) * each, (max(size // each, 1) + 1) * each})
            raise ValueError(
                f"data.batch_size={size} is not two or more whole groups of data.images_per_identity={each} "
                f"pictures; set data.batch_size={' or '.join(map(str, fitting))}, or another "
                "data.images_per_identity"
            )
        if size // each > num_identities:
            raise ValueError(
                f"data.batch_size={size} and data.images_per_identity={each} ask for {size // each} "
                f"identities in a batch, but training has {num_identities}; set "
                f"data.batch_size={each * num_identities}, or a larger data.images_per_identity"
            )


def _check_sampler(sampler: str, images_per_identity: int, match_share: float) -> None:
    if sampler not in ("identities", "pairs"):
        raise ValueError(f"data.sampler={sampler} must be identities or pairs")
    if images_per_identity < 2:
        raise ValueError(
            f"data.images_per_identity={images_per_identity} must be at least 2: else no two pictures "
            "of a batch show one identity"
        )
    if not 0 <= match_share <= 1:
        raise ValueError(f"data.match_share={match_share} must be in [0, 1]")


def _check_kinds(size: int, share: float) -> None:
    """Refuse batches of pairs of one kind, from which nothing is learnt but to say that kind."""
    matches, others = kinds_in_batch(batch_size=size, match_share=share)
    if matches and others:
        return
    if 0 < share < 1:
        # Half a pair of the rarer kind is rounded to a whole one, or to none.
        least = max(2 * int(0.5 / min(share, 1 - share)) - 2, 4)
        fits = (even for even in count(least, 2) if all(kinds_in_batch(batch_size=even, match_share=share)))
        way_out = f"set data.batch_size={next(fits)} or more"
        way_out += ", or data.match_share nearer to 0.5" if size > 2 else ""
    else:
        way_out = "set data.match_share=0.5" + (" and data.batch_size=4 or more" if size <= 2 else "")
    raise ValueError(
        f"data.match_share={share} of the {size // 2} pairs of data.batch_size={size} (data.sampler=pairs) "
        f"makes {matches} matching and {others} other pairs, so that a batch has pairs of one kind only; "
        f"{way_out}"
    )
