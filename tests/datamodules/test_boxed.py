"""What all detection data have in common: items, batches, chance, targets, combinations, drawings."""

import pickle
from collections.abc import Sequence
from typing import Any

import albumentations as A
import numpy as np
import pytest
import torch

from datamodules.base import SPLITS
from datamodules.batch import DetectionBatch, DetectionMetadata
from datamodules.boxed_picture import BoxedPicture
from datamodules.samplers import Draw
from datamodules.single_label import ClassificationDataModule
from tests.datamodules.noise import (
    TRAINED,
    NoiseData,
    epochs,
    make,
    noise_data,
    same,
)

# batches


@pytest.mark.parametrize("masks", [False, True])
def test_batches_keep_the_contract(masks: bool) -> None:
    module = make(masks=masks)
    dtypes = {
        "image": torch.uint8,
        "boxes": torch.float32,
        "labels": torch.int64,
        "areas": torch.float32,
        "is_crowd": torch.bool,
        "is_difficult": torch.bool,
        "masks": torch.uint8,
    }
    for loader in (module.train_dataloader(), module.val_dataloader(), module.test_dataloader()):
        batch = next(iter(loader))
        assert set(batch) == set(DetectionBatch.__annotations__)
        assert batch["index"].dtype == torch.int64
        assert batch["index"].shape == (5,)
        assert len(batch["masks"]) == (5 if masks else 0)
        for key, dtype in dtypes.items():
            assert all(value.dtype == dtype and value.is_contiguous() for value in batch[key]), key
        for image, boxes, labels in zip(batch["image"], batch["boxes"], batch["labels"], strict=True):
            assert image.shape[0] == 3
            assert boxes.shape == (len(labels), 4)
        for image, labels, mask in zip(batch["image"], batch["labels"], batch["masks"], strict=False):
            assert mask.shape == (len(labels), *image.shape[1:])


def test_metadata_and_summary() -> None:
    module = make(scale="light")
    assert set(module.metadata) == set(DetectionMetadata.__annotations__)
    assert module.metadata == {
        "class_names": ["first", "second", "third"],
        "class_counts": [18, 12, 6],
        "category_ids": [7, 8, 90],
        "image_size": 32,
        "scale": "light",
        "has_masks": True,
    }
    summary = module.summary()
    assert summary["sizes"] == {"train": 24, "val": 5, "test": 5}
    assert summary["num_objects"] == {"train": 36, "val": 6, "test": 7}
    assert summary["class_counts"]["test"] == [4, 2, 1]
    assert len(summary["digest"]) == 64


def test_evaluation_keeps_every_object_with_its_flags_and_pixels() -> None:
    module, data = make(train_on_difficult=False, keep_empty=False), noise_data()
    batches = list(module.test_dataloader()) + list(module.test_dataloader())
    assert same(batches[:1], batches[1:])
    [batch] = batches[:1]
    for place, position in enumerate(range(29, 34)):
        objects = slice(data.offsets[position], data.offsets[position + 1])
        assert np.array_equal(batch["boxes"][place], data.boxes[objects])
        assert np.array_equal(batch["is_crowd"][place], data.is_crowd[objects])
        assert np.array_equal(batch["is_difficult"][place], data.is_difficult[objects])
        assert np.array_equal(batch["image"][place].permute(1, 2, 0), data.source.read(position))
    assert batch["index"].tolist() == [0, 1, 2, 3, 4]
    assert any(flags.any() for flags in batch["is_crowd"])
    assert any(flags.any() for flags in batch["is_difficult"])
    train = module.dataset("train", augment=False)
    assert any(train[place]["is_crowd"].any() for place in range(len(train)))


# targets of training


@pytest.mark.parametrize(("difficult", "expected"), [(True, [0, 1, 2, 2]), (False, [0, 1, 1, 2])])
def test_training_drops_crowds_and_on_demand_difficult_objects(difficult: bool, expected: list[int]) -> None:
    dataset = make(train_on_difficult=difficult, masks=True).dataset("train", augment=True)
    for position in range(TRAINED):
        item = dataset[position]
        assert len(item["boxes"]) == len(item["labels"]) == expected[position % 4]
        assert item["masks"] is not None and len(item["masks"]) == expected[position % 4]
        assert not item["is_crowd"].any()
        assert difficult or not item["is_difficult"].any()


