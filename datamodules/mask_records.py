"""Segmentation data in files, whose records may be broken."""

from abc import abstractmethod
from typing import Any, NotRequired, Unpack

from datamodules.readers.listing import Cut, OnError, check_on_error
from datamodules.readers.mask_classes import Said
from datamodules.readers.mask_pairs import Pairs, check_pairs
from datamodules.readers.problems import in_order
from datamodules.readers.segmented import Segmented
from datamodules.readers.to_boxed import Published
from datamodules.readers.to_segmented import good_pairs, to_segmented
from datamodules.segmented import SegmentationDataModule, SegmentationOptions
from datamodules.segmented_inspection import segmented_tables
from datamodules.splits import check_fractions


class FileOptions(SegmentationOptions):
    """Arguments of `FileDataModule`, for the classes that hand them on; see there."""

    on_error: NotRequired[OnError]
    val_fraction: NotRequired[float]
    test_fraction: NotRequired[float]
    split_seed: NotRequired[int]


class FileDataModule(SegmentationDataModule):
    """Base of the data in files.

    Args:
        on_error: ``raise`` refuses data with broken records; ``skip`` leaves out their pictures. Either way
            every mask, and every picture of people's own data, is decoded once, and what is found is
            remembered in `cache_dir`.
        val_fraction: Share that validates of the pictures whose split is not said, in [0, 1).
        test_fraction: Share that tests of them, in [0, 1).
        split_seed: Decides the cut. It is not the seed of the run, so that runs can be compared.
        options: See `SegmentationDataModule`.
    """

    test_is_val: bool = False
    """Whether tests are on the pictures for validation."""

    def __init__(
        self,
        *,
        on_error: OnError = "raise",
        val_fraction: float = 0.15,
        test_fraction: float = 0.15,
        split_seed: int = 0,
        **options: Unpack[SegmentationOptions],
    ) -> None:
        super().__init__(**options)
        check_on_error(on_error)
        check_fractions(val=val_fraction, test=test_fraction)
        self.on_error = on_error
        self.cut = Cut(val=val_fraction, test=test_fraction, seed=split_seed)


class MaskFileDataModule(FileDataModule):
    """Base of the data whose masks stand in files of their own; a subclass lists them in `collect`."""

    published: Published | None = None
    """What there is to know where the files are those that everybody has."""

    @abstractmethod
    def collect(self) -> Pairs:
        """List pictures and masks."""

    @property
    @abstractmethod
    def said(self) -> Said:
        """What is known of the classes."""

    def read(self) -> Segmented:
        """List the files and check them.

        Raises:
            ValueError: If there are broken records (`BrokenRecords`), or a split is empty.
        """
        return to_segmented(
            self.collect(),
            said=self.said,
            cut=self.cut,
            on_error=self.on_error,
            cache_dir=self.cache_dir,
            published=self.published,
            test_is_val=self.test_is_val,
        )

    def inspect(self) -> dict[str, Any]:
        """Tables of what is right, and everything that is wrong; every file is decoded once.

        Returns:
            See `DataModule.inspect`.
        """
        self.prepare_data()
        pairs = self.collect()
        checked = check_pairs(pairs, said=self.said, cache_dir=self.cache_dir, decoding=True)
        data = good_pairs(pairs, checked, cut=self.cut, test_is_val=self.test_is_val)
        problems = [found.plain() for found in in_order(checked.problems)]
        return {"title": pairs.title, "tables": segmented_tables(data), "problems": problems}
