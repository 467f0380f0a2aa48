"""The classification data by name: embedded digits, torchvision's sets, folders and manifests."""

from pathlib import Path
from typing import Any, ClassVar, Unpack

from torchvision import datasets

from datamodules.embedded.digits import read_digits
from datamodules.readers.folders import list_folders
from datamodules.readers.labelled import Labelled, check_classes
from datamodules.readers.listing import Cut, OnError, check_on_error, to_labelled
from datamodules.readers.manifest import list_manifest
from datamodules.readers.torchvision_arrays import download, read_arrays
from datamodules.single_label import ClassificationDataModule, ClassificationOptions


class Digits(ClassificationDataModule):
    """1,797 handwritten digits that every installation has; see `read_digits`.

    The file is in order of writers. Training, validation and test are contiguous blocks of it; with
    ``num_folds`` each fold takes a contiguous block of each class of training and validation, so that
    a writer is shared only where two blocks meet. The test block is never part of a fold.
    """

    keeps_neighbours_together = True

    def read(self) -> Labelled:
        """Make the pictures."""
        return read_digits()


class TorchvisionDataModule(ClassificationDataModule):
    """Base of the sets that torchvision keeps in memory and can download.

    Args:
        data_dir: Folder with the files, laid out as torchvision does.
        download: Whether missing files may be fetched.
        val_fraction: Share of the published training part that validates instead, in (0, 1).
        options: See `ClassificationDataModule`.
    """

    dataset_class: ClassVar[Any]
    title: ClassVar[str]

    def __init__(
        self,
        *,
        data_dir: str,
        download: bool = False,
        val_fraction: float = 0.1,
        **options: Unpack[ClassificationOptions],
    ) -> None:
        super().__init__(**options)
        _check_fraction("val_fraction", val_fraction)
        if not val_fraction:
            raise ValueError(f"data.val_fraction={val_fraction} leaves nothing to validate on; 0.1 is usual")
        self.data_dir = Path(data_dir)
        self.download = download
        self.val_fraction = val_fraction

    def prepare_data(self) -> None:
        """Fetch missing files where a person asked for it."""
        if self.download:
            download(self.dataset_class, data_dir=self.data_dir)

    def read(self) -> Labelled:
        """Read the arrays."""
        return read_arrays(
            self.dataset_class,
            title=self.title,
            data_dir=self.data_dir,
            val_fraction=self.val_fraction,
            split_seed=self.split_seed,
        )


class Mnist(TorchvisionDataModule):
    """70,000 handwritten digits, 28x28, grey (LeCun et al., 1998)."""

    dataset_class = datasets.MNIST
    title = "mnist"


class FashionMnist(TorchvisionDataModule):
    """70,000 pictures of clothes, 28x28, grey (https://arxiv.org/abs/1708.07747)."""

    dataset_class = datasets.FashionMNIST
    title = "fashion_mnist"


class Cifar10(TorchvisionDataModule):
    """60,000 colour photographs of ten classes, 32x32 (Krizhevsky, 2009)."""

    dataset_class = datasets.CIFAR10
    title = "cifar10"


class Cifar100(TorchvisionDataModule):
    """60,000 colour photographs of a hundred classes, 32x32 (Krizhevsky, 2009)."""

    dataset_class = datasets.CIFAR100
    title = "cifar100"


class ImageFolder(ClassificationDataModule):
    """Pictures in one folder per class; see `readers.folders.list_folders` for the layouts.

    Args:
        data_dir: Folder with ``train``, ``val`` and ``test``, or with the classes themselves.
        val_fraction: Share that validates where there is no ``val`` folder, in [0, 1).
        test_fraction: Share that tests where there is no ``test`` folder, in [0, 1).
        on_error: ``raise`` stops at the first broken file that training meets; ``skip`` leaves
            broken files out, for which every file is read once before the first training.
        class_names: Names that are expected, sorted; None takes what is found.
        num_classes: Number of classes that is expected; None takes what is found.
        options: See `ClassificationDataModule`.
    """

    def __init__(
        self,
        *,
        data_dir: str,
        val_fraction: float = 0.15,
        test_fraction: float = 0.15,
        on_error: OnError = "raise",
        class_names: list[str] | None = None,
        num_classes: int | None = None,
        **options: Unpack[ClassificationOptions],
    ) -> None:
        super().__init__(**options)
        _check_fraction("val_fraction", val_fraction)
        _check_fraction("test_fraction", test_fraction)
        check_on_error(on_error)
        self.data_dir = Path(data_dir)
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self.on_error = on_error
        self.class_names, self.num_classes = class_names, num_classes

    @property
    def cache_dir(self) -> Path | None:
        """A hidden folder beside the pictures."""
        return self.data_dir / ".cache"

    def read(self) -> Labelled:
        """List the files."""
        return self._read(self.on_error)

    def read_all(self) -> Labelled:
        """List all files, also the broken ones."""
        return self._read("raise")

    def _read(self, on_error: OnError) -> Labelled:
        listing = list_folders(self.data_dir)
        check_classes(
            listing.class_names,
            where=str(self.data_dir),
            class_names=self.class_names,
            num_classes=self.num_classes,
        )
        groups = set(listing.groups)
        cut = Cut(
            val=0.0 if "val" in groups else self.val_fraction,
            test=0.0 if "test" in groups else self.test_fraction,
            seed=self.split_seed,
        )
        return to_labelled(listing, cut=cut, on_error=on_error)


