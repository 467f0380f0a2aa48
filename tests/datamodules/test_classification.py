"""Digits and what all classification data have in common."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional
from torch.utils.data import DataLoader

from datamodules.base import SPLITS
from datamodules.batch import ClassificationBatch, ClassificationMetadata
from tests.datamodules.writers import (
    build,
    cut_short,
    data_of,
    picture,
    write_data,
    write_folders,
    write_image,
    write_mnist,
)


@pytest.fixture
def written(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Arguments with which the data of one name is found, after writing a little of it."""
    return write_data(request.param, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("data", "written"), [(name, name) for name in data_of("classification")], indirect=["written"]
)
def test_every_data_set_keeps_the_contract(data: str, written: dict[str, Any]) -> None:
    module = build(data, num_workers=0, batch_size=4, image_size=16, **written)
    module.prepare_data()
    module.setup()
    metadata, summary = module.metadata, module.summary()
    assert set(metadata) == set(ClassificationMetadata.__annotations__)
    assert len(metadata["mean"]) == len(metadata["std"]) == metadata["channels"]
    assert metadata["class_counts"] == summary["class_counts"]["train"]
    assert set(summary["sizes"]) == set(SPLITS)
    assert min(summary["sizes"].values()) > 0
    assert len(summary["digest"]) == 64
    for loader in (module.train_dataloader(), module.val_dataloader(), module.test_dataloader()):
        batch = next(iter(loader))
        assert set(batch) == set(ClassificationBatch.__annotations__) | {"image", "index"}
        assert batch["image"].shape[1:] == (3, 16, 16)
        assert batch["image"].dtype == torch.uint8
        assert batch["label"].dtype == batch["index"].dtype == torch.int64
        assert batch["label"].max() < len(metadata["class_names"])


# digits


def test_digits_are_the_scans_enlarged() -> None:
    module = build("digits")
    module.setup()
    scans, labels = load_digits(return_X_y=True)
    pictures, found = module.raw_arrays("train", 5000)
    assert pictures.shape == (1078, 32, 32, 3)
    assert pictures.dtype == np.uint8
    assert np.array_equal(found, labels[:1078])
    scan = torch.from_numpy(scans[7]).reshape(1, 1, 8, 8) * (255 / 16)
    enlarged = functional.interpolate(scan, size=(32, 32), mode="bicubic").clamp(0, 255)[0, 0].numpy()
    assert np.abs(pictures[7][..., 0] - enlarged).max() < 0.51


def test_digits_are_cut_in_blocks_of_file_order() -> None:
    module = build("digits", seed=9)
    module.setup()
    assert module.summary()["sizes"] == {"train": 1078, "val": 360, "test": 359}
    splits = module.data.splits
    assert np.concatenate([splits[split] for split in SPLITS]).tolist() == list(range(1797))


def test_the_figures_in_digits_yaml_are_those_of_the_training_split() -> None:
    module, computed = build("digits"), build("digits", mean=None, std=None)
    computed.setup()
    pictures, _ = computed.raw_arrays("train", 5000)
    assert module.mean == pytest.approx(computed.mean, abs=5e-5)
    assert module.std == pytest.approx(computed.std, abs=5e-5)
    assert computed.mean == pytest.approx([pictures.mean() / 255])
    assert computed.std == pytest.approx([pictures.std() / 255])


def test_the_digest_changes_with_the_pixels_and_the_labels() -> None:
    module, again = build("digits", seed=3), build("digits", transforms="heavy")
    module.setup()
    again.setup()
    digest = module.summary()["digest"]
    assert digest == again.summary()["digest"]
    module.data.labels[5] += 1
    relabelled = module.summary()["digest"]
    module.data.source._pixels[0, 0, 0] ^= 1  # type: ignore[attr-defined]
    assert len({digest, relabelled, module.summary()["digest"]}) == 3


# folds


def test_every_picture_validates_once_over_the_folds_and_the_test_is_not_touched() -> None:
    plain = build("digits")
    plain.setup()
    validated = []
    for fold in range(5):
        module = build("digits", num_folds=5, fold=fold)
        module.setup()
        splits = module.data.splits
        assert not set(splits["train"].tolist()) & set(splits["val"].tolist())
        assert len(splits["train"]) + len(splits["val"]) == 1438
        assert np.array_equal(splits["test"], plain.data.splits["test"])
        counts = np.array(module.summary()["class_counts"]["val"])
        assert counts.min() >= 28
        assert counts.max() <= 30
        validated += splits["val"].tolist()
    assert sorted(validated) == list(range(1438))


def test_folds_of_digits_keep_writers_together_and_others_are_shuffled(tmp_path: Path) -> None:
    digits = build("digits", num_folds=5, fold=2)
    digits.setup()
    labels, held_out = digits.data.labels, digits.data.splits["val"]
    sevens = np.flatnonzero(labels[:1438] == 7)
    assert (
        np.ptp(np.searchsorted(sevens, held_out[labels[held_out] == 7])) == np.sum(labels[held_out] == 7) - 1
    )
    mnist = build("mnist", data_dir=str(write_mnist(tmp_path, train=200)), num_folds=5, fold=0)
    mnist.setup()
    assert np.ptp(mnist.data.splits["val"]) > 100


def test_folds_do_not_change_with_the_seed_of_the_run(tmp_path: Path) -> None:
    folder = str(write_mnist(tmp_path))
    found = []
    choices: list[dict[str, Any]] = [{"seed": 0}, {"seed": 1}, {"split_seed": 1}]
    for changes in choices:
        module = build("mnist", data_dir=folder, num_folds=4, **changes)
        module.setup()
        found.append(module.data.splits["val"].tolist())
    assert found[0] == found[1] != found[2]


