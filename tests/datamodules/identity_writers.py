"""Small data of identities in their true formats: folders, lists of pictures and of pairs, LFW."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.arrays import ByteArray
from tests.datamodules.box_writers import write_image

PEOPLE = tuple(f"person_{number:02}" for number in range(12))
LFW_FOLDS, LFW_EACH = 3, 2


def portrait(person: int, number: int, *, side: int = 24) -> ByteArray:
    """A picture whose colour says who it shows, with noise of its own; RGB."""
    colour = np.random.default_rng(person).integers(60, 200, size=3)
    noise = np.random.default_rng((person, number)).integers(-30, 30, size=(side, side, 3))
    return np.asarray((colour + noise).clip(0, 255), dtype=np.uint8)


def write_people(root: Path, counts: Mapping[str, int]) -> Path:
    """``<person>/<number>.jpg``, as many of each as said."""
    for person, (name, count) in enumerate(counts.items()):
        for number in range(count):
            write_image(root / name / f"{number}.jpg", portrait(person, number))
    return root


def write_identities_csv(root: Path, *lines: str, header: str = "path,identity,split") -> Path:
    """``people.csv`` beside folders of twelve people with three pictures each."""
    write_people(root, dict.fromkeys(PEOPLE, 3))
    return _text(root / "people.csv", [header, *lines])


def write_pairs_csv(
    root: Path, *lines: str, header: str = "path_a,path_b,same,split,fold", counts: int = 3
) -> Path:
    """``pairs.csv`` beside folders of twelve people with some pictures each."""
    write_people(root, dict.fromkeys(PEOPLE, counts))
    return _text(root / "pairs.csv", [header, *lines])


def pair_lines(people: Sequence[int], ending: str) -> list[str]:
    """Two matching pairs of each person, and other pairs with the next one."""
    lines = []
    for place, person in enumerate(people):
        one, other = PEOPLE[person], PEOPLE[people[(place + 1) % len(people)]]
        lines += [f"{one}/0.jpg,{one}/{number}.jpg,1{ending}" for number in (1, 2)]
        lines += [f"{one}/{number}.jpg,{other}/{number}.jpg,0{ending}" for number in range(2)]
    return lines


def write_lfw(root: Path) -> Path:
    """People, ``pairs.txt`` with three folds of 2 + 2 pairs, and both lists for development.

    Nobody is in two folds or lists; everybody has three pictures.
    """
    lists = {f"Fold_{fold}": range(4 * fold, 4 * fold + 4) for fold in range(LFW_FOLDS)}
    lists |= {"Dev_Train": range(20, 28), "Dev_Test": range(40, 44)}
    for numbers in lists.values():
        for person in numbers:
            for number in range(1, 4):
                name = lfw_name(person)
                write_image(root / name / f"{name}_{number:04}.jpg", portrait(person, number))
    folds = [_lfw_lines(lists[f"Fold_{fold}"]) for fold in range(LFW_FOLDS)]
    _text(root / "pairs.txt", [f"{LFW_FOLDS}\t{LFW_EACH}", *chain(*folds)])
    train, test = (_lfw_lines(lists[name]) for name in ("Dev_Train", "Dev_Test"))
    _text(root / "pairsDevTrain.txt", [str(len(train) // 2), *train])
    _text(root / "pairsDevTest.txt", [str(len(test) // 2), *test])
    return root


def lfw_name(person: int) -> str:
    """A name as LFW has them."""
    return f"Given_Family{'abcdefghij'[person // 10]}{'abcdefghij'[person % 10]}"


def write_verification_data(name: str, folder: Path) -> dict[str, Any]:
    """Write a little of the data that conf/data/<name>.yaml names.

    Args:
        name: Name of the file; one of `IDENTIFIED`.
        folder: Where to write it.

    Returns:
        The arguments of the data module with which it is found, and batches that suit it.
    """
    few: dict[str, Any] = {"images_per_identity": 2}
    match name:
        case "face_patches":
            return {**few, "pictures_per_face": 3}
        case "identity_folders":
            return {**few, "data_dir": str(write_people(folder, dict.fromkeys(PEOPLE, 3)))}
        case "identities_csv":
            lines = [f"{person}/{number}.jpg,{person}" for person in PEOPLE for number in range(3)]
            return {**few, "manifest": str(write_identities_csv(folder, *lines, header="path,identity"))}
        case "pairs_csv":
            parts = {"train": range(6), "val": range(6, 9), "test": range(9, 12)}
            lines = [
                line for split, people in parts.items() for line in pair_lines(list(people), f",{split},")
            ]
            return {**few, "manifest": str(write_pairs_csv(folder, *lines))}
        case "lfw":
            return {**few, "data_dir": str(write_lfw(folder)), "val_fraction": 0.3}
    return few


IDENTIFIED = (
    "digits_pairs",
    "digits_unseen",
    "face_patches",
    "identity_folders",
    "identities_csv",
    "pairs_csv",
    "lfw",
)


def _lfw_lines(people: Sequence[int]) -> list[str]:
    """Half of the lines are of one person, the other half of two; everybody is in one at least."""
    names = [lfw_name(person) for person in people]
    half = len(names) // 2
    matches = [f"{name}\t1\t{2 + place % 2}" for place, name in enumerate(names[:half])]
    others = [f"{names[place]}\t1\t{names[place + half]}\t3" for place in range(half)]
    return matches + others


def _text(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
