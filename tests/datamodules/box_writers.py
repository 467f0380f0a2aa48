"""Small detection data in their true formats: pictures of grey noise with one or two coloured rectangles."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from datamodules.arrays import ByteArray

CLASSES = ("cat", "dog")
HEIGHT, WIDTH = 56, 64
COLOURS = np.array([[220, 40, 40], [40, 40, 220]], dtype=np.uint8)
CATEGORY_IDS = (2, 5)  # with gaps
SPLITS = {"train": 6, "val": 3, "test": 3}


@dataclass(frozen=True)
class Scene:
    """A picture and its objects; a box is x1 y1 x2 y2 in whole pixels."""

    name: str
    split: str
    boxes: list[tuple[int, int, int, int]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)

    def picture(self) -> ByteArray:
        """The pixels."""
        generator = np.random.default_rng(len(self.boxes))
        pixels = generator.integers(90, 160, size=(HEIGHT, WIDTH, 3), dtype=np.uint8)
        for (x1, y1, x2, y2), label in zip(self.boxes, self.labels, strict=True):
            pixels[y1:y2, x1:x2] = COLOURS[label]
        return pixels


def scenes(splits: dict[str, int] | None = None) -> list[Scene]:
    """Every third picture has two objects; the last of each split with more than three has none."""
    found = []
    for split, count in (splits or SPLITS).items():
        generator = np.random.default_rng(len(found))
        for number in range(count):
            scene = Scene(f"{split or 'all'}_{number}", split)
            num_objects = 0 if number == count - 1 and count > 3 else 1 + (number % 3 == 1)
            for position in range(num_objects):
                x1, y1 = int(generator.integers(0, 12)) + 32 * position, int(generator.integers(0, 24))
                width, height = generator.integers(8, 20, size=2).tolist()
                scene.boxes.append((x1, y1, x1 + width, y1 + height))
                scene.labels.append((number + position) % 2)
            found.append(scene)
    return found


def coco_dict(chosen: Sequence[Scene]) -> dict[str, Any]:
    """COCO's form: polygons, runs as a list and packed, a crowd, ids with gaps and in no order."""
    images, annotations = [], []
    for number, scene in enumerate(chosen):
        image_id = 900 - 7 * number
        images.append({"id": image_id, "file_name": f"{scene.name}.png", "height": HEIGHT, "width": WIDTH})
        for box, label in zip(scene.boxes, scene.labels, strict=True):
            annotations.append(annotation(len(annotations), image_id, box, label))
    annotations.sort(key=lambda record: -record["id"])
    categories = [{"id": 5, "name": "dog", "supercategory": "animal"}, {"id": 2, "name": "cat"}]
    info = {"description": 'a "fixture" with annotations: []'}
    return {"info": info, "images": images, "annotations": annotations, "categories": categories}


def annotation(number: int, image_id: int, box: tuple[int, int, int, int], label: int) -> dict[str, Any]:
    """One object; its number decides how its mask is written, and every fifth is a crowd."""
    x1, y1, x2, y2 = box
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[y1:y2, x1:x2] = 1
    segmentation: Any = [[x1, y1, x2, y1, x2, y2, x1, y2], [x1, y1, x1 + 3.5, y1, x1, y1 + 5]]
    if number % 3 == 1:
        segmentation = {"size": [HEIGHT, WIDTH], "counts": runs(mask)}
    if number % 3 == 2:
        segmentation = packed(mask)
    return {
        "id": 10 + 3 * number,
        "image_id": image_id,
        "category_id": CATEGORY_IDS[label],
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": float(mask.sum()) - 1.5,
        "iscrowd": int(number % 5 == 4),
        "segmentation": segmentation,
    }


def runs(mask: ByteArray) -> list[int]:
    """Lengths of runs, down the columns, beginning with zeros."""
    flat = mask.T.reshape(-1)
    ends = np.flatnonzero(np.diff(flat)) + 1
    edges = np.concatenate([[0], *([[0]] if flat[0] else []), ends, [len(flat)]])
    return [int(length) for length in np.diff(edges)]


def packed(mask: ByteArray) -> dict[str, Any]:
    """Runs as pycocotools packs them into a text."""
    from pycocotools import mask as coco_mask

    found = coco_mask.encode(np.asfortranarray(mask))
    return {"size": [HEIGHT, WIDTH], "counts": found["counts"].decode()}


def write_coco(root: Path, *, splits: dict[str, int] | None = None) -> Path:
    """``train2017/``, ``val2017/`` and ``annotations/instances_*2017.json``."""
    for split, count in (splits or {"train": 6, "val": 3}).items():
        chosen = scenes({split: count})
        for scene in chosen:
            write_image(root / f"{split}2017" / f"{scene.name}.png", scene.picture())
        write_json(root / "annotations" / f"instances_{split}2017.json", coco_dict(chosen))
    return root


