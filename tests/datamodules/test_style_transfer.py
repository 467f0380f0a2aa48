"""The style transfer data: one picture in one style, and photographs in random crops."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules import samplers
from datamodules.base import SPLITS, DataModule
from datamodules.batch import StyleTransferBatch, StyleTransferMetadata
from datamodules.embedded.photographs import PHOTOGRAPHS, photograph_names
from datamodules.images import read_image
from datamodules.photographs import resized
from datamodules.samplers import Draw
from datamodules.style_transfer import ContentFolder
from tests.datamodules.box_writers import write_image
from tests.datamodules.noise import epochs
from tests.datamodules.style_writers import STYLED, painting, write_paintings
from tests.datamodules.writers import build_styled, data_of, write_data

NAMES = data_of("style_transfer")
Batch = dict[str, Any]


def one_picture(**changes: Any) -> DataModule:
    module = build_styled("picture_and_style", **{"image_size": 64, **changes})
    module.setup()
    return module


def contents(**changes: Any) -> ContentFolder:
    options: dict[str, Any] = {"image_size": 32, "crops_per_epoch": 10, **changes}
    module = build_styled("content_folder", **options)
    assert isinstance(module, ContentFolder)
    module.setup()
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_paintings(tmp_path / "contents", splits={"train": 4, "val": 2, "test": 2})


def tensors(value: Any) -> list[Tensor]:
    """All tensors of a batch, in order."""
    if isinstance(value, Tensor):
        return [value]
    parts = [value[key] for key in sorted(value)] if isinstance(value, dict) else value
    return [tensor for part in parts for tensor in tensors(part)]


def same(first: list[Batch], second: list[Batch]) -> bool:
    one, other = tensors(first), tensors(second)
    return len(one) == len(other) > 0 and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


# the contract


def test_a_little_data_is_written_for_every_file() -> None:
    assert set(NAMES) == set(STYLED)


@pytest.mark.parametrize("data", NAMES)
@pytest.mark.parametrize("in_files", [True, False], ids=["files", "embedded"])
def test_every_data_set_keeps_the_contract(
    data: str, in_files: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write_data(data, tmp_path, monkeypatch) if in_files else {}
    if data == "content_folder":
        written["crops_per_epoch"] = 8
    module = build_styled(data, **written, image_size=48)
    module.setup("fit")
    metadata, summary = module.metadata, module.summary()
    assert set(metadata) == set(StyleTransferMetadata.__annotations__)
    assert len(metadata["mean"]) == len(metadata["std"]) == metadata["channels"] == 3
    assert metadata["num_styles"] == 1
    assert len(summary["digest"]) == 64
    assert set(summary["sizes"]) == set(SPLITS)
    for split, loader in zip(
        SPLITS, (module.train_dataloader(), module.val_dataloader(), module.test_dataloader()), strict=True
    ):
        batches = list(loader)
        for batch in batches:
            assert set(batch) == set(StyleTransferBatch.__annotations__)
            check_batch(batch, longer_side=48)
        if split != "train":
            assert torch.cat([batch["index"] for batch in batches]).tolist() == list(
                range(summary["sizes"][split])
            )


def check_batch(batch: Batch, *, longer_side: int) -> None:
    count = len(batch["image"])
    assert batch["index"].dtype == batch["style_index"].dtype == torch.int64
    assert len(batch["style"]) == len(batch["index"]) == len(batch["style_index"]) == count
    pictures = [*batch["image"], *(picture for styles in batch["style"] for picture in styles)]
    assert all(picture.dtype == torch.uint8 and picture.shape[0] == 3 for picture in pictures)
    assert all(picture.is_contiguous() for picture in pictures)
    assert all(max(picture.shape[1:]) == longer_side for picture in batch["image"])
    assert all(max(picture.shape[1:]) <= 2 * longer_side for picture in pictures)


# one picture


def test_the_picture_is_resized_and_otherwise_left_alone(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.png", painting(0, height=60, width=90))
    module = one_picture(content=str(path), style=str(path), image_size=30, steps_per_epoch=3)
    assert module.metadata["content_size"] == [20, 30]
    first, *others = [*epochs(module, 0, 1), *module.val_dataloader(), *module.test_dataloader()]
    assert len(others) == 3 + 2 + 2
    assert all(same([first], [other]) for other in others)
    wanted = resized(read_image(path), longer_side=30)
    assert np.array_equal(first["image"][0].permute(1, 2, 0), wanted)
    assert first["style"][0][0].shape == (3, 40, 60)  # twice as large, and no larger


def test_small_contents_are_enlarged_and_small_styles_are_not(tmp_path: Path) -> None:
    path = str(write_image(tmp_path / "a.png", painting(0, height=10, width=16)))
    [batch] = list(one_picture(content=path, style=path, image_size=32).val_dataloader())
    assert batch["image"][0].shape == (3, 20, 32)
    assert batch["style"][0][0].shape == (3, 10, 16)


def test_the_picture_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module = one_picture(style=["coffee", "retina"])

    def fail(path: Path) -> Any:
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr("datamodules.photographs.read_image", fail)
    module.setup("test")
    first, second = epochs(module, 0, 1)
    assert first["image"][0].data_ptr() == second["image"][0].data_ptr()
    assert len(first["style"][0]) == module.metadata["num_styles"] == 2


def test_every_process_has_as_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    module = one_picture(steps_per_epoch=5)
    for rank in (0, 1):
        monkeypatch.setattr(samplers, "processes", lambda rank=rank: (2, rank))
        assert len(list(module.train_dataloader())) == 3


def test_the_digest_is_that_of_the_pictures(tmp_path: Path) -> None:
    first, second = (write_image(tmp_path / f"{n}.png", painting(n, height=40, width=40)) for n in (0, 1))
    digests = {one_picture(content=str(first), style="coffee").summary()["digest"]}
    copy = tmp_path / "copy.png"
    copy.write_bytes(first.read_bytes())
    assert digests == {one_picture(content=str(copy), style="coffee").summary()["digest"]}
    digests.add(one_picture(content=str(second), style="coffee").summary()["digest"])
    digests.add(one_picture(content=str(first), style=["coffee", "retina"]).summary()["digest"])
    digests.add(one_picture(content="coffee", style=str(first)).summary()["digest"])
    assert len(digests) == 4


def test_every_embedded_photograph_has_a_name() -> None:
    names = photograph_names()
    assert len(names) == sum(map(len, PHOTOGRAPHS.values())) == 10
    styles = one_picture(content="china", style=list(names)).sample("val", positions=[0], epoch=0)["style"][0]
    assert len({style.numpy().tobytes() for style in styles}) == 10


# many contents


def test_training_is_on_crops_of_photographs_that_are_not_measured() -> None:
    module = contents(style="flower")
    names = {
        split: [module.dataset(split, augment=False).name(i) for i in range(size)]
        for split, size in module.summary()["sizes"].items()
    }
    assert names == {
        "train": ["china", "astronaut", "rocket", "motorcycle_left", "hubble_deep_field"],
        "val": ["coffee", "ihc"],
        "test": ["chelsea", "retina"],
    }
    batches = epochs(module, 0, 1)
    indices = torch.cat([batch["index"] for batch in batches[:3]])
    assert sorted(indices.tolist()) == sorted([*range(5), *range(5)])
    images = [image for batch in batches for image in batch["image"]]
    assert {image.shape for image in images} == {(3, 32, 32)}
    assert len({image.numpy().tobytes() for image in images}) == 20  # each crop is another one


def test_a_part_of_many_photographs_is_an_epoch_and_null_is_all_of_them(folder: Path) -> None:
    module = contents(content_dir=str(folder), crops_per_epoch=3)
    seen = [torch.cat([batch["index"] for batch in epochs(module, epoch)]).tolist() for epoch in range(8)]
    assert all(len(set(epoch)) == 3 for epoch in seen)
    assert {index for epoch in seen for index in epoch} == {0, 1, 2, 3}
    assert len(contents(content_dir=str(folder), crops_per_epoch=None).train_sampler) == 4


def test_whole_photographs_are_measured(folder: Path) -> None:
    module = contents(content_dir=str(folder), image_size=64)
    [batch] = list(module.val_dataloader())
    stored = [read_image(folder / "val" / f"{number}.png") for number in (0, 1)]
    for image, picture in zip(batch["image"], stored, strict=True):
        assert np.array_equal(image.permute(1, 2, 0), resized(picture, longer_side=64))
    assert [max(image.shape) for image in batch["image"]] == [64, 64]


def test_a_folder_without_splits_is_cut_by_its_own_seed(tmp_path: Path) -> None:
    folder = write_paintings(tmp_path, splits={"": 10, "below/here": 2})
    modules = [
        contents(content_dir=str(folder), seed=seed, split_seed=cut) for seed, cut in ((0, 0), (1, 0), (0, 1))
    ]
    sizes = modules[0].summary()["sizes"]
    assert sum(sizes.values()) == 12 and min(sizes.values()) >= 2
    names = [
        [module.dataset("val", augment=False).name(i) for i in range(sizes["val"])] for module in modules
    ]
    assert names[0] == names[1] != names[2]
    assert contents(content_dir=str(folder), max_measured=1).summary()["sizes"]["val"] == 1


# styles that are drawn


def test_each_content_is_trained_with_another_style() -> None:
    module = contents(style=None)
    batches = epochs(module, 0, 1)
    assert {style[0].shape for batch in batches for style in batch["style"]} == {(3, 32, 32)}
    numbers = torch.cat([batch["style_index"] for batch in batches]).tolist()
    assert len(set(numbers)) == 20 and min(numbers) >= 0  # crops are no picture that comes again
    assert module.metadata["num_styles"] == 1


def test_styles_of_evaluation_are_other_ones_and_never_vary() -> None:
    module = contents(style=None)
    [val], [test] = list(module.val_dataloader()), list(module.test_dataloader())
    assert same([val], list(module.val_dataloader()))
    numbers = [*val["style_index"].tolist(), *test["style_index"].tolist()]
    assert len(set(numbers)) == 4  # over all splits, so that nothing that is remembered is mistaken
    for batch in (val, test):
        [first], [second] = batch["style"]
        assert not torch.equal(first[:, :20, :20], second[:, :20, :20])
        content, style = batch["image"][0].float(), first.float()
        assert abs(content.mean() - style.mean()) > 1  # the content is no style for itself


def test_styles_of_a_folder(tmp_path: Path, folder: Path) -> None:
    styles = write_paintings(tmp_path / "styles", splits={"": 5}, first=50)
    module = contents(content_dir=str(folder), style=None, style_dir=str(styles))
    assert module.summary()["styles"] == {"train": 3, "val": 1, "test": 1}
    [batch] = list(module.val_dataloader())
    assert torch.equal(batch["style"][0][0], batch["style"][1][0])
    assert len(set(batch["style_index"].tolist())) == 1


# chance, workers, resuming


@pytest.mark.parametrize("style", ["flower", None])
def test_the_seed_decides_everything_also_with_workers(style: str | None) -> None:
    first = epochs(contents(style=style, seed=3), 0, 1)
    torch.manual_seed(77)
    assert same(first, epochs(contents(style=style, seed=3, num_workers=2), 0, 1))
    assert not same(first, epochs(contents(style=style, seed=4), 0, 1))
    assert not same(first[:3], first[3:])


@pytest.mark.parametrize("data", NAMES)
def test_resuming_in_mid_epoch_gives_the_batches_that_were_left(data: str) -> None:
    def make() -> DataModule:
        return one_picture(steps_per_epoch=5) if data == "picture_and_style" else contents(style=None)

    whole = epochs(make(), 1, 2)
    module = make()
    module.resume(epoch=1, batches=2)
    loader = module.train_dataloader()
    found = list(loader)  # Lightning starts the first epoch before it sets it
    loader.sampler.set_epoch(2)  # type: ignore[attr-defined]
    assert same(found + list(loader), whole[2:])


@pytest.mark.parametrize("style", ["flower", None])
def test_what_is_sent_to_a_spawned_worker_gives_the_same(style: str | None) -> None:
    dataset = contents(style=style).dataset("train", augment=True)
    again = pickle.loads(pickle.dumps(dataset))
    found, wanted = again[Draw(2, 5, 1)], dataset[Draw(2, 5, 1)]
    assert torch.equal(found["image"], wanted["image"])
    assert torch.equal(found["style"][0], wanted["style"][0])
    assert found["style_index"] == wanted["style_index"]


# prediction, people


def test_files_to_predict_keep_their_size(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", painting(0, height=20, width=90))
    (tmp_path / "b.png").write_text("no picture")
    module = build_styled(
        "content_folder", content_dir="nowhere", image_size=32
    )  # needs no setup, and so no data
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    [batch] = list(DataLoader(module.predict_dataset(paths), batch_size=2, collate_fn=module.collate))
    assert [tuple(image.shape) for image in batch["image"]] == [(3, 20, 90), (3, 32, 32)]
    assert batch["index"].tolist() == [0, 1]
    assert [bool(error) for error in batch["error"]] == [False, True]
    assert [style.shape for style in module.read_styles([str(paths[0]), "retina"])] == [
        (3, 14, 64),
        (3, 64, 64),
    ]


def test_annotate_draws_the_content_beside_its_styles() -> None:
    module = one_picture(image_size=128, style=["coffee", "retina"])
    batch = module.sample("val", positions=[0], epoch=0)
    alone, drawn = module.annotate({"image": batch["image"]}, 0), module.annotate(batch, 0)
    assert np.array_equal(drawn[: alone.shape[0], : alone.shape[1]], alone)
    assert drawn.shape[1] > 2.5 * alone.shape[1]
    assert drawn.dtype == np.uint8


@pytest.mark.parametrize("data", NAMES)
def test_inspection_names_what_is_there(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_data(data, tmp_path, monkeypatch)
    found = build_styled(data, **written).inspect()
    text = str(found["tables"])
    assert found["problems"] == []
    assert "style.png" in text and "60x50" in text
    assert ("60x40" if data == "picture_and_style" else "commonest") in text


def test_inspection_finds_broken_files_also_those_that_are_skipped(folder: Path) -> None:
    broken = folder / "train" / "0.png"
    broken.write_text("no picture")
    for on_error in ("raise", "skip"):
        [problem] = build_styled("content_folder", content_dir=str(folder), on_error=on_error).inspect()[
            "problems"
        ]
        assert problem["file"] == str(broken)
    skipping = contents(content_dir=str(folder), on_error="skip").summary()
    assert (skipping["skipped"], skipping["sizes"]["train"]) == (1, 3)
    with pytest.raises(ValueError, match=r"0\.png is not a picture .* data\.on_error=skip"):
        epochs(contents(content_dir=str(folder)), 0)
