"""The style transfer data by name: one picture in one style, and photographs in random crops."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from torch.utils.data import Dataset

from datamodules.arrays import IntArray
from datamodules.base import SPLITS, Split
from datamodules.photographs import (
    PhotographSource,
    embedded_photographs,
    list_photographs,
    read_photograph,
    resized,
)
from datamodules.readers.labelled import Labelled
from datamodules.readers.listing import Cut, OnError, check_on_error
from datamodules.samplers import RepeatingSampler, TrainSampler
from datamodules.splits import check_fractions
from datamodules.styled import StyleTransferDataModule, StyleTransferOptions, style_words
from datamodules.styled_dataset import (
    STYLE_FACTOR,
    ContentDataset,
    DrawnStyles,
    OnePicture,
    SameStyles,
    Styles,
    StyleTransferItem,
    to_tensor,
)
from datamodules.styled_inspection import inspect_contents, inspect_pictures


class PictureAndStyle(StyleTransferDataModule):
    """One content picture that is painted in the style of another, or of several.

    Training, validation and test are the same picture, resized so that its longer side has ``image_size``
    pixels. No recipe is applied to it: what is learned is this picture.

    Args:
        content: A file, or the name of an embedded photograph such as ``china``.
        style: The same, or a list of several that are blended.
        steps_per_epoch: Steps between two validations, over all processes.
        options: See `StyleTransferDataModule`; ``batch_size`` must be 1.
    """

    def __init__(
        self,
        *,
        content: str,
        style: str | Sequence[str],
        steps_per_epoch: int = 1,
        **options: Unpack[StyleTransferOptions],
    ) -> None:
        super().__init__(**options)
        _check_counts(steps_per_epoch=steps_per_epoch)
        if self.batch_size != 1:
            raise ValueError(
                f"data.batch_size={self.batch_size} must be 1, as there is one content picture; set "
                "data.batch_size=1, or train a network on many: data=content_folder"
            )
        self.content = content
        self.style = style_words(style, key="data.style")
        self.steps_per_epoch = steps_per_epoch
        self._picture: OnePicture | None = None

    def setup(self, stage: str | None = None) -> None:
        """Read content and style; only the first call does anything.

        Args:
            stage: What Lightning is about to do; all splits are made in any case.

        Raises:
            ValueError: If a picture cannot be found or read.
        """
        if self._picture is not None:
            return
        content = resized(read_photograph(self.content, key="data.content"), longer_side=self.image_size)
        self._picture = OnePicture(to_tensor(content), style=self.read_styles(self.style), name=self.content)

    @property
    def content_size(self) -> list[int]:
        """Height and width of the content, after `setup`."""
        return list(self._one["image"].shape[1:])

    @property
    def num_styles(self) -> int:
        """Style pictures that are blended."""
        return len(self.style)

    @property
    def _one(self) -> StyleTransferItem:
        assert self._picture is not None, "call setup() first"
        return self._picture[0]

    def dataset(self, split: Split, *, augment: bool) -> Dataset[StyleTransferItem]:
        """The picture.

        Args:
            split: Makes no difference.
            augment: Makes no difference.
        """
        assert self._picture is not None, "call setup() first"
        return self._picture

    def make_train_sampler(self) -> TrainSampler:
        """The picture again and again."""
        return RepeatingSampler(pictures=1, size=self.steps_per_epoch, seed=self.seed)

    def summary(self) -> dict[str, Any]:
        """Name, sizes, what is painted, and digest as plain values."""
        return {
            "name": f"{self.content} in the style of {' and '.join(self.style)}",
            "sizes": dict.fromkeys(SPLITS, 1),
            "content": self.content,
            "content_size": self.content_size,
            "styles": list(self.style),
            "digest": _digest_of(*self._sources),
        }

    def inspect(self) -> dict[str, Any]:
        """The pictures as they are stored and as they are seen.

        Returns:
            See `DataModule.inspect`.
        """
        self.setup()
        seen = [self._one["image"], *self._one["style"]]
        content, style = self._sources
        return inspect_pictures(self.summary()["name"], content=content, style=style, seen=seen)

    @property
    def _sources(self) -> tuple[PhotographSource, PhotographSource]:
        """Where content and styles come from."""
        content = PhotographSource([self.content], key="data.content")
        return content, PhotographSource(self.style, key="data.style")


class ContentFolder(StyleTransferDataModule):
    """Photographs in random crops, to be painted in one style or each in another one.

    Trained on are square parts of photographs; measured are other photographs, whole, resized so that their
    longer side has ``image_size`` pixels.

    Args:
        content_dir: Folder with photographs, or with ``train``, ``val`` and ``test``; None takes embedded
            photographs, of which those that are the style are left out.
        style: A file or the name of an embedded photograph, or a list of several that are blended; None takes
            another picture of ``style_dir`` for each content.
        style_dir: Folder with style pictures, as ``content_dir``; None takes embedded photographs. Only
            without ``style``.
        crops_per_epoch: Crops in an epoch, over all processes; None takes one of each photograph.
        max_measured: Most photographs that are measured of a split; of more, as many at even distances.
        on_error: ``raise`` stops at a broken file; ``skip`` leaves it out, for which every file is read once.
        val_fraction: Share that validates of the pictures whose split is not said, in [0, 1).
        test_fraction: Share that tests of them, in [0, 1).
        split_seed: Decides the cut. It is not the seed of the run, so that runs can be compared.
        options: See `StyleTransferDataModule`.
    """

    def __init__(
        self,
        *,
        content_dir: str | None = None,
        style: str | Sequence[str] | None = None,
        style_dir: str | None = None,
        crops_per_epoch: int | None = 256,
        max_measured: int = 50,
        on_error: OnError = "raise",
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        **options: Unpack[StyleTransferOptions],
    ) -> None:
        super().__init__(**options)
        check_on_error(on_error)
        check_fractions(val=val_fraction, test=test_fraction)
        _check_counts(crops_per_epoch=crops_per_epoch, max_measured=max_measured)
        if style is not None and style_dir is not None:
            raise ValueError(
                f"data.style={style} and data.style_dir={style_dir} are both given; set data.style=null to "
                "take another picture of the folder for each content, or data.style_dir=null"
            )
        self.content_dir = None if content_dir is None else Path(content_dir)
        self.style = [] if style is None else style_words(style, key="data.style")
        self.style_dir = None if style_dir is None else Path(style_dir)
        self.crops_per_epoch = crops_per_epoch
        self.max_measured = max_measured
        self.on_error = on_error
        self.cut = Cut(val=val_fraction, test=test_fraction, seed=split_seed)
        self._contents: Labelled | None = None
        self._styles: Labelled | PhotographSource | None = None

    def setup(self, stage: str | None = None) -> None:
        """List contents and read or list styles; only the first call does anything.

        Args:
            stage: What Lightning is about to do; all splits are made in any case.

        Raises:
            ValueError: If there are no pictures, or too few of them.
        """
        if self._contents is not None:
            return
        contents, self._styles = self._list_contents(self.on_error), self._list_styles(self.on_error)
        self._same = SameStyles(self.read_styles(self.style))
        self._contents = replace(contents, splits=self._measured(contents.splits))

    @property
    def contents(self) -> Labelled:
        """The photographs and their splits, after `setup`."""
        assert self._contents is not None, "call setup() first"
        return self._contents

    @property
    def styles(self) -> Labelled | PhotographSource:
        """Those that are drawn from, or those that every content has, after `setup`."""
        assert self._styles is not None, "call setup() first"
        return self._styles

    @property
    def content_size(self) -> None:
        """There are many contents."""
        return None

    @property
    def num_styles(self) -> int:
        """Style pictures that are blended."""
        return max(1, len(self.style))

    def _list_contents(self, on_error: OnError) -> Labelled:
        if self.content_dir is None:
            return embedded_photographs(without=self.style)
        return list_photographs(self.content_dir, key="data.content_dir", cut=self.cut, on_error=on_error)

    def _list_styles(self, on_error: OnError) -> Labelled | PhotographSource:
        """Those that are drawn from, or those that every content has."""
        if self.style:
            return PhotographSource(self.style, key="data.style")
        if self.style_dir is None:
            return embedded_photographs(without=())
        return list_photographs(self.style_dir, key="data.style_dir", cut=self.cut, on_error=on_error)

    def _measured(self, splits: Mapping[str, IntArray]) -> dict[str, IntArray]:
        return {
            split: positions if split == "train" else _at_even_distances(positions, self.max_measured)
            for split, positions in splits.items()
        }

    def dataset(self, split: Split, *, augment: bool) -> ContentDataset:
        """Photographs of one split with their styles.

        Args:
            split: Which part of the data.
            augment: Whether the recipe for training is applied, else that for evaluation.
        """
        return ContentDataset(
            self.contents.source,
            positions=self.contents.splits[split],
            pipeline=self.pipelines["train" if augment else "eval"],
            longer_side=None if augment else self.image_size,
            styles=self._styles_of(split, augment=augment),
            seed=self.seed,
        )

    def _styles_of(self, split: Split, *, augment: bool) -> Styles:
        if not isinstance(self.styles, Labelled):
            return self._same
        return DrawnStyles(
            self.styles.source,
            positions=self.styles.splits[split],
            pipeline=self.pipelines["train"] if augment else None,
            longer_side=STYLE_FACTOR * self.image_size,
        )

    def make_train_sampler(self) -> TrainSampler:
        """As many crops as asked for, spread evenly over the photographs."""
        pictures = len(self.contents.splits["train"])
        return RepeatingSampler(pictures=pictures, size=self.crops_per_epoch or pictures, seed=self.seed)

    def summary(self) -> dict[str, Any]:
        """Name, sizes, styles, pictures left out and digest as plain values."""
        name, styles = f"the style of {' and '.join(self.style)}", self.styles
        return {
            "name": f"{self.contents.title} in {name if self.style else 'many styles'}",
            "sizes": _sizes_of(self.contents),
            "styles": _sizes_of(styles) if isinstance(styles, Labelled) else list(self.style),
            "skipped": self.contents.skipped,
            "digest": _digest_of(self.contents, self.styles),
        }

    def inspect(self) -> dict[str, Any]:
        """Splits, styles, picture sizes and broken files, also of what is not measured; each is read once.

        Returns:
            See `DataModule.inspect`.
        """
        contents, styles = self._list_contents("raise"), self._list_styles("raise")
        return inspect_contents(contents.title, contents=contents, styles=styles)


def _sizes_of(data: Labelled) -> dict[str, int]:
    return {split: len(data.splits[split]) for split in SPLITS}


def _digest_of(*parts: Labelled | PhotographSource) -> str:
    return hashlib.sha256("".join(part.digest() for part in parts).encode()).hexdigest()


def _at_even_distances(positions: IntArray, count: int) -> IntArray:
    return positions[np.linspace(0, len(positions) - 1, min(count, len(positions))).round().astype(np.int64)]


def _check_counts(**counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ValueError(f"data.{name}={count} must be at least 1")
