"""Lists of pairs, of one's own and of LFW: what is compared, and what is said about wrong lines."""

import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.base import SPLITS, Split
from datamodules.identified import VerificationDataModule
from datamodules.readers.problems import BrokenRecords
from tests.datamodules.identity_writers import (
    PEOPLE,
    lfw_name,
    pair_lines,
    write_lfw,
    write_pairs_csv,
    write_people,
)
from tests.datamodules.test_identity_readers import people, read
from tests.datamodules.writers import build_verification, cut_short

PARTS = {"train": range(6), "val": range(6, 9), "test": range(9, 12)}


def lines_of_all() -> list[str]:
    return [line for split, chosen in PARTS.items() for line in pair_lines(list(chosen), f",{split},")]


def named_pairs(module: VerificationDataModule, split: Split) -> list[tuple[str, str, int, int]]:
    """Listed pairs by folder and name of the pictures."""
    dataset, pairs = module.dataset(split, augment=False), module.listed_pairs(split)
    assert pairs is not None
    names = ["/".join(Path(dataset.name(index)).parts[-2:]) for index in range(len(dataset))]
    return [(names[a], names[b], same, fold) for a, b, same, fold in pairs.tolist()]


# lists of one's own


def test_pairs_and_the_identities_they_make(tmp_path: Path) -> None:
    manifest = write_pairs_csv(tmp_path, *lines_of_all())
    module = read("pairs_csv", manifest=str(manifest))
    assert people(module) == {split: [f"{PEOPLE[n]}/0.jpg" for n in PARTS[split]] for split in SPLITS}
    for split in SPLITS:
        expected = [line.split(",") for line in pair_lines(list(PARTS[split]), "")]
        assert named_pairs(module, split) == [(a, b, int(same), -1) for a, b, same in expected]
    assert module.summary()["matching_pairs"] == {"train": 12, "val": 6, "test": 6}
    assert module.summary()["other_pairs"] == {"train": 12, "val": 6, "test": 6}


def test_identities_are_linked_over_several_pairs_and_strangers_are_none(tmp_path: Path) -> None:
    chain = [("00/0", "00/1", 1), ("01/1", "01/0", 1), ("01/0", "00/1", 1), ("02/0", "03/0", 0)]
    lines = [f"person_{a}.jpg,person_{b}.jpg,{same},train," for a, b, same in chain]
    rest = [line for split in ("val", "test") for line in pair_lines(list(PARTS[split])[:3], f",{split},")]
    module = read("pairs_csv", manifest=str(write_pairs_csv(tmp_path, *lines, *rest)))
    labels = module.data.labels[module.data.splits["train"]]
    assert labels.tolist() == [0, 0, 0, 0, 1, 2]
    assert module.metadata["num_identities"] == 3


def test_folds_are_handed_on(tmp_path: Path) -> None:
    lines = [
        line.removesuffix(",") + f",{place % 3}" if ",test," in line else line
        for place, line in enumerate(lines_of_all())
    ]
    module = read("pairs_csv", manifest=str(write_pairs_csv(tmp_path, *lines)))
    folds = [fold for *_, fold in named_pairs(module, "test")]
    assert folds == [place % 3 for place, line in enumerate(lines) if ",test," in line]
    rows = module.inspect()["tables"][1]["rows"]
    assert [row[-2:] for row in rows] == [["listed", "-"], ["listed", "-"], ["listed", 3]]


def test_without_splits_identities_are_cut_and_pairs_across_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = pair_lines(list(range(12)), "")
    manifest = write_pairs_csv(tmp_path, *lines, header="path_a,path_b,same")
    words: dict[str, Any] = {"val_fraction": 0.3, "test_fraction": 0.3, "split_seed": 2}
    with caplog.at_level(logging.WARNING):
        module = read("pairs_csv", manifest=str(manifest), **words)
    found = people(module)
    assert sorted(name for names in found.values() for name in names) == [f"{name}/0.jpg" for name in PEOPLE]
    expected = {tuple(line.split(",")) for line in lines}
    kept = [(a, b, str(same)) for split in SPLITS for a, b, same, _ in named_pairs(module, split)]
    assert set(kept) <= expected
    assert sum(same == "1" for _, _, same in kept) == 24
    lost = len(lines) - len(kept)
    assert lost > 0
    assert f"{lost} of 48 pairs of {manifest} are left out" in caplog.text