def test_folds_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match=r"data\.fold=5 must be in \[0, 5\), as data\.num_folds=5"):
        build("digits", num_folds=5, fold=5).setup()


# statistics


def test_statistics_are_computed_over_pictures_of_any_size_and_remembered(tmp_path: Path) -> None:
    folder = write_folders(tmp_path, splits={"train": 3, "val": 1, "test": 1})
    write_image(folder / "train/ant/large.png", picture(50, height=90, width=40))
    module = build("image_folder", data_dir=str(folder))
    module.setup()
    train = module.data.splits["train"]
    pictures = [module.data.source.read(position) / 255 for position in train.tolist()]
    mean = np.mean([pixels.mean(axis=(0, 1)) for pixels in pictures], axis=0)
    square = np.mean([(pixels**2).mean(axis=(0, 1)) for pixels in pictures], axis=0)
    assert module.mean == pytest.approx(mean.tolist())
    assert module.std == pytest.approx(np.sqrt(square - mean**2).tolist())
    (remembered,) = (folder / ".cache").glob("statistics_*.json")
    remembered.write_text('{"mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]}')
    again = build("image_folder", data_dir=str(folder))
    again.setup()
    assert again.mean == [0.1, 0.2, 0.3]


def test_statistics_of_one_colour_are_refused(tmp_path: Path) -> None:
    for split in SPLITS:
        write_image(tmp_path / split / "black/0.png", np.zeros((4, 4, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="the same everywhere; set data.mean and data.std by hand"):
        build("image_folder", data_dir=str(tmp_path)).setup()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mean": [0.1, 0.2]}, r"data\.mean=\[0\.1, 0\.2\] has 2 values, but data\.channels=1"),
        ({"std": [0.0]}, r"data\.std=\[0\.0\] must be above 0"),
        ({"channels": 2}, r"data\.channels=2 must be 1 for grey or 3 for colour"),
        ({"batch_size": 0}, r"data\.batch_size=0 must be at least 1"),
        ({"num_workers": -1}, r"data\.num_workers=-1 must be at least 0"),
        ({"horizontal_flip": 1.5}, r"data\.horizontal_flip=1\.5 must be a probability"),
    ],
)
def test_wrong_values_are_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build("digits", **changes)


# pictures for other uses


def test_prediction_goes_on_after_a_broken_file(tmp_path: Path) -> None:
    paths = [
        write_image(tmp_path / f"{number}.jpg", picture(number, height=64, width=48)) for number in range(3)
    ]
    cut_short(paths[1])
    module = build("cifar10")  # needs no setup, and so no data
    (batch,) = DataLoader(module.predict_dataset(paths), batch_size=3)
    assert batch["image"].shape == (3, 3, 32, 32)
    assert batch["image"].dtype == torch.uint8
    assert batch["index"].tolist() == [0, 1, 2]
    assert batch["error"][0] == batch["error"][2] == ""
    assert "1.jpg is a JPEG that is cut short" in batch["error"][1]
    assert batch["image"][1].sum() == 0
    assert batch["image"][0].sum() > 0


def test_prediction_sees_what_evaluation_sees(tmp_path: Path) -> None:
    folder = write_folders(tmp_path, splits={"train": 1, "val": 1, "test": 1})
    module = build("image_folder", data_dir=str(folder), image_size=16, channels=1)
    module.setup()
    dataset = module.dataset("test", augment=False)
    predicted = module.predict_dataset([Path(dataset.name(1))])[0]["image"]
    assert torch.equal(predicted, dataset[1]["image"])
    assert torch.equal(predicted[0], predicted[2])  # grey


def test_raw_arrays_of_a_part_take_every_class(tmp_path: Path) -> None:
    folder = write_folders(tmp_path, splits={"train": 4, "val": 1, "test": 1}, classes=("ant", "bee", "cow"))
    module = build("image_folder", data_dir=str(folder), image_size=16)
    module.setup()
    pictures, labels = module.raw_arrays("train", 3)
    assert pictures.shape == (3, 16, 16, 3)
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, 1, 2]  # the files are in order of class


def test_annotate_draws_the_picture_and_its_class() -> None:
    module = build("digits")
    module.setup()
    batch = next(iter(module.val_dataloader()))
    found = module.annotate(batch, 3)
    image = batch["image"][3].numpy().transpose(1, 2, 0)
    assert found.dtype == np.uint8
    assert found.shape == (22 + 128, 128, 3)
    assert np.array_equal(found[22::4, ::4], image)
    assert found[:22].min() < 100 < found[:22].max()
    unlabelled = module.annotate({"image": batch["image"]}, 3)
    assert unlabelled[:22].min() == 255


def test_a_long_class_name_is_shortened_and_foreign_letters_do_no_harm() -> None:
    from datamodules.drawing import captioned

    found = captioned(np.zeros((32, 32, 3), dtype=np.uint8), "Größe " + "w" * 60)
    assert found.shape == (150, 128, 3)
    assert found[:22, -3:].min() == 255


def test_a_useless_last_batch_is_named(caplog: pytest.LogCaptureFixture) -> None:
    module = build("digits", batch_size=2000, drop_last=True)
    module.setup()
    with pytest.raises(ValueError, match=r"data\.drop_last=true leaves nothing of 1078 pictures"):
        module.train_dataloader()
    lonely = build("digits", batch_size=1077)
    lonely.setup()
    lonely.train_dataloader()
    assert "data.drop_last=true" in caplog.text
