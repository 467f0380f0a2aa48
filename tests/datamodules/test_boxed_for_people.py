"""What all detection data offer besides batches: prediction, drawings, inspection, anchors."""

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
    paths = [tmp_path / name for name in ("0.png", "broken.png", "1.png")]
    module = make()
    loader = DataLoader(module.predict_dataset(paths), batch_size=3, collate_fn=module.collate)
    [batch] = list(loader)
    assert [tuple(image.shape) for image in batch["image"]] == [(3, 20, 50), (3, 32, 32), (3, 70, 30)]
    assert batch["index"].tolist() == [0, 1, 2]
    assert [bool(error) for error in batch["error"]] == [False, True, False]
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
