"""What all segmentation data have in common: batches, chance, workers, prediction, drawings."""

import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from datamodules.batch import IGNORED
from datamodules.drawing_masks import draw_mask, overlaid
from datamodules.palettes import bright_palette
from datamodules.samplers import Draw
from datamodules.segmented import SegmentationDataModule
from tests.datamodules.mask_writers import PALETTE, write_image_masks
from tests.datamodules.noise import epochs, same
from tests.datamodules.writers import build_segmented


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_image_masks(tmp_path)


def make(folder: Path, **changes: Any) -> SegmentationDataModule:
    options: dict[str, Any] = {
        "num_workers": 0,
        "image_size": 40,
        "batch_size": 4,
        "transforms": "segmentation_heavy",
    }
    module = build_segmented("image_masks", data_dir=str(folder), **{**options, **changes})
    module.setup()
    return module


# chance


def test_the_seed_decides_everything(folder: Path) -> None:
    one = epochs(make(folder, seed=3), 0, 1)
    assert same(one, epochs(make(folder, seed=3), 0, 1))
    assert not same(one, epochs(make(folder, seed=4), 0, 1))
    assert not same(one[:2], one[2:])  # each epoch has its own augmentation
    assert sorted(torch.cat([batch["index"] for batch in one[:2]]).tolist()) == list(range(6))


def test_each_draw_of_a_picture_is_another_one(folder: Path) -> None:
    one, other = (make(folder, seed=seed).dataset("train", augment=True) for seed in (0, 1))
    views = [one[Draw(2, 0, 0)], one[Draw(2, 1, 0)], other[Draw(2, 0, 0)]]
    assert len({view["image"].numpy().tobytes() for view in views}) == 3
    assert torch.equal(one[2]["image"], views[0]["image"])


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers: int, folder: Path) -> None:
    wanted = epochs(make(folder), 0, 1)
    assert same(wanted, epochs(make(folder, num_workers=workers), 0, 1))


def test_evaluation_changes_nothing(folder: Path) -> None:
    module = make(folder)
    [batch] = list(module.test_dataloader())
    for place, position in enumerate(module.data.splits["test"].tolist()):
        assert np.array_equal(batch["image"][place].permute(1, 2, 0), module.data.source.read(position))
        assert np.array_equal(batch["mask"][place], module.data.masks.read(position))
    assert batch["index"].dtype == torch.int64
    assert all(value.is_contiguous() for key in ("image", "mask") for value in batch[key])


# workers that are spawned


def test_what_is_sent_to_a_spawned_worker_is_small(tmp_path: Path) -> None:
    module = build_segmented("digit_scenes", cache_dir=str(tmp_path), num_train=60, num_val=2, num_test=2)
    module.setup()
    dataset = module.dataset("train", augment=True)
    sent = pickle.dumps(dataset)
    pixels = int(module.data.sizes.prod(axis=1).sum())
    assert len(sent) < 20_000 < pixels  # neither pixels nor maps of objects
    again = pickle.loads(sent)
    for index in (0, 59):
        assert torch.equal(again[index]["image"], dataset[index]["image"])
        assert torch.equal(again[index]["mask"], dataset[index]["mask"])


def test_file_data_are_sent_as_paths(folder: Path) -> None:
    module = make(folder)
    dataset = module.dataset("val", augment=True)
    again = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(again[1]["mask"], dataset[1]["mask"])
    assert again.name(1) == dataset.name(1) == str(folder / "images/val/val_1.png")
    assert "pixels" not in vars(dataset)


# statistics and digest


def test_statistics_are_those_of_the_training_pictures(folder: Path) -> None:
    module = make(folder)
    pictures = [module.data.source.read(position) / 255 for position in module.data.splits["train"].tolist()]
    assert module.metadata["mean"] == pytest.approx(np.mean(pictures, axis=(0, 1, 2)).tolist())
    grey = make(folder, channels=1)
    assert len(grey.metadata["mean"]) == grey.metadata["channels"] == 1
    given = make(folder, mean=[0.1, 0.2, 0.3], std=[1.0, 1.0, 1.0])
    assert given.metadata["mean"] == [0.1, 0.2, 0.3]


