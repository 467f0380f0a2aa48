"""The verification data by name: what all keep, the embedded digits and faces, and wrong values."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.metrics import roc_auc_score

from datamodules.arrays import ByteArray
from datamodules.base import SPLITS
from datamodules.batch import ImageBatch, VerificationBatch, VerificationMetadata
from datamodules.embedded.digit_identities import (
    HELD_OUT,
    LOOKS_THE_SAME,
    ORIENTATIONS,
    identity_of,
    turn,
)
from tests.datamodules.identity_writers import IDENTIFIED
from tests.datamodules.writers import build_verification, data_of, write_data

NAMES = data_of("verification")
KNOWN: dict[str, Any] = {"mean": [0.5], "std": [0.5]}  # computing them would take most of the time


def test_a_little_data_is_written_for_every_file() -> None:
    assert set(NAMES) == set(IDENTIFIED)


@pytest.mark.parametrize("data", NAMES)
def test_every_data_set_keeps_the_contract(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write_data(data, tmp_path, monkeypatch)
    module = build_verification(data, **written, num_workers=0, batch_size=4, image_size=16)
    module.prepare_data()
    module.setup("fit")
    metadata, summary = module.metadata, module.summary()
    assert set(metadata) == set(VerificationMetadata.__annotations__)
    assert len(metadata["mean"]) == len(metadata["std"]) == metadata["channels"]
    assert metadata["num_identities"] == summary["identities"]["train"] >= 2
    for key in ("sizes", "matching_pairs", "other_pairs"):
        assert set(summary[key]) == set(SPLITS)
        assert min(summary[key].values()) > 0
    assert len(summary["digest"]) == 64
    labels = module.data.labels[module.data.splits["train"]]
    assert np.unique(labels).tolist() == list(range(metadata["num_identities"]))
    for split, loader in zip(
        SPLITS, (module.train_dataloader(), module.val_dataloader(), module.test_dataloader()), strict=True
    ):
        if split == "train":
            check_batches(None, islice(loader, 2))
        else:
            check_batches(module.listed_pairs(split), loader)


def check_batches(listed: Any, loader: Iterable[Any]) -> None:
    """Types and shapes; of what is measured every picture once, in order, with its pairs."""
    rows, indices = set(), []
    for batch in loader:
        assert set(batch) == set(VerificationBatch.__annotations__) | set(ImageBatch.__annotations__)
        assert batch["image"].shape[1:] == (3, 16, 16)
        assert batch["image"].dtype == torch.uint8
        assert batch["label"].dtype == batch["index"].dtype == torch.int64
        assert len(batch["pairs"]) == len(batch["label"])
        assert all(pairs.dtype == torch.int64 and pairs.shape[1] == 4 for pairs in batch["pairs"])
        indices += batch["index"].tolist()
        rows |= {
            (*row.tolist(), index)
            for index, pairs in zip(batch["index"].tolist(), batch["pairs"], strict=True)
            for row in pairs
        }
    if listed is None:
        assert not rows
        return
    assert indices == list(range(len(indices)))
    expected = {
        (number, side, same, fold, pair[side])
        for number, (*pair, same, fold) in enumerate(listed.tolist())
        for side in (0, 1)
    }
    assert rows == expected


@pytest.mark.parametrize("data", NAMES)
def test_inspection_counts_what_is_there(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = build_verification(data, **write_data(data, tmp_path, monkeypatch))
    report = module.inspect()
    module.setup()
    assert report["problems"] == []
    splits = report["tables"][0]
    assert [row[1] for row in splits["rows"]] == [module.summary()["sizes"][split] for split in SPLITS]
    assert all(len(row) == len(table["columns"]) for table in report["tables"] for row in table["rows"])


def pixel_auc(data: str, **changes: Any) -> float:
    """Area under the ROC curve of Euclidean pixel distances over all test pairs."""
    module = build_verification(data, **changes)
    module.setup()
    pictures, labels = module.raw_arrays("test", 5000)
    first, second = np.triu_indices(len(labels), 1)
    distances = pdist(pictures[..., 0].reshape(len(labels), -1).astype(np.float64))
    return float(roc_auc_score(labels[first] == labels[second], -distances))


# digits


def test_digits_are_cut_by_writer() -> None:
    module = build_verification("digits_pairs", seed=9)
    module.setup()
    assert module.summary()["sizes"] == {"train": 1078, "val": 360, "test": 359}
    assert module.data.identity_names == [str(digit) for digit in range(10)]
    splits = module.data.splits
    assert np.concatenate([splits[split] for split in SPLITS]).tolist() == list(range(1797))


def test_pixels_are_as_far_apart_as_measured_elsewhere() -> None:
    assert pixel_auc("digits_pairs") == pytest.approx(0.8499, abs=5e-5)
    measured = (0.829, 0.8148, 0.9062, 0.9251)
    for rotation, expected in enumerate(measured):
        found = pixel_auc("digits_unseen", rotation=rotation, orientations=False, **KNOWN)
        assert found == pytest.approx(expected, abs=5e-5)


def test_the_figures_in_digits_pairs_yaml_are_those_of_the_training_split() -> None:
    module, computed = (
        build_verification("digits_pairs"),
        build_verification("digits_pairs", mean=None, std=None),
    )
    computed.setup()
    assert module.mean == pytest.approx(computed.mean, abs=5e-5)
    assert module.std == pytest.approx(computed.std, abs=5e-5)


@pytest.mark.parametrize("rotation", range(4))
def test_three_classes_are_never_trained_on(rotation: int) -> None:
    module = build_verification("digits_unseen", rotation=rotation, **KNOWN)
    module.setup()
    found = {
        split: {
            name.split()[0]
            for name in np.array(module.data.identity_names)[module.data.labels[module.data.splits[split]]]
        }
        for split in SPLITS
    }
    unseen = {str(digit) for digit in HELD_OUT[rotation]}
    assert found["test"] == unseen
    seen = {str(digit) for digit in range(10)} - unseen
    assert found["train"] == found["val"] == (seen - {"9"} if "6" in seen else seen)  # a nine is a six
    assert module.data.splits["val"].min() >= 1078 > module.data.splits["train"][:700].max()


def test_orientations_are_identities_of_the_scans_they_are_made_of() -> None:
    module = build_verification("digits_unseen", rotation=0, **KNOWN)
    module.setup()
    data, dataset = module.data, module.dataset("train", augment=False)
    size = len(data.splits["train"]) // 8
    for number in (0, 5, 17):
        scan = dataset[number]["image"].numpy()[:1]
        for place, orientation in enumerate(ORIENTATIONS):
            item = dataset[number + place * size]
            assert np.array_equal(item["image"].numpy()[:1], turn(scan, orientation))
            digit, *words = data.identity_names[item["label"]].split()
            assert digit == data.identity_names[dataset[number]["label"]]
            assert not words or place
    plain = build_verification("digits_unseen", rotation=0, orientations=False, **KNOWN)
    plain.setup()
    assert plain.summary()["identities"] == {"train": 7, "val": 7, "test": 3}
    assert plain.summary()["sizes"]["train"] == size


def test_what_looks_the_same_is_one_identity() -> None:
    picture: ByteArray = np.array([0, 1, 3, 7, 12, 20, 31, 44, 59], dtype=np.uint8).reshape(1, 3, 3)
    for digit, alike in LOOKS_THE_SAME.items():
        # A picture that looks the same in these orientations; the identities must be its different looks.
        symmetric = np.asarray(sum(turn(picture, own).astype(int) for own in alike), dtype=np.uint8)
        groups: dict[int, set[bytes]] = {}
        for number, orientation in enumerate(ORIENTATIONS):
            groups.setdefault(identity_of(digit, number), set()).add(turn(symmetric, orientation).tobytes())
        assert all(len(looks) == 1 for looks in groups.values())
        assert len(set.union(*groups.values())) == len(groups) == 8 // len(alike)
    assert [identity_of(7, number) for number in range(8)] == list(range(56, 64))


def test_a_nine_is_a_six_turned_by_half_where_both_are_trained_on() -> None:
    six: ByteArray = np.arange(9, dtype=np.uint8).reshape(1, 3, 3)
    looks = {
        turn(six, orientation).tobytes(): identity_of(6, n) for n, orientation in enumerate(ORIENTATIONS)
    }
    nine = turn(six, (2, False))
    for number, orientation in enumerate(ORIENTATIONS):
        assert identity_of(9, number) == looks[turn(nine, orientation).tobytes()]
    counts = []
    for rotation in range(4):
        module = build_verification("digits_unseen", rotation=rotation, **KNOWN)
        module.setup()
        counts.append(module.summary()["identities"])
    # 2 for 0, 1 and 8, 4 for 3, 8 for each other; six and nine together have 8.
    assert [count["train"] for count in counts] == [40, 32, 36, 34]
    assert [count["val"] for count in counts] == [7] * 4
    assert [count["test"] for count in counts] == [3] * 4


# faces


def test_the_first_picture_of_a_face_is_the_stored_one_and_the_others_differ() -> None:
    module = build_verification("face_patches", pictures_per_face=4, image_size=25)
    module.setup()
    assert module.summary()["identities"] == {"train": 60, "val": 20, "test": 20}
    assert module.summary()["sizes"] == {"train": 240, "val": 80, "test": 80}
    from skimage import data

    stored = (data.lfw_subset()[:100] * 255).round()  # type: ignore[no-untyped-call]
    pictures, labels = module.raw_arrays("train", 1000)
    assert np.array_equal(pictures[::4, ..., 0], stored[:60])
    assert labels.tolist() == np.repeat(np.arange(60), 4).tolist()
    assert len({picture.tobytes() for picture in pictures}) == 240
    module.seed = 5
    assert np.array_equal(pictures, module.raw_arrays("train", 1000)[0])
    other = build_verification("face_patches", pictures_per_face=4, image_size=25, picture_seed=1)
    other.setup()
    assert other.summary()["digest"] != module.summary()["digest"]


# wrong values

WRONG = [
    ("digits_unseen", {"rotation": 4}, r"data\.rotation=4 must be in \[0, 4\)"),
    ("face_patches", {"pictures_per_face": 1}, r"data\.pictures_per_face=1 must be at least 2"),
    ("digits_pairs", {"sampler": "triplets"}, r"data\.sampler=triplets must be identities or pairs"),
    ("digits_pairs", {"images_per_identity": 1}, r"data\.images_per_identity=1 must be at least 2"),
    ("digits_pairs", {"match_share": 1.5}, r"data\.match_share=1\.5 must be in \[0, 1\]"),
    ("digits_pairs", {"std": [0.0]}, r"data\.std=\[0\.0\] must be above 0"),
    (
        "digits_pairs",
        {"batch_size": 60},
        r"data\.batch_size=60 is not .*images_per_identity=8 .*batch_size=56 or 64",
    ),
    (
        "digits_pairs",
        {"batch_size": 8},
        r"data\.batch_size=8 is not two or more whole groups.*batch_size=16, or",
    ),
    (
        "digits_pairs",
        {"batch_size": 88},
        r"ask for 11 identities in a batch, but training has 10; set data\.batch_size=80",
    ),
    (
        "digits_pairs",
        {"batch_size": 31, "sampler": "pairs"},
        r"data\.batch_size=31 makes no whole pairs.*batch_size=32",
    ),
    (
        "digits_pairs",
        {"batch_size": 16, "sampler": "pairs", "match_share": 0.05},
        r"match_share=0\.05 of the 8 pairs of data\.batch_size=16 .* 0 matching and 8 other.*=22 or",
    ),
    (
        "digits_pairs",
        {"batch_size": 16, "sampler": "pairs", "match_share": 1.0},
        r"makes 8 matching and 0 other pairs.*; set data\.match_share=0\.5$",
    ),
    (
        "digits_pairs",
        {"batch_size": 2, "sampler": "pairs"},
        r"the 1 pairs of data\.batch_size=2 .*; set data\.batch_size=4 or more$",
    ),
    (
        "digits_pairs",
        {"batch_size": 2, "sampler": "pairs", "match_share": 0.0},
        r"set data\.match_share=0\.5 and data\.batch_size=4 or more$",
    ),
]


@pytest.mark.parametrize(("data", "changes", "words"), WRONG)
def test_wrong_values_are_named(data: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build_verification(data, **changes).setup("fit")


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9, 0.99])
def test_the_way_out_of_batches_of_one_kind_is_one(share: float) -> None:
    words: dict[str, Any] = {"sampler": "pairs", "match_share": share}
    with pytest.raises(ValueError, match=r"set data\.batch_size=\d+ or more") as caught:
        build_verification("digits_pairs", batch_size=2, **words).setup("fit")
    size = int(str(caught.value).rsplit("batch_size=")[-1].split()[0])
    build_verification("digits_pairs", batch_size=size, **words).setup("fit")
    with pytest.raises(ValueError, match="of one kind only"):  # and the smallest
        build_verification("digits_pairs", batch_size=size - 2, **words).setup("fit")


def test_who_only_measures_may_have_batches_of_any_size() -> None:
    module = build_verification("digits_pairs", batch_size=60)
    module.setup()
    assert len(next(iter(module.test_dataloader()))["index"]) == 60
    with pytest.raises(ValueError, match=r"data\.batch_size=60 is not"):
        module.train_dataloader()
