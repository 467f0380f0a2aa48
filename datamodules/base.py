"""What every task's data has in common: loaders, recipes, their randomness, and resuming.

The epoch of an item travels with its index (`samplers.Draw`), so each augmentation is drawn from
(seed, epoch, index) alone: the same for 0, 1 or 2 workers, another one in each epoch.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NotRequired, Protocol, TypedDict

import cv2
import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from datamodules.arrays import ByteArray
from datamodules.images import check_shape, read_image
from datamodules.randomness import stable_hash
from datamodules.samplers import Draw, OrderedSampler, TrainSampler, even_batch_size, processes
from datamodules.transforms import Recipe, compose

log = logging.getLogger(__name__)

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class LoaderOptions(TypedDict):
    """Arguments of `DataModule`, for the classes that hand them on; see there."""

    transforms: Mapping[str, Recipe]
    seed: int
    image_size: int
    batch_size: NotRequired[int]
    num_workers: NotRequired[int]
    channels: NotRequired[int]
    drop_last: NotRequired[bool]
    horizontal_flip: NotRequired[float]


class PredictionItem(TypedDict):
    """One file to predict.

    Attributes:
        image: uint8 (3, H, W), RGB; black where the file is broken.
        index: Position of the path.
        error: What is wrong with the file, or an empty text.
    """

    image: Tensor
    index: int
    error: str


class PicturePipeline(Protocol):
    """A recipe for a picture without targets."""

    def __call__(self, picture: ByteArray, *, seed: int) -> Tensor:
        """From uint8 (H, W, 3) to uint8 (3, H', W'); the seed decides everything random."""


class DataModule(LightningDataModule, ABC):
    """Base of the data modules.

    Args:
        transforms: Recipes ``train`` and ``eval``, each a mapping of named steps; where `combines` is
            true also ``combine``, named steps that put several pictures together.
        seed: Decides order and augmentation of training; splits do not depend on it.
        image_size: Side in pixels of what the network sees.
        batch_size: Items in a batch, for each process.
        num_workers: Processes that read pictures for each loader; 0 reads in the training process.
        channels: 1 turns pictures grey (they still arrive as RGB), 3 leaves them.
        drop_last: Leaves out the last training batch where it is smaller than the others.
        horizontal_flip: Probability in [0, 1] at which mirror images are natural here; recipes read it
            from the configuration.
    """

    combines: ClassVar[bool] = False
    """Whether these data can put several pictures together, as a recipe's ``combine`` part asks."""

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
    ) -> None:
        super().__init__()
        _check_recipes(transforms, combines=self.combines)
        _check_options(image_size, batch_size, num_workers, channels, horizontal_flip)
        self.seed = seed
        self.image_size = image_size
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.channels = channels
        self.drop_last = drop_last
        self.horizontal_flip = horizontal_flip
        self.pipelines = {
            name: self.compose_recipe(f"transforms.{name}", transforms[name]) for name in ("train", "eval")
        }
        self.combinations = [step for step in transforms.get("combine", {}).values() if step is not None]
        self.measured_split: Split = "test"
        self._train_sampler: TrainSampler | None = None

    def compose_recipe(self, name: str, recipe: Recipe) -> Any:
        """Make what `dataset` applies to each item of a recipe's steps; here a `Pipeline` of pictures.

        Args:
            name: Where the recipe stands in the configuration, for messages.
            recipe: Named steps in order.
        """
        return compose(recipe, image_size=self.image_size, channels=self.channels, name=name)

    @staticmethod
    def collate(items: list[Any]) -> Any:
        """One batch of items, also of those of `predict_dataset`.

        It is static so that a worker process that is spawned is sent a name, not the data.
        """
        return default_collate(items)

    @property
    @abstractmethod
    def metadata(self) -> Mapping[str, Any]:
        """What a network must know, as plain values; ``class_names`` among them where there are classes."""

    @abstractmethod
    def dataset(self, split: Split, *, augment: bool) -> Dataset[Any]:
        """Items of one split as dicts of the batch, by position or `Draw`.

        Args:
            split: Which part of the data.
            augment: Whether the recipe for training is applied, else that for evaluation.
        """

    @abstractmethod
    def make_train_sampler(self) -> TrainSampler:
        """The order of training."""

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """Name, sizes and digest as plain values, for the panel and MLflow."""

    @abstractmethod
    def annotate(self, batch: Mapping[str, Any], position: int) -> ByteArray:
        """Picture of one item of a collated batch with its target drawn, uint8 HWC."""

    @property
    def train_sampler(self) -> TrainSampler:
        """The one sampler of training; it lives as long as this object."""
        if self._train_sampler is None:
            self._train_sampler = self.make_train_sampler()
        return self._train_sampler

    def use_batch_size(self, batch_size: int) -> None:
        """Make batches of another size from now on, in an order of training that starts anew.

        Args:
            batch_size: Items in a batch, for each process.
        """
        self.batch_size = batch_size
        self._train_sampler = None

    def resume(self, epoch: int, batches: int) -> None:
        """Go on in mid-epoch: call it after `setup` and before fitting starts.

        Args:
            epoch: Epoch that was interrupted.
            batches: Batches that were used up in it, on each process.
        """
        self.train_sampler.resume(epoch=epoch, consumed=batches * self.batch_size)

    def train_dataloader(self) -> DataLoader[Any]:
        """Augmented batches in random order.

        Raises:
            ValueError: If ``drop_last`` would leave out the only batch.
        """
        self._check_last_batch(len(self.train_sampler))
        return self._loader(
            self.dataset("train", augment=True),
            sampler=self.train_sampler,
            batch_size=self.batch_size,
            drop_last=self.drop_last,
            persistent=True,
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """Validation batches in order."""
        return self._evaluation_loader("val", persistent=True)

    def test_dataloader(self) -> DataLoader[Any]:
        """Batches of `measured_split` in order: test, unless another split is to be measured."""
        return self._evaluation_loader(self.measured_split, persistent=False)

    def sample(self, split: Split, *, positions: Sequence[int], epoch: int) -> Any:
        """One collated batch of chosen items, for people to look at.

        Args:
            split: `train` is augmented, the others are not.
            positions: Which items.
            epoch: The epoch whose augmentation is drawn.
        """
        dataset = self.dataset(split, augment=split == "train")
        return self.collate([dataset[Draw(position, epoch, 0)] for position in positions])

    def inspect(self) -> dict[str, Any]:
        """What a person should know of the data before training on them, as plain values.

        Returns:
            ``title``, ``tables`` (each with ``title``, ``columns`` and ``rows``) and ``problems`` (each
            with ``file``, ``line``, ``record`` and ``problem``), which data look for that read files.
        """
        self.prepare_data()
        self.setup("fit")
        summary = self.summary()
        counts = summary.get("class_counts", {})
        names = self.metadata.get("class_names", [])
        sizes = [[split, summary["sizes"][split]] for split in SPLITS]
        classes = [[name, *(counts[split][i] for split in SPLITS)] for i, name in enumerate(names)]
        tables = [{"title": "splits", "columns": ["split", "pictures"], "rows": sizes}]
        if classes:
            tables.append({"title": "classes", "columns": ["class", *SPLITS], "rows": classes})
        return {"title": summary["name"], "tables": tables, "problems": []}

    def _check_last_batch(self, size: int) -> None:
        if self.drop_last and size < self.batch_size:
            raise ValueError(
                f"data.drop_last=true leaves nothing of {size} pictures with "
                f"data.batch_size={self.batch_size}; set data.drop_last=false or a smaller batch"
            )
        if not self.drop_last and self.batch_size > 1 and size % self.batch_size == 1:
            log.warning(
                "the last batch of an epoch is one picture; if batch norm refuses: data.drop_last=true"
            )

    def predict_dataset(self, paths: Sequence[Path]) -> Dataset[PredictionItem]:
        """Image files as the network should see them; see `PredictionItem`.

        Args:
            paths: Files; a broken one becomes an item with an ``error``.
        """
        return PredictionDataset(paths, pipeline=self.pipelines["eval"], image_size=self.image_size)

    def _evaluation_loader(self, split: Split, *, persistent: bool) -> DataLoader[Any]:
        dataset = self.dataset(split, augment=False)
        size, (world, _) = len(dataset), processes()  # type: ignore[arg-type]
        if size < world:
            raise ValueError(f"{split} has {size} items for {world} processes; start at most {size}")
        batch_size = even_batch_size(size=size, batch_size=self.batch_size, world=world)
        sampler = OrderedSampler(size=size)
        return self._loader(
            dataset, sampler=sampler, batch_size=batch_size, drop_last=False, persistent=persistent
        )

    def _loader(
        self,
        dataset: Dataset[Any],
        *,
        sampler: TrainSampler | OrderedSampler,
        batch_size: int,
        drop_last: bool,
        persistent: bool,
    ) -> DataLoader[Any]:
        return DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            drop_last=drop_last,
            collate_fn=self.collate,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=persistent and self.num_workers > 0,
            worker_init_fn=start_worker,
            # Without one of its own, a loader draws from the generator that dropout uses.
            generator=torch.Generator().manual_seed(self.seed),
        )