def test_the_digest_changes_with_masks_and_classes(folder: Path, tmp_path: Path) -> None:
    digests = {make(folder).data.digest()}
    assert digests == {make(folder).data.digest()}
    digests.add(make(folder, class_names=["ground", "cat", "dog"]).data.digest())
    digests.add(make(folder, values=[0, 2, 1]).data.digest())
    mask = folder / "masks/train/train_0.png"
    mask.write_bytes((folder / "masks/train/train_2.png").read_bytes())
    digests.add(make(folder).data.digest())
    assert len(digests) == 4


def test_masks_are_looked_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(folder).summary()

    def fail(path: Path, **given: Any) -> Any:
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr("datamodules.readers.mask_survey.read_codes", fail)
    assert make(folder).summary() == first
    monkeypatch.undo()
    mask = folder / "masks/train/train_0.png"
    mask.write_bytes((folder / "masks/train/train_1.png").read_bytes())
    assert make(folder).summary()["class_counts"] != first["class_counts"]


# prediction and drawings


def test_files_to_predict_keep_their_size(tmp_path: Path) -> None:
    for number, size in enumerate([(20, 50), (70, 30)]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((*size, 3), 90, dtype=np.uint8))
    (tmp_path / "broken.png").write_text("no picture")
    module = build_segmented(
        "image_masks", data_dir="nowhere", image_size=40
    )  # needs no setup, and so no data
    paths = [tmp_path / name for name in ("0.png", "broken.png", "1.png")]
    loader = DataLoader(module.predict_dataset(paths), batch_size=3, collate_fn=module.collate)
    [batch] = list(loader)
    assert [tuple(image.shape) for image in batch["image"]] == [(3, 20, 50), (3, 40, 40), (3, 70, 30)]
    assert batch["index"].tolist() == [0, 1, 2]
    assert [bool(error) for error in batch["error"]] == [False, True, False]
    assert (batch["image"][0] == 90).all()


def test_annotate_draws_the_mask(folder: Path) -> None:
    module = make(folder)
    batch = module.sample("val", positions=[0, 1], epoch=0)
    drawn, bare = module.annotate(batch, 1), module.annotate({"image": batch["image"]}, 1)
    assert drawn.dtype == bare.dtype == np.uint8
    assert bare.shape == (5 * 56, 5 * 64, 3)
    assert drawn.shape[1:] == bare.shape[1:]
    assert not np.array_equal(drawn[: len(bare)], bare)
    assert np.array_equal(drawn[: 5 * 10], bare[: 5 * 10])  # background, which is black in the palette


def test_overlays_have_the_colours_of_the_classes() -> None:
    picture = np.full((30, 40, 3), 100, dtype=np.uint8)
    mask = np.zeros((30, 40), dtype=np.uint8)
    mask[:10], mask[10:20] = 1, IGNORED
    found = overlaid(picture, mask, PALETTE)
    assert found[0, 0].tolist() == [177, 50, 50]
    assert found[15, 0].tolist() == [162, 162, 146]
    assert found[25, 0].tolist() == [100, 100, 100]
    assert (picture == 100).all()
    large = draw_mask(picture, mask=mask, palette=PALETTE, names=["ground", "cat", "a long name " * 20])
    assert large.shape == (9 * 30 + 2 * 16, 9 * 40, 3)  # three entries in two columns


def test_bright_colours_repeat_without_the_background() -> None:
    palette = bright_palette(20)
    assert len(palette) == 20
    assert palette[0] == [0, 0, 0] and palette.count([0, 0, 0]) == 1
    assert palette[1] == palette[13]
