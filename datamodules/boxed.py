"""Pictures with boxes: what every detection data module has in common."""

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NotRequired

import numpy as np
from torch.utils.data import Dataset

from datamodules.anchors import Shapes, kmeans_anchors
from datamodules.arrays import ByteArray, IntArray
from datamodules.base import SPLITS, DataModule, LoaderOptions, PredictionDataset, PredictionItem, Split
from datamodules.batch import DetectionMetadata
from datamodules.box_pipeline import BoxPipeline
from datamodules.boxed_dataset import DetectionDataset, Training, WithoutObjects, collate
from datamodules.boxed_picture import BoolArray
from datamodules.combining import Scheduled
from datamodules.drawing_boxes import draw_boxes
from datamodules.readers.boxed import Boxed
from datamodules.samplers import EpochSampler, TrainSampler
from datamodules.transforms import Recipe, compose_boxes

Scale = Literal["light", "published"]
_PUBLISHED_SIDES = (800, 1333)  # short side and the most of the long one at which networks see pictures

log = logging.getLogger(__name__)


class DetectionOptions(LoaderOptions):
    """Arguments of `DetectionDataModule`, for the classes that hand them on; see there."""

    scale: NotRequired[Scale]
    min_visibility: NotRequired[float]
    keep_empty: NotRequired[bool]
    train_on_difficult: NotRequired[bool]


