"""Detection data in annotation files, whose records may be broken."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, NotRequired, Unpack

from datamodules.boxed import DetectionDataModule, DetectionOptions
from datamodules.inspection import boxed_tables
from datamodules.readers.boxed import Boxed
from datamodules.readers.listing import Cut, OnError, check_on_error
from datamodules.readers.object_checks import Care, check_objects
from datamodules.readers.objects import RawObjects
from datamodules.readers.problems import in_order
from datamodules.readers.to_boxed import Published, good_ones, to_boxed
from datamodules.splits import check_fractions


class RecordOptions(DetectionOptions):
    """Arguments of `RecordDataModule`, for the classes that hand them on; see there."""

    on_error: NotRequired[OnError]
    val_fraction: NotRequired[float]
    test_fraction: NotRequired[float]
    split_seed: NotRequired[int]


class RecordDataModule(DetectionDataModule):
    """Base of the data in files; a subclass reads them in `collect`.

    Args:
        on_error: ``raise`` refuses data with broken records; ``skip`` leaves out broken objects and
            broken pictures with all their objects. Either way every picture of people's own data is
            decoded once to find the broken ones, and what is found is remembered in `cache_dir`.
        val_fraction: Share that validates of the pictures whose split is not said, in [0, 1).
        test_fraction: Share that tests of them, in [0, 1).
        split_seed: Decides the cut. It is not the seed of the run, so that runs can be compared.
        options: See `DetectionDataModule`.
    """

    published: Published | None = None
    """What there is to know where the files are those that everybody has."""

    test_is_val: bool = False
    """Whether tests are on the pictures for validation."""

    def __init__(
        self,
        *,
        on_error: OnError = "raise",
        val_fraction: float = 0.15,
        test_fraction: float = 0.15,
        split_seed: int = 0,
        **options: Unpack[DetectionOptions],
    ) -> None:
        super().__init__(**options)
        check_on_error(on_error)
        check_fractions(val=val_fraction, test=test_fraction)
        self.on_error = on_error
        self.cut = Cut(val=val_fraction, test=test_fraction, seed=split_seed)

    @abstractmethod
    def collect(self) -> RawObjects:
        """Read the annotations as they are."""

    @property
    @abstractmethod
    def cache_dir(self) -> Path:
        """Where what is found out about the pictures is remembered."""

    def read(self) -> Boxed:
        """Read and check the annotations.

        Raises:
            ValueError: If there are broken records (`BrokenRecords`), or a split is empty.
        """
        return to_boxed(
            self.collect(),
            cut=self.cut,
            on_error=self.on_error,
            cache_dir=self.cache_dir,
            published=self.published,
            test_is_val=self.test_is_val,
        )

    def inspect(self) -> dict[str, Any]:
        """Tables of what is right, and everything that is wrong; every picture is decoded once.

        Returns:
            See `DataModule.inspect`.
        """
        self.prepare_data()
        raw = self.collect()
        findings = check_objects(raw, care=Care(sizes=True, decoding=True), cache_dir=self.cache_dir)
        data = good_ones(raw, findings, cut=self.cut, test_is_val=self.test_is_val)
        problems = [found.plain() for found in in_order(findings.problems)]
        return {"title": raw.title, "tables": boxed_tables(data), "problems": problems}