class ImageNet(ClassificationDataModule):
    """1.28 million photographs of 1,000 classes (ILSVRC 2012, https://arxiv.org/abs/1409.0575).

    The 50,000 published validation pictures are both validation and test, as everywhere in print;
    with ``num_folds`` they test only, and the folds are cut from the training pictures. Classes are
    named by their WordNet ids, in torchvision's order.

    Args:
        data_dir: Folder with ``train/<class>/*.JPEG`` and ``val/<class>/*.JPEG``.
        on_error: As for `ImageFolder`.
        num_classes: Number of classes that is expected; None also takes a part of them.
        options: See `ClassificationDataModule`.
    """

    def __init__(
        self,
        *,
        data_dir: str,
        on_error: OnError = "raise",
        num_classes: int | None = 1000,
        **options: Unpack[ClassificationOptions],
    ) -> None:
        super().__init__(**options)
        check_on_error(on_error)
        self.data_dir = Path(data_dir)
        self.on_error = on_error
        self.num_classes = num_classes

    @property
    def cache_dir(self) -> Path | None:
        """A hidden folder beside the pictures."""
        return self.data_dir / ".cache"

    def read(self) -> Labelled:
        """List the files."""
        return self._read(self.on_error)

    def read_all(self) -> Labelled:
        """List all files, also the broken ones."""
        return self._read("raise")

    def _read(self, on_error: OnError) -> Labelled:
        for split in ("train", "val"):
            if not (self.data_dir / split).is_dir():
                raise FileNotFoundError(
                    f"no ImageNet under data.data_dir={self.data_dir} ({self.data_dir.resolve()}): {split}/ "
                    "is missing; it cannot be downloaded without an account, so get ILSVRC 2012 from "
                    "https://image-net.org and unpack it to train/<class>/ and val/<class>/"
                )
        listing = list_folders(self.data_dir, splits=("train", "val"))
        check_classes(
            listing.class_names, where=str(self.data_dir), class_names=None, num_classes=self.num_classes
        )
        cut = Cut(val=0.0, test=0.0, seed=self.split_seed)
        return to_labelled(listing, cut=cut, on_error=on_error, test_is_val=True)


class Csv(ClassificationDataModule):
    """Pictures named in a CSV file; see `readers.manifest.list_manifest` for its columns.

    Args:
        manifest: The CSV file.
        data_dir: Folder its paths are relative to; None means that of the manifest.
        val_fraction: Share of the lines without a split that validates, in [0, 1).
        test_fraction: Share of the lines without a split that tests, in [0, 1).
        on_error: ``raise`` stops at the first missing file before training and at the first broken one
            that training meets; ``skip`` leaves both out, for which every file is read once before the
            first training.
        class_names: Labels in the order of the class ids; None takes what is found, sorted.
        num_classes: Number of classes that is expected; None takes what is found.
        options: See `ClassificationDataModule`.
    """

    def __init__(
        self,
        *,
        manifest: str,
        data_dir: str | None = None,
        val_fraction: float = 0.15,
        test_fraction: float = 0.15,
        on_error: OnError = "raise",
        class_names: list[str] | None = None,
        num_classes: int | None = None,
        **options: Unpack[ClassificationOptions],
    ) -> None:
        super().__init__(**options)
        _check_fraction("val_fraction", val_fraction)
        _check_fraction("test_fraction", test_fraction)
        check_on_error(on_error)
        self.manifest = Path(manifest)
        self.data_dir = None if data_dir is None else Path(data_dir)
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self.on_error = on_error
        self.class_names, self.num_classes = class_names, num_classes

    @property
    def cache_dir(self) -> Path | None:
        """A hidden folder beside the pictures."""
        return (self.data_dir or self.manifest.parent) / ".cache"

    def read(self) -> Labelled:
        """Read the manifest."""
        return self._read(self.on_error, missing=self.on_error)

    def read_all(self) -> Labelled:
        """Read the manifest; missing and broken pictures are kept."""
        return self._read("raise", missing="skip")

    def _read(self, on_error: OnError, *, missing: OnError) -> Labelled:
        listing = list_manifest(
            self.manifest, data_dir=self.data_dir, class_names=self.class_names, on_error=missing
        )
        check_classes(
            listing.class_names, where=str(self.manifest), class_names=None, num_classes=self.num_classes
        )
        cut = Cut(val=self.val_fraction, test=self.test_fraction, seed=self.split_seed)
        return to_labelled(listing, cut=cut, on_error=on_error)


def _check_fraction(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"data.{name}={value} must be in [0, 1)")
