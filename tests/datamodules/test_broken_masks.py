"""Broken segmentations are found with their place before a network asks for masks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from datamodules.readers.coco_records import Annotation
from datamodules.readers.masks import pack, unpacked
from datamodules.readers.problems import BrokenRecords
from tests.datamodules.box_writers import HEIGHT, WIDTH, packed, write_coco, write_coco_json, write_json
from tests.datamodules.reading import problems, read

WHOLE = HEIGHT * WIDTH
SOME = packed(np.eye(HEIGHT, WIDTH, dtype=np.uint8))
BROKEN: dict[str, tuple[Any, str]] = {
    "two points": ([[1, 2, 9, 9]], "has a polygon of 4 values, but x and y of at least three points"),
    "odd": ([[1, 2, 9, 9, 1, 9], [1, 2, 9, 9, 1, 9, 5]], "has a polygon of 7 values"),
    "infinite": ([[1, 2, 9, 9, 1, 1e308, 1, 1e308]], "has a value that is no coordinate"),
    "nan": ([[1, 2, 9, 9, 1, float("nan")]], "neither polygons nor runs (Expected `float`, got `null`"),
    "text": ("outline.png", "segmentation '\"outline.png\"' is neither polygons nor runs"),
    "flat": ([1, 2, 9, 9, 1, 9], "is neither polygons nor runs"),
    "other picture": ({"size": [9, 9], "counts": [40, 41]}, "is for a picture of 9x9 pixels, not 64x56"),
    "sides exchanged": (SOME | {"size": [WIDTH, HEIGHT]}, "is for a picture of 56x64 pixels, not 64x56"),
    "short": ({"size": [HEIGHT, WIDTH], "counts": [40, 41]}, "has runs of 81 pixels in all, not 64x56=3584"),
    "negative": ({"size": [HEIGHT, WIDTH], "counts": [WHOLE + 4, -4]}, "has a run of -4 pixels"),
    "packed short": (SOME | {"counts": SOME["counts"][:-1]}, "pixels in all, not 64x56=3584"),
    "packed long": (SOME | {"counts": SOME["counts"] + "11"}, "pixels in all, not 64x56=3584"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_segmentations(kind: str, tmp_path: Path) -> None:
    file = write_coco_json(tmp_path)
    whole = json.loads(file.read_text())
    segmentation, message = BROKEN[kind]
    whole["annotations"][4]["segmentation"] = segmentation
    write_json(file, whole)
    given = {"images_dir": str(tmp_path / "pictures"), "annotations": str(file)}
    (found,) = problems("coco_json", **given)
    assert found[:3] == ("all.json", 1, f"annotations[4] (id {whole['annotations'][4]['id']})")
    assert message in found[3]
    with pytest.raises(BrokenRecords) as caught:
        read("coco_json", **given)
    assert found[3] in str(caught.value)
    kept = read("coco_json", **given, on_error="skip")
    assert len(kept.labels) == len(whole["annotations"]) - 1
    for position in range(len(kept.sizes)):
        kept.picture(position, with_masks=True)


def test_published_data_are_only_looked_at_on_inspection(tmp_path: Path) -> None:
    write_coco(tmp_path)
    path = tmp_path / "annotations/instances_val2017.json"
    whole = json.loads(path.read_text())
    whole["annotations"][0]["segmentation"] = {"size": [9, 9], "counts": [40, 41]}
    write_json(path, whole)
    data = read("coco", data_dir=str(tmp_path))
    assert data.skipped == 0
    (problem,) = problems("coco", data_dir=str(tmp_path))
    assert problem[2] == f"annotations[0] (id {whole['annotations'][0]['id']})"
    identity = whole["annotations"][0]["image_id"]
    position = data.splits["val"][data.image_ids[data.splits["val"]] == identity].item()
    name = f"{data.source.name(position)} (image_id {identity})"
    with pytest.raises(ValueError, match="object [12] of .*: segmentation") as caught:
        data.picture(position, with_masks=True)
    assert name in str(caught.value)


def test_packed_runs_are_those_of_pycocotools() -> None:
    generator = np.random.default_rng(0)
    for number in range(30):
        share = generator.uniform(0, 1)
        mask = (generator.uniform(size=(40 + number, 3000)) < share).astype(np.uint8)
        mask[:, : 100 * number] = number % 2  # long runs need several characters
        text = coco_mask.encode(np.asfortranarray(mask))["counts"].decode()
        flat = mask.T.reshape(-1)
        ends = np.concatenate([np.flatnonzero(np.diff(flat)) + 1, [len(flat)]])
        wanted = np.diff(np.concatenate([[0] * (1 + int(flat[0])), ends]))
        assert unpacked(text).tolist() == wanted.tolist()


@pytest.mark.slow
def test_a_tenth_of_coco_is_checked_in_seconds() -> None:
    import time

    import msgspec

    generator = np.random.default_rng(0)
    numbers = generator.integers(6, 120, size=86_000) // 2 * 2
    polygons = [(generator.random(number) * 600).round(2).tolist() for number in numbers]
    records = [
        {"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "segmentation": [polygon]}
        for polygon in polygons
    ]
    masks = pack(
        [
            record.segmentation
            for record in msgspec.json.decode(msgspec.json.encode(records), type=list[Annotation])
        ]
    )
    start = time.perf_counter()
    found = masks.problems(np.arange(86_000), np.full((86_000, 2), 640))
    seconds = time.perf_counter() - start
    assert found == {}
    # 1.2 s on a busy machine with two cores.
    assert seconds < 10, f"{seconds:.1f} seconds"
