"""Lines in JSON, sizes in headers of pictures, and the time that a large file takes."""

import json
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from datamodules.readers.coco_json import CocoPart, list_coco
from datamodules.readers.json_lines import lines_of
from datamodules.readers.picture_sizes import picture_size
from tests.datamodules.box_writers import (
    write_json,
)
from tests.datamodules.writers import write_image


@pytest.mark.parametrize("indent", [None, 2])
def test_lines_of_records(indent: int | None) -> None:
    text = json.dumps({"b": [{"a": [1]}], 'a "list"': [1, {"x": '}],"'}, [2]], "c": 3}, indent=indent)
    found = lines_of(text, key='a "list"', numbers={1, 2})
    assert [one.record for one in found.values()] == [{"x": '}],"'}, [2]]
    line = next(number for number, line in enumerate(text.splitlines(), start=1) if '"x"' in line)
    assert found[1].line == (1 if indent is None else line - 1)  # the record begins with the line of its {


@pytest.mark.parametrize("ending", ["jpg", "png", "bmp", "webp", "tif", "ppm"])
def test_picture_sizes(ending: str, tmp_path: Path) -> None:
    path = write_image(tmp_path / f"a.{ending}", np.zeros((21, 34, 3), dtype=np.uint8))
    assert picture_size(path) == (21, 34)
    path.write_bytes(b"")
    assert picture_size(path) == (0, 0)
    assert picture_size(tmp_path / "none") == (0, 0)


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_picture_sizes_of_turned_jpegs(orientation: int, order: Any, tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.jpg", np.zeros((21, 34, 3), dtype=np.uint8))
    tiff = b"II*\0" if order == "little" else b"MM\0*"
    fields = [(8, 4), (2, 2), (0x0100, 2), (3, 2), (1, 4), (9, 2), (0, 2)]
    fields += [(0x0112, 2), (3, 2), (1, 4), (orientation, 2), (0, 2), (0, 4)]
    tiff += b"".join(value.to_bytes(size, order) for value, size in fields)
    filler = b"\xff\xe2" + (60_000).to_bytes(2, "big") + bytes(59_998)  # the frame comes after the first read
    exif = b"\xff\xe1" + (len(tiff) + 8).to_bytes(2, "big") + b"Exif\0\0" + tiff
    content = path.read_bytes()
    path.write_bytes(content[:2] + exif + filler * 2 + content[2:])
    upright = cv2.imread(str(path))
    assert upright is not None
    assert picture_size(path) == upright.shape[:2] == ((34, 21) if orientation > 4 else (21, 34))


@pytest.mark.slow
def test_a_tenth_of_coco_is_read_in_seconds(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    images = [{"id": i, "file_name": f"{i:012}.jpg", "height": 480, "width": 640} for i in range(11_829)]
    corners = generator.uniform(0, 300, size=(86_000, 2)).round(2).tolist()
    sizes = generator.uniform(5, 150, size=(86_000, 2)).round(2).tolist()
    annotations = [
        {
            "id": number,
            "image_id": number % 11_829,
            "category_id": 1 + number % 80,
            "bbox": [x, y, width, height],
            "area": width * height,
            "iscrowd": 0,
            "segmentation": [[x, y, x + width, y, x + width, y + height, x, y + height]],
        }
        for number, ((x, y), (width, height)) in enumerate(zip(corners, sizes, strict=True))
    ]
    categories = [{"id": 1 + number, "name": str(number)} for number in range(80)]
    whole = {"images": images, "annotations": annotations, "categories": categories}
    file = write_json(tmp_path / "big.json", whole)
    start = time.perf_counter()
    part = CocoPart(annotations=file, images_dir=tmp_path, group="train")
    raw = list_coco([part], root=tmp_path, title="big", keep_category_ids=True)
    seconds = time.perf_counter() - start
    assert len(raw.labels) == 86_000
    # All of COCO is read in 6 s on two free cores (docs/benchmarks.md); a busy machine needs longer.
    assert seconds < 10, f"{seconds:.1f} seconds"
