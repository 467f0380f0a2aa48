"""`tta=` of evaluate and predict: the task is told, and the data show the images as large as it needs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from lightning_modules.models.detection.faster_rcnn import faster_rcnn
from pipeline.compose import compose_plain
from pipeline.work.loading import Trained, data_of, use_tta, use_window
from tests.lightning_modules import pixels, synthetic
from tests.lightning_modules import test_detection as boxes


def trained(task: Any, *words: str) -> Trained:
    """A run of these words around a task."""
    config = compose_plain(verb="train", overrides=[*words, "logger=none"])
    return Trained(task=task, config=config, metadata={}, run_id="0" * 32, path=Path("a.ckpt"), folder=Path())


def size_32() -> Any:
    return synthetic.task(metadata={**synthetic.metadata(), "image_size": 32})


@pytest.mark.parametrize("transforms", ["light", "alexnet", "vgg"])
@pytest.mark.parametrize(("name", "side"), [("ten_crop", 37), ("multi_scale", 91)])
def test_crops_are_cut_from_all_of_the_central_square(transforms: str, name: str, side: int) -> None:
    given = use_tta(trained(size_32(), f"transforms={transforms}"), name)
    datamodule: Any = data_of(given)
    # Wider than high: what is left of the square is dark, what is inside has a bright frame.
    picture = np.zeros((60, 100, 3), dtype=np.uint8)
    picture[:, 20:80] = 100
    picture[[0, 1, 2, -3, -2, -1], 20:80] = picture[:, [20, 21, 22, 77, 78, 79]] = 255
    seen = datamodule.pipelines["eval"](picture, seed=0)
    assert seen.shape == (3, side, side)
    edges = torch.stack([seen[0, 0, :], seen[0, -1, :], seen[0, :, 0], seen[0, :, -1]]).float()
    assert float(edges.mean(dim=1).min()) > 130
    assert (
        given.config["data"]["transforms"]["train"]
        == trained(size_32(), f"transforms={transforms}").config["data"]["transforms"]["train"]
    )


def test_nothing_changes_without_views_and_sizes_stay_where_no_crop_is_cut() -> None:
    plain = trained(size_32(), "data.horizontal_flip=0.5")
    assert use_tta(plain, "none") is plain
    assert use_tta(plain, "flip") is plain
    assert len(plain.task.looks) == 2  # type: ignore[arg-type]


def test_a_task_that_knows_no_views_is_left_alone() -> None:
    other = trained(SimpleNamespace())
    assert use_tta(other, "none") is other


def test_mirror_images_of_digits_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"tta=flip: with data\.horizontal_flip=0 a mirrored image"):
        use_tta(trained(size_32()), "flip")
    given = use_tta(trained(size_32()), "ten_crop")
    assert len(given.task.looks) == 5  # type: ignore[arg-type]
    told = " ".join(capsys.readouterr().out.split())
    assert "tta=ten_crop: each image is seen 5 times, without mirror images" in told
    given = use_tta(trained(size_32(), "data.horizontal_flip=0.5"), "ten_crop")
    assert len(given.task.looks) == 10  # type: ignore[arg-type]
    assert "mirror" not in capsys.readouterr().out


def test_detectors_and_segmenters_see_the_images_that_there_are() -> None:
    detector = boxes.task(faster_rcnn(num_classes=3, image_size=64, scale="light"))
    for task, name in ((detector, "detection"), (pixels.task(), "segmentation")):
        plain = trained(task, f"task={name}")
        assert use_tta(plain, "multi_scale") is plain
        assert len(task.looks) == 3


def test_windows_are_those_of_every_member() -> None:
    first, second = pixels.task(), pixels.task()
    first.join([second])
    use_window(trained(first, "task=segmentation"), window=32, window_overlap=0.5)
    assert [(each.window, each.window_overlap) for each in (first, second)] == [(32, 0.5)] * 2
