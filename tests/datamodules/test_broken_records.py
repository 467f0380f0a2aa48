"""Broken records of detection data are found with their place, refused or left out."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from datamodules.readers.problems import BrokenRecords
from tests.datamodules.box_writers import (
    HEIGHT,
    SPLITS,
    WIDTH,
    scenes,
    write_boxes_csv,
    write_coco,
    write_coco_json,
    write_json,
    write_voc_folder,
    write_yolo,
)
from tests.datamodules.reading import READ, objects, problems, read, wanted
from tests.datamodules.writers import cut_short

COCO_BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "outside": ({"bbox": [60, 5, 5.5, 4]}, "box [60, 5, 65.5, 9] reaches out of its picture of 64x56 pixels"),
    "inverted": ({"bbox": [20, 5, -6, 4]}, "box [20, 5, 14, 9] ends before it begins"),
    "empty": ({"bbox": [20, 5, 6, 0]}, "box [20, 5, 26, 5] is empty"),
    "nan": ({"bbox": [20, float("nan"), 6, 2]}, "box [20, nan, 26, nan] has a value that is no number"),
    "three": ({"bbox": [20, 5, 6]}, "Expected `array` of length 4, got 3 - at `$.bbox`"),
    "text": ({"bbox": ["a", 5, 6, 7]}, "Expected `float`, got `str` - at `$.bbox[0]`"),
    "category": ({"category_id": 3}, "category_id 3 is that of no category"),
    "image": ({"image_id": 77}, "image_id 77 is that of no image"),
}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("kind", COCO_BROKEN)
def test_broken_records_of_coco_json(kind: str, indent: int | None, tmp_path: Path) -> None:
    file = write_coco_json(tmp_path)
    whole = json.loads(file.read_text())
    change, message = COCO_BROKEN[kind]
    whole["annotations"][4] |= change
    write_json(file, whole, indent=indent)
    record = f"annotations[4] (id {whole['annotations'][4]['id']})"
    line = 1 if indent is None else line_of(file, f'"id": {whole["annotations"][4]["id"]},') - 1
    given = {"images_dir": str(tmp_path / "pictures"), "annotations": str(file)}
    assert problems("coco_json", **given) == [("all.json", line, record, message)]
    with pytest.raises(BrokenRecords, match="all has 1 broken record:\n") as caught:
        read("coco_json", **given)
    assert f"{file}:{line}: {record}: {message}\n" in str(caught.value)
    assert "data.on_error=skip" in str(caught.value)
    found = read("coco_json", **given, on_error="skip")
    assert found.skipped == 1
    assert len(found.labels) == len(whole["annotations"]) - 1
    assert len(found.sizes) == len(whole["images"])


def line_of(path: Path, text: str) -> int:
    lines = path.read_text().splitlines()
    found = [number for number, line in enumerate(lines, start=1) if text in line]
    assert len(found) == 1, (text, found)
    return found[0]


def test_broken_pictures_of_coco_json(tmp_path: Path) -> None:
    file = write_coco_json(tmp_path)
    whole = json.loads(file.read_text())
    images, folder = whole["images"], tmp_path / "pictures"
    (folder / images[0]["file_name"]).unlink()
    cut_short(folder / images[1]["file_name"])
    cut_short(folder / images[8]["file_name"])
    images[2] |= {"height": WIDTH, "width": HEIGHT}
    images[3]["file_name"] = images[4]["file_name"]
    images[6]["id"] = images[5]["id"]
    del images[7]["id"]
    lost = [record for record in whole["annotations"] if record["image_id"] in (858, 851)]
    assert lost
    write_json(file, whole)
    given = {"images_dir": str(folder), "annotations": str(file)}
    found = {record: problem for _, _, record, problem in problems("coco_json", **given)}
    assert "there is no picture" in found["images[0] (id 900)"]
    assert "cut short" in found["images[1] (id 893)"]
    assert "cut short" in found["images[8] (id 844)"]
    assert found["images[2] (id 886)"].startswith(
        "the annotation says 56x64 pixels, but all_2.png has 64x56 ("
    )
    assert "all_4.png is listed before" in found["images[4] (id 872)"]
    assert found["images[6] (id 865)"] == "id 865 is that of an image before"
    assert found["images[7]"] == "Object missing required field `id`"
    assert sum("is that of no image" in problem for problem in found.values()) == len(lost)
    assert len(found) == 7 + len(lost)
    good = read("coco_json", **given, on_error="skip")
    assert good.skipped == len(found)
    assert sorted(objects(good)) == ["all_10", "all_11", "all_4", "all_5", "all_9"]


def test_a_box_may_reach_out_by_one_pixel_and_is_clipped(tmp_path: Path) -> None:
    file = write_boxes_csv(tmp_path)
    lines = file.read_text().splitlines()
    name = lines[1].split(",")[0]
    lines[1] = f"{name},-1,-0.5,{WIDTH + 1},{HEIGHT + 0.5},cat,train,0,0"
    file.write_text("\n".join(lines))
    assert problems("boxes_csv", manifest=str(file)) == []
    assert [0.0, 0.0, WIDTH, HEIGHT] in read("boxes_csv", manifest=str(file)).boxes.tolist()
    lines[1] = f"{name},-1,-0.5,{WIDTH + 1.01},{HEIGHT},cat,train,0,0"
    lines[2] = f"{name},{WIDTH},3,{WIDTH + 1},{HEIGHT},cat,train,0,0"
    file.write_text("\n".join(lines))
    assert [found[:2] for found in problems("boxes_csv", manifest=str(file))] == [
        ("boxes.csv", 2),
        ("boxes.csv", 3),
    ]


VOC_BROKEN = {
    "outside": (("<xmax>", "<xmax>9"), "reaches out of its picture of 64x56 pixels"),
    "inverted": (("<xmin>", "<xmin>5"), "ends before it begins"),
    "number": (("<ymax>", "<ymax>a"), "has a value that is no number"),
    "nan": (("<ymin>", "<ymin>nan</ymin><ymin>"), "has a value that is no number"),
    "missing": (("bndbox", "box"), "xmin='', ymin='', xmax='', ymax='' has a value that is no number"),
    "class": (("<name>dog", "<name>cow"), "class 'cow' is none of cat, dog"),
}


@pytest.mark.parametrize("kind", VOC_BROKEN)
def test_broken_objects_of_voc(kind: str, tmp_path: Path) -> None:
    write_voc_folder(tmp_path, splits=SPLITS)
    path = tmp_path / "Annotations" / "train_1.xml"
    first, second = path.read_text().split("</object>", 1)[0], path.read_text().split("</object>", 1)[1]
    (old, new), message = VOC_BROKEN[kind]
    if kind == "class":
        first, old = first.replace(old, new), ""
    path.write_text(f"{first.replace(old, new) if old else first}</object>{second}")
    given = {"data_dir": str(tmp_path), "class_names": ["cat", "dog"]}
    (found,) = problems("voc_xml", **given)
    assert found[:3] == ("train_1.xml", 5, "object 1")
    assert message in found[3]
    with pytest.raises(BrokenRecords, match="train_1.xml:5: object 1: "):
        read("voc_xml", **given)
    kept = read("voc_xml", **given, on_error="skip")
    assert kept.skipped == 1
    assert len(objects(kept)["train_1"]) == 1
    assert len(kept.sizes) == 12


def test_broken_files_of_voc(tmp_path: Path) -> None:
    write_voc_folder(tmp_path, splits=SPLITS)
    annotations = tmp_path / "Annotations"
    (annotations / "train_0.xml").write_text("<annotation>\n<object>\n</annotation>")
    (annotations / "train_1.xml").unlink()
    (tmp_path / "JPEGImages" / "train_2.jpg").unlink()
    cut_short(tmp_path / "JPEGImages" / "train_3.jpg")
    with (tmp_path / "ImageSets/Main/val.txt").open("a") as file:
        file.write("train_4\n")
    text = (annotations / "train_4.xml").read_text()
    (annotations / "test_0.xml").write_text(text.replace("<width>64", "<width>65"))
    found = {(name, line): problem for name, line, _, problem in problems("voc_xml", data_dir=str(tmp_path))}
    assert "is no XML" in found["train_0.xml", 3]
    assert "there is no annotation" in found["train.txt", 2]
    assert "there is no picture" in found["train.txt", 3]
    assert "cut short" in found["train.txt", 4]
    assert "is listed before" in found["val.txt", 4]
    assert "the annotation says 65x56 pixels, but JPEGImages/test_0.jpg has 64x56" in found["test.txt", 1]
    assert len(found) == 6


YOLO_BROKEN = {
    "0 0.9 0.5 0.4 0.2": "reaches out of its picture",
    "0 0.5 0.5 -0.4 0.2": "ends before it begins",
    "0 0.5 0.5 0 0.2": "is empty",
    "0 nan 0.5 0.1 0.2": "has a value that is no number",
    "0 a 0.5 0.1 0.2": "has a value that is no number",
    "2 0.5 0.5 0.1 0.2": "class '2' is none of 0 to 1 (cat, dog)",
    "cat 0.5 0.5 0.1 0.2": "class 'cat' is none of 0 to 1",
    "0 0.5 0.5 0.1": "has 4 values",
    "0 0.1 0.1 0.5 0.1 0.5 0.5": "has 7 values",
}


@pytest.mark.parametrize("line", YOLO_BROKEN)
def test_broken_lines_of_yolo(line: str, tmp_path: Path) -> None:
    write_yolo(tmp_path)
    path = tmp_path / "labels/train/train_0.txt"
    path.write_text(f"{path.read_text()}\n{line}\n")
    (found,) = problems("yolo_txt", data_dir=str(tmp_path))
    assert found[:3] == ("train_0.txt", 3, "")
    assert YOLO_BROKEN[line] in found[3]
    with pytest.raises(BrokenRecords, match="labels/train/train_0.txt:3: "):
        read("yolo_txt", data_dir=str(tmp_path))
    kept = read("yolo_txt", data_dir=str(tmp_path), on_error="skip")
    assert kept.skipped == 1
    assert objects(kept).keys() == objects(READ["yolo_txt"](tmp_path / "whole")).keys()
    assert len(objects(kept)["train_0"]) == 1


def test_broken_files_of_yolo(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / "images/val/val_0.png").unlink()
    cut_short(tmp_path / "images/val/val_1.png")
    found = {name: problem for name, _, _, problem in problems("yolo_txt", data_dir=str(tmp_path))}
    assert "there is no picture" in found["val_0.txt"]
    assert "cut short" in found["val_1.png"]
    assert len(found) == 2
    kept = read("yolo_txt", data_dir=str(tmp_path), on_error="skip")
    assert len(kept.splits["val"]) == 1


CSV_BROKEN = {
    "{name},50,5,70,9,cat,train,0,0": "reaches out of its picture",
    "{name},50,5,40,9,cat,train,0,0": "ends before it begins",
    "{name},50,5,50,9,cat,train,0,0": "is empty",
    "{name},50,,55,9,cat,train,0,0": "'50,,55,9' has a value that is no number",
    "{name},50,inf,55,9,cat,train,0,0": "has a value that is no number",
    "{name},1,2,3,4,cow,train,0,0": "label 'cow' is none of cat, dog",
    "{name},1,2,3,4,,train,0,0": "label '' is none of cat, dog",
    "{name},1,2,3,4,cat,val,0,0": "has split 'val' here, but 'train' in a line before",
    "{name},1,2,3,4,cat,dev,0,0": "split 'dev' is none of train, val, test",
    "{name},1,2,3,4,cat,train,2,0": "difficult '2' must be 0 or 1",
    "none.png,1,2,3,4,cat,train,0,0": "there is no picture",
    ",1,2,3,4,cat,train,0,0": "no path",
    "{again}": "the object cat [",
}


@pytest.mark.parametrize("line", CSV_BROKEN)
def test_broken_lines_of_csv(line: str, tmp_path: Path) -> None:
    file = write_boxes_csv(tmp_path)
    lines = file.read_text().splitlines()
    new = line.format(name=lines[1].split(",")[0], again=lines[1])
    file.write_text("\n".join([*lines, new]))
    given = {"manifest": str(file), "class_names": ["cat", "dog"]}
    (found,) = problems("boxes_csv", **given)
    assert found[:3] == ("boxes.csv", len(lines) + 1, "")
    assert CSV_BROKEN[line] in found[3]
    with pytest.raises(BrokenRecords, match=f"boxes.csv:{len(lines) + 1}: "):
        read("boxes_csv", **given)
    kept = read("boxes_csv", **given, on_error="skip")
    assert kept.skipped == 1
    assert objects(kept) == wanted(scenes())


def test_the_message_lists_ten_and_counts_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = write_boxes_csv(tmp_path)
    count = len(file.read_text().splitlines())
    with file.open("a") as handle:
        handle.writelines(f"none_{number}.png,1,2,3,4,cat,train,0,0\n" for number in range(13))
    with pytest.raises(BrokenRecords, match="boxes has 13 broken records:") as caught:
        read("boxes_csv", manifest=str(file))
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines[1:11]] == [str(count + n) for n in range(1, 11)]
    assert lines[11] == "... and 3 more"
    assert "make data task=detection" in lines[12]
    with caplog.at_level(logging.WARNING):
        read("boxes_csv", manifest=str(file), on_error="skip")
    assert "13 broken records of boxes left out" in caplog.text


def test_what_was_found_about_pictures_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_yolo(tmp_path)
    cut_short(tmp_path / "images/val/val_1.png")
    first = problems("yolo_txt", data_dir=str(tmp_path))

    def fail(path: Path) -> None:
        raise AssertionError(path)

    monkeypatch.setattr("datamodules.readers.broken.check_image", fail)
    monkeypatch.setattr("datamodules.readers.picture_sizes.picture_size", fail)
    assert problems("yolo_txt", data_dir=str(tmp_path)) == first
    (tmp_path / "images/val/val_2.png").write_bytes(b"")
    with pytest.raises(AssertionError):
        problems("yolo_txt", data_dir=str(tmp_path))


# files that cannot be read at all


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"images": [],\n "annotations": [', "all.json:2: is no JSON"),
        ('{"images": []}', r"lacks the lists \['annotations', 'categories'\]"),
        ("[]", "is not in COCO's form"),
    ],
)
def test_files_that_are_not_coco(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "all.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=message):
        read("coco_json", images_dir=str(tmp_path), annotations=str(file))


def test_categories_must_agree(tmp_path: Path) -> None:
    file = write_coco_json(tmp_path)
    whole = json.loads(file.read_text())
    whole["categories"][0]["name"] = "wolf"
    other = write_json(tmp_path / "val.json", whole | {"images": [], "annotations": []})
    given = {"images_dir": str(tmp_path / "pictures"), "annotations": str(file)}
    with pytest.raises(ValueError, match="category 5 is 'wolf' here, but 'dog' before"):
        read("coco_json", **given, val_annotations=str(other))


def test_annotations_of_several_files_and_folders(tmp_path: Path) -> None:
    write_coco(tmp_path, splits=SPLITS)
    given = {
        "images_dir": str(tmp_path / "train2017"),
        "annotations": str(tmp_path / "annotations/instances_train2017.json"),
        "val_annotations": str(tmp_path / "annotations/instances_val2017.json"),
        "val_images_dir": str(tmp_path / "val2017"),
    }
    found = read("coco_json", **given)
    assert len(found.splits["val"]) == SPLITS["val"]
    assert len(found.splits["train"]) + len(found.splits["test"]) == SPLITS["train"]
    path = tmp_path / "annotations/instances_val2017.json"
    whole = json.loads(path.read_text())
    whole["annotations"][1]["bbox"] = [0, 0, 90, 9]
    write_json(path, whole)
    (problem,) = problems("coco_json", **given)
    assert problem[:3] == (path.name, 1, f"annotations[1] (id {whole['annotations'][1]['id']})")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: 3", "names=3"),
        ("names: {1: a}", "names="),
        ("a: [", "is no YAML"),
        (None, "names no classes"),
    ],
)
def test_yolo_without_names(text: str | None, message: str, tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / "data.yaml").unlink() if text is None else (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read("yolo_txt", data_dir=str(tmp_path))


def test_csv_without_a_column(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("path,x1,y1,x2,label\na.png,1,2,3,cat\n")
    with pytest.raises(ValueError, match=r"boxes.csv:1: the columns \['y2'\] are missing"):
        read("boxes_csv", manifest=str(tmp_path / "boxes.csv"))
