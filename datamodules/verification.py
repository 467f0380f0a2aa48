"""The verification data by name: embedded digits and faces, folders, lists of identities or pairs, LFW."""

from pathlib import Path
from typing import Unpack

from datamodules.embedded.digit_identities import read_digit_pairs, read_unseen_digits
from datamodules.embedded.faces import read_faces
from datamodules.identified import VerificationDataModule, VerificationOptions
from datamodules.identity_files import FileDataModule, FileOptions
from datamodules.readers.folders import list_folders
from datamodules.readers.identified import Identified
from datamodules.readers.identity_cut import SplitBy, check_split_by, to_identified
from datamodules.readers.lfw import LfwFiles, read_lfw_after, read_lfw_alone
from datamodules.readers.listing import Cut, OnError
from datamodules.readers.manifest import list_manifest
from datamodules.readers.pairs_csv import read_pairs_csv


class DigitsPairs(VerificationDataModule):
    """1,797 handwritten digits of ten classes; see `read_digit_pairs`.

    Training, validation and test are by different writers.
    """

    def read(self) -> Identified:
        """Make the pictures."""
        return read_digit_pairs()


class DigitsUnseen(VerificationDataModule):
    """Handwritten digits of which three classes are never trained on; see `read_unseen_digits`.

    Args:
        rotation: Which classes these are, in [0, 4): {7, 8, 9}, {1, 4, 7}, {0, 3, 5} or {2, 6, 9}.
        orientations: Makes every rotation and mirror image of a training digit an identity of its own.
        options: See `VerificationDataModule`.
    """

    def __init__(
        self, *, rotation: int = 0, orientations: bool = True, **options: Unpack[VerificationOptions]
    ) -> None:
        super().__init__(**options)
        self.rotation = rotation
        self.orientations = orientations

    def read(self) -> Identified:
        """Make the pictures."""
        return read_unseen_digits(rotation=self.rotation, orientations=self.orientations)


class FacePatches(VerificationDataModule):
    """A hundred faces of 25x25 pixels with pictures made of each; see `read_faces`.

    Args:
        pictures_per_face: Pictures of each face, at least 2.
        picture_seed: Decides the pictures. It is not the seed of the run, so that runs can be compared.
        options: See `VerificationDataModule`.
    """

    def __init__(
        self, *, pictures_per_face: int = 20, picture_seed: int = 0, **options: Unpack[VerificationOptions]
    ) -> None:
        super().__init__(**options)
        self.pictures_per_face = pictures_per_face
        self.picture_seed = picture_seed

    def read(self) -> Identified:
        """Make the pictures."""
        return read_faces(pictures_per_face=self.pictures_per_face, seed=self.picture_seed)


class IdentityFolders(FileDataModule):
    """Pictures in one folder per identity; see `readers.folders.list_folders` for the layouts.

    Args:
        data_dir: Folder with ``train``, ``val`` and ``test``, or with the identities themselves.
        split_by: With ``identities`` those of validation and test are never trained on; with ``pictures``
            they may be, with other pictures.
        options: See `FileDataModule`.
    """

    def __init__(
        self, *, data_dir: str, split_by: SplitBy = "identities", **options: Unpack[FileOptions]
    ) -> None:
        super().__init__(**options)
        check_split_by(split_by)
        self.data_dir = Path(data_dir)
        self.split_by = split_by

    @property
    def root(self) -> Path:
        """The folder."""
        return self.data_dir

    def collect(self, on_error: OnError, *, missing: OnError) -> Identified:
        """List the files."""
        listing = list_folders(self.data_dir, are_identities=True)
        groups = set(listing.groups)
        cut = Cut(
            val=0.0 if "val" in groups else self.cut.val,
            test=0.0 if "test" in groups else self.cut.test,
            seed=self.cut.seed,
        )
        return to_identified(listing, cut=cut, split_by=self.split_by, on_error=on_error)


