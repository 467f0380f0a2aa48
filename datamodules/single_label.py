"""Pictures with one class each: what every classification data module has in common."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NotRequired, TypedDict

from torch import Tensor
from torch.utils.data import Dataset

from datamodules.arrays import ByteArray, IntArray
from datamodules.base import SPLITS, DataModule, LoaderOptions, Split
from datamodules.batch import ClassificationMetadata
from datamodules.drawing import captioned
from datamodules.labelled_inspection import inspect_labelled, only_problems
from datamodules.picture_pipeline import Pipeline
from datamodules.raw_arrays import raw_arrays
from datamodules.readers.labelled import Labelled
from datamodules.readers.problems import BrokenRecords
from datamodules.samplers import BalancedSampler, Draw, EpochSampler, TrainSampler
from datamodules.statistics import check_statistics, complete_statistics
from datamodules.transforms import Recipe


class ClassificationOptions(LoaderOptions):
    """Arguments of `ClassificationDataModule`, for the classes that hand them on; see there."""

    mean: NotRequired[list[float] | None]
    std: NotRequired[list[float] | None]
    num_folds: NotRequired[int | None]
    fold: NotRequired[int]
    split_seed: NotRequired[int]
    balanced_sampling: NotRequired[bool]


class ClassificationItem(TypedDict):
    """One picture with its class; collated it is a `ClassificationBatch`.

    Attributes:
        image: uint8 (3, H, W), RGB.
        label: Class id.
        index: Position in the split.
    """

    image: Tensor
    label: int
    index: int


class ClassificationDataset(Dataset[ClassificationItem]):
    """One split of labelled pictures.

    Args:
        data: All pictures.
        split: Which part of them.
        pipeline: Recipe to apply.
        seed: With epoch and index, decides what the recipe draws.
    """

    def __init__(self, data: Labelled, *, split: Split, pipeline: Pipeline, seed: int) -> None:
        self._data = data
        self._positions = data.splits[split]
        self._pipeline = pipeline
        self._seed = seed

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._positions)

    def __getitem__(self, key: int | Draw) -> ClassificationItem:
        """One picture; a plain position means epoch 0.

        Raises:
            ValueError: If its file is broken.
        """
        draw = key if isinstance(key, Draw) else Draw(range(len(self))[key], 0, 0)
        stored = int(self._positions[draw.position])
        image = self._pipeline(self._data.source.read(stored), seed=draw.seed(self._seed))
        return {"image": image, "label": int(self._data.labels[stored]), "index": draw.position}

    def name(self, index: int) -> str:
        """What a person calls a picture: its path, or data set and number."""
        return self._data.source.name(int(self._positions[index]))


class ClassificationDataModule(DataModule):
    """Base of the classification data; a subclass reads its files in `read`.

    Args:
        transforms: Recipes ``train`` and ``eval``, each a mapping of named steps.
        seed: Decides order and augmentation of training; splits do not depend on it.
        image_size: Side in pixels of what the network sees.
        batch_size: Pictures in a batch, for each process.
        num_workers: Processes that read pictures for each loader; 0 reads in the training process.
        channels: 1 turns pictures grey (they still arrive as RGB), 3 leaves them.
        drop_last: Leaves out the last training batch where it is smaller than the others.
        horizontal_flip: Probability in [0, 1] at which mirror images are natural here.
        mean: Mean of each channel in [0, 1]; None computes it from the training split.
        std: Deviation of each channel; None computes it from the training split.
        num_folds: Cuts training and validation anew into stratified folds; None leaves them.
        fold: The fold that validates, in [0, num_folds).
        split_seed: Decides every random cut. It is not the seed of the run, so that runs that differ
            in their seed can be compared and combined.
        balanced_sampling: Draws every class as often as the others, with replacement.
    """

    keeps_neighbours_together: ClassVar[bool] = False
    """Whether folds are contiguous blocks of each class, because neighbours are alike."""

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
        num_folds: int | None = None,
        fold: int = 0,
        split_seed: int = 0,
        balanced_sampling: bool = False,
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
        self.mean, self.std = mean, std
        self.num_folds, self.fold = num_folds, fold
        self.split_seed = split_seed
        self.balanced_sampling = balanced_sampling
        self._data: Labelled | None = None

    @abstractmethod
    def read(self) -> Labelled:
        """Read or list the pictures, with the splits that the data has of itself."""

    def read_all(self) -> Labelled:
        """As `read`, but with the pictures that cannot be read, too."""
        return self.read()

    @property
    def cache_dir(self) -> Path | None:
        """Where what is computed from the pictures is remembered; None for data in memory."""
        return None

    def setup(self, stage: str | None = None) -> None:
        """Read the data, cut folds and compute what is missing; only the first call does anything.

        Args:
            stage: What Lightning is about to do; all splits are made in any case.
        """
        if self._data is not None:
            return
        data = self.read()
        if self.num_folds is not None:
            seed = None if self.keeps_neighbours_together else self.split_seed
            data = data.fold(num_folds=self.num_folds, fold=self.fold, seed=seed)
        self.mean, self.std = complete_statistics(
            self.mean,
            self.std,
            source=data.source,
            positions=data.splits["train"],
            channels=self.channels,
            cache_dir=self.cache_dir,
        )
        self._data = data

    @property
    def data(self) -> Labelled:
        """All pictures and their splits, after `setup`."""
        assert self._data is not None, "call setup() first"
        return self._data

    @property
    def metadata(self) -> ClassificationMetadata:
        """What a classifier must know, after `setup`."""
        assert self.mean is not None, "call setup() first"
        assert self.std is not None, "call setup() first"
        return {
            "class_names": list(self.data.class_names),
            "class_counts": self.data.counts("train"),
            "image_size": self.image_size,
            "channels": self.channels,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    def inspect(self) -> dict[str, Any]:
        """Splits, classes, picture sizes and what is broken; every file is read once.

        Returns:
            See `DataModule.inspect`.
        """
        self.prepare_data()
        try:
            return inspect_labelled(self.read_all(), cache_dir=self.cache_dir)
        except BrokenRecords as error:
            return only_problems(error)

    def summary(self) -> dict[str, Any]:
        """Name, sizes, class counts, pictures left out and digest as plain values."""
        return {
            "name": self.data.title,
            "sizes": {split: len(self.data.splits[split]) for split in SPLITS},
            "class_counts": {split: self.data.counts(split) for split in SPLITS},
            "skipped": self.data.skipped,
            "digest": self.data.digest(),
        }

    def dataset(self, split: Split, *, augment: bool) -> ClassificationDataset:
        """Pictures of one split.

        Args:
            split: Which part of the data.
            augment: Whether the recipe for training is applied, else that for evaluation.
        """
        pipeline = self.pipelines["train" if augment else "eval"]
        return ClassificationDataset(self.data, split=split, pipeline=pipeline, seed=self.seed)

    def make_train_sampler(self) -> TrainSampler:
        """Every picture once, or every class equally often."""
        labels = self.data.labels[self.data.splits["train"]]
        if self.balanced_sampling:
            return BalancedSampler(labels=labels, seed=self.seed)
        return EpochSampler(size=len(labels), seed=self.seed)

    def raw_arrays(self, split: Split, limit: int, side: int | None = None) -> tuple[ByteArray, IntArray]:
        """Pictures as a baseline without a network sees them.

        Args:
            split: Which part of the data.
            limit: Most pictures; of more, as many are taken at even distances.
            side: Larger pictures are shrunk to so many pixels a side; None leaves them.

        Returns:
            uint8 (N, H, W, 3) after the recipe for evaluation, and int64 (N,) class ids.
        """
        return raw_arrays(self.dataset(split, augment=False), limit=limit, side=side)

    def annotate(self, batch: Mapping[str, Any], position: int) -> ByteArray:
        """One item of a batch as the network sees it, enlarged, with its class above.

        Args:
            batch: A collated `ClassificationBatch`, or an `ImageBatch` without labels.
            position: Which item.

        Returns:
            uint8 HWC, RGB.
        """
        picture = batch["image"][position].cpu().numpy().transpose(1, 2, 0)
        label = batch.get("label")
        return captioned(picture, "" if label is None else self.data.class_names[int(label[position])])