class PredictionDataset(Dataset[PredictionItem]):
    """Files to predict, in order; one that is broken or far too elongated does not stop the others.

    Args:
        paths: Image files.
        pipeline: Recipe for evaluation.
        image_size: Side in pixels of the black picture that stands for a broken file.
    """

    def __init__(self, paths: Sequence[Path], *, pipeline: PicturePipeline, image_size: int) -> None:
        self._paths = list(paths)
        self._pipeline = pipeline
        self._image_size = image_size

    def __len__(self) -> int:
        """Number of files."""
        return len(self._paths)

    def __getitem__(self, index: int) -> PredictionItem:
        """One file."""
        try:
            picture = _fit_to_see(Path(self._paths[index]))
        except ValueError as error:
            black = torch.zeros(3, self._image_size, self._image_size, dtype=torch.uint8)
            return {"image": black, "index": index, "error": str(error)}
        return {"image": self._pipeline(picture, seed=stable_hash(0, 0, index)), "index": index, "error": ""}


def _fit_to_see(path: Path) -> ByteArray:
    """A picture of which something is left when it is resized."""
    picture = read_image(path)
    problem = check_shape(*picture.shape[:2])
    if problem:
        raise ValueError(f"{path} {problem}")
    return picture


def start_worker(worker_id: int) -> None:
    """Prepare a worker process; torch has seeded its own generators by then.

    Args:
        worker_id: Number of the worker.
    """
    cv2.setNumThreads(0)  # one worker is one thread, as for torch; more would fight for the cores
    np.random.seed(torch.initial_seed() % 2**32)  # no step of ours draws from it, a foreign one might


