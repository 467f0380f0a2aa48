"""Pictures with a class for each pixel: what every segmentation data module has in common."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NotRequired

from torch.utils.data import Dataset

from datamodules.arrays import ByteArray
from datamodules.base import SPLITS, DataModule, LoaderOptions, PredictionDataset, PredictionItem, Split
from datamodules.batch import SegmentationMetadata
from datamodules.drawing_masks import draw_mask
from datamodules.mask_pipeline import MaskPipeline
from datamodules.readers.segmented import Segmented
from datamodules.samplers import EpochSampler, TrainSampler
from datamodules.segmented_dataset import SegmentationDataset, WithoutMask, collate
from datamodules.segmented_inspection import segmented_tables
from datamodules.statistics import check_statistics, complete_statistics
from datamodules.transforms import Recipe, compose_masks

Scale = Literal["light", "published"]


class SegmentationOptions(LoaderOptions):
    """Arguments of `SegmentationDataModule`, for the classes that hand them on; see there."""

    scale: NotRequired[Scale]
    mean: NotRequired[list[float] | None]
    std: NotRequired[list[float] | None]


class SegmentationDataModule(DataModule):
    """Base of the segmentation data; a subclass reads its files in `read`.

    Args:
        transforms: Recipes ``train`` and ``eval``, each a mapping of named steps.
        seed: Decides order and augmentation of training; splits do not depend on it.
        image_size: Side in pixels of the square parts of pictures that are trained on; measured and
            predicted are whole pictures of their own size.
        batch_size: Pictures in a batch, for each process.
        num_workers: Processes that read pictures for each loader; 0 reads in the training process.
        channels: 1 turns pictures grey (they still arrive as RGB), 3 leaves them.
        drop_last: Leaves out the last training batch where it is smaller than the others.
        horizontal_flip: Probability in [0, 1] at which mirror images are natural here.
        scale: Size of network that suits the data: ``light`` or ``published``.
        mean: Mean of each channel in [0, 1]; None computes it from the training split.
        std: Deviation of each channel; None computes it from the training split.
    """

    def __init__(
        self,
        *,
        transforms: Mapping[str, Recipe],
        seed: int,
        image_size: int,
        batch_size: int = 8,
        num_workers: int = 0,
        channels: int = 3,
        drop_last: bool = False,
        horizontal_flip: float = 0.0,
        scale: Scale = "published",
        mean: list[float] | None = None,
        std: list[float] | None = None,
    ) -> None:
        if scale not in ("light", "published"):
            raise ValueError(f"data.scale={scale} must be light or published")
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
        self.scale = scale
        self.mean, self.std = mean, std
        self._data: Segmented | None = None

    @abstractmethod
    def read(self) -> Segmented:
        """Read or list pictures and masks, with the splits that the data have of themselves.

        Raises:
            ValueError: If a record is broken and is not to be left out.
        """

    @property
    @abstractmethod
    def cache_dir(self) -> Path:
        """Where what is computed from pictures and masks is remembered."""

    def compose_recipe(self, name: str, recipe: Recipe) -> MaskPipeline:
        """Make a pipeline that moves pictures and masks together.

        Raises:
            ValueError: If the recipe for evaluation moves pixels: whole pictures are measured.
        """
        is_eval = name == "transforms.eval"
        size = None if is_eval else self.image_size
        pipeline = compose_masks(recipe, image_size=size, channels=self.channels, name=name)
        if is_eval and pipeline.moves:
            raise ValueError(
                f"{name} has the steps {', '.join(recipe)}, which move pixels, but what is measured are "
                "whole pictures of their own size; choose a recipe for segmentation, such as "
                "transforms=segmentation_light or transforms=segmentation_none"
            )
        return pipeline

    @staticmethod
    def collate(items: list[Any]) -> Any:
        """A `SegmentationBatch`, or for files to predict a dict of ``image``, ``index`` and ``error``."""
        return collate(items)

    def setup(self, stage: str | None = None) -> None:
        """Read the data and compute what is missing; only the first call does anything.

        Args:
            stage: What Lightning is about to do; all splits are made in any case.
        """
        if self._data is not None:
            return
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

    @property
    def data(self) -> Segmented:
        """All pictures and their splits, after `setup`."""
        assert self._data is not None, "call setup() first"
        return self._data

    @property
    def metadata(self) -> SegmentationMetadata:
        """What a segmenter must know, after `setup`."""
        assert self.mean is not None, "call setup() first"
        assert self.std is not None, "call setup() first"
        return {
            "class_names": list(self.data.class_names),
            "class_counts": self.data.counts("train"),
            "palette": [[int(value) for value in colour] for colour in self.data.palette],
            "image_size": self.image_size,
            "channels": self.channels,
            "mean": list(self.mean),
            "std": list(self.std),
            "scale": self.scale,
        }

    def summary(self) -> dict[str, Any]:
        """Name, sizes, class counts, records left out and digest as plain values."""
        return {
            "name": self.data.title,
            "sizes": {split: len(self.data.splits[split]) for split in SPLITS},
            "counted": "pixels",
            "class_counts": {split: self.data.counts(split) for split in SPLITS},
            "skipped": self.data.skipped,
            "digest": self.data.digest(),
        }

    def inspect(self) -> dict[str, Any]:
        """Tables of the data; a subclass that reads files looks for problems as well.

        Returns:
            See `DataModule.inspect`.
        """
        self.prepare_data()
        data = self.read()
        return {"title": data.title, "tables": segmented_tables(data), "problems": []}

    def dataset(self, split: Split, *, augment: bool) -> SegmentationDataset:
        """Pictures of one split.

        Args:
            split: Which part of the data.
            augment: Whether the recipe for training is applied, else that for evaluation.
        """
        return SegmentationDataset(
            self.data,
            positions=self.data.splits[split],
            pipeline=self.pipelines["train" if augment else "eval"],
            seed=self.seed,
        )

    def predict_dataset(self, paths: Sequence[Path]) -> Dataset[PredictionItem]:
        """Image files of any size; see `PredictionItem`.

        Args:
            paths: Files; a broken one becomes a black item with an ``error``.
        """
        pipeline = WithoutMask(self.pipelines["eval"])
        return PredictionDataset(paths, pipeline=pipeline, image_size=self.image_size)

    def make_train_sampler(self) -> TrainSampler:
        """Every picture once."""
        return EpochSampler(size=len(self.data.splits["train"]), seed=self.seed)

    def annotate(self, batch: Mapping[str, Any], position: int) -> ByteArray:
        """One item of a batch, enlarged, with its mask over it and the names of its classes below.

        Args:
            batch: A collated `SegmentationBatch`, or an `ImageBatch` without masks.
            position: Which item.

        Returns:
            uint8 HWC, RGB.
        """
        return draw_mask(
            batch["image"][position].cpu().numpy().transpose(1, 2, 0),
            mask=batch["mask"][position].cpu().numpy() if "mask" in batch else None,
            palette=self.data.palette,
            names=self.data.class_names,
        )
