"""Folders and lists of identities: who is in which split, and what is said about wrong files."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.base import SPLITS
from datamodules.identified import VerificationDataModule
from datamodules.readers.problems import BrokenRecords
from tests.datamodules.identity_writers import PEOPLE, write_identities_csv, write_people
from tests.datamodules.writers import build_verification, cut_short

THREE = dict.fromkeys(PEOPLE, 3)


def read(data: str, **changes: Any) -> VerificationDataModule:
    module = build_verification(data, num_workers=0, image_size=16, **changes)
    module.setup()
    return module


def people(module: VerificationDataModule) -> dict[str, list[str]]:
    """Names of the identities of each split, by id."""
    found = module.data
    return {
        split: [
            found.identity_names[label] for label in np.unique(found.labels[found.splits[split]]).tolist()
        ]
        for split in SPLITS
    }


# folders


def test_identities_are_cut_whole(tmp_path: Path) -> None:
    folder = str(write_people(tmp_path, THREE))
    module = read("identity_folders", data_dir=folder, val_fraction=0.25, test_fraction=0.25)
    found = people(module)
    assert [len(found[split]) for split in SPLITS] == [6, 3, 3]
    assert sorted(name for names in found.values() for name in names) == sorted(PEOPLE)
    assert found["train"] == sorted(found["train"])
    assert module.summary()["sizes"] == {"train": 18, "val": 9, "test": 9}
    assert module.summary()["matching_pairs"] == {"train": 18, "val": 9, "test": 9}
    assert module.summary()["other_pairs"]["val"] == 36 - 9
    for index in range(9):
        label = module.dataset("val", augment=False)[index]["label"]
        path = Path(module.dataset("val", augment=False).name(index))
        assert path.parent.name == module.data.identity_names[label]
    again = read("identity_folders", data_dir=folder, val_fraction=0.25, test_fraction=0.25, seed=3)
    assert people(again) == found
    other = read("identity_folders", data_dir=folder, val_fraction=0.25, test_fraction=0.25, split_seed=3)
    assert people(other) != found


def test_every_split_gets_identities_with_pairs(tmp_path: Path) -> None:
    counts = {f"p{number:02}": 1 if number % 2 else 3 for number in range(20)}
    write_people(tmp_path, counts)
    module = read("identity_folders", data_dir=str(tmp_path), val_fraction=0.2, test_fraction=0.2)
    assert [row[2:4] for row in module.inspect()["tables"][0]["rows"]] == [[12, 6], [4, 2], [4, 2]]


def test_pictures_of_known_identities_can_be_cut(tmp_path: Path) -> None:
    write_people(tmp_path, dict.fromkeys(PEOPLE[:4], 10))
    words: dict[str, Any] = {"data_dir": str(tmp_path), "val_fraction": 0.2, "test_fraction": 0.3}
    module = read("identity_folders", split_by="pictures", **words)
    assert people(module) == {split: list(PEOPLE[:4]) for split in SPLITS}
    assert module.summary()["sizes"] == {"train": 20, "val": 8, "test": 12}
    positions = np.concatenate([module.data.splits[split] for split in SPLITS])
    assert sorted(positions.tolist()) == list(range(40))


def test_split_folders_are_kept_and_what_is_missing_is_cut_from_training(tmp_path: Path) -> None:
    write_people(tmp_path / "train", dict.fromkeys(PEOPLE[:6], 2))
    write_people(tmp_path / "val", dict.fromkeys(PEOPLE[6:9], 2))
    module = read("identity_folders", data_dir=str(tmp_path), test_fraction=0.4)
    found = people(module)
    assert found["val"] == list(PEOPLE[6:9])
    assert sorted(found["train"] + found["test"]) == list(PEOPLE[:6])
    assert len(found["test"]) == 2
    write_people(tmp_path / "test", dict.fromkeys(PEOPLE[9:], 2))
    assert people(read("identity_folders", data_dir=str(tmp_path)))["train"] == list(PEOPLE[:6])


@pytest.mark.parametrize("splits", [("train", "val"), ("train", "val", "test")])
def test_an_identity_in_two_splits_is_named(splits: tuple[str, ...], tmp_path: Path) -> None:
    for place, split in enumerate(splits):
        write_people(tmp_path / split, dict.fromkeys(PEOPLE[3 * place : 3 * place + 4], 2))
    with pytest.raises(ValueError, match=r"\['person_03'.* in more than one split.*data\.split_by=pictures"):
        read("identity_folders", data_dir=str(tmp_path))
    with pytest.raises(ValueError, match=r"data\.split_by=both must be identities or pictures"):
        read("identity_folders", data_dir=str(tmp_path), split_by="both")


def test_known_identities_in_all_splits_keep_their_ids(tmp_path: Path) -> None:
    for split in SPLITS:
        write_people(tmp_path / split, dict.fromkeys(PEOPLE[:3], 2))
    module = read("identity_folders", data_dir=str(tmp_path), split_by="pictures")
    assert people(module) == {split: list(PEOPLE[:3]) for split in SPLITS}


def test_missing_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data\.data_dir=.*nowhere .*is no folder"):
        read("identity_folders", data_dir=str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="needs one for each identity"):
        read("identity_folders", data_dir=str(tmp_path))
    (tmp_path / "nobody").mkdir()
    with pytest.raises(ValueError, match=r"no pictures for the identities \['nobody'\]"):
        read("identity_folders", data_dir=str(tmp_path))


def test_data_without_pairs_are_refused(tmp_path: Path) -> None:
    write_people(tmp_path / "ones", dict.fromkeys(PEOPLE, 1))
    with pytest.raises(
        ValueError, match=r"train in .*each of the 8 pictures is the only one of its identity.*with two"
    ):
        read("identity_folders", data_dir=str(tmp_path / "ones"))
    write_people(tmp_path / "few", dict.fromkeys(PEOPLE[:7], 2))
    with pytest.raises(
        ValueError, match=r"val in .*all pictures show one identity.*change data\.val_fraction"
    ):
        read("identity_folders", data_dir=str(tmp_path / "few"))
    with pytest.raises(ValueError, match="no pictures for test in"):
        read("identity_folders", data_dir=str(tmp_path / "few"), test_fraction=0.0, val_fraction=0.3)
    with pytest.raises(ValueError, match="leave nothing to train on"):
        read("identity_folders", data_dir=str(tmp_path / "few"), test_fraction=0.5, val_fraction=0.5)


def test_a_broken_picture_is_named_or_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_people(tmp_path, THREE)
    broken = cut_short(tmp_path / PEOPLE[0] / "1.jpg")
    module = build_verification("identity_folders", data_dir=str(tmp_path), mean=[0.5] * 3, std=[0.2] * 3)
    module.setup()
    datasets = [module.dataset(split, augment=False) for split in SPLITS]
    where = next(
        (dataset, index)
        for dataset in datasets
        for index in range(len(dataset))
        if dataset.name(index) == str(broken)
    )
    with pytest.raises(ValueError, match=r"1\.jpg is a JPEG that is cut short; .*data\.on_error=skip"):
        where[0][where[1]]
    (problem,) = module.inspect()["problems"]
    assert problem["file"] == str(broken)
    assert "cut short" in problem["problem"]
    with caplog.at_level(logging.WARNING):
        kept = read("identity_folders", data_dir=str(tmp_path), on_error="skip")
    assert "1 of 36 files" in caplog.text
    assert kept.summary()["skipped"] == 1
    assert sum(kept.summary()["sizes"].values()) == 35
    with pytest.raises(ValueError, match=r"data\.on_error=ignore must be raise or skip"):
        read("identity_folders", data_dir=str(tmp_path), on_error="ignore")


def test_identities_of_whom_nothing_can_be_read_are_none(tmp_path: Path) -> None:
    write_people(tmp_path, THREE)
    for path in (tmp_path / PEOPLE[4]).iterdir():
        path.write_text("no picture")
    module = read(
        "identity_folders", data_dir=str(tmp_path), on_error="skip", val_fraction=0.2, test_fraction=0.2
    )
    assert PEOPLE[4] not in module.data.identity_names
    assert sum(module.summary()["identities"].values()) == 11


# lists of identities


def lines_of(splits: dict[str, range]) -> list[str]:
    return [
        f"{PEOPLE[person]}/{number}.jpg,{PEOPLE[person]},{split}"
        for split, chosen in splits.items()
        for person in chosen
        for number in range(3)
    ]


def test_a_list_with_splits(tmp_path: Path) -> None:
    splits = {"val": range(3), "train": range(3, 8), "test": range(8, 12)}
    manifest = write_identities_csv(tmp_path, *lines_of(splits))
    module = read("identities_csv", manifest=str(manifest))
    assert people(module) == {split: [PEOPLE[person] for person in splits[split]] for split in SPLITS}
    assert module.data.identity_names[:5] == list(PEOPLE[3:8])  # those of training come first
    assert module.summary()["name"] == "people"
    (tmp_path / "lists").mkdir()
    elsewhere = manifest.rename(tmp_path / "lists" / manifest.name)
    moved = read("identities_csv", manifest=str(elsewhere), data_dir=str(tmp_path))
    assert moved.summary()["digest"] == module.summary()["digest"]


def test_lines_without_a_split_are_cut(tmp_path: Path) -> None:
    splits = {"": range(8), "test": range(8, 12)}
    manifest = write_identities_csv(tmp_path, *lines_of(splits))
    module = read("identities_csv", manifest=str(manifest), val_fraction=0.25, test_fraction=0.0)
    found = people(module)
    assert found["test"] == list(PEOPLE[8:])
    assert len(found["val"]) == 2
    assert len(found["train"]) == 6


IDENTITIES_BROKEN = {
    ",person_00,train": "no path",
    "person_03/9.jpg,person_03,train": "there is no picture",
    "person_11/2.jpg,,train": "no identity",
    "person_11/2.jpg,person_11,dev": "split 'dev' is none of train, val, test",
    "person_00/0.jpg,person_01,val": "person_00/0.jpg is listed before, in line 2, as 'person_00'",
    ".//person_00/./0.jpg,person_01,val": "person_00/0.jpg is listed before, in line 2, as 'person_00'",
    "{root}/person_00/0.jpg,person_01,val": "person_00/0.jpg is listed before, in line 2, as 'person_00'",
}


@pytest.mark.parametrize("line", IDENTITIES_BROKEN)
def test_broken_lines_of_identities(line: str, tmp_path: Path) -> None:
    lines = lines_of({"val": range(3), "train": range(3, 8), "test": range(8, 11)})
    manifest = write_identities_csv(tmp_path, *lines, line.format(root=tmp_path))
    with pytest.raises(BrokenRecords, match=f"people.csv:{len(lines) + 2}: ") as caught:
        read("identities_csv", manifest=str(manifest))
    assert IDENTITIES_BROKEN[line] in str(caught.value)
    problems = build_verification("identities_csv", manifest=str(manifest)).inspect()["problems"]
    if "there is no picture" not in IDENTITIES_BROKEN[line]:
        assert [(found["line"], found["problem"]) for found in problems] == [
            (len(lines) + 2, next(iter(caught.value.problems)).problem)
        ]
        return
    (problem,) = problems
    assert "person_03/9.jpg does not exist" in problem["problem"]
    assert read("identities_csv", manifest=str(manifest), on_error="skip").summary()["skipped"] == 1


def test_a_list_without_identities_is_named(tmp_path: Path) -> None:
    manifest = write_identities_csv(tmp_path, "a.jpg,b", header="path,label")
    with pytest.raises(ValueError, match=r"people\.csv:1: the columns \['identity'\] are missing"):
        read("identities_csv", manifest=str(manifest))
    with pytest.raises(FileNotFoundError, match=r"data\.manifest=.*none\.csv .*is no file"):
        read("identities_csv", manifest=str(tmp_path / "none.csv"))


# for people


def test_annotate_draws_the_picture_and_its_identity(tmp_path: Path) -> None:
    module = read("identity_folders", data_dir=str(write_people(tmp_path, THREE)))
    batch = module.sample("val", positions=[0, 4], epoch=0)
    found = module.annotate(batch, 1)
    assert found.shape == (22 + 128, 128, 3)
    assert np.array_equal(found[22::8, ::8], batch["image"][1].numpy().transpose(1, 2, 0))
    assert found[:22].min() < 100 < found[:22].max()
    assert module.annotate({"image": batch["image"]}, 1)[:22].min() == 255
    again = module.sample("train", positions=[0, 4], epoch=1)
    assert torch.equal(again["image"], module.sample("train", positions=[0, 4], epoch=1)["image"])


def test_raw_arrays_of_a_part_are_spread_evenly(tmp_path: Path) -> None:
    module = read("identity_folders", data_dir=str(write_people(tmp_path, THREE)))
    pictures, labels = module.raw_arrays("train", 5, side=8)
    dataset = module.dataset("train", augment=False)
    chosen = np.linspace(0, len(dataset) - 1, 5).round().astype(int).tolist()
    assert pictures.shape == (5, 8, 8, 3)
    assert labels.tolist() == [dataset[index]["label"] for index in chosen]


def test_prediction_needs_no_data(tmp_path: Path) -> None:
    folder = write_people(tmp_path, {"ann": 2})
    module = build_verification("identity_folders", data_dir="nowhere", image_size=16)
    dataset = module.predict_dataset(sorted(folder.rglob("*.jpg")))
    batch = module.collate([dataset[0], dataset[1]])
    assert batch["image"].shape == (2, 3, 16, 16)
    assert batch["error"] == ["", ""]
    assert "pairs" not in batch