Check = tuple[str, Any, Callable[[Any], bool], str]


def _check_recipes(transforms: Mapping[str, Recipe], *, combines: bool) -> None:
    if set(transforms) - {"combine"} != {"train", "eval"}:
        optional = ", and may have combine" if combines else ""
        raise ValueError(
            f"transforms has the recipes {sorted(transforms)}, but needs exactly train and eval{optional}"
        )
    if transforms.get("combine") and not combines:
        raise ValueError(
            f"transforms.combine={sorted(transforms['combine'])} puts several pictures together, which these "
            "data cannot do; leave the part out, or choose other transforms"
        )


def _check_options(
    image_size: int, batch_size: int, num_workers: int, channels: int, horizontal_flip: float
) -> None:
    checks: list[Check] = [
        ("image_size", image_size, lambda value: value >= 1, "at least 1"),
        ("batch_size", batch_size, lambda value: value >= 1, "at least 1"),
        ("num_workers", num_workers, lambda value: value >= 0, "at least 0"),
        ("channels", channels, lambda value: value in (1, 3), "1 for grey or 3 for colour"),
        ("horizontal_flip", horizontal_flip, lambda value: 0 <= value <= 1, "a probability in [0, 1]"),
    ]
    for name, value, is_right, meaning in checks:
        if not is_right(value):
            raise ValueError(f"data.{name}={value} must be {meaning}")