def test_empty_pictures_are_left_out_of_training_only() -> None:
    module = make(keep_empty=False)
    assert module.summary()["sizes"] == {"train": 18, "val": 5, "test": 5}
    batches = epochs(module, 0)
    assert sorted(torch.cat([batch["index"] for batch in batches]).tolist()) == list(range(18))
    assert all(len(boxes) for batch in batches for boxes in batch["boxes"])
    assert module.dataset("train", augment=True).name(0) == "noise[1]"
    assert len(module.dataset("val", augment=False)) == 5


def test_pictures_with_nothing_but_a_crowd_count_as_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    data = noise_data()
    data.is_crowd[:] = True
    data.is_crowd[0] = False
    monkeypatch.setattr(NoiseData, "read", lambda self: data)
    assert make(keep_empty=False).summary()["sizes"]["train"] == 1
    data.is_crowd[0] = True
    with pytest.raises(ValueError, match=r"training split has 24 pictures, but no object to train on"):
        make().train_dataloader()


# chance


def test_a_recipe_that_moves_pixels_cannot_evaluate() -> None:
    steps = {"crop": A.CenterCrop(20, 20)}
    with pytest.raises(
        ValueError, match=r"transforms\.eval has the steps crop, which move pixels.*detection_none"
    ):
        make(transforms={"train": {}, "eval": steps})
    make(transforms={"train": steps, "eval": {"light": A.RandomBrightnessContrast(p=1.0)}})


def test_image_ids_are_the_datas_own() -> None:
    module = make()
    known = noise_data()
    for split in SPLITS:
        assert module.image_ids(split) == known.image_ids[known.splits[split]].tolist()


def test_the_seed_decides_the_batches_and_epochs_differ() -> None:
    first = epochs(make(), 0, 1)
    torch.manual_seed(77)
    np.random.seed(77)
    assert same(first, epochs(make(), 0, 1))
    assert not same(first[:5], epochs(make(seed=1), 0))
    dataset = make().dataset("train", augment=True)
    for position in range(TRAINED):
        one, other = dataset[Draw(position, 0, 0)], dataset[Draw(position, 1, 0)]
        assert not torch.equal(one["image"], other["image"])


class Blend:
    """Averages pictures cut to the smallest, remembers what it was asked, keeps the first one's objects."""

    def __init__(self, *, num_others: int = 2, share: float = 1.0, last_epoch: int = 99) -> None:
        self.num_others = num_others
        self.share, self.last_epoch = share, last_epoch
        self.seen: list[list[BoxedPicture]] = []

    def applies(self, *, epoch: int, generator: np.random.Generator) -> bool:
        return bool(epoch <= self.last_epoch and generator.random() < self.share)

    def __call__(self, pictures: Sequence[BoxedPicture], *, generator: np.random.Generator) -> BoxedPicture:
        self.seen.append(list(pictures))
        height, width = np.min([picture.picture.shape[:2] for picture in pictures], axis=0)
        weights = generator.dirichlet(np.ones(len(pictures)))
        parts = [w * p.picture[:height, :width] for w, p in zip(weights, pictures, strict=True)]
        first = pictures[0]
        return BoxedPicture(
            picture=np.sum(parts, axis=0).astype(np.uint8),
            boxes=first.boxes.clip(0, min(height, width)),
            labels=first.labels,
            areas=first.areas,
            is_crowd=first.is_crowd,
            is_difficult=first.is_difficult,
            masks=None if first.masks is None else first.masks[:, :height, :width],
        )


@pytest.mark.parametrize("combine", [False, True])
def test_workers_change_nothing(combine: bool) -> None:
    steps = {"blend": Blend(share=0.5)} if combine else None
    alone = epochs(make(combine=steps, masks=True), 0, 1)
    for num_workers in (1, 2):
        found = epochs(make(combine=steps, masks=True, num_workers=num_workers), 0, 1)
        assert same(alone, found), f"{num_workers} workers"


@pytest.mark.parametrize("num_workers", [0, 2])
def test_resuming_in_mid_epoch_gives_the_batches_that_were_left(num_workers: int) -> None:
    whole = epochs(make(combine={"blend": Blend()}), 1, 2)
    module = make(combine={"blend": Blend()}, num_workers=num_workers)
    module.resume(epoch=1, batches=3)
    loader = module.train_dataloader()
    found = list(loader)  # Lightning starts the first epoch before it sets it
    loader.sampler.set_epoch(2)  # type: ignore[attr-defined]
    assert same(found + list(loader), whole[3:])