def write_coco_json(root: Path, *, indent: int | None = None) -> Path:
    """``pictures/`` and one file ``all.json``."""
    chosen = scenes({"": 12})
    for scene in chosen:
        write_image(root / "pictures" / f"{scene.name}.png", scene.picture())
    return write_json(root / "all.json", coco_dict(chosen), indent=indent)


def write_json(path: Path, value: Any, *, indent: int | None = None) -> Path:
    """Write JSON; by default in one line, as COCO's files are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=indent))
    return path


def voc_xml(scene: Scene, *, ending: str = "jpg") -> str:
    """VOC's form: corners count from 1 and belong to the box; the second object is difficult."""
    objects = "\n".join(
        f"""  <object>
    <name>{CLASSES[label]}</name>
    <pose>Unspecified</pose>
    <truncated>{number}</truncated>
    <difficult>{number}</difficult>
    <bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>
  </object>"""
        for number, ((x1, y1, x2, y2), label) in enumerate(zip(scene.boxes, scene.labels, strict=True))
    )
    return f"""<annotation>
  <folder>VOC2007</folder>
  <filename>{scene.name}.{ending}</filename>
  <size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>
{objects}
</annotation>
"""


def write_voc_folder(root: Path, *, splits: dict[str, int] | None = None) -> Path:
    """``Annotations/``, ``JPEGImages/`` and ``ImageSets/Main/`` for splits with a name."""
    chosen = scenes(splits or {"": 12})
    for scene in chosen:
        write_image(root / "JPEGImages" / f"{scene.name}.jpg", scene.picture())
        _write(root / "Annotations" / f"{scene.name}.xml", voc_xml(scene))
        if scene.split:
            with _made(root / "ImageSets" / "Main" / f"{scene.split}.txt").open("a") as file:
                file.write(f"{scene.name}\n")
    return root


def write_voc(root: Path) -> Path:
    """``VOCdevkit/VOC2007`` and ``VOC2012``; the second class is called as one of VOC's own is."""
    write_voc_folder(root / "VOCdevkit" / "VOC2007", splits=SPLITS)
    write_voc_folder(root / "VOCdevkit" / "VOC2012", splits={"trainval": 3})
    return root


def write_yolo(root: Path, *, splits: dict[str, int] | None = None) -> Path:
    """``images/<split>/``, ``labels/<split>/`` and ``data.yaml``; a picture without objects has no text."""
    for scene in scenes(splits):
        write_image(root / "images" / scene.split / f"{scene.name}.png", scene.picture())
        lines = [
            f"{label} {(x1 + x2) / 2 / WIDTH:.6f} {(y1 + y2) / 2 / HEIGHT:.6f} {(x2 - x1) / WIDTH:.6f} "
            f"{(y2 - y1) / HEIGHT:.6f}"
            for (x1, y1, x2, y2), label in zip(scene.boxes, scene.labels, strict=True)
        ]
        if lines:
            _write(root / "labels" / scene.split / f"{scene.name}.txt", "\n".join(lines) + "\n")
    _write(root / "data.yaml", f"path: .\ntrain: images/train\nnc: 2\nnames: {json.dumps(CLASSES)}\n")
    return root


def write_boxes_csv(root: Path) -> Path:
    """``boxes.csv`` with all columns beside ``pictures/``."""
    path = _made(root / "boxes.csv")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "x1", "y1", "x2", "y2", "label", "split", "difficult", "crowd"])
        for scene in scenes():
            name = write_image(root / "pictures" / f"{scene.name}.png", scene.picture()).relative_to(root)
            rows = zip(scene.boxes, scene.labels, strict=True)
            for number, (box, label) in enumerate(rows):
                writer.writerow([name, *box, CLASSES[label], scene.split, number, 0])
            if not scene.boxes:
                writer.writerow([name, "", "", "", "", "", scene.split, "", ""])
    return path


def write_image(path: Path, pixels: ByteArray) -> Path:
    """Write RGB pixels in the format of the ending."""
    assert cv2.imwrite(str(_made(path)), pixels[..., ::-1])
    return path


def write_boxed_data(name: str, folder: Path) -> dict[str, Any]:
    """Write a little of the data that conf/data/<name>.yaml names.

    Args:
        name: Name of the file; one of `BOXED`.
        folder: Where to write it.

    Returns:
        The arguments of the data module with which it is found.
    """
    match name:
        case "digit_scenes":
            return {"num_train": 8, "num_val": 4, "num_test": 4, "cache_dir": str(folder)}
        case "coco_json":
            file = write_coco_json(folder)
            return {"images_dir": str(folder / "pictures"), "annotations": str(file)}
        case "boxes_csv":
            return {"manifest": str(write_boxes_csv(folder))}
        case "coco":
            write_coco(folder)
        case "voc":
            write_voc(folder)
        case "voc_xml":
            write_voc_folder(folder)
        case "yolo_txt":
            write_yolo(folder)
    return {"data_dir": str(folder)}


BOXED = ("digit_scenes", "coco", "coco_json", "voc", "voc_xml", "yolo_txt", "boxes_csv")


def _write(path: Path, text: str) -> Path:
    _made(path).write_text(text)
    return path


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