class IdentitiesCsv(FileDataModule):
    """Pictures in a CSV file with the columns ``path``, ``identity`` and, if wanted, ``split``.

    Args:
        manifest: The CSV file.
        data_dir: Folder its paths are relative to; None means that of the manifest.
        split_by: As for `IdentityFolders`.
        options: See `FileDataModule`.
    """

    def __init__(
        self,
        *,
        manifest: str,
        data_dir: str | None = None,
        split_by: SplitBy = "identities",
        **options: Unpack[FileOptions],
    ) -> None:
        super().__init__(**options)
        check_split_by(split_by)
        self.manifest = Path(manifest)
        self.data_dir = None if data_dir is None else Path(data_dir)
        self.split_by = split_by

    @property
    def root(self) -> Path:
        """The folder that paths are relative to."""
        return self.data_dir or self.manifest.parent

    def collect(self, on_error: OnError, *, missing: OnError) -> Identified:
        """Read the manifest."""
        listing = list_manifest(
            self.manifest,
            data_dir=self.data_dir,
            class_names=None,
            on_error=missing,
            column="identity",
            unique=True,
        )
        return to_identified(listing, cut=self.cut, split_by=self.split_by, on_error=on_error)


class PairsCsv(FileDataModule):
    """Pairs in a CSV file: ``path_a``, ``path_b``, ``same`` and, if wanted, ``split`` and ``fold``.

    Identities are what its matching pairs link; see `readers.pairs_csv.read_pairs_csv`.

    Args:
        manifest: The CSV file.
        data_dir: Folder its paths are relative to; None means that of the manifest.
        options: See `FileDataModule`.
    """

    def __init__(self, *, manifest: str, data_dir: str | None = None, **options: Unpack[FileOptions]) -> None:
        super().__init__(**options)
        self.manifest = Path(manifest)
        self.data_dir = None if data_dir is None else Path(data_dir)

    @property
    def root(self) -> Path:
        """The folder that paths are relative to."""
        return self.data_dir or self.manifest.parent

    def collect(self, on_error: OnError, *, missing: OnError) -> Identified:
        """Read the list."""
        return read_pairs_csv(
            self.manifest, data_dir=self.data_dir, cut=self.cut, on_error=on_error, missing=missing
        )


class Lfw(FileDataModule):
    """Labeled Faces in the Wild: 13,233 pictures of 5,749 people (Huang et al., 2007).

    Without ``train_dir`` it is trained on itself: on all pictures of whom the lists name for training, except
    that ``val_fraction`` of these people validate; see `readers.lfw.read_lfw_alone`. With it, all ten folds
    of ``pairs.txt`` test; see `readers.lfw.read_lfw_after`.

    Args:
        data_dir: Folder with ``<Person_Name>/<Person_Name>_0001.jpg``.
        pairs_dir: Folder with ``pairs.txt``, ``pairsDevTrain.txt`` and ``pairsDevTest.txt``; None means
            ``data_dir``.
        train_dir: Folder with a folder for each identity to train on; None trains on LFW.
        fold: Fold of ``pairs.txt`` that tests, in [0, 10), and whose people are not trained on; None tests on
            ``pairsDevTest.txt``. Not used with ``train_dir``.
        options: See `FileDataModule`; ``test_fraction`` is not used.
    """

    def __init__(
        self,
        *,
        data_dir: str,
        pairs_dir: str | None = None,
        train_dir: str | None = None,
        fold: int | None = 0,
        **options: Unpack[FileOptions],
    ) -> None:
        super().__init__(**options)
        self.data_dir = Path(data_dir)
        self.pairs_dir = Path(pairs_dir or data_dir)
        self.train_dir = None if train_dir is None else Path(train_dir)
        self.fold = fold

    @property
    def root(self) -> Path:
        """The folder with the people."""
        return self.data_dir

    def read_all(self) -> Identified:
        """List all files, also the broken ones; missing ones are problems of the lists."""
        return self.collect("raise", missing="raise")

    def collect(self, on_error: OnError, *, missing: OnError) -> Identified:
        """Read the lists."""
        files = LfwFiles(data_dir=self.data_dir, pairs_dir=self.pairs_dir, on_error=on_error, missing=missing)
        if self.train_dir is not None:
            return read_lfw_after(files, train_dir=self.train_dir)
        cut = Cut(val=self.cut.val, test=0.0, seed=self.cut.seed)
        return read_lfw_alone(files, fold=self.fold, cut=cut)
