"""Masks of classes as files."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.work.masks import ClassMask, class_masks, mask_names, write_mask

PALETTE = [[0, 0, 0], [128, 0, 0], [0, 128, 0]]


def a_mask() -> ClassMask:
    ids = np.array([[0, 1, 2], [2, 2, 0]], np.uint8)
    return ClassMask(ids=ids, names=["ground", "cat", "dog"], palette=PALETTE)


def test_a_mask_holds_class_ids_and_is_seen_in_colours(tmp_path: Path) -> None:
    path = tmp_path / "masks" / "one.png"
    for _ in range(2):  # an older one is replaced
        write_mask(a_mask(), path)
    read = Image.open(path)
    assert read.mode == "P"
    assert (np.asarray(read) == a_mask().ids).all()
    assert (np.asarray(read.convert("RGB")) == np.array(PALETTE, np.uint8)[a_mask().ids]).all()
    assert [file.name for file in path.parent.iterdir()] == ["one.png"]


def test_each_file_has_a_mask_of_its_own() -> None:
    files = [Path(name) for name in ("a/1.jpg", "a/1.png", "b/1.jpg", "b/1_2.jpg", "c/1_2.jpg", "c/2.jpg")]
    names = mask_names(files)
    assert list(names) == files
    assert len(set(names.values())) == len(files)
    assert names[files[0]] == "1.png"
    assert names[files[3]] == "1_2.png", "a name that a file has by itself is not given to another"
    assert names[files[5]] == "2.png"


def test_only_a_task_that_finds_masks_has_any() -> None:
    class Segmenter:
        class_names, palette = a_mask().names, PALETTE

        def masks(self, output: Any) -> list[Any]:
            return [ids + 1 for ids in output]

    (found,) = class_masks(Segmenter(), [np.zeros((2, 2), np.uint8)], count=1)
    assert found is not None
    assert (found.ids == 1).all()
    assert (found.names, found.palette) == (a_mask().names, PALETTE)
    assert class_masks(object(), [], count=3) == [None, None, None]
