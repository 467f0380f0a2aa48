"""Files in their true formats, and what is said about wrong ones."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from tests.datamodules.writers import (
    build,
    cut_short,
    picture,
    write_cifar,
    write_folders,
    write_image,
    write_mnist,
)

FULL = {"train": 4, "val": 2, "test": 3}


def write_manifest(root: Path, *lines: str, header: str = "path,label,split") -> Path:
    for number in range(6):
        write_image(root / f"pictures/{number}.png", picture(number))
    path = root / "pets.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def lines_for(labels: str, splits: str) -> list[str]:
    words = {"t": "train", "v": "val", "e": "test", " ": ""}
    return [
        f"pictures/{number % 6}.png,{label},{words[split]}"
        for number, (label, split) in enumerate(zip(labels, splits, strict=True))
    ]


# torchvision's arrays


@pytest.mark.parametrize(("data", "name"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_idx_files(data: str, name: str, tmp_path: Path) -> None:
    module = build(data, data_dir=str(write_mnist(tmp_path, name=name)), num_workers=0)
    module.setup()
    assert module.summary()["sizes"] == {"train": 36, "val": 4, "test": 20}
    item = module.dataset("test", augment=False)[3]
    assert item["image"].shape == (3, 32, 32)
    assert item["label"] == 3
    assert len(module.metadata["class_names"]) == 10


def test_idx_pixels_arrive_as_they_are(tmp_path: Path) -> None:
    module = build("mnist", data_dir=str(write_mnist(tmp_path)), num_workers=0, image_size=28)
    module.setup()
    stored = np.random.default_rng(20).integers(0, 256, size=(20, 28, 28), dtype=np.uint8)
    pictures, labels = module.raw_arrays("test", 20)
    assert np.array_equal(pictures[..., 0], stored)
    assert labels.tolist() == list(range(10)) * 2


def test_validation_is_a_stratified_part_of_training(tmp_path: Path) -> None:
    module = build("mnist", data_dir=str(write_mnist(tmp_path)), num_workers=0, val_fraction=0.25, seed=1)
    module.setup()
    assert module.summary()["class_counts"]["val"] == [1] * 10
    assert module.summary()["class_counts"]["train"] == [3] * 10
    splits = module.data.splits
    assert sorted(np.concatenate(list(splits.values())).tolist()) == list(range(60))


@pytest.mark.parametrize(("data", "classes"), [("cifar10", 10), ("cifar100", 100)])
def test_cifar_pickles(data: str, classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = build(data, data_dir=str(write_cifar(tmp_path, monkeypatch, classes=classes)), num_workers=0)
    module.setup()
    assert module.summary()["sizes"]["test"] == 2 * classes
    assert module.metadata["class_names"][:2] == ["class 0", "class 1"]
    stored = np.random.default_rng(0).integers(0, 256, size=(2 * classes, 3072), dtype=np.uint8)
    first = module.dataset("test", augment=False)[0]["image"].numpy()
    assert np.array_equal(first, stored[0].reshape(3, 32, 32))


@pytest.mark.parametrize("data", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_missing_files_name_the_key_and_the_way_out(data: str, tmp_path: Path) -> None:
    module = build(data, data_dir=str(tmp_path / "nowhere"))
    module.prepare_data()
    with pytest.raises(FileNotFoundError, match=r"data\.data_dir=.*nowhere .*set data\.download=true"):
        module.setup()


def test_damaged_files_are_named(tmp_path: Path) -> None:
    cut_short(write_mnist(tmp_path) / "MNIST/raw/t10k-images-idx3-ubyte")
    with pytest.raises(ValueError, match=r"files of MNIST under data\.data_dir=.* are damaged"):
        build("mnist", data_dir=str(tmp_path)).setup()


def test_a_failed_download_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", unreachable)
    with pytest.raises(FileNotFoundError, match=r"MNIST could not be fetched into data\.data_dir=.*no route"):
        build("mnist", data_dir=str(tmp_path), download=True).prepare_data()


# folders


def test_folders_with_all_splits(tmp_path: Path) -> None:
    module = build("image_folder", data_dir=str(write_folders(tmp_path, splits=FULL)), image_size=32)
    module.setup()
    assert module.summary()["sizes"] == {"train": 8, "val": 4, "test": 6}
    assert module.metadata["class_names"] == ["ant", "bee"]
    assert module.metadata["class_counts"] == [4, 4]
    test = module.dataset("test", augment=False)
    assert test.name(5).endswith("test/bee/02.jpg")
    assert test[5]["label"] == 1


def test_classes_alone_are_cut_by_class(tmp_path: Path) -> None:
    module = build(
        "image_folder",
        data_dir=str(write_folders(tmp_path, splits={"": 20})),
        val_fraction=0.2,
        test_fraction=0.1,
    )
    module.setup()
    assert module.summary()["class_counts"] == {"train": [14, 14], "val": [4, 4], "test": [2, 2]}
    assert sorted(np.concatenate(list(module.data.splits.values())).tolist()) == list(range(40))


def test_a_missing_test_folder_is_cut_from_training(tmp_path: Path) -> None:
    folder = write_folders(tmp_path, splits={"train": 10, "val": 3})
    module = build("image_folder", data_dir=str(folder), test_fraction=0.2)
    module.setup()
    assert module.summary()["class_counts"] == {"train": [8, 8], "val": [3, 3], "test": [2, 2]}
    assert all("/train/" in module.dataset("test", augment=False).name(index) for index in range(4))


def test_other_files_and_hidden_folders_are_left_alone(tmp_path: Path) -> None:
    write_folders(tmp_path, splits=FULL)
    (tmp_path / "train/ant/notes.txt").write_text("hello")
    (tmp_path / "train/ant/.hidden.jpg").write_text("hello")
    (tmp_path / "train/.cache").mkdir()
    write_image(tmp_path / "train/ant/more/deep.PNG", picture(9))
    module = build("image_folder", data_dir=str(tmp_path))
    module.setup()
    assert module.metadata["class_counts"] == [5, 4]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data\.data_dir=.*nowhere .* is no folder"):
        build("image_folder", data_dir=str(tmp_path / "nowhere")).setup()


def test_splits_of_other_classes_are_named(tmp_path: Path) -> None:
    write_folders(tmp_path, splits=FULL)
    (tmp_path / "val/bee").rename(tmp_path / "val/wasp")
    with pytest.raises(
        ValueError, match=r"val has other classes than .*missing \['bee'\], unexpected \['wasp'\]"
    ):
        build("image_folder", data_dir=str(tmp_path)).setup()


def test_an_empty_class_is_named(tmp_path: Path) -> None:
    (write_folders(tmp_path, splits=FULL) / "train/cow").mkdir()
    with pytest.raises(ValueError, match=r"train has no pictures for the classes \['cow'\]"):
        build("image_folder", data_dir=str(tmp_path)).setup()


def test_a_folder_without_classes_is_named(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", picture(0))
    with pytest.raises(ValueError, match="has no folders, but needs one for each class"):
        build("image_folder", data_dir=str(tmp_path)).setup()


def test_expected_classes_must_be_found(tmp_path: Path) -> None:
    folder = str(write_folders(tmp_path, splits=FULL))
    with pytest.raises(ValueError, match=r"has 2 classes, but data\.num_classes=3; set data\.num_classes=2"):
        build("image_folder", data_dir=folder, num_classes=3).setup()
    with pytest.raises(ValueError, match=r"data\.class_names \(missing \['cat'\], unexpected \['bee'\]\)"):
        build("image_folder", data_dir=folder, class_names=["ant", "cat"]).setup()
    with pytest.raises(ValueError, match="in another order"):
        build("image_folder", data_dir=folder, class_names=["bee", "ant"]).setup()
    build("image_folder", data_dir=folder, class_names=["ant", "bee"], num_classes=2).setup()


def test_nothing_to_validate_on_is_named(tmp_path: Path) -> None:
    folder = str(write_folders(tmp_path, splits={"": 3}))
    with pytest.raises(ValueError, match=r"no pictures for val under .*raise data\.val_fraction"):
        build("image_folder", data_dir=folder, val_fraction=0.0).setup()


def test_training_names_a_broken_file_and_the_way_out(tmp_path: Path) -> None:
    folder = write_folders(tmp_path, splits=FULL)
    module = build("image_folder", data_dir=str(folder), image_size=32, mean=[0.5] * 3, std=[0.2] * 3)
    module.setup()
    cut_short(folder / "train/bee/01.jpg")
    with pytest.raises(
        ValueError, match=r"bee/01\.jpg is a JPEG that is cut short; remove it, or set data\.on_error=skip"
    ):
        [module.dataset("train", augment=True)[index] for index in range(8)]


def test_skip_leaves_broken_files_out_and_says_how_many(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_folders(tmp_path, splits=FULL)
    cut_short(folder / "train/bee/01.jpg")
    (folder / "val/ant/00.jpg").write_text("not a picture")
    module = build("image_folder", data_dir=str(folder), image_size=32, on_error="skip")
    with caplog.at_level(logging.WARNING):
        module.setup()
    assert "2 of 18 files" in caplog.text
    assert "01.jpg is a JPEG that is cut short" in caplog.text
    assert module.summary()["skipped"] == 2
    assert module.summary()["class_counts"] == {"train": [4, 3], "val": [1, 2], "test": [3, 3]}
    assert len([module.dataset("train", augment=True)[index] for index in range(7)]) == 7


def test_what_was_found_broken_is_remembered_until_files_change(tmp_path: Path) -> None:
    folder = write_folders(tmp_path, splits=FULL)
    build("image_folder", data_dir=str(folder), on_error="skip").setup()
    (remembered,) = (folder / ".cache").glob("broken_*.json")
    assert json.loads(remembered.read_text()) == {}
    remembered.write_text(json.dumps({"0": "said so"}))
    again = build("image_folder", data_dir=str(folder), on_error="skip")
    again.setup()
    assert again.summary()["skipped"] == 1
    cut_short(folder / "train/bee/01.jpg")
    changed = build("image_folder", data_dir=str(folder), on_error="skip")
    changed.setup()
    assert changed.data.counts("train") == [4, 3]


def test_on_error_has_two_values(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.on_error=ignore must be raise or skip"):
        build("image_folder", data_dir=str(tmp_path), on_error="ignore")


# ImageNet


def test_imagenet_tests_on_validation(tmp_path: Path) -> None:
    folder = write_folders(tmp_path, splits={"train": 6, "val": 2}, classes=("n01440764", "n01443537"))
    module = build("imagenet", data_dir=str(folder), num_classes=2, num_workers=0)
    module.setup()
    assert module.summary()["sizes"] == {"train": 12, "val": 4, "test": 4}
    assert module.metadata["class_names"] == ["n01440764", "n01443537"]
    folds = build("imagenet", data_dir=str(folder), num_classes=2, num_folds=3)
    folds.setup()
    assert folds.summary()["sizes"] == {"train": 8, "val": 4, "test": 4}
    assert not set(folds.data.splits["test"].tolist()) & set(folds.data.splits["val"].tolist())


def test_imagenet_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"no ImageNet under data\.data_dir=.*train/ is missing.*image-net\.org"
    ):
        build("imagenet", data_dir=str(tmp_path)).setup()


# manifests


def test_a_manifest_with_splits(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, *lines_for("cdcdcd", "ttvvee"))
    module = build("csv", manifest=str(manifest), image_size=32)
    module.setup()
    assert module.metadata["class_names"] == ["c", "d"]
    assert module.summary()["class_counts"] == {"train": [1, 1], "val": [1, 1], "test": [1, 1]}
    assert module.summary()["name"] == "pets"
    assert module.dataset("val", augment=False).name(1).endswith("pictures/3.png")


def test_a_manifest_without_splits_is_cut(tmp_path: Path) -> None:
    lines = [f"{number % 6}.png,{number % 2 * 10 + 2}" for number in range(40)]
    manifest = write_manifest(tmp_path, *lines, header="path,label")
    module = build(
        "csv",
        manifest=str(manifest),
        data_dir=str(tmp_path / "pictures"),
        val_fraction=0.2,
        test_fraction=0.2,
    )
    module.setup()
    assert module.metadata["class_names"] == ["2", "12"]  # by number, not by letter
    assert module.summary()["class_counts"] == {"train": [12, 12], "val": [4, 4], "test": [4, 4]}


def test_lines_without_a_split_are_cut_beside_the_others(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, *lines_for("cd" * 12, "e" * 4 + " " * 20))
    module = build("csv", manifest=str(manifest), val_fraction=0.2, test_fraction=0.0)
    module.setup()
    assert module.summary()["sizes"] == {"train": 16, "val": 4, "test": 4}


def test_every_wrong_line_is_named(tmp_path: Path) -> None:
    manifest = write_manifest(
        tmp_path,
        "pictures/0.png,c,train",
        "pictures/9.png,c,train",
        "pictures/1.png,e,val",
        "pictures/2.png,d,dev",
        ",c,",
        "pictures/3.png,,",
    )
    with pytest.raises(ValueError, match="pets.csv:3: there is no picture") as caught:
        build("csv", manifest=str(manifest), class_names=["c", "d"]).setup()
    message = str(caught.value)
    assert "pictures/9.png; correct the path or data.data_dir" in message
    assert "pets.csv:4: label 'e' is not in data.class_names (c, d)" in message
    assert "pets.csv:5: split 'dev' is none of train, val, test" in message
    assert "pets.csv:6: no path" in message
    assert "pets.csv:7: no label" in message
    assert "pets.csv:2:" not in message


def test_many_wrong_lines_are_counted(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, *[f"none/{number}.png,c,train" for number in range(12)])
    with pytest.raises(ValueError, match="and 2 more"):
        build("csv", manifest=str(manifest)).setup()


def test_a_manifest_can_skip_what_is_missing_or_broken(tmp_path: Path) -> None:
    manifest = write_manifest(
        tmp_path, *lines_for("cdcdcd", "ttvvee"), "pictures/9.png,c,train", "pictures/b.jpg,d,val"
    )
    cut_short(write_image(tmp_path / "pictures/b.jpg", picture(3)))
    module = build("csv", manifest=str(manifest), on_error="skip", image_size=32)
    module.setup()
    assert module.summary()["skipped"] == 2
    assert module.summary()["sizes"] == {"train": 2, "val": 2, "test": 2}


def test_a_class_without_training_pictures_is_named(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, *lines_for("cccd", "tvee"))
    with pytest.raises(ValueError, match=r"no pictures to train on under .* for the classes \['d'\]"):
        build("csv", manifest=str(manifest)).setup()


def test_wrong_columns_and_missing_manifests_are_named(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, "a,b", header="file,label")
    with pytest.raises(ValueError, match=r"pets\.csv:1: the columns \['path'\] are missing.*'file,label'"):
        build("csv", manifest=str(manifest)).setup()
    with pytest.raises(FileNotFoundError, match=r"data\.manifest=.*other\.csv .* is no file"):
        build("csv", manifest=str(tmp_path / "other.csv")).setup()
    with pytest.raises(ValueError, match="names no pictures"):
        build("csv", manifest=str(write_manifest(tmp_path))).setup()


def test_a_manifest_from_a_spreadsheet_has_a_mark_in_front(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, *lines_for("cdcdcd", "ttvvee"))
    manifest.write_text("\ufeff" + manifest.read_text(), encoding="utf-8")
    build("csv", manifest=str(manifest)).setup()
    manifest.write_bytes(b"path,label\n\xe4.png,c\n")
    with pytest.raises(ValueError, match="is not UTF-8"):
        build("csv", manifest=str(manifest)).setup()
