"""Contents and styles: what every style transfer data module has in common."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from torch import Tensor
from torch.utils.data import Dataset

from datamodules.arrays import ByteArray
from datamodules.base import DataModule, PredictionDataset, PredictionItem
from datamodules.batch import StyleTransferMetadata
from datamodules.drawing_styles import draw_styles
from datamodules.photographs import read_photograph, shrunk
from datamodules.picture_pipeline import Pipeline
from datamodules.styled_dataset import STYLE_FACTOR, collate, to_tensor
from datamodules.styled_files import FilesToPaint
from datamodules.transforms import Recipe, compose

# Of ImageNet's pictures in [0, 1]: published features expect pictures normalised by them.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class StyleTransferOptions(TypedDict):
    """Arguments of `StyleTransferDataModule`, for the classes that hand them on; see there."""

    transforms: Mapping[str, Recipe]
    seed: int
    image_size: int
    batch_size: NotRequired[int]
    num_workers: NotRequired[int]
    drop_last: NotRequired[bool]


class StyleTransferDataModule(DataModule):
    """Base of the style transfer data; a subclass reads its pictures in `setup`.

    Args:
        transforms: Recipes ``train`` and ``eval``, each a mapping of named steps.
        seed: Decides order and augmentation of training; splits do not depend on it.
        image_size: Longer side in pixels of what is measured; side of the square parts of pictures that are
            trained on. Predicted are whole pictures of their own size.
        batch_size: Contents in a batch, for each process.
        num_workers: Processes that read pictures for each loader; 0 reads in the training process.
        drop_last: Leaves out the last training batch where it is smaller than the others.
    """

    def __init__(
        self,
        *,
        transforms: Mapping[str, Recipe],
        seed: int,
        image_size: int,
        batch_size: int = 1,
        num_workers: int = 0,
        drop_last: bool = False,
    ) -> None:
        super().__init__(
            transforms=transforms,
            seed=seed,
            image_size=image_size,
            batch_size=batch_size,
            num_workers=num_workers,
            drop_last=drop_last,
        )

    @abstractmethod
    def setup(self, stage: str | None = None) -> None:
        """Read the pictures; only the first call does anything.

        Args:
            stage: What Lightning is about to do; all splits are made in any case.

        Raises:
            ValueError: If pictures cannot be found or read.
        """

    @property
    @abstractmethod
    def content_size(self) -> list[int] | None:
        """Height and width of the one content, after `setup`; None where there are many."""

    @property
    @abstractmethod
    def num_styles(self) -> int:
        """Style pictures of each content."""

    def compose_recipe(self, name: str, recipe: Recipe) -> Pipeline:
        """Make a pipeline of which only training must end with squares."""
        size = self.image_size if name == "transforms.train" else None
        return compose(recipe, image_size=size, channels=self.channels, name=name)

    @staticmethod
    def collate(items: list[Any]) -> Any:
        """A `StyleTransferBatch`, or for files to predict a dict of ``image``, ``index`` and ``error``."""
        return collate(items)

    @property
    def metadata(self) -> StyleTransferMetadata:
        """What style transfer must know, after `setup`."""
        return {
            "image_size": self.image_size,
            "content_size": self.content_size,
            "num_styles": self.num_styles,
            "channels": self.channels,
            "mean": list(MEAN),
            "std": list(STD),
        }

    def read_styles(
        self, words: Sequence[str], *, key: str = "data.style", image_size: int | None = None
    ) -> list[Tensor]:
        """Read style pictures as training sees them, also before `setup`.

        Args:
            words: Files, or names of embedded photographs.
            key: Where they stand in the configuration, for messages.
            image_size: Longer side of what is painted like them; None: as in training.

        Returns:
            uint8 (3, h, w) each, RGB; longer sides have at most twice ``image_size`` pixels.

        Raises:
            ValueError: If one cannot be found or read.
        """
        longer_side = STYLE_FACTOR * (image_size or self.image_size)
        pictures = [read_photograph(word, key=key) for word in words]
        return [to_tensor(shrunk(picture, longer_side=longer_side)) for picture in pictures]

    def predict_dataset(self, paths: Sequence[Path]) -> Dataset[PredictionItem]:
        """Image files of any size; see `PredictionItem`.

        Args:
            paths: Files; a broken one becomes a black item with an ``error``.
        """
        return PredictionDataset(paths, pipeline=self.pipelines["eval"], image_size=self.image_size)

    def paint_dataset(
        self, paths: Sequence[Path], *, longer_side: int | None, at_most: int
    ) -> Dataset[PredictionItem]:
        """Image files at the size at which they are painted; see `FilesToPaint`.

        Args:
            paths: As `predict_dataset`.
            longer_side: Pixels of the longer side; None: as it is in the file.
            at_most: Most pixels of it where it is as in the file.
        """
        return FilesToPaint(
            paths,
            pipeline=self.pipelines["eval"],
            image_size=self.image_size,
            longer_side=longer_side,
            at_most=at_most,
        )

    def annotate(self, batch: Mapping[str, Any], position: int) -> ByteArray:
        """One content of a batch beside its styles.

        Args:
            batch: A collated `StyleTransferBatch`, or an `ImageBatch` without styles.
            position: Which item.

        Returns:
            uint8 HWC, RGB.
        """
        styles = batch["style"][position] if "style" in batch else []
        return draw_styles(_to_picture(batch["image"][position]), styles=[_to_picture(one) for one in styles])


def _to_picture(image: Tensor) -> ByteArray:
    return image.cpu().numpy().transpose(1, 2, 0)


def style_words(style: str | Sequence[str], *, key: str) -> list[str]:
    """One style or several as a list.

    Args:
        style: A file or name, or several.
        key: Where it stands in the configuration, for messages.

    Raises:
        ValueError: If there is none.
    """
    words = [style] if isinstance(style, str) else [str(word) for word in style]
    if not words or not all(words):
        raise ValueError(
            f"{key}={style!r} names no picture; give a file or the name of an embedded photograph"
        )
    return words