PAIRS_BROKEN = {
    "person_00/0.jpg,,1,train,": "no path_b",
    "person_00/0.jpg,person_01/2.jpg,2,train,": "same '2' must be 1 or 0",
    "person_00/0.jpg,person_01/2.jpg,0,dev,": "split 'dev' is none of train, val, test",
    "person_00/0.jpg,person_01/2.jpg,0,train,x": "fold 'x' must be a number from 0",
    "person_00/0.jpg,person_01/2.jpg,0,,": "no split, but other lines have one",
    "person_00/0.jpg,person_00/0.jpg,1,train,": "person_00/0.jpg is paired with itself",
    "person_00/1.jpg,person_00/0.jpg,1,train,": "are listed before, in line 2",
    "person_00/0.jpg,person_01/9.jpg,0,train,": "there is no picture",
    "person_00/1.jpg,person_00/2.jpg,0,train,": "not the same here, but lines 2, 3 make them the same",
    "person_00/0.jpg,person_09/0.jpg,0,test,": "person_00/0.jpg is for test here, but for train in line 2\n",
    # other spellings of the same pictures
    ".//person_00/0.jpg,person_00/./0.jpg,1,train,": "person_00/0.jpg is paired with itself",
    "./person_00/0.jpg,{root}/person_00/1.jpg,1,train,": "are listed before, in line 2",
    "{root}/person_00/1.jpg,./person_00/2.jpg,0,train,": "not the same here, but lines 2, 3 make",
    "/{root}/person_00/0.jpg,../{name}/person_09/0.jpg,0,test,": "person_00/0.jpg is for test here",
}


SKIPPED = ("are listed before, in line 2", "there is no picture")  # what data.on_error=skip leaves out


@pytest.mark.parametrize("line", PAIRS_BROKEN)
def test_broken_lines_of_pairs(line: str, tmp_path: Path) -> None:
    lines = lines_of_all()
    manifest = write_pairs_csv(tmp_path, *lines, line.format(root=tmp_path, name=tmp_path.name))
    with pytest.raises(BrokenRecords, match=f"pairs.csv:{len(lines) + 2}: ") as caught:
        read("pairs_csv", manifest=str(manifest))
    assert PAIRS_BROKEN[line] in str(caught.value)
    assert len(caught.value.problems) == 1
    inspected = build_verification("pairs_csv", manifest=str(manifest))
    if PAIRS_BROKEN[line] not in SKIPPED:
        for read_it in (
            inspected.inspect,
            partial(read, "pairs_csv", manifest=str(manifest), on_error="skip"),
        ):
            with pytest.raises(BrokenRecords, match="skip leaves out only") as caught:
                read_it()
            assert PAIRS_BROKEN[line] in str(caught.value)
        return
    assert len(inspected.inspect()["problems"]) == 1
    kept = read("pairs_csv", manifest=str(manifest), on_error="skip")
    assert kept.summary()["skipped"] == ("there is no" in PAIRS_BROKEN[line])
    assert sum(len(named_pairs(kept, split)) for split in SPLITS) == len(lines)


