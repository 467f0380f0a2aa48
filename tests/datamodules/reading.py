"""Read small detection data and put the result as tests compare it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from datamodules.readers.boxed import Boxed
from tests.datamodules.box_writers import (
    SPLITS,
    Scene,
    write_boxes_csv,
    write_voc_folder,
    write_yolo,
)
from tests.datamodules.writers import build_boxed


def read(data: str, **changes: Any) -> Boxed:
    return build_boxed(data, num_workers=0, **changes).read()


def objects(data: Boxed) -> dict[str, list[tuple[list[float], str]]]:
    """Boxes and class names of each picture, by its name without folder and ending."""
    found = {}
    for position in range(len(data.sizes)):
        part = slice(data.offsets[position], data.offsets[position + 1])
        names = [data.class_names[label] for label in data.labels[part]]
        name = Path(data.source.name(position)).stem
        found[name] = sorted(zip(data.boxes[part].tolist(), names, strict=True))
    return found


def wanted(chosen: list[Scene]) -> dict[str, list[tuple[list[float], str]]]:
    names = ("cat", "dog")
    return {
        scene.name: sorted(
            ([float(x) for x in box], names[label])
            for box, label in zip(scene.boxes, scene.labels, strict=True)
        )
        for scene in chosen
    }


def problems(data: str, **changes: Any) -> list[tuple[str, int | None, str, str]]:
    """What inspection finds: name of the file, line, record and problem."""
    found = build_boxed(data, num_workers=0, **changes).inspect()["problems"]
    return [(Path(one["file"]).name, one["line"], one["record"], one["problem"]) for one in found]


READ: dict[str, Callable[[Path], Boxed]] = {
    "voc_xml": lambda folder: read("voc_xml", data_dir=str(write_voc_folder(folder, splits=SPLITS))),
    "yolo_txt": lambda folder: read("yolo_txt", data_dir=str(write_yolo(folder))),
    "boxes_csv": lambda folder: read("boxes_csv", manifest=str(write_boxes_csv(folder))),
}
