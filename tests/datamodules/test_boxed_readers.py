"""The formats of detection data: every one of them gives the same objects."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from datamodules.readers.boxed import Boxed
from datamodules.readers.coco_json import CocoPart, list_coco
from datamodules.readers.listing import Cut
from datamodules.readers.to_boxed import split_pictures
from tests.datamodules.box_writers import (
    CATEGORY_IDS,
    HEIGHT,
    SPLITS,
    WIDTH,
    coco_dict,
    scenes,
    voc_xml,
    write_boxes_csv,
    write_coco,
    write_coco_json,
    write_json,
    write_voc,
    write_yolo,
)
from tests.datamodules.reading import READ, objects, read, wanted
from tests.datamodules.writers import write_image


def of_coco_json(folder: Path) -> Boxed:
    file = write_coco_json(folder)
    return read("coco_json", images_dir=str(folder / "pictures"), annotations=str(file))


@pytest.mark.parametrize("data", READ)
def test_a_format_with_splits(data: str, tmp_path: Path) -> None:
    found = READ[data](tmp_path)
    assert {name: [label for _, label in boxes] for name, boxes in objects(found).items()} == {
        name: [label for _, label in boxes] for name, boxes in wanted(scenes()).items()
    }
    for name, boxes in objects(found).items():
        expected = [box for box, _ in wanted(scenes())[name]]
        assert np.allclose([box for box, _ in boxes], expected, atol=1e-4)
    assert {split: len(found.splits[split]) for split in SPLITS} == SPLITS
    for split in SPLITS:
        assert all(Path(found.source.name(i)).stem.startswith(split) for i in found.splits[split].tolist())
    assert found.sizes.tolist() == [[HEIGHT, WIDTH]] * 12
    assert found.areas == pytest.approx((found.boxes[:, 2:] - found.boxes[:, :2]).prod(axis=1))


@pytest.mark.parametrize("data", ["voc_xml", "boxes_csv"])
def test_the_second_object_is_difficult(data: str, tmp_path: Path) -> None:
    found = READ[data](tmp_path)
    second = np.concatenate([np.arange(count) for count in np.diff(found.offsets)]) == 1
    assert found.is_difficult.tolist() == second.tolist()
    assert second.any()


def test_coco_json(tmp_path: Path) -> None:
    found = of_coco_json(tmp_path)
    assert objects(found) == wanted(scenes({"": 12}))
    assert found.class_names == ["cat", "dog"]
    assert found.category_ids == list(CATEGORY_IDS)
    assert [len(found.splits[split]) for split in SPLITS] == [8, 2, 2]
    assert 0 < found.is_crowd.sum() < len(found.labels)


def test_pycocotools_reads_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = of_coco_json(tmp_path)
    theirs = COCO(str(tmp_path / "all.json"))
    num_masks = 0
    for position, image_id in enumerate(found.image_ids.tolist()):
        part = slice(found.offsets[position], found.offsets[position + 1])
        records = theirs.loadAnns(theirs.getAnnIds(image_id))
        boxes = np.array([record["bbox"] for record in records], dtype=np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        assert found.boxes[part].tolist() == boxes.tolist()
        assert found.areas[part] == pytest.approx([record["area"] for record in records])
        assert found.is_crowd[part].tolist() == [bool(record["iscrowd"]) for record in records]
        ids = [found.category_ids[label] for label in found.labels[part]]
        assert ids == [record["category_id"] for record in records]
        masks = found.picture(position, with_masks=True).masks
        assert masks is not None
        for mask, record in zip(masks, records, strict=True):
            assert np.array_equal(mask, theirs.annToMask(record))
            num_masks += 1
    assert num_masks == len(found.labels)


def test_polygons_and_runs_of_all_kinds_are_pycocotools_masks(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    kinds = set()
    for number in range(12):
        polygon = generator.uniform(0, 50, size=(2, 8)).round(2).tolist()
        runs = coco_mask.merge(coco_mask.frPyObjects(polygon, HEIGHT, WIDTH))
        found = of_annotation(tmp_path, segmentation=polygon)
        assert np.array_equal(found, coco_mask.decode(runs)), number
        packed = {"size": runs["size"], "counts": runs["counts"].decode()}
        assert np.array_equal(of_annotation(tmp_path, segmentation=packed), coco_mask.decode(runs))
        kinds.add(found.sum())
    assert len(kinds) > 6


def of_annotation(folder: Path, **changes: Any) -> np.ndarray:
    whole = coco_dict(scenes({"": 3})[:1])
    whole["annotations"][0] |= changes
    file = write_json(folder / "one.json", whole)
    raw = list_coco([CocoPart(annotations=file, images_dir=folder, group="")], root=folder, title="one")
    assert raw.masks is not None
    return raw.masks.read(0, height=HEIGHT, width=WIDTH)


def test_an_object_without_segmentation_has_its_box_for_one(tmp_path: Path) -> None:
    whole = coco_dict(scenes({"": 12}))
    del whole["annotations"][0]["segmentation"]
    whole["annotations"][1]["segmentation"] = []
    file = write_json(tmp_path / "some.json", whole)
    raw = list_coco([CocoPart(annotations=file, images_dir=tmp_path, group="")], root=tmp_path, title="some")
    assert raw.masks is not None
    for position in (0, 1):
        x1, y1, x2, y2 = raw.boxes[position].astype(int)
        mask = raw.masks.read(position, height=HEIGHT, width=WIDTH)
        assert mask[y1:y2, x1:x2].all()
        assert mask.sum() == (x2 - x1) * (y2 - y1)
    for record in whole["annotations"]:
        record.pop("segmentation", None)
    file = write_json(tmp_path / "none.json", whole)
    raw = list_coco([CocoPart(annotations=file, images_dir=tmp_path, group="")], root=tmp_path, title="none")
    assert raw.masks is None


@pytest.mark.parametrize("segmentation", [{"size": [9, 9], "counts": [40, 41]}, "nonsense", [["a", "b"]]])
def test_a_mask_that_is_none_is_an_error(segmentation: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="segmentation"):
        of_annotation(tmp_path, segmentation=segmentation)


def test_masks_stay_with_their_objects_when_some_are_left_out(tmp_path: Path) -> None:
    file = write_coco_json(tmp_path)
    whole = json.loads(file.read_text())
    whole["annotations"][2]["bbox"][2] = -4
    (tmp_path / "pictures" / whole["images"][0]["file_name"]).unlink()
    write_json(file, whole)
    images = str(tmp_path / "pictures")
    found = read("coco_json", images_dir=images, annotations=str(file), on_error="skip")
    assert found.skipped == 2
    for position in range(len(found.sizes)):
        picture = found.picture(position, with_masks=True)
        assert picture.masks is not None
        for box, mask in zip(picture.boxes, picture.masks, strict=True):
            rows, columns = np.nonzero(mask)
            corners = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert np.abs(corners - box).max() <= 1


def test_published_ids_keep_their_gaps(tmp_path: Path) -> None:
    root = str(write_coco(tmp_path))
    kept, counted = read("coco", data_dir=root), read("coco", data_dir=root, keep_category_ids=False)
    assert kept.class_names == ["N/A 1", "cat", "N/A 3", "N/A 4", "dog"]
    assert kept.category_ids == [1, 2, 3, 4, 5]
    assert np.array_equal(kept.labels, np.array([1, 4])[counted.labels])
    assert counted.class_names == ["cat", "dog"]
    assert np.array_equal(kept.splits["val"], kept.splits["test"])


def test_voc_devkit(tmp_path: Path) -> None:
    found = read("voc", data_dir=str(write_voc(tmp_path)))
    assert [len(found.splits[split]) for split in SPLITS] == [9, 3, 3]
    assert len(found.class_names) == 20
    assert objects(found).items() >= wanted(scenes()).items()
    printed = read(
        "voc",
        data_dir=str(tmp_path),
        train_sets=["VOC2007/train", "VOC2007/val", "VOC2012/trainval"],
        val_sets=["VOC2007/test"],
    )
    assert [len(printed.splits[split]) for split in SPLITS] == [12, 3, 3]


@pytest.mark.parametrize("names", ["[cat, dog]", "{0: cat, 1: dog}"])
def test_yolo_names(names: str, tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / "data.yaml").write_text(f"names: {names}\n")
    assert read("yolo_txt", data_dir=str(tmp_path)).class_names == ["cat", "dog"]
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    assert read("yolo_txt", data_dir=str(tmp_path)).class_names == ["cat", "dog"]


def test_yolo_with_the_splits_outside_and_without_splits(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    for split, name in (("train", "train"), ("val", "valid"), ("test", "test")):
        (tmp_path / name).mkdir()
        for kind in ("images", "labels"):
            (tmp_path / kind / split).rename(tmp_path / name / kind)
    for kind in ("images", "labels"):
        (tmp_path / kind).rmdir()
    found = read("yolo_txt", data_dir=str(tmp_path))
    assert {split: len(found.splits[split]) for split in SPLITS} == SPLITS
    free = read("yolo_txt", data_dir=str(write_yolo(tmp_path / "free", splits={"": 12})))
    assert [len(free.splits[split]) for split in SPLITS] == [8, 2, 2]


def test_voc_annotations_beside_their_pictures(tmp_path: Path) -> None:
    for scene in scenes({"": 12}):
        write_image(tmp_path / "a" / f"{scene.name}.png", scene.picture())
        (tmp_path / "a" / f"x_{scene.name}.xml").write_text(voc_xml(scene, ending="png"))
    found = read("voc_xml", data_dir=str(tmp_path))
    assert objects(found) == wanted(scenes({"": 12}))


# splits


def test_missing_splits_are_cut_from_training(tmp_path: Path) -> None:
    cut, none = Cut(val=0.25, test=0.25, seed=0), np.zeros(8, dtype=np.int64)
    found = split_pictures(["train"] * 6 + ["val"] * 2, none, cut=cut)
    assert found["val"].tolist() == [6, 7]
    assert len(found["train"]) + len(found["test"]) == 6
    assert len(found["test"]) in (1, 2)
    found = split_pictures(["train", "", "", "", "", "", "", ""], none, cut=Cut(val=0.3, test=0.3, seed=0))
    assert [len(found[split]) for split in SPLITS] == [4, 2, 2]
    assert 0 in found["train"]


def test_the_cut_deals_out_rare_classes(tmp_path: Path) -> None:
    lines = [f"p/{n}.png,1,1,9,9,{'rare' if n < 4 else 'common'}" for n in range(16)]
    for number in range(16):
        write_image(tmp_path / f"p/{number}.png", np.zeros((20, 20, 3), dtype=np.uint8))
    common = [f"p/{n}.png,2,2,9,9,common" for n in range(16)]
    file = tmp_path / "boxes.csv"
    file.write_text("\n".join(["path,x1,y1,x2,y2,label", *lines, *common]))
    found = read("boxes_csv", manifest=str(file), val_fraction=0.25, test_fraction=0.25)
    assert [found.counts(split)[1] for split in SPLITS] == [2, 1, 1]


@pytest.mark.parametrize("change", ["box", "label", "difficult", "name"])
def test_the_digest_changes_with_what_is_read(change: str, tmp_path: Path) -> None:
    file = write_boxes_csv(tmp_path)
    before = read("boxes_csv", manifest=str(file)).digest()
    assert before == read("boxes_csv", manifest=str(file)).digest()
    lines = file.read_text().splitlines()
    cells = lines[1].split(",")
    position, value = {
        "box": (3, str(int(cells[3]) + 1)),
        "label": (5, "dog"),
        "difficult": (7, "1"),
        "name": (5, "cow"),
    }[change]
    cells[position] = value
    file.write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]))
    assert read("boxes_csv", manifest=str(file)).digest() != before
