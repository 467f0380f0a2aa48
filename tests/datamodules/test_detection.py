"""The detection data by name: arguments, messages, loaders and inspection."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.base import SPLITS
from datamodules.batch import DetectionBatch, DetectionMetadata
from tests.datamodules.box_writers import write_coco, write_voc, write_voc_folder
from tests.datamodules.writers import (
    build,
    build_boxed,
    cut_short,
    data_of,
    write_data,
    write_folders,
)

NAMES = data_of("detection")


@pytest.fixture
def written(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Arguments with which the data of one name is found, after writing a little of it."""
    return write_data(request.param, tmp_path, monkeypatch)


@pytest.mark.parametrize(("data", "written"), [(name, name) for name in NAMES], indirect=["written"])
def test_every_data_set_keeps_the_contract(data: str, written: dict[str, Any]) -> None:
    module = build_boxed(data, transforms="detection_light", num_workers=0, batch_size=2, **written)
    module.with_masks = data in ("digit_scenes", "coco", "coco_json")
    module.prepare_data()
    module.setup()
    metadata, summary = module.metadata, module.summary()
    assert set(metadata) == set(DetectionMetadata.__annotations__)
    assert metadata["class_counts"] == summary["class_counts"]["train"]
    assert len(metadata["category_ids"]) == len(metadata["class_names"])
    assert min(summary["sizes"].values()) > 0
    assert summary["skipped"] == 0
    for loader in (module.train_dataloader(), module.val_dataloader(), module.test_dataloader()):
        batch = next(iter(loader))
        assert set(batch) == set(DetectionBatch.__annotations__)
        for position, image in enumerate(batch["image"]):
            boxes = batch["boxes"][position]
            assert image.dtype == torch.uint8
            assert boxes.dtype == torch.float32
            height, width = image.shape[1:]
            assert (boxes >= 0).all()
            assert (boxes <= torch.tensor([width, height, width, height])).all()
            assert len(batch["labels"][position]) == len(boxes)
            if module.with_masks:
                assert batch["masks"][position].shape == (len(boxes), height, width)


@pytest.mark.parametrize(("data", "written"), [(name, name) for name in NAMES], indirect=["written"])
def test_every_data_set_is_inspected(data: str, written: dict[str, Any]) -> None:
    module = build_boxed(data, num_workers=0, **written)
    found = module.inspect()
    assert found["problems"] == []
    assert json.loads(json.dumps(found)) == found  # plain values
    tables = {table["title"]: table for table in found["tables"]}
    assert all(len(row) == len(table["columns"]) for table in tables.values() for row in table["rows"])
    module.setup()
    summary = module.summary()
    splits = {row[0]: row[1:3] for row in tables["splits"]["rows"]}
    assert splits == {split: [summary["sizes"][split], summary["num_objects"][split]] for split in SPLITS}
    counts = {row[0]: row[1:4] for row in tables["objects of classes"]["rows"]}
    for label, name in enumerate(module.metadata["class_names"]):
        wanted = [summary["class_counts"][split][label] for split in SPLITS]
        assert counts.get(name, [0, 0, 0]) == wanted
        assert (name in counts) != name.startswith("N/A ")


def test_the_tables_say_sizes(tmp_path: Path) -> None:
    lines = ["path,x1,y1,x2,y2,label,split"]
    for split in SPLITS:
        lines += [f"{split}.png,0,0,10,20,cat,{split}", f"{split}.png,10,20,60,60,cat,{split}"]
        write_picture(tmp_path / f"{split}.png")
    lines += ["empty.png,,,,,,train", "train.png,1,1,101,99,dog,train"]
    write_picture(tmp_path / "empty.png")
    (tmp_path / "b.csv").write_text("\n".join(lines))
    found = build_boxed("boxes_csv", manifest=str(tmp_path / "b.csv")).inspect()
    tables = {table["title"]: table["rows"] for table in found["tables"]}
    assert tables["splits"][0] == ["train", 2, 3, 0, 1.5, 3, 1, 0, 0]
    assert tables["objects of classes"] == [
        ["cat", 2, 2, 2, "66.7 %", 1, 1, 1],
        ["dog", 1, 0, 0, "33.3 %", 1, 0, 0],
    ]
    width, height = tables["box sizes in pixels"][:2]
    assert (width[1], width[-1], height[1], height[-1]) == (10, 100, 20, 98)
    assert [row[2:5] for row in tables["objects by area, as COCO measures"]] == [
        [1, 1, 1],
        [1, 1, 1],
        [1, 0, 0],
    ]
    assert tables["picture sizes in pixels"] == [["width"] + [120] * 7, ["height"] + [100] * 7]
    assert tables["commonest of 1 picture sizes"] == [["120x100", 4, "100.0 %"]]


def write_picture(path: Path) -> None:
    import cv2

    assert cv2.imwrite(str(path), np.zeros((100, 120, 3), dtype=np.uint8))


def test_inspection_works_on_what_setup_refuses(tmp_path: Path) -> None:
    write_voc_folder(tmp_path)
    for path in (tmp_path / "JPEGImages").glob("*.jpg"):
        cut_short(path)
    module = build_boxed("voc_xml", data_dir=str(tmp_path), on_error="skip")
    with pytest.raises(ValueError, match="no pictures for train"):
        module.setup()
    found = module.inspect()
    assert len(found["problems"]) == 12
    assert found["tables"][0]["rows"][0][:3] == ["train", 0, 0]


# COCO and VOC