def test_pairs_that_are_listed_twice_are_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [f"{line}{place % 2}" for place, line in enumerate(lines_of_all())]
    once = read("pairs_csv", manifest=str(write_pairs_csv(tmp_path, *lines)))
    first, second, *rest = lines[-1].split(",")
    manifest = write_pairs_csv(tmp_path, *lines, lines[0], ",".join([second, first, *rest]))
    with caplog.at_level(logging.WARNING):
        twice = read("pairs_csv", manifest=str(manifest), on_error="skip")
    assert f"2 of {len(lines) + 2} pairs of {manifest} left out, as they are listed before" in caplog.text
    assert twice.summary() == once.summary()
    elsewhere = write_pairs_csv(tmp_path, *lines, f"{lines[0][:-1]}7")
    with pytest.raises(BrokenRecords, match=r"are in fold 7 here, but in fold 0 in line 2"):
        read("pairs_csv", manifest=str(elsewhere), on_error="skip")


def test_splits_whose_other_pairs_are_lost_are_measured_over_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    near = [line for line in pair_lines(list(range(12)), "") if line.endswith(",1")]
    lines = [*near, f"{PEOPLE[3]}/0.jpg,{PEOPLE[4]}/0.jpg,0"]  # two that are trained on
    words: dict[str, Any] = {"val_fraction": 0.25, "test_fraction": 0.25}
    manifest = str(write_pairs_csv(tmp_path, *lines, header="path_a,path_b,same"))
    with caplog.at_level(logging.WARNING):
        module = read("pairs_csv", manifest=manifest, **words)
    assert module.listed_pairs("val") is None
    assert module.listed_pairs("test") is None
    assert sum(same == 0 for *_, same, _ in named_pairs(module, "train")) == 1
    for split in ("val", "test"):
        assert f"{split} in {manifest} is measured over each two of its 9 pictures" in caplog.text
    assert "of these 6 are matching and 0 are not" in caplog.text
    assert module.summary()["other_pairs"] == {"train": 1, "val": 27, "test": 27}
    with pytest.raises(ValueError, match=r"all pictures show one identity.*column split.*data\.split_seed"):
        read("pairs_csv", manifest=manifest, **words | {"test_fraction": 0.05})


def test_a_fold_for_some_pairs_only_is_named(tmp_path: Path) -> None:
    lines = lines_of_all()
    lines[-1] += "0"
    with pytest.raises(
        BrokenRecords, match=f"pairs.csv:{len(lines) - 10}: no fold, but other lines of test have"
    ):
        read("pairs_csv", manifest=str(write_pairs_csv(tmp_path, *lines)))


def test_pairs_of_one_kind_are_refused(tmp_path: Path) -> None:
    lines = [line for line in lines_of_all() if ",0,val," not in line]
    with pytest.raises(ValueError, match=r"val in .*pairs\.csv: no listed pair shows two identities"):
        read("pairs_csv", manifest=str(write_pairs_csv(tmp_path, *lines)))


def test_pairs_with_broken_pictures_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest = write_pairs_csv(tmp_path, *lines_of_all())
    cut_short(tmp_path / PEOPLE[9] / "1.jpg")
    (problem,) = build_verification("pairs_csv", manifest=str(manifest)).inspect()["problems"]
    assert problem["file"].endswith("person_09/1.jpg")
    with caplog.at_level(logging.WARNING):
        module = read("pairs_csv", manifest=str(manifest), on_error="skip")
    expected = [
        row.split(",") for row in pair_lines(list(PARTS["test"]), "") if f"{PEOPLE[9]}/1.jpg" not in row
    ]
    assert [pair[:2] for pair in named_pairs(module, "test")] == [(a, b) for a, b, _ in expected]
    assert f"{12 - len(expected)} of 12 pairs left out" in caplog.text


# LFW


