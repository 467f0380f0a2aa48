"""The segmentation data by name: contract, classes, messages, loaders and inspection."""

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import detection, segmentation
from datamodules.base import SPLITS
from datamodules.batch import IGNORED, SegmentationBatch, SegmentationMetadata
from datamodules.palettes import voc_palette
from datamodules.readers.problems import BrokenRecords
from tests.datamodules.box_writers import scenes
from tests.datamodules.mask_writers import write_cityscapes, write_voc_masks
from tests.datamodules.writers import build_boxed, build_segmented, data_of, write_data

NAMES = data_of("segmentation")


@pytest.fixture
def written(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Arguments with which the data of one name is found, after writing a little of it."""
    return write_data(request.param, tmp_path, monkeypatch)


@pytest.mark.parametrize(("data", "written"), [(name, name) for name in NAMES], indirect=["written"])
def test_every_data_set_keeps_the_contract(data: str, written: dict[str, Any]) -> None:
    changes: dict[str, Any] = {"num_workers": 0, "batch_size": 2, "image_size": 48, **written}
    module = build_segmented(data, transforms="segmentation_light", **changes)
    module.prepare_data()
    module.setup()
    metadata, summary = module.metadata, module.summary()
    count = len(metadata["class_names"])
    assert set(metadata) == set(SegmentationMetadata.__annotations__)
    assert metadata["class_counts"] == summary["class_counts"]["train"]
    assert len(metadata["palette"]) == len(metadata["class_counts"]) == count
    assert len(metadata["mean"]) == len(metadata["std"]) == 3
    assert json.loads(json.dumps(metadata)) == metadata  # plain values
    assert min(summary["sizes"].values()) > 0
    assert summary["skipped"] == 0
    batch = next(iter(module.train_dataloader()))
    assert [image.shape for image in batch["image"]] == [(3, 48, 48)] * 2
    for loader in (module.train_dataloader(), module.val_dataloader(), module.test_dataloader()):
        batch = next(iter(loader))
        assert set(batch) == set(SegmentationBatch.__annotations__)
        for image, mask in zip(batch["image"], batch["mask"], strict=True):
            assert image.dtype == mask.dtype == torch.uint8
            assert image.shape == (3, *mask.shape)
            assert ((mask < count) | (mask == IGNORED)).all()


@pytest.mark.parametrize(("data", "written"), [(name, name) for name in NAMES], indirect=["written"])
def test_counts_are_those_of_the_pixels(data: str, written: dict[str, Any]) -> None:
    module = build_segmented(data, num_workers=0, **written)
    module.setup()
    for split in SPLITS:
        dataset = module.dataset(split, augment=False)
        masks = [dataset[index]["mask"].numpy() for index in range(len(dataset))]
        wanted = np.sum([np.bincount(mask.reshape(-1), minlength=256) for mask in masks], axis=0)
        count = len(module.metadata["class_names"])
        assert module.data.counts(split) == wanted[:count].tolist()
        assert module.data.num_pixels(split) == wanted.sum()
        shown = [sum(bool(np.any(mask == class_id)) for mask in masks) for class_id in range(count)]
        assert module.data.num_pictures(split) == shown


@pytest.mark.parametrize(("data", "written"), [(name, name) for name in NAMES], indirect=["written"])
def test_every_data_set_is_inspected(data: str, written: dict[str, Any]) -> None:
    module = build_segmented(data, num_workers=0, **written)
    found = module.inspect()
    assert found["problems"] == []
    assert json.loads(json.dumps(found)) == found
    tables = {table["title"]: table for table in found["tables"]}
    assert all(len(row) == len(table["columns"]) for table in tables.values() for row in table["rows"])
    module.setup()
    summary = module.summary()
    rows = {row[0]: row for row in tables["splits"]["rows"]}
    for position, split in enumerate(SPLITS):
        counts = summary["class_counts"][split]
        assert rows[split][1] == summary["sizes"][split]
        assert rows[split][2] - rows[split][3] == sum(counts)
        assert [row[1 + 2 * position] for row in tables["pixels of classes"]["rows"]] == counts
        shown = [row[1 + 2 * position] for row in tables["pictures that show a class"]["rows"]]
        assert shown == module.data.num_pictures(split)


# digit scenes


def test_digit_scenes_have_the_masks_of_their_objects(tmp_path: Path) -> None:
    given: dict[str, Any] = {"cache_dir": str(tmp_path), "num_train": 12, "num_val": 2, "num_test": 2}
    boxed, segmented = build_boxed("digit_scenes", **given), build_segmented("digit_scenes", **given)
    boxed.with_masks = True
    boxed.setup()
    segmented.setup()
    objects, pixels = boxed.dataset("train", augment=False), segmented.dataset("train", augment=False)
    assert len(objects) == len(pixels) == 12
    for index in range(12):
        one, other = objects[index], pixels[index]
        assert torch.equal(one["image"], other["image"])
        assert one["masks"] is not None
        wanted = torch.zeros_like(other["mask"])
        for label, mask in zip(one["labels"].tolist(), one["masks"], strict=True):
            wanted[mask == 1] = label + 1
        assert torch.equal(other["mask"], wanted)
    assert segmented.metadata["class_names"] == ["background", *map(str, range(10))]
    assert segmented.metadata["palette"][0] == [0, 0, 0]
    assert segmented.metadata["scale"] == "light"


def test_both_digit_scenes_take_the_same_arguments() -> None:
    shared = [inspect.signature(kind.DigitScenes.__init__).parameters for kind in (detection, segmentation)]
    plain = [
        {name: (one.annotation, one.default) for name, one in each.items() if name != "options"}
        for each in shared
    ]
    assert plain[0] == plain[1]
    assert "scene_seed" in plain[0]


def test_digit_scenes_need_scenes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data.num_val=0, data.num_test=-1 must be at least 1"):
        build_segmented("digit_scenes", cache_dir=str(tmp_path), num_val=0, num_test=-1)


# VOC


def test_voc_has_its_classes_and_colours(tmp_path: Path) -> None:
    write_voc_masks(tmp_path)
    module = build_segmented("voc_masks", data_dir=str(tmp_path))
    module.setup()
    metadata, sizes = module.metadata, module.summary()["sizes"]
    assert sizes == {"train": 6, "val": 3, "test": 3}
    names, palette = metadata["class_names"], metadata["palette"]
    assert len(names) == len(palette) == 21
    assert (names[0], names[1], names[15], names[20]) == ("background", "aeroplane", "person", "tvmonitor")
    # of the devkit's table
    assert (palette[0], palette[1], palette[15], palette[20]) == (
        [0] * 3,
        [128, 0, 0],
        [192, 128, 128],
        [0, 64, 128],
    )
    mask = module.dataset("train", augment=False)[0]["mask"]
    assert (mask[50] == IGNORED).all()
    assert set(np.unique(mask).tolist()) == {0, 1, 255}


def test_vocs_palette_goes_on() -> None:
    palette = voc_palette(256)
    assert len({tuple(colour) for colour in palette}) == 256
    assert palette[255] == [224, 224, 192]  # the cream line around objects


def test_voc_trains_on_more_masks_where_there_are_some(tmp_path: Path) -> None:
    write_voc_masks(tmp_path)
    devkit = tmp_path / "VOCdevkit/VOC2012"
    (devkit / "SegmentationClass").rename(devkit / "SegmentationClassAug")
    write_voc_masks(tmp_path / "again")
    (tmp_path / "again/VOCdevkit/VOC2012/SegmentationClass").rename(devkit / "SegmentationClass")
    names = [f"train_{number}" for number in range(4)]
    (devkit / "ImageSets/Segmentation/trainaug.txt").write_text("\n".join(names))
    module = build_segmented(
        "voc_masks", data_dir=str(tmp_path), train_set="trainaug", train_masks="SegmentationClassAug"
    )
    module.setup()
    assert module.summary()["sizes"] == {"train": 4, "val": 3, "test": 3}
    assert "SegmentationClassAug/train_0.png" in module.data.masks.name(0)
    assert "SegmentationClass/val_0.png" in module.data.masks.name(4)


@pytest.mark.parametrize(
    ("data", "word"), [("voc_masks", "data.download=true"), ("cityscapes", "cityscapes-dataset.com")]
)
def test_published_data_that_are_not_there(data: str, word: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=word):
        build_segmented(data, data_dir=str(tmp_path)).setup()


def test_a_missing_file_of_published_data_is_never_left_out(tmp_path: Path) -> None:
    write_voc_masks(tmp_path)
    mask = tmp_path / "VOCdevkit/VOC2012/SegmentationClass/val_1.png"
    mask.unlink()
    module = build_segmented("voc_masks", data_dir=str(tmp_path))
    with pytest.raises(BrokenRecords, match=r"val_1.png cannot be opened[\s\S]*set data.download=true"):
        module.setup()
    assert [problem["file"] for problem in module.inspect()["problems"]] == [str(mask)]


def test_voc_is_fetched_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(**given: Any) -> None:
        asked.append((given["year"], given["image_set"], given["download"]))

    monkeypatch.setattr("datamodules.readers.voc_download.VOCDetection", fetch)
    write_voc_masks(tmp_path)
    module = build_segmented("voc_masks", data_dir=str(tmp_path), download=True)
    module.prepare_data()
    assert asked == []
    (tmp_path / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt").unlink()
    build_segmented("voc_masks", data_dir=str(tmp_path)).prepare_data()
    assert asked == []
    module.prepare_data()
    assert asked == [("2012", "val", True)]


# Cityscapes


def test_ids_of_cityscapes_become_train_ids(tmp_path: Path) -> None:
    write_cityscapes(tmp_path)
    module = build_segmented("cityscapes", data_dir=str(tmp_path))
    module.setup()
    metadata = module.metadata
    assert module.summary()["sizes"] == {"train": 6, "val": 3, "test": 3}
    assert (metadata["class_names"][0], metadata["class_names"][13]) == ("road", "car")
    assert metadata["palette"][18] == [119, 11, 32]
    dataset = module.dataset("train", augment=False)
    for index in range(len(dataset)):
        item = dataset[index]
        red, blue = item["image"][0] == 220, item["image"][2] == 220
        assert (item["mask"][red] == 13).all()  # 26, car
        assert (item["mask"][blue] == IGNORED).all()  # 4, static
        assert (item["mask"][~red & ~blue & (item["image"][0] == 90)] == 0).all()  # 7, road
    assert any((dataset[index]["mask"] == 13).any() for index in range(len(dataset)))


def test_every_id_of_cityscapes() -> None:
    from datamodules.readers.cityscapes import CITYSCAPES_MASKS
    from datamodules.readers.mask_classes import to_classes
    from datamodules.readers.mask_survey import Survey

    nothing = np.zeros(0, dtype=np.int64)
    survey = Survey(sizes=nothing, positions=nothing, codes=nothing, pixels=nothing, problems={})
    legend = to_classes(CITYSCAPES_MASKS, survey, title="").legend
    # trainId of ids 0 to 33 in the authors' labels.py, 255 where it is none
    table = [255] * 7 + [0, 1, 255, 255, 2, 3, 4, 255, 255, 255, 5, 255, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
    table += [255, 255, 16, 17, 18]
    assert legend.ids(np.arange(34, dtype=np.uint8)).tolist() == table
    assert not legend.knows(np.array([34, 200])).any()
    assert legend.knows(np.array([*range(34), 255])).all()


def test_a_picture_of_cityscapes_without_mask_is_no_accident(tmp_path: Path) -> None:
    write_cityscapes(tmp_path)
    gone = tmp_path / "gtFine/train/aachen/aachen_000001_000019_gtFine_labelIds.png"
    moved = gone.with_name("aachen_000077_000019_gtFine_labelIds.png")
    gone.rename(moved)
    module = build_segmented("cityscapes", data_dir=str(tmp_path))
    with pytest.raises(BrokenRecords, match="cityscapes has 2 broken records"):
        module.setup()
    texts = {Path(one["file"]).name: one["problem"] for one in module.inspect()["problems"]}
    assert texts == {
        "aachen_000001_000019_leftImg8bit.png": "has no mask below gtFine/",
        moved.name: "is a mask of no picture below leftImg8bit/",
    }


# COCO


def test_coco_objects_become_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = build_segmented("coco_masks", **write_data("coco_masks", tmp_path, monkeypatch))
    module.setup()
    assert module.metadata["class_names"] == ["background", "cat", "dog"]
    for scene in scenes({"": 12}):
        names = [Path(module.data.source.name(position)).stem for position in range(12)]
        mask = module.data.masks.read(names.index(scene.name))
        wanted = np.zeros_like(mask)
        for (x1, y1, x2, y2), label in zip(scene.boxes, scene.labels, strict=True):
            wanted[y1:y2, x1:x2] = label + 1
        assert np.array_equal(mask, wanted)  # polygons, runs and packed runs in turn


def test_what_two_classes_share_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = write_data("coco_masks", tmp_path, monkeypatch)
    file = Path(given["annotations"])
    whole = json.loads(file.read_text())
    image = whole["images"][0]["id"]
    objects = [(0, 0, 20, 20, 2), (10, 0, 30, 20, 2), (10, 10, 40, 20, 5), (15, 5, 35, 18, 5)]
    whole["annotations"] = [record for record in whole["annotations"] if record["image_id"] != image] + [
        {
            "id": 5000 + number,
            "image_id": image,
            "category_id": category,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "segmentation": [[x1, y1, x2, y1, x2, y2, x1, y2]],
        }
        for number, (x1, y1, x2, y2, category) in enumerate(objects)
    ]
    file.write_text(json.dumps(whole))
    module = build_segmented("coco_masks", **given)
    module.setup()
    stem = Path(whole["images"][0]["file_name"]).stem
    names = [Path(module.data.source.name(position)).stem for position in range(12)]
    mask = module.data.masks.read(names.index(stem))
    cats, dogs = np.zeros(mask.shape, dtype=bool), np.zeros(mask.shape, dtype=bool)
    for x1, y1, x2, y2, category in objects:
        (cats if category == 2 else dogs)[y1:y2, x1:x2] = True
    wanted = np.where(cats & dogs, 255, np.where(cats, 1, np.where(dogs, 2, 0)))
    assert np.array_equal(mask, wanted)
    assert (wanted == 255).any()


def test_coco_without_segmentations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = write_data("coco_masks", tmp_path, monkeypatch)
    file = Path(given["annotations"])
    whole = json.loads(file.read_text())
    for record in whole["annotations"]:
        del record["segmentation"]
    file.write_text(json.dumps(whole))
    with pytest.raises(ValueError, match="all: no object has a segmentation"):
        build_segmented("coco_masks", **given).setup()


def test_broken_records_of_coco(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = write_data("coco_masks", tmp_path, monkeypatch)
    file = Path(given["annotations"])
    whole = json.loads(file.read_text())
    whole["annotations"][2]["segmentation"] = [[1, 2, 3, 4]]
    file.write_text(json.dumps(whole))
    with pytest.raises(BrokenRecords, match=r"polygon of 4 values[\s\S]*task=segmentation data="):
        build_segmented("coco_masks", **given).setup()
    assert len(build_segmented("coco_masks", **given).inspect()["problems"]) == 1
    module = build_segmented("coco_masks", on_error="skip", **given)
    module.setup()
    assert module.summary()["skipped"] == 1


# arguments


@pytest.mark.parametrize(
    ("data", "changes", "message"),
    [
        ("image_masks", {}, "data.data_dir=None, data.images_dir=None"),
        ("image_masks", {"data_dir": "a", "images_dir": "b", "masks_dir": "c"}, "give either data.data_dir"),
        ("image_masks", {"images_dir": "b"}, "data.masks_dir=None"),
        ("image_masks", {"data_dir": "a", "on_error": "ignore"}, "data.on_error=ignore"),
        ("image_masks", {"data_dir": "a", "val_fraction": 1.0}, "data.val_fraction=1.0"),
        ("image_masks", {"data_dir": "a", "scale": "huge"}, "data.scale=huge must be light or published"),
        ("image_masks", {"data_dir": "a", "std": [0.1]}, "data.std"),
        ("image_masks", {"data_dir": "a", "palette": [[0, 0, 0], [0, 0, 256]]}, r"colour \[0, 0, 256\]"),
        ("image_masks", {"data_dir": "a", "palette": [[0, 0, 0], [0, 0, 0]]}, "more than once"),
        ("image_masks", {"data_dir": "a", "class_names": ["a", "a"]}, "data.class_names names the classes"),
        ("image_masks", {"data_dir": "a", "values": [0, 0]}, r"data.values=\[0, 0\] has a value twice"),
        ("image_masks", {"data_dir": "a", "values": [0, 255]}, "set data.ignore_value=null"),
        ("image_masks", {"data_dir": "a", "class_names": ["a"]}, "data.class_names has 1 entries"),
        (
            "image_masks",
            {"data_dir": "a", "class_names": ["a", "b"], "palette": [[0, 0, 0], [1, 1, 1], [2, 2, 2]]},
            "data.class_names has 2, data.palette has 3 entries",
        ),
    ],
)
def test_wrong_arguments(data: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_segmented(data, **changes)


def test_a_recipe_that_moves_pixels_in_evaluation_is_refused() -> None:
    with pytest.raises(ValueError, match=r"transforms.eval has the steps .*transforms=segmentation_light"):
        build_segmented("image_masks", transforms="none", data_dir="a")