@pytest.mark.parametrize(("data", "word"), [("coco", "cocodataset.org"), ("voc", "data.download=true")])
def test_data_that_are_not_there(data: str, word: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=word):
        build_boxed(data, data_dir=str(tmp_path)).setup()


def test_a_missing_picture_of_coco_is_never_left_out(tmp_path: Path) -> None:
    write_coco(tmp_path)
    (tmp_path / "val2017/val_1.png").unlink()
    module = build_boxed("coco", data_dir=str(tmp_path))
    with pytest.raises(
        ValueError, match=r"1 of 9 pictures of coco are missing, such as .*val_1.png; get train"
    ):
        module.setup()
    assert len(module.inspect()["problems"]) == 1


def test_empty_boxes_of_coco_are_left_out_and_repeated_ones_stay(tmp_path: Path) -> None:
    write_coco(tmp_path)
    path = tmp_path / "annotations/instances_val2017.json"
    whole = json.loads(path.read_text())
    whole["annotations"][0]["bbox"][3] = 0
    whole["annotations"].append(whole["annotations"][1] | {"id": 9999})
    path.write_text(json.dumps(whole))
    module = build_boxed("coco", data_dir=str(tmp_path))
    module.setup()
    assert module.summary()["num_objects"]["val"] == len(whole["annotations"]) - 1
    assert module.summary()["skipped"] == 1
    assert len(module.inspect()["problems"]) == 2
    with pytest.raises(ValueError, match="is empty"):
        build_boxed("coco", data_dir=str(tmp_path), on_error="raise").setup()


def test_voc_is_fetched_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(**given: Any) -> None:
        asked.append((given["year"], given["image_set"]))
        if len(asked) == 4:
            raise RuntimeError("no network")

    monkeypatch.setattr("datamodules.readers.voc_download.VOCDetection", fetch)
    write_voc(tmp_path)
    (tmp_path / "VOCdevkit/VOC2007/ImageSets/Main/test.txt").unlink()
    build_boxed("voc", data_dir=str(tmp_path)).prepare_data()
    assert asked == []
    module = build_boxed("voc", data_dir=str(tmp_path), download=True)
    module.prepare_data()
    assert asked == [("2007", "test")]
    asked += [("", "")] * 2
    with pytest.raises(FileNotFoundError, match="VOC2007/test could not be fetched .*no network"):
        module.prepare_data()


@pytest.mark.parametrize(
    ("data", "changes", "message"),
    [
        ("voc", {"val_sets": ["val"]}, r"data.val_sets=\['val'\] must name image sets"),
        ("voc", {"test_sets": []}, "data.test_sets"),
        (
            "yolo_txt",
            {"data_dir": "none", "on_error": "ignore"},
            "data.on_error=ignore must be raise or skip",
        ),
        ("yolo_txt", {"data_dir": "none", "val_fraction": 1.0}, "data.val_fraction=1.0"),
        (
            "yolo_txt",
            {"data_dir": "none", "val_fraction": 0.5, "test_fraction": 0.5},
            "leave nothing to train on",
        ),
    ],
)
def test_wrong_arguments(data: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_boxed(data, **changes)


@pytest.mark.parametrize("data", ["yolo_txt", "voc_xml"])
def test_a_folder_that_is_not_there(data: str) -> None:
    with pytest.raises(FileNotFoundError, match="data.data_dir=none .* is no folder"):
        build_boxed(data, data_dir="none").setup()


def test_a_manifest_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError, match="data.manifest=none"):
        build_boxed("boxes_csv", manifest="none").setup()


# classification data are inspected, too


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_folders_are_inspected(on_error: str, tmp_path: Path) -> None:
    write_folders(tmp_path, splits={"train": 4, "val": 2, "test": 2})
    broken = cut_short(tmp_path / "train/bee/01.jpg")
    found = build("image_folder", data_dir=str(tmp_path), on_error=on_error).inspect()
    tables = {table["title"]: table["rows"] for table in found["tables"]}
    assert tables["splits"] == [["train", 8], ["val", 4], ["test", 4]]
    assert tables["classes"] == [["ant", 4, 2, 2, "50.0 %"], ["bee", 4, 2, 2, "50.0 %"]]
    assert tables["commonest of 1 picture sizes"] == [["30x20", 16, "100.0 %"]]
    (problem,) = found["problems"]
    assert problem["file"] == str(broken)
    assert "cut short" in problem["problem"]


def test_a_csv_is_inspected(tmp_path: Path) -> None:
    write_folders(tmp_path, splits={"": 8})
    lines = [f"{path.relative_to(tmp_path)},{path.parent.name}" for path in sorted(tmp_path.rglob("*.jpg"))]
    file = tmp_path / "pets.csv"
    file.write_text("\n".join(["path,label", *lines, "none.jpg,ant"]))
    found = build("csv", manifest=str(file)).inspect()
    assert [problem["file"] for problem in found["problems"]] == [str(tmp_path / "none.jpg")]
    assert found["tables"]
    file.write_text("\n".join(["path,label", *lines, "none.jpg,"]))
    found = build("csv", manifest=str(file)).inspect()
    assert [(one["file"], one["line"], one["problem"]) for one in found["problems"]] == [
        (str(file), 18, "no label")
    ]


def test_arrays_are_inspected() -> None:
    found = build("digits").inspect()
    assert found["tables"][0]["rows"] == [["train", 1078], ["val", 360], ["test", 359]]
    assert found["problems"] == []