def test_lfw_tests_on_a_fold_and_trains_on_the_people_of_the_others(tmp_path: Path) -> None:
    module = read("lfw", data_dir=str(write_lfw(tmp_path)), fold=1, val_fraction=0.3)
    assert named_pairs(module, "test") == [
        (picture(4, 1), picture(4, 2), 1, 1),
        (picture(5, 1), picture(5, 3), 1, 1),
        (picture(4, 1), picture(6, 3), 0, 1),
        (picture(5, 1), picture(7, 3), 0, 1),
    ]
    assert module.listed_pairs("train") is None
    assert module.listed_pairs("val") is None
    found = people(module)
    assert found["test"] == [lfw_name(person) for person in range(4, 8)]
    others = [lfw_name(person) for person in (*range(4), *range(8, 12))]
    assert sorted(found["train"] + found["val"]) == others
    assert len(found["val"]) == 2
    assert module.summary()["sizes"] == {"train": 18, "val": 6, "test": 6}  # all pictures of who trains


def test_nobody_who_is_tested_is_trained_on(tmp_path: Path) -> None:
    path = write_lfw(tmp_path) / "pairs.txt"
    lines = path.read_text().splitlines()
    lines[3] = f"{lfw_name(0)}\t1\t{lfw_name(4)}\t3"  # who is in fold 0 here, is in fold 1 as well
    path.write_text("\n".join(lines))
    found = people(read("lfw", data_dir=str(tmp_path), fold=1, val_fraction=0.3))
    assert lfw_name(4) in found["test"]
    assert lfw_name(4) not in found["train"] + found["val"]


def picture(person: int, number: int) -> str:
    name = lfw_name(person)
    return f"{name}/{name}_{number:04}.jpg"


def test_lfw_for_development(tmp_path: Path) -> None:
    module = read("lfw", data_dir=str(write_lfw(tmp_path)), fold=None, val_fraction=0.3)
    found = people(module)
    assert found["test"] == [lfw_name(person) for person in range(40, 44)]
    assert sorted(found["train"] + found["val"]) == [lfw_name(person) for person in range(20, 28)]
    assert [row[2:] for row in named_pairs(module, "test")] == [(1, -1)] * 2 + [(0, -1)] * 2


