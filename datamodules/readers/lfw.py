"""Labeled Faces in the Wild (http://vis-www.cs.umass.edu/lfw/): who is trained on, and what is measured."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from datamodules.readers.folders import list_folders
from datamodules.readers.identified import SPLITS, Identified
from datamodules.readers.identity_cut import cut_identities
from datamodules.readers.lfw_lists import WHERE, read_lfw_list
from datamodules.readers.listing import Cut, OnError
from datamodules.readers.pair_lists import Listed, ListedPair, to_identified

_VIEW_2, _DEV_TRAIN, _DEV_TEST = "pairs.txt", "pairsDevTrain.txt", "pairsDevTest.txt"
_MORE = "give data.data_dir the pictures of more people, or change data.val_fraction"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LfwFiles:
    """Where the files are, and what to do about missing pictures.

    Attributes:
        data_dir: Folder with a folder for each person.
        pairs_dir: Folder with the lists of pairs.
        on_error: With ``skip`` broken pictures are left out with their pairs, for which every file is read
            once, and so are pairs that are listed before.
        missing: With ``skip`` pairs whose pictures are not there are left out; else they are problems.
    """

    data_dir: Path
    pairs_dir: Path
    on_error: OnError
    missing: OnError

    def people(self) -> dict[str, list[str]]:
        """Paths of the pictures of everybody, relative to the folder.

        Raises:
            FileNotFoundError: If there is no such folder.
            ValueError: If it has no people, or a person has no pictures.
        """
        if not self.data_dir.is_dir():
            raise FileNotFoundError(
                f"no LFW under data.data_dir={self.data_dir} ({self.data_dir.resolve()}); get lfw.tgz and "
                f"the lists of pairs from {WHERE} and unpack them so that it holds a folder for each person"
            )
        return _people(self.data_dir, key="data.data_dir")

    def pairs(self, name: str, people: Mapping[str, Sequence[str]]) -> list[ListedPair]:
        """Pairs of one list."""
        pictures = {PurePosixPath(path).stem: path for paths in people.values() for path in paths}
        return read_lfw_list(
            self.pairs_dir / name, pictures=pictures, on_error=self.on_error, missing=self.missing
        )


def read_lfw_alone(files: LfwFiles, *, fold: int | None, cut: Cut) -> Identified:
    """Train on LFW itself, and never on anybody who is tested.

    Args:
        files: Where the files are.
        fold: View 2: test on the pairs of this fold of ``pairs.txt``, and train on the people of its other
            folds. None is View 1, for development: ``pairsDevTrain.txt`` and ``pairsDevTest.txt``.
        cut: ``val`` is the share of the people that validates instead.

    Raises:
        FileNotFoundError: If a folder or list is missing.
        ValueError: If a list is wrong, or has no such fold.
    """
    people = files.people()
    names = {path: name for name, paths in people.items() for path in paths}
    if fold is None:
        known, tested = files.pairs(_DEV_TRAIN, people), files.pairs(_DEV_TEST, people)
    else:
        known, tested = _of_fold(files.pairs(_VIEW_2, people), fold, files.pairs_dir / _VIEW_2)
    trained = sorted(_people_of(known, names) - _people_of(tested, names))
    labels = np.repeat(np.arange(len(trained)), [len(people[name]) for name in trained])
    dealt = cut_identities(labels, np.full(len(trained), "", dtype="<U5"), cut=cut).tolist()
    members = {
        split: {
            path for name, own in zip(trained, dealt, strict=True) if own == split for path in people[name]
        }
        for split in ("train", "val")
    }
    return _identified(
        files,
        root=files.data_dir,
        names=names,
        members=members,
        pairs={"train": None, "val": None, "test": tested},
    )


def read_lfw_after(files: LfwFiles, *, train_dir: Path) -> Identified:
    """Train on other data, validate on ``pairsDevTest.txt`` and test on all folds of ``pairs.txt``.

    This is the protocol "unrestricted, labelled outside data". Whoever has the name of somebody that is
    measured is not trained on.

    Args:
        files: Where the files of LFW are.
        train_dir: Folder with a folder for each identity.

    Raises:
        FileNotFoundError: If a folder or list is missing.
        ValueError: If a list is wrong.
    """
    people = files.people()
    pairs = {"val": files.pairs(_DEV_TEST, people), "test": files.pairs(_VIEW_2, people)}
    names = {path: name for name, paths in people.items() for path in paths}
    others = _people(train_dir, key="data.train_dir")
    measured = _people_of([*pairs["val"], *pairs["test"]], names)
    shared = sorted(measured & set(others))
    if shared:
        log.warning(
            "%d identities of data.train_dir=%s are measured in LFW and not trained on, such as %s",
            len(shared),
            train_dir,
            shared[0],
        )
    root = Path(os.path.commonpath([files.data_dir.resolve(), train_dir.resolve()]))
    here, there = (folder.resolve().relative_to(root).as_posix() for folder in (files.data_dir, train_dir))
    trained = {
        str(PurePosixPath(there, path)): name
        for name, paths in others.items()
        if name not in measured
        for path in paths
    }
    moved = {
        split: [
            pair._replace(
                first=str(PurePosixPath(here, pair.first)), second=str(PurePosixPath(here, pair.second))
            )
            for pair in listed
        ]
        for split, listed in pairs.items()
    }
    return _identified(
        files,
        root=root,
        names={str(PurePosixPath(here, path)): name for path, name in names.items()} | trained,
        members={"train": set(trained)},
        pairs={"train": None, **moved},
    )


def _people(folder: Path, *, key: str) -> dict[str, list[str]]:
    listing = list_folders(folder, splits=(), key=key, are_identities=True)
    found: dict[str, list[str]] = {name: [] for name in listing.class_names}
    for path, label in zip(listing.paths, listing.labels, strict=True):
        found[listing.class_names[label]].append(path)
    return found


def _people_of(pairs: Sequence[ListedPair], names: Mapping[str, str]) -> set[str]:
    return {names[path] for pair in pairs for path in pair.paths}


def _of_fold(pairs: Sequence[ListedPair], fold: int, path: Path) -> tuple[list[ListedPair], list[ListedPair]]:
    """Pairs of the other folds, and those of one."""
    folds = {pair.fold for pair in pairs}
    if fold not in folds:
        raise ValueError(
            f"data.fold={fold} is none of the folds {min(folds)} to {max(folds)} of {path}; choose one of "
            "them, or null for View 1"
        )
    return [pair for pair in pairs if pair.fold != fold], [pair for pair in pairs if pair.fold == fold]


def _identified(
    files: LfwFiles,
    *,
    root: Path,
    names: Mapping[str, str],
    members: Mapping[str, set[str]],
    pairs: Mapping[str, Sequence[ListedPair] | None],
) -> Identified:
    """Put together what is used; splits with listed pairs have the pictures that these name."""
    whole: dict[str, set[str]] = {}
    for split in SPLITS:
        listed = pairs[split]
        named = None if listed is None else {path for pair in listed for path in pair.paths}
        whole[split] = members[split] if named is None else named
    paths = sorted(set().union(*whole.values()))
    used = sorted({names[path] for path in paths})
    number = {name: label for label, name in enumerate(used)}
    everything = Listed(
        title="lfw",
        root=root,
        paths=paths,
        labels=np.array([number[names[path]] for path in paths], dtype=np.int64),
        identity_names=used,
        members=whole,
        pairs=pairs,
        where=files.pairs_dir,
        cache_dir=files.data_dir / ".cache",
    )
    return to_identified(everything, on_error=files.on_error, way_out=_MORE)
