"""Names of classes: every format needs some, and each only once."""

from pathlib import Path

import pytest

from tests.datamodules.box_writers import write_boxes_csv, write_voc_folder, write_yolo
from tests.datamodules.reading import read

TWICE = r"names the classes \['cat'\] more than once; give each class a name of its own"


@pytest.mark.parametrize("names", ["[cat, dog, cat]", "{0: cat, 1: cat, 2: dog}"])
def test_names_of_yolo_stand_once(names: str, tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / "data.yaml").write_text(f"names: {names}\n")
    with pytest.raises(ValueError, match=f"data.yaml {TWICE}"):
        read("yolo_txt", data_dir=str(tmp_path))


def test_lines_of_yolo_stand_once(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "labels/classes.txt").write_text("cat\ndog\ncat\n")
    with pytest.raises(ValueError, match=f"classes.txt {TWICE}"):
        read("yolo_txt", data_dir=str(tmp_path))


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_a_file_of_yolo_without_names(content: str, tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "classes.txt").write_text(content)
    with pytest.raises(ValueError, match=r"classes\.txt names no classes; write"):
        read("yolo_txt", data_dir=str(tmp_path))


@pytest.mark.parametrize("data", ["voc_xml", "boxes_csv"])
def test_names_that_are_given_stand_once(data: str, tmp_path: Path) -> None:
    if data == "voc_xml":
        given = {"data_dir": str(write_voc_folder(tmp_path))}
    else:
        given = {"manifest": str(write_boxes_csv(tmp_path))}
    with pytest.raises(ValueError, match=rf"data\.class_names {TWICE}"):
        read(data, **given, class_names=["cat", "dog", "cat"])