class DetectionDataModule(DataModule):
    """Base of the detection data; a subclass reads its files in `read`.

    Args:
        transforms: Recipes ``train`` and ``eval``, and ``combine`` where pictures are put together for
            training; each a mapping of named steps.
        seed: Decides order and augmentation of training; splits do not depend on it.
        image_size: Short side in pixels at which the network sees a picture; it resizes by itself.
        batch_size: Pictures in a batch, for each process.
        num_workers: Processes that read pictures for each loader; 0 reads in the training process.
        channels: 1 turns pictures grey (they still arrive as RGB), 3 leaves them.
        drop_last: Leaves out the last training batch where it is smaller than the others.
        horizontal_flip: Probability in [0, 1] at which mirror images are natural here.
        scale: Size of network that suits the data: ``light`` or ``published``.
        min_visibility: Share of its area, in [0, 1], that an object must keep in a crop to stay a target.
        keep_empty: Whether pictures without an object to train on are trained on, as background.
        train_on_difficult: Whether objects that PASCAL VOC marks as difficult are trained on. Those that
            stand for a crowd never are.
    """

    combines = True

    with_masks: bool = False
    """Whether datasets read masks; to be set before they are made."""

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
        min_visibility: float = 0.25,
        keep_empty: bool = True,
        train_on_difficult: bool = True,
    ) -> None:
        _check_options(scale, min_visibility)
        self.min_visibility = min_visibility  # before the base composes the recipes, which need it
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
        self.scale = scale
        self.keep_empty = keep_empty
        self.train_on_difficult = train_on_difficult
        self._data: Boxed | None = None
        _warn_of_closed(transforms.get("combine", {}))

    @abstractmethod
    def read(self) -> Boxed:
        """Read or list the pictures and their objects, with the splits that the data have of themselves.

        Raises:
            ValueError: If a record is broken and is not to be left out.
        """

    def compose_recipe(self, name: str, recipe: Recipe) -> BoxPipeline:
        """Make a pipeline that changes pictures and boxes together.

        Raises:
            ValueError: If the recipe for evaluation moves pixels: whole pictures are measured.
        """
        pipeline = compose_boxes(
            recipe, channels=self.channels, min_visibility=self.min_visibility, name=name
        )
        if name == "transforms.eval" and pipeline.moves:
            raise ValueError(
                f"{name} has the steps {', '.join(recipe)}, which move pixels, but what is measured are "
                "whole pictures, which the network resizes; choose a recipe for detection, such as "
                "transforms=detection_light or transforms=detection_none"
            )
        return pipeline

    @staticmethod
    def collate(items: list[Any]) -> Any:
        """A `DetectionBatch`, or for files to predict a dict of ``image``, ``index`` and ``error``."""
        return collate(items)

    def setup(self, stage: str | None = None) -> None:
        """Read the data; only the first call does anything.

        Args:
            stage: What Lightning is about to do; all splits are made in any case.
        """
        if self._data is None:
            self._data = self.read()

    @property
    def data(self) -> Boxed:
        """All pictures and their splits, after `setup`."""
        assert self._data is not None, "call setup() first"
        return self._data

    @property
    def metadata(self) -> DetectionMetadata:
        """What a detector must know, after `setup`."""
        return {
            "class_names": list(self.data.class_names),
            "class_counts": self.data.counts("train"),
            "category_ids": [int(category) for category in self.data.category_ids],
            "image_size": self.image_size,
            "scale": self.scale,
            "has_masks": self.data.masks is not None,
        }

    def summary(self) -> dict[str, Any]:
        """Name, sizes, class counts, records left out and digest as plain values."""
        return {
            "name": self.data.title,
            "sizes": {split: len(self._positions(split)) for split in SPLITS},
            "counted": "objects",
            "num_objects": {split: len(self.data.of_split(split)) for split in SPLITS},
            "class_counts": {split: self.data.counts(split) for split in SPLITS},
            "skipped": self.data.skipped,
            "digest": self.data.digest(),
        }

    def dataset(self, split: Split, *, augment: bool) -> DetectionDataset:
        """Pictures of one split.

        Args:
            split: Which part of the data.
            augment: Whether they are trained on: with the recipe for training, combined with others, and
                without the objects that are no targets. Else everything is kept.
        """
        training = Training(is_target=self._is_target, combinations=self.combinations)
        return DetectionDataset(
            self.data,
            positions=self._positions(split),
            pipeline=self.pipelines["train" if augment else "eval"],
            seed=self.seed,
            with_masks=self.with_masks,
            training=training if augment else None,
        )

    def image_ids(self, split: Split) -> list[int]:
        """Ids that the data's own files use for the pictures of a split, in its order."""
        return [int(identity) for identity in self.data.image_ids[self._positions(split)]]

    def predict_dataset(self, paths: Sequence[Path]) -> Dataset[PredictionItem]:
        """Image files of any size; see `PredictionItem`.

        Args:
            paths: Files; a broken one becomes a black item with an ``error``.
        """
        return PredictionDataset(
            paths, pipeline=WithoutObjects(self.pipelines["eval"]), image_size=self.image_size
        )

    def make_train_sampler(self) -> TrainSampler:
        """Every picture once.

        Raises:
            ValueError: If there is nothing to train on.
        """
        if not len(self._targets()):
            raise ValueError(
                f"{self.data.title}: the training split has {len(self.data.splits['train'])} pictures, but "
                "no object to train on; check its annotations and data.train_on_difficult"
            )
        return EpochSampler(size=len(self._positions("train")), seed=self.seed)

    def kmeans_anchors(
        self, count: int, *, squashed: bool = False, max_size: int | None = None
    ) -> list[list[float]]:
        """Shapes of anchors that fit the objects of training, in pixels of the network's input.

        Args:
            count: How many.
            squashed: For networks that see every picture as a square of `image_size`, whatever its shape,
                such as SSD; else both sides of a picture are resized alike, its short side to `image_size`.
            max_size: Pixels that the long side may have then, where the picture is resized less; None means
                1333 / 800 of `image_size`, as published.

        Returns:
            ``count`` pairs of width and height, from the smallest area to the largest; see
            `datamodules.anchors.kmeans_anchors`.

        Raises:
            ValueError: If training has fewer different shapes of objects.
        """
        chosen = self._targets()
        pictures = np.searchsorted(self.data.offsets, chosen, side="right") - 1
        factors = self._factors(self.data.sizes[pictures], squashed=squashed, max_size=max_size)
        boxes = self.data.boxes[chosen].astype(np.float64)
        return kmeans_anchors((boxes[:, 2:] - boxes[:, :2]) * factors, count=count)

    def annotate(self, batch: Mapping[str, Any], position: int) -> ByteArray:
        """One item of a batch with its boxes and class names, and masks where the batch has them.

        Args:
            batch: A collated `DetectionBatch`, or an `ImageBatch` without objects.
            position: Which item.

        Returns:
            uint8 HWC, RGB.
        """
        picture = batch["image"][position].cpu().numpy().transpose(1, 2, 0)
        if "boxes" not in batch:
            return draw_boxes(picture, boxes=np.zeros((0, 4), dtype=np.float32), texts=[], colours=[])
        labels = batch["labels"][position].tolist()
        return draw_boxes(
            picture,
            boxes=batch["boxes"][position].cpu().numpy(),
            texts=[self.data.class_names[label] for label in labels],
            colours=labels,
            masks=batch["masks"][position].cpu().numpy() if batch["masks"] else None,
        )

    def _factors(self, sizes: IntArray, *, squashed: bool, max_size: int | None) -> Shapes:
        """By what the network resizes width and height of pictures of sizes (N, 2), height and width."""
        if squashed:
            return np.asarray(self.image_size / sizes[:, ::-1], dtype=np.float64)
        short, long = _PUBLISHED_SIDES
        longest = round(self.image_size * long / short) if max_size is None else max_size
        factors = np.minimum(self.image_size / sizes.min(axis=1), longest / sizes.max(axis=1))
        return np.repeat(factors[:, None], 2, axis=1)

    @property
    def _is_target(self) -> BoolArray:
        """Which of all M objects are trained on: never those that stand for a crowd."""
        data = self.data
        return ~data.is_crowd if self.train_on_difficult else ~(data.is_crowd | data.is_difficult)

    def _targets(self) -> IntArray:
        """Positions of the objects of the training split that are trained on."""
        objects = self.data.of_split("train")
        return objects[self._is_target[objects]]

    def _positions(self, split: Split) -> IntArray:
        """Pictures of a split; that of training may be without those that have nothing to train on."""
        positions = self.data.splits[split]
        if split != "train" or self.keep_empty:
            return positions
        before = np.concatenate([[0], np.cumsum(self._is_target)])[self.data.offsets]
        return positions[(before[1:] > before[:-1])[positions]]


def _warn_of_closed(steps: Mapping[str, Any]) -> None:
    """Say which combinations a training is too short for."""
    for name, step in steps.items():
        if isinstance(step, Scheduled) and step.is_never_open:
            log.warning(
                "transforms.combine.%s.close_epochs=%d leaves none of trainer.max_epochs=%d epochs to "
                "combine pictures in; set it lower (0 combines in all epochs), or train longer",
                name,
                step.close_epochs,
                step.epochs,
            )


def _check_options(scale: str, min_visibility: float) -> None:
    if scale not in ("light", "published"):
        raise ValueError(f"data.scale={scale} must be light or published")
    if not 0 <= min_visibility <= 1:
        raise ValueError(f"data.min_visibility={min_visibility} must be a share in [0, 1]")
