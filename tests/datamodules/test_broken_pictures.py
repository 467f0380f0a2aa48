"""Broken and doubtful pictures of detection data are found before training meets them."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.readers.problems import BrokenRecords
from tests.datamodules.box_writers import (
    write_boxed_data,
    write_boxes_csv,
    write_coco,
    write_coco_json,
    write_image,
    write_json,
    write_yolo,
)
from tests.datamodules.reading import problems, read
from tests.datamodules.writers import build_boxed, cut_short

OWN = ("coco_json", "voc_xml", "yolo_txt", "boxes_csv")


def pictures(folder: Path) -> list[Path]:
    return sorted([*folder.rglob("*.png"), *folder.rglob("*.jpg")])


@pytest.mark.parametrize("data", OWN)
def test_a_picture_that_is_cut_short_stops_training_at_the_start(data: str, tmp_path: Path) -> None:
    given = write_boxed_data(data, tmp_path)
    path = cut_short(pictures(tmp_path)[0])
    (problem,) = problems(data, **given)
    assert "is cut short" in problem[3]
    with pytest.raises(BrokenRecords, match="has 1 broken record") as caught:
        build_boxed(data, **given).setup()
    assert problem[3] in str(caught.value)
    assert str(path) in str(caught.value)


def test_whole_pictures_are_decoded_once_and_that_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_yolo(tmp_path)
    read("yolo_txt", data_dir=str(tmp_path))

    def fail(path: Path) -> None:
        raise AssertionError(path)

    monkeypatch.setattr("datamodules.readers.broken.check_image", fail)
    read("yolo_txt", data_dir=str(tmp_path))


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_published_pictures_are_not_decoded(on_error: Any, tmp_path: Path) -> None:
    write_coco(tmp_path)
    cut_short(tmp_path / "val2017/val_1.png")
    read("coco", data_dir=str(tmp_path), on_error=on_error)
    assert len(problems("coco", data_dir=str(tmp_path))) == 1


def test_a_picture_repaired_at_the_same_size_is_looked_at_again(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    path = tmp_path / "images/train/train_1.png"
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + bytes(len(whole) - 200))
    (problem,) = problems("yolo_txt", data_dir=str(tmp_path))
    assert problem[0] == "train_1.png"
    path.write_bytes(whole)
    os.utime(path, ns=(1, 10**18))  # a file system may count in seconds
    assert problems("yolo_txt", data_dir=str(tmp_path)) == []


def test_a_picture_turned_at_the_same_size_is_measured_again(tmp_path: Path) -> None:
    write_boxes_csv(tmp_path)
    path = tmp_path / "pictures/train_0.ppm"
    write_image(path, np.zeros((56, 64, 3), dtype=np.uint8))
    file = tmp_path / "boxes.csv"
    file.write_text(file.read_text().replace("train_0.png", "train_0.ppm"))
    assert read("boxes_csv", manifest=str(file)).sizes[0].tolist() == [56, 64]
    write_image(path, np.zeros((64, 56, 3), dtype=np.uint8))
    os.utime(path, ns=(1, 10**18))
    assert read("boxes_csv", manifest=str(file)).sizes[0].tolist() == [64, 56]


@pytest.mark.parametrize(("width", "is_wrong"), [(200, False), (202, True)])
def test_a_picture_that_no_network_can_see(width: int, is_wrong: bool, tmp_path: Path) -> None:
    file = write_boxes_csv(tmp_path)
    for path, shape in (("wide.png", (2, width)), ("high.png", (width, 2))):
        write_image(tmp_path / path, np.zeros((*shape, 3), dtype=np.uint8))
    with file.open("a") as handle:
        handle.write("wide.png,0,0,100,2,cat,train,0,0\nhigh.png,,,,,,train,,\n")
    found = problems("boxes_csv", manifest=str(file))
    assert len(found) == 2 * is_wrong
    if is_wrong:
        text = "has 202x2 pixels, and no network can see a picture whose longer side is more than 100 times"
        assert f"wide.png {text}" in found[0][3]
        assert "high.png has 2x202 pixels" in found[1][3]
        kept = read("boxes_csv", manifest=str(file), on_error="skip")
        assert len(kept.sizes) == 12


@pytest.mark.parametrize("text", [False, True])
def test_twins_of_yolo(text: bool, tmp_path: Path) -> None:
    write_yolo(tmp_path)
    folder = tmp_path / ("labels" if text else "images") / "train"
    first, second = ("train_1.TXT", "train_1.txt") if text else ("train_1.jpg", "train_1.png")
    (folder / first).write_bytes(b"")
    if not text:
        write_image(folder / first, np.zeros((56, 64, 3), dtype=np.uint8))
    (problem,) = problems("yolo_txt", data_dir=str(tmp_path))
    assert problem[0] == second
    assert f"differs from {first} in its ending only" in problem[3]
    with pytest.raises(BrokenRecords, match=second):
        read("yolo_txt", data_dir=str(tmp_path))
    assert read("yolo_txt", data_dir=str(tmp_path), on_error="skip").skipped == 1


# paths of COCO's form


@pytest.mark.parametrize(
    ("key", "way_out"),
    [
        ("annotations", "set it to the JSON file$"),
        ("val_annotations", "or to null to cut val from training"),
        ("test_annotations", "or to null to cut test from training"),
    ],
)
def test_an_annotation_file_that_is_not_there(key: str, way_out: str, tmp_path: Path) -> None:
    file = write_coco_json(tmp_path)
    given = {"images_dir": str(tmp_path / "pictures"), "annotations": str(file), key: "none.json"}
    with pytest.raises(FileNotFoundError, match=rf"data\.{key}=none.json \(.*\) is no file; .*{way_out}"):
        read("coco_json", **given)


def test_a_folder_without_any_picture(tmp_path: Path) -> None:
    file = write_coco_json(tmp_path)
    given = {"images_dir": str(tmp_path), "annotations": str(file)}
    message = r"has none of the 12 pictures of .*all.json, such as .*all_0.png; set data\.images_dir to"
    with pytest.raises(FileNotFoundError, match=message):
        read("coco_json", **given)
    val = json.loads(file.read_text())
    other = write_json(tmp_path / "val.json", val)
    given |= {"images_dir": str(tmp_path / "pictures"), "val_annotations": str(other)}
    with pytest.raises(FileNotFoundError, match=r"of .*val.json.*set data\.val_images_dir to"):
        read("coco_json", **given, val_images_dir=str(tmp_path))