def test_lfw_after_training_on_other_people(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_lfw(tmp_path / "lfw")
    write_people(tmp_path / "others", {**dict.fromkeys(PEOPLE, 2), lfw_name(9): 2})
    lists = tmp_path / "lists"
    lists.mkdir()
    for path in (tmp_path / "lfw").glob("*.txt"):
        path.rename(lists / path.name)
    words = {
        "data_dir": str(tmp_path / "lfw"),
        "train_dir": str(tmp_path / "others"),
        "pairs_dir": str(lists),
    }
    with caplog.at_level(logging.WARNING):
        module = read("lfw", **words)
    assert "1 identities of data.train_dir=" in caplog.text
    assert people(module) == {
        "train": list(PEOPLE),
        "val": [lfw_name(person) for person in range(40, 44)],
        "test": [lfw_name(person) for person in range(12)],
    }
    assert [fold for *_, fold in named_pairs(module, "test")] == [0] * 4 + [1] * 4 + [2] * 4
    assert [fold for *_, fold in named_pairs(module, "val")] == [-1] * 4
    assert named_pairs(module, "test")[4][:2] == (picture(4, 1), picture(4, 2))
    with pytest.raises(FileNotFoundError, match=r"data\.train_dir=.*nowhere .*is no folder"):
        read("lfw", **{**words, "train_dir": str(tmp_path / "nowhere")})


LFW_BROKEN = {  # the line before is a pair of {a}, pictures 1 and 2
    "{a}\t1": "has 2 words, but Name 1 4, for two pictures of one person, is expected here",
    "{a}\t1\t{b}\t3": "has 4 words, but Name 1 4",
    "{a}\t1\tx": "'x' is no number of a picture",
    "{a}\t1\t9": "there is no picture Given_Familyae_0009",
    "{a}\t1\t1": "is paired with itself",
    "Nobody\t1\t2": "there is no picture Nobody_0001",
    "{a}\t2\t1": "are listed before, in line 6",
}


SKIPPED_OF_LFW = ("are listed before, in line 6", "there is no picture")


@pytest.mark.parametrize("line", LFW_BROKEN)
def test_broken_lines_of_lfw(line: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_lfw(tmp_path) / "pairs.txt"
    lines = path.read_text().splitlines()
    lines[6] = line.format(a=lfw_name(4), b=lfw_name(5))
    path.write_text("\n".join(lines))
    with pytest.raises(BrokenRecords, match="pairs.txt:7: ") as caught:
        read("lfw", data_dir=str(tmp_path), val_fraction=0.3)
    assert LFW_BROKEN[line] in str(caught.value)
    inspected = build_verification("lfw", data_dir=str(tmp_path))
    if any(words in LFW_BROKEN[line] for words in SKIPPED_OF_LFW):
        assert {found["line"] for found in inspected.inspect()["problems"]} == {7}
        with caplog.at_level(logging.WARNING):
            kept = read("lfw", data_dir=str(tmp_path), val_fraction=0.3, on_error="skip", fold=1)
        assert len(named_pairs(kept, "test")) == 3
        assert ("1 of 12 pairs of" in caplog.text) == ("listed before" in LFW_BROKEN[line])
        return
    for read_it in (inspected.inspect, partial(read, "lfw", data_dir=str(tmp_path), on_error="skip")):
        with pytest.raises(BrokenRecords, match="skip leaves out only"):
            read_it()


def test_a_person_who_is_compared_as_another_is_named(tmp_path: Path) -> None:
    path = write_lfw(tmp_path) / "pairs.txt"
    lines = path.read_text().splitlines()
    lines[8] = f"{lfw_name(4)}\t1\t{lfw_name(4)}\t3"
    path.write_text("\n".join(lines))
    with pytest.raises(BrokenRecords, match=r"pairs\.txt:9: names Given_Familyae twice"):
        read("lfw", data_dir=str(tmp_path))


def test_a_number_of_lfw_s_lines_that_does_not_fit_is_named(tmp_path: Path) -> None:
    path = write_lfw(tmp_path) / "pairs.txt"
    lines = path.read_text().splitlines()
    for head, words in {
        "4\t2": r"pairs\.txt:1: 4 x \(2 \+ 2\) pairs are 16 lines, but 12 follow",
        "3\t2\t1": r"pairs\.txt:1: '3 2 1' must be the number of folds",
        "ten\t300": r"pairs\.txt:1: 'ten 300' must be the number of folds",
        "0\t300": r"pairs\.txt:1: '0 300' must be the number of folds",
        "": r"pairs\.txt:1: '' must be the number of folds",
    }.items():
        path.write_text("\n".join([head, *lines[1:]]))
        with pytest.raises(ValueError, match=words):
            read("lfw", data_dir=str(tmp_path))
    path.write_text("\n".join(lines) + "\n\n")  # an empty line at the end is none
    read("lfw", data_dir=str(tmp_path), val_fraction=0.3)
    with pytest.raises(ValueError, match=r"data\.fold=3 is none of the folds 0 to 2 of .*pairs\.txt"):
        read("lfw", data_dir=str(tmp_path), fold=3)


def test_lfw_without_its_lists_says_where_to_get_them(tmp_path: Path) -> None:
    write_lfw(tmp_path)
    (tmp_path / "pairs.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"pairs\.txt .* is no file; get it from .*data\.pairs_dir"):
        read("lfw", data_dir=str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"no LFW under data\.data_dir=.*nowhere.*lfw\.tgz"):
        read("lfw", data_dir=str(tmp_path / "nowhere"))


def test_lfw_without_some_pictures(tmp_path: Path) -> None:
    write_lfw(tmp_path)
    name = lfw_name(0)
    (tmp_path / name / f"{name}_0002.jpg").unlink()
    module = read("lfw", data_dir=str(tmp_path), on_error="skip", val_fraction=0.3)
    assert [row[2] for row in named_pairs(module, "test")] == [1, 0, 0]
    assert np.isin([row[3] for row in named_pairs(module, "test")], 0).all()
