"""Folders of pictures and masks: layouts, pairs, classes and cuts."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.arrays import ByteArray
from datamodules.readers.problems import BrokenRecords
from datamodules.readers.to_segmented import rarest_classes
from datamodules.segmented import SegmentationDataModule
from tests.datamodules.box_writers import write_image
from tests.datamodules.mask_writers import (
    SPLITS,
    MaskScene,
    mask_scenes,
    write_grey,
    write_image_masks,
    write_index,
)
from tests.datamodules.writers import build_segmented


def read(folder: Path, **changes: Any) -> SegmentationDataModule:
    given: dict[str, Any] = {} if "images_dir" in changes else {"data_dir": str(folder)}
    module = build_segmented("image_masks", num_workers=0, **given, **changes)
    module.setup()
    return module


def names(module: SegmentationDataModule) -> dict[str, set[str]]:
    """Names of the pictures of each split; those of their masks are the same."""
    found: dict[str, set[str]] = {}
    for split, positions in module.data.splits.items():
        pictures = [Path(module.data.source.name(position)).stem for position in positions.tolist()]
        masks = [Path(module.data.masks.name(position)).stem for position in positions.tolist()]
        assert [name.removesuffix("_mask") for name in masks] == pictures
        found[split] = set(pictures)
    return found


WANTED = {split: {f"{split}_{number}" for number in range(count)} for split, count in SPLITS.items()}


# layouts


def test_splits_may_lie_below(tmp_path: Path) -> None:
    assert names(read(write_image_masks(tmp_path))) == WANTED


def test_splits_may_lie_above(tmp_path: Path) -> None:
    for scene in mask_scenes():
        folder = tmp_path / {"val": "valid"}.get(scene.split, scene.split)
        write_image(folder / "images" / f"{scene.name}.jpg", scene.picture())
        write_index(folder / "masks" / f"{scene.name}.png", scene.mask())
    assert names(read(tmp_path)) == WANTED


@pytest.mark.parametrize("is_above", [False, True])
def test_folders_of_splits_have_many_names(is_above: bool, tmp_path: Path) -> None:
    for scene in mask_scenes():
        called = {"train": "Training", "val": "VALIDATION", "test": "testing"}[scene.split]
        beside = {"train": "train", "val": "validation", "test": "Test"}[scene.split]
        images = tmp_path / called / "images" if is_above else tmp_path / "images" / called
        masks = tmp_path / called / "masks" if is_above else tmp_path / "masks" / beside
        write_image(images / f"{scene.name}.jpg", scene.picture())
        write_index(masks / f"{scene.name}.png", scene.mask())
    assert names(read(tmp_path)) == WANTED


def write_pair(images: Path, masks: Path) -> None:
    """Another picture with its mask."""
    write_image(images / "more.png", MaskScene(0, "").picture())
    write_index(masks / "more.png", MaskScene(0, "").mask())


def check_strays(folder: Path, wanted: set[str]) -> None:
    """Everything wanted, and nothing else, is refused or left out."""
    found = build_segmented("image_masks", data_dir=str(folder)).inspect()["problems"]
    assert {str(Path(one["file"]).relative_to(folder)) for one in found} == wanted
    with pytest.raises(BrokenRecords, match="lies beside the folders of splits"):
        read(folder)
    module = read(folder, on_error="skip")
    assert names(module) == WANTED
    assert module.summary()["skipped"] == len(wanted)


def test_what_lies_beside_folders_of_splits_below_is_reported(tmp_path: Path) -> None:
    write_image_masks(tmp_path)
    write_pair(tmp_path / "images/extra/deep", tmp_path / "masks/extra/deep")
    write_pair(tmp_path / "images", tmp_path / "masks")
    write_pair(tmp_path / "images/.hidden", tmp_path / "masks/.hidden")
    found = {f"{kind}/{name}" for kind in ("images", "masks") for name in ("more.png", "extra/deep/more.png")}
    check_strays(tmp_path, found)


def test_what_lies_beside_folders_of_splits_above_is_reported(tmp_path: Path) -> None:
    for scene in mask_scenes():
        write_image(tmp_path / scene.split / "images" / f"{scene.name}.png", scene.picture())
        write_index(tmp_path / scene.split / "masks" / f"{scene.name}.png", scene.mask())
    write_pair(tmp_path / "extra/images", tmp_path / "extra/masks")
    write_pair(tmp_path / "images", tmp_path / "masks")
    found = {f"{name}{kind}/more.png" for kind in ("images", "masks") for name in ("", "extra/")}
    check_strays(tmp_path, found)


def test_masks_may_lie_below_the_pictures(tmp_path: Path) -> None:
    write_image_masks(tmp_path)
    (tmp_path / "masks").rename(tmp_path / "images/masks")
    assert (
        names(read(tmp_path, images_dir=f"{tmp_path}/images", masks_dir=f"{tmp_path}/images/masks")) == WANTED
    )


def test_the_folders_may_lie_anywhere(tmp_path: Path) -> None:
    write_image_masks(tmp_path / "data")
    (tmp_path / "data/masks").rename(tmp_path / "labels")
    module = read(tmp_path, images_dir=str(tmp_path / "data/images"), masks_dir=str(tmp_path / "labels"))
    assert names(module) == WANTED
    assert (tmp_path / "data/images/.cache").is_dir()


def test_masks_may_have_a_suffix_and_lie_beside_their_pictures(tmp_path: Path) -> None:
    write_image_masks(tmp_path / "apart", suffix="_mask")
    assert names(read(tmp_path / "apart", mask_suffix="_mask")) == WANTED
    for scene in mask_scenes({"": 10}):
        write_image(tmp_path / "one" / "deep" / f"{scene.name}.png", scene.picture())
        write_grey(tmp_path / "one" / "deep" / f"{scene.name}_mask.png", scene.mask())
    folder = str(tmp_path / "one")
    module = read(tmp_path, images_dir=folder, masks_dir=folder, mask_suffix="_mask")
    assert set().union(*names(module).values()) == {f"all_{number}" for number in range(10)}


def test_masks_without_a_suffix_may_lie_beside_jpegs(tmp_path: Path) -> None:
    for scene in mask_scenes({"": 10}):
        write_image(tmp_path / f"{scene.name}.jpg", scene.picture())
        write_grey(tmp_path / f"{scene.name}.png", scene.mask())
    given = {"images_dir": str(tmp_path), "masks_dir": f"{tmp_path}/../{tmp_path.name}"}
    module = read(tmp_path, **given)
    assert set().union(*names(module).values()) == {f"all_{number}" for number in range(10)}
    assert all(Path(module.data.source.name(position)).suffix == ".jpg" for position in range(10))
    (tmp_path / "all_3.jpg").unlink()
    (tmp_path / "all_4.png").unlink()
    with pytest.raises(
        BrokenRecords, match=r"has 2 broken[\s\S]*all_3.png: has no other[\s\S]*all_4.jpg: has no m"
    ):
        read(tmp_path, **given)


def test_what_has_no_split_is_cut_by_the_split_seed(tmp_path: Path) -> None:
    write_image_masks(tmp_path, splits={"": 20})
    first = names(read(tmp_path))
    assert {split: len(found) for split, found in first.items()} == {"train": 14, "val": 3, "test": 3}
    assert set().union(*first.values()) == {f"all_{number}" for number in range(20)}
    assert names(read(tmp_path, seed=5)) == first
    assert names(read(tmp_path, split_seed=5)) != first


def test_a_missing_split_is_cut_from_training(tmp_path: Path) -> None:
    write_image_masks(tmp_path, splits={"train": 12, "val": 4})
    found = names(read(tmp_path, test_fraction=0.25))
    assert found["val"] == {f"val_{number}" for number in range(4)}
    assert len(found["test"]) == 3 and len(found["train"]) == 9


def test_every_split_gets_its_share_of_rare_classes(tmp_path: Path) -> None:
    write_image_masks(tmp_path, splits={"": 30})
    module = read(tmp_path, val_fraction=0.2, test_fraction=0.2)
    for split, count in (("train", 18), ("val", 6), ("test", 6)):
        assert len(module.data.splits[split]) == count
        assert min(module.data.num_pictures(split)) > count / 3


def test_the_rarest_class_of_a_picture() -> None:
    pixels = np.array([[9, 1, 0], [9, 0, 0], [5, 0, 7], [5, 3, 0], [0, 0, 0]])
    assert rarest_classes(pixels).tolist() == [1, 0, 2, 1, -1]


@pytest.mark.parametrize(
    ("folder", "changes", "message"),
    [
        ("none", {}, r"none \(.*\) is no folder; set data.data_dir"),
        (".", {}, "has neither images/ nor train/images/; name the folders with data.images_dir"),
        (".", {"images_dir": "none", "masks_dir": "."}, "none .* is no folder; set data.images_dir"),
        (".", {"images_dir": ".", "masks_dir": "none"}, "none .* is no folder; set data.masks_dir"),
    ],
)
def test_folders_that_are_not_there(
    folder: str, changes: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        read(tmp_path / folder, **changes)


def test_folders_without_a_pair(tmp_path: Path) -> None:
    write_image(tmp_path / "images/a.png", MaskScene(0, "").picture())
    write_index(tmp_path / "masks/b.png", MaskScene(0, "").mask())
    with pytest.raises(ValueError, match=r"no picture in .*images has a mask .*data.mask_suffix"):
        read(tmp_path)


# pairs


def test_missing_halves_are_named_or_left_out(tmp_path: Path) -> None:
    write_image_masks(tmp_path)
    (tmp_path / "masks/train/train_1.png").unlink()
    (tmp_path / "images/val/val_0.png").unlink()
    lossy = tmp_path / "masks/test/test_0.jpg"
    (tmp_path / "masks/test/test_0.png").unlink()
    write_image(lossy, np.zeros((56, 64, 3), dtype=np.uint8))
    write_image(tmp_path / "images/train/train_0.jpg", MaskScene(0, "").picture())
    (tmp_path / "masks/train/.hidden.png").write_text("")
    found = build_segmented("image_masks", data_dir=str(tmp_path)).inspect()["problems"]
    texts = {str(Path(one["file"]).relative_to(tmp_path)): one["problem"] for one in found}
    assert texts == {
        "images/train/train_1.png": f"has no mask {tmp_path}/masks/train/train_1.png",
        "masks/val/val_0.png": f"is a mask of no picture {tmp_path}/images/val/val_0.*",
        "images/test/test_0.png": f"its mask {lossy} is stored with losses; save masks as PNG",
        "images/train/train_0.png": "has the name of train_0.jpg, and a mask belongs to one picture only",
    }
    with pytest.raises(BrokenRecords, match="has 4 broken records"):
        read(tmp_path)
    module = read(tmp_path, on_error="skip")
    assert module.summary()["skipped"] == 4
    assert module.summary()["sizes"] == {"train": 5, "val": 2, "test": 2}


# classes


def test_names_palette_and_values_may_be_said(tmp_path: Path) -> None:
    folder = write_image_masks(tmp_path)
    module = read(folder, class_names=["ground", "cat", "dog"], palette=[[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    assert module.metadata["class_names"] == ["ground", "cat", "dog"]
    assert module.metadata["palette"] == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert read(folder, class_names=["0", "1", "2", "3"]).metadata["class_counts"][3] == 0


def write_binary(path: Path, mask: ByteArray) -> Path:
    """A mask with 255 for the first class."""
    return write_grey(path, np.where(mask == 1, 255, 0).astype(np.uint8))


def test_values_may_be_any(tmp_path: Path) -> None:
    folder = write_image_masks(tmp_path, write=write_binary)
    with pytest.raises(ValueError, match=r"\[0, 255\].*say data.values=\[0,255\] data.ignore_value=null"):
        read(folder)
    module = read(folder, values=[0, 255], ignore_value=None)
    assert len(module.metadata["class_names"]) == 2
    mask = module.data.masks.read(int(module.data.splits["train"][0]))
    assert np.array_equal(mask, MaskScene(0, "train").mask() == 1)


def test_background_alone_is_refused(tmp_path: Path) -> None:
    folder = write_image_masks(tmp_path / "binary", write=write_binary)
    for changes in ({"class_names": ["background", "thing"]}, {"palette": [[0, 0, 0], [255, 0, 0]]}):
        with pytest.raises(
            ValueError, match=r"are (background|0), and \d+ do not .*ignore_value=null if 255"
        ):
            read(folder, **changes)
    given = {"values": [0, 255], "ignore_value": None}
    module = read(folder, class_names=["background", "thing"], **given)
    assert min(module.metadata["class_counts"]) > 0
    folder = write_image_masks(tmp_path / "one", write=lambda path, mask: write_grey(path, 0 * mask))
    with pytest.raises(ValueError, match="are a, and 0 do not count; training needs two classes$"):
        read(folder, class_names=["a", "b"])


@pytest.mark.parametrize(("split", "deed"), [("val", "validate"), ("test", "test")])
def test_a_split_without_a_pixel_that_counts_is_refused(split: str, deed: str, tmp_path: Path) -> None:
    write_image_masks(tmp_path)
    for path in (tmp_path / "masks" / split).iterdir():
        write_nothing(path, np.zeros((56, 64), dtype=np.uint8))
    with pytest.raises(
        ValueError, match=f"no pixel to {deed} on under .* all masks for {split} have no class"
    ):
        read(tmp_path)


def test_what_does_not_count_may_be_another_value(tmp_path: Path) -> None:
    table = np.arange(256, dtype=np.uint8)
    table[255] = 9
    folder = write_image_masks(tmp_path, write=lambda path, mask: write_grey(path, table[mask]))
    module = read(folder, ignore_value=9)
    assert len(module.metadata["class_names"]) == 3
    assert np.array_equal(module.data.masks.read(int(module.data.splits["val"][0])), MaskScene(0, "").mask())
    with pytest.raises(BrokenRecords, match="has the value 9 in 64 pixels"):
        read(folder, class_names=["a", "b", "c"])


def test_gaps_between_values_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = np.array([0, 4, 6, *[255] * 253], dtype=np.uint8)
    folder = write_image_masks(tmp_path, write=lambda path, mask: write_grey(path, table[mask]))
    with caplog.at_level(logging.WARNING):
        assert len(read(folder).metadata["class_names"]) == 7
    assert "has the values [1, 2, 3, 5] below 6" in caplog.text
    assert "data.values=[0, 4, 6]" in caplog.text
    assert len(read(folder, values=[0, 4, 6]).metadata["class_names"]) == 3


def write_nothing(path: Path, mask: ByteArray) -> Path:
    """A mask of which nothing counts."""
    return write_grey(path, np.full_like(mask, 255))


def test_a_split_or_a_pixel_to_train_on_must_be_left(tmp_path: Path) -> None:
    write_image_masks(tmp_path / "few", splits={"train": 2, "val": 1})
    with pytest.raises(ValueError, match="no pictures for test under"):
        read(tmp_path / "few", test_fraction=0.0)
    folder = write_image_masks(tmp_path / "nothing", write=write_nothing)
    with pytest.raises(ValueError, match="no pixel to train on under"):
        read(folder, class_names=["a", "b"])
