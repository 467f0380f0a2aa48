"""What all detection data offer besides batches: prediction, drawings, inspection, anchors."""

import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from torch.utils.data import DataLoader

from datamodules.base import DataModule
from tests.datamodules.noise import NoiseData, make, noise_data

# prediction, drawings, inspection


def test_files_to_predict_keep_their_size(tmp_path: Path) -> None:
    for number, size in enumerate([(20, 50), (70, 30)]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((*size, 3), 90, dtype=np.uint8))
    (tmp_path / "broken.png").write_text("no picture")
    cv2.imwrite(str(tmp_path / "long.png"), np.zeros((2, 600, 3), dtype=np.uint8))
    paths = [tmp_path / name for name in ("0.png", "broken.png", "1.png", "long.png")]
    module = make()
    loader = DataLoader(module.predict_dataset(paths), batch_size=4, collate_fn=module.collate)
    [batch] = list(loader)
    shapes = [(3, 20, 50), (3, 32, 32), (3, 70, 30), (3, 32, 32)]
    assert [tuple(image.shape) for image in batch["image"]] == shapes
    assert batch["index"].tolist() == [0, 1, 2, 3]
    assert [bool(error) for error in batch["error"]] == [False, True, False, True]
    assert "long.png has 600x2 pixels, and no network can see" in batch["error"][3]
    assert (batch["image"][0] == 90).all()


def test_grey_data_predict_grey(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "red.png"), np.full((9, 9, 3), (0, 0, 200), dtype=np.uint8))
    item = make(channels=1).predict_dataset([tmp_path / "red.png"])[0]
    assert (item["image"] == 60).all()


@pytest.mark.parametrize("masks", [False, True])
def test_annotate_draws_the_objects(masks: bool) -> None:
    module = make(masks=masks)
    batch = module.sample("val", positions=[0, 3, 4], epoch=0)
    assert isinstance(batch["image"], list)
    drawn, bare = module.annotate(batch, 1), module.annotate({"image": batch["image"]}, 1)
    assert drawn.dtype == np.uint8
    assert drawn.shape == bare.shape
    assert not np.array_equal(drawn, bare)
    nothing = module.annotate(batch, 2)  # no objects
    assert np.array_equal(nothing, module.annotate({"image": batch["image"]}, 2))


def test_inspection_of_any_data_is_plain_tables() -> None:
    found = DataModule.inspect(make())
    assert found["title"] == "noise"
    assert found["problems"] == []
    sizes, classes = found["tables"]
    assert sizes["rows"] == [["train", 24], ["val", 5], ["test", 5]]
    assert classes["columns"] == ["class", "train", "val", "test"]
    assert classes["rows"][0] == ["first", 18, 3, 4]


# anchors


def test_anchors_are_in_pixels_of_the_networks_input(monkeypatch: pytest.MonkeyPatch) -> None:
    data = noise_data()
    factors = 32 / np.repeat(data.sizes.min(axis=1), np.diff(data.offsets))
    data.boxes[:, 2:] = data.boxes[:, :2] + np.array([[5, 11]]) / factors[:, None]
    data.boxes[data.is_crowd, 2:] += 20  # no targets
    data.boxes[data.of_split("test"), 2:] += 30  # not of training
    monkeypatch.setattr(NoiseData, "read", lambda self: data)
    assert np.allclose(make().kmeans_anchors(1), [[5, 11]], rtol=1e-4)


def of_one_size(patch: pytest.MonkeyPatch, *, height: int, width: int, box: tuple[float, float]) -> None:
    data = noise_data()
    data.sizes[:] = height, width
    data.boxes[:, 2:] = data.boxes[:, :2] + np.array(box)
    patch.setattr(NoiseData, "read", lambda self: data)


@pytest.mark.parametrize(("height", "width"), [(80, 120), (120, 80), (40, 600)])
def test_anchors_of_squashed_pictures(height: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    of_one_size(monkeypatch, height=height, width=width, box=(10, 8))
    (anchor,) = make().kmeans_anchors(1, squashed=True)
    assert np.allclose(anchor, [10 * 32 / width, 8 * 32 / height], rtol=1e-4)


@pytest.mark.parametrize(
    ("height", "width", "max_size", "factor"),
    [
        (80, 120, None, 32 / 80),
        (80, 133, None, 53 / 133),  # 32 * 1333 / 800 = 53.3
        (40, 600, None, 53 / 600),
        (600, 40, None, 53 / 600),
        (80, 120, 36, 36 / 120),
        (40, 600, 480, 32 / 40),
    ],
)
def test_anchors_are_capped_as_the_long_side_is(
    height: int, width: int, max_size: int | None, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_one_size(monkeypatch, height=height, width=width, box=(10, 8))
    (anchor,) = make().kmeans_anchors(1, max_size=max_size)
    assert np.allclose(anchor, [10 * factor, 8 * factor], rtol=1e-4)


def test_objects_of_a_split_are_those_of_its_pictures_in_its_order() -> None:
    data = noise_data()
    generator = np.random.default_rng(0)
    for count in (0, 1, 5, len(data.sizes)):
        chosen = generator.permutation(len(data.sizes))[:count]
        wanted = [i for p in chosen for i in range(data.offsets[p], data.offsets[p + 1])]
        found = replace(data, splits={"train": chosen}).of_split("train")
        assert found.tolist() == wanted
        assert found.dtype == np.int64


def test_objects_of_a_split_as_large_as_cocos_are_found_at_once() -> None:
    count = 118_287
    offsets = np.arange(count + 1) * 7
    data = replace(noise_data(), offsets=offsets, splits={"train": np.arange(count)})
    seconds = []
    for _ in range(3):
        start = time.process_time()
        assert len(data.of_split("train")) == 7 * count
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.08