def test_datasets_and_batches_can_be_sent_to_spawned_workers() -> None:
    module = make(masks=True)
    dataset = module.dataset("train", augment=True)
    copy = pickle.loads(pickle.dumps(dataset))
    assert same([module.collate([copy[3]])], [module.collate([dataset[3]])])
    assert len(pickle.dumps(module.train_dataloader().collate_fn)) < 200


def test_a_plain_position_means_epoch_zero() -> None:
    dataset = make().dataset("train", augment=True)
    assert torch.equal(dataset[4]["image"], dataset[Draw(4, 0, 0)]["image"])
    assert dataset[-1]["index"] == TRAINED - 1
    with pytest.raises(IndexError):
        dataset[TRAINED]


# combinations


def test_combinations_get_raw_pictures_of_the_split_without_crowds() -> None:
    blend = Blend()
    dataset = make(combine={"blend": blend, "nothing": None}, masks=True).dataset("train", augment=True)
    for position in range(TRAINED):
        dataset[position]
    raw = {noise_data().source.read(position).tobytes() for position in range(TRAINED)}
    assert len(blend.seen) == TRAINED
    chosen = [picture for pictures in blend.seen for picture in pictures[1:]]
    assert len({picture.picture.tobytes() for picture in chosen}) > TRAINED // 2
    for pictures in blend.seen:
        assert len(pictures) == 3
        for picture in pictures:
            assert picture.picture.tobytes() in raw
            assert not picture.is_crowd.any()
            assert picture.masks is not None and len(picture.masks) == len(picture)
    assert [pictures[0].picture.shape[0] for pictures in blend.seen] == list(range(40, 40 + TRAINED))


def test_combinations_follow_the_epoch_and_never_touch_evaluation() -> None:
    blend = Blend(last_epoch=1)
    module = make(combine={"blend": blend})
    epochs(module, 0, 1)
    assert len(blend.seen) == 2 * TRAINED
    epochs(module, 2)
    list(module.val_dataloader())
    dataset = module.dataset("train", augment=False)
    dataset[0]
    assert len(blend.seen) == 2 * TRAINED


def test_combinations_choose_anew_in_each_epoch_and_one_after_the_other() -> None:
    first, second = Blend(num_others=1), Blend(num_others=3)
    dataset = make(combine={"first": first, "second": second}).dataset("train", augment=True)
    for epoch in range(8):
        dataset[Draw(5, epoch, 0)]
    assert len({pictures[1].picture.tobytes() for pictures in first.seen}) > 3
    assert {len(pictures) for pictures in second.seen} == {4}
    assert all(
        not np.array_equal(a[0].picture, b[0].picture) for a, b in zip(first.seen, second.seen, strict=True)
    )


def test_recipe_and_combinations_do_not_draw_the_same_numbers() -> None:
    """Where they share a seed, the chance of a combination and that of the flip go together."""
    numbers = []

    class Remembering(Blend):
        def applies(self, *, epoch: int, generator: np.random.Generator) -> bool:
            numbers.append(generator.random())
            return False

    dataset = make(combine={"blend": Remembering()}).dataset("train", augment=True)
    for position in range(TRAINED):
        dataset[position]
        numbers.append(np.random.default_rng(Draw(position, 0, 0).seed(0)).random())
    assert len(set(numbers)) == 2 * TRAINED


class OneLabel(ClassificationDataModule):
    """Data of another task."""

    def read(self) -> Any:
        raise NotImplementedError


def test_only_data_with_boxes_combine() -> None:
    options: dict[str, Any] = {"seed": 0, "image_size": 8}
    steps: dict[str, Any] = {"train": {}, "eval": {}, "combine": {"mosaic": Blend()}}
    with pytest.raises(ValueError, match=r"transforms\.combine=\['mosaic'\] puts several pictures together"):
        OneLabel(transforms=steps, **options)
    OneLabel(transforms={**steps, "combine": {}}, **options)
    refused: list[dict[str, Any]] = [{"train": {}}, {"train": {}, "eval": {}, "test": {}}]
    for wrong in refused:
        with pytest.raises(ValueError, match="needs exactly train and eval, and may have combine"):
            make(transforms=wrong)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": "huge"}, r"data\.scale=huge must be light or published"),
        ({"min_visibility": 1.5}, r"data\.min_visibility=1\.5 must be"),
        ({"batch_size": 0}, r"data\.batch_size=0 must be"),
    ],
)
def test_wrong_options_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**changes)
