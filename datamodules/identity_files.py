"""Verification data in files, some of which may be missing or broken."""

from abc import abstractmethod
from pathlib import Path
from typing import NotRequired, Unpack

from datamodules.identified import VerificationDataModule, VerificationOptions
from datamodules.readers.identified import Identified
from datamodules.readers.listing import Cut, OnError, check_on_error
from datamodules.splits import check_fractions


class FileOptions(VerificationOptions):
    """Arguments of `FileDataModule`, for the classes that hand them on; see there."""

    on_error: NotRequired[OnError]
    val_fraction: NotRequired[float]
    test_fraction: NotRequired[float]
    split_seed: NotRequired[int]


class FileDataModule(VerificationDataModule):
    """Base of the data in files.

    Args:
        on_error: ``raise`` stops at missing files before training and at the first broken one that training
            meets; ``skip`` leaves both out, for which every file is read once before the first training.
        val_fraction: Share that validates of what has no split, in [0, 1).
        test_fraction: Share that tests of it, in [0, 1).
        split_seed: Decides the cut. It is not the seed of the run, so that runs can be compared.
        options: See `VerificationDataModule`.
    """

    def __init__(
        self,
        *,
        on_error: OnError = "raise",
        val_fraction: float = 0.15,
        test_fraction: float = 0.15,
        split_seed: int = 0,
        **options: Unpack[VerificationOptions],
    ) -> None:
        super().__init__(**options)
        check_on_error(on_error)
        check_fractions(val=val_fraction, test=test_fraction)
        self.on_error = on_error
        self.cut = Cut(val=val_fraction, test=test_fraction, seed=split_seed)

    @property
    def cache_dir(self) -> Path:
        """A hidden folder beside the pictures."""
        return self.root / ".cache"

    @property
    @abstractmethod
    def root(self) -> Path:
        """The folder with the pictures."""

    def read(self) -> Identified:
        """List the files."""
        return self.collect(self.on_error, missing=self.on_error)

    def read_all(self) -> Identified:
        """List all files, also the missing and the broken ones."""
        return self.collect("raise", missing="skip")

    @abstractmethod
    def collect(self, on_error: OnError, *, missing: OnError) -> Identified:
        """List the files.

        Args:
            on_error: What to do about broken ones.
            missing: What to do about those that a list names and that are not there.
        """
