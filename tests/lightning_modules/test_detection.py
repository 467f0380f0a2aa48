"""The detection task: what is minimised, measured once, and answered."""

import json
from functools import partial
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from datamodules.batch import DetectionBatch, DetectionMetadata
from datamodules.boxed_dataset import collate
from lightning_modules.detection import DetectionTask
from lightning_modules.models.detection.faster_rcnn import faster_rcnn
from lightning_modules.models.detection.mask_rcnn import mask_rcnn
from tests.lightning_modules.training import quiet_trainer

NAMES = ["ant", "bee", "cat"]
METADATA = DetectionMetadata(
    class_names=NAMES,
    class_counts=[2, 3, 5],
    category_ids=[1, 7, 9],
    image_size=64,
    scale="light",
    has_masks=True,
)


class Oracle(nn.Module):
    """Stands in for a detector: knows the answers, by the brightness of an image."""

    predicts_masks = False
    resizable = True

    def __init__(self, answers: dict[int, dict[str, Tensor]]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.answers = answers
        self.factors: list[float] = []
        self.targets: list[dict[str, Tensor]] = []

    def rescale(self, factor: float) -> None:
        self.factors.append(factor)

    def forward(self, images: list[Tensor], targets: Any = None) -> Any:
        if self.training:
            self.targets = targets
            return {"loss_one": self.weight.sum() + 1.0, "two": self.weight.sum() * 2 + 0.25}
        return [self.answers[round(float(image.max()) * 255)] for image in images]


def item(index: int, *, size: tuple[int, int] = (40, 60)) -> dict[str, Any]:
    """An image of one brightness, its number plus one, with an ant and a bee in it."""
    return {
        "image": torch.full((3, *size), index + 1, dtype=torch.uint8),
        "index": index,
        "boxes": torch.tensor([[5.0, 5.0, 15.0, 25.0], [30.0, 10.0, 50.0, 30.0]]),
        "labels": torch.tensor([0, 1]),
        "areas": torch.tensor([200.0, 400.0]),
        "is_crowd": torch.zeros(2, dtype=torch.bool),
        "is_difficult": torch.zeros(2, dtype=torch.bool),
        "masks": None,
    }


def answer(*, found: int = 2, shift: float = 0.0) -> dict[str, Tensor]:
    """The first objects of `item`, moved to the right."""
    whole = item(0)
    boxes = whole["boxes"][:found] + torch.tensor([shift, 0.0, shift, 0.0])
    return {"boxes": boxes, "labels": whole["labels"][:found], "scores": torch.tensor([0.6, 0.9])[:found]}


class Data(LightningDataModule):
    """Batches of items; remembers whether it was asked for masks."""

    with_masks: bool | None = None

    def __init__(self, items: list[dict[str, Any]]) -> None:
        super().__init__()
        self.items = items

    def _loader(self) -> DataLoader[Any]:
        return DataLoader(self.items, batch_size=2, collate_fn=collate)  # type: ignore[arg-type]

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader()

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader()

    def test_dataloader(self) -> DataLoader[Any]:
        return self._loader()


def task(model: nn.Module, **options: Any) -> DetectionTask:
    factory = partial(torch.optim.SGD, lr=0.1)
    return DetectionTask(model=model, optimizer=factory, scheduler=None, metadata=METADATA, **options)  # type: ignore[arg-type]


def light(build: Any = faster_rcnn) -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = build(num_classes=3, image_size=64, scale="light")
    return network


def batch(*indices: int) -> DetectionBatch:
    return collate([item(index) for index in indices])


def test_the_loss_is_the_sum_of_the_networks_losses_and_each_is_logged() -> None:
    learner, data = task(Oracle({})), Data([item(0), item(1), item(2)])
    trainer = quiet_trainer(max_epochs=1, limit_val_batches=0)
    trainer.fit(learner, datamodule=data)
    logged = trainer.callback_metrics
    assert logged["train/loss"] == pytest.approx(float(logged["train/loss_one"] + logged["train/loss_two"]))
    # Two steps of 0.1 against a slope of 3: the second batch is measured at weight -0.3.
    assert logged["train/loss_one"] == pytest.approx((2 * 1.0 + 1 * 0.7) / 3)


def test_targets_are_boxes_and_labels_as_the_data_has_them() -> None:
    oracle = Oracle({})
    learner = task(oracle)
    learner.log = lambda *_, **__: None  # type: ignore[method-assign]
    learner.training_step(batch(0, 1), 0)
    assert len(oracle.targets) == 2
    assert oracle.targets[0].keys() == {"boxes", "labels"}
    assert oracle.targets[1]["labels"].tolist() == [0, 1]


def test_average_precision_is_computed_once_over_all_batches() -> None:
    """Image 1 is right, image 2 misses the bee, image 3 has both a little to the right."""
    answers = {1: answer(), 2: answer(found=1), 3: answer(shift=2.0)}
    learner, data = task(Oracle(answers)), Data([item(0), item(1), item(2)])
    (measures,) = quiet_trainer().test(learner, datamodule=data, verbose=False)
    # At IoU 0.5 all ants are found; two of three bees: recall 0.67 reaches 67 of the 101 points.
    assert measures["test/map_50"] == pytest.approx((1.0 + 67 / 101) / 2, abs=1e-6)
    assert measures["test/map"] < measures["test/map_50"]
    assert [judged.index for judged in learner.judged] == [0, 1, 2]
    per_class = {row["class"]: row for row in learner.analysis()["per_class"]}
    assert set(per_class) == set(NAMES)


def test_a_second_measurement_starts_anew() -> None:
    learner, data = task(Oracle({1: answer(), 2: answer()})), Data([item(0), item(1)])
    first = quiet_trainer().validate(learner, datamodule=data, verbose=False)
    second = quiet_trainer().validate(learner, datamodule=data, verbose=False)
    assert first == second
    assert len(learner.judged) == 2
    assert first[0]["val/map"] == pytest.approx(1.0)


def test_batches_change_size_in_training_and_never_in_measuring() -> None:
    oracle = Oracle({1: answer(), 2: answer()})
    learner = task(oracle, multi_scale=[0.5, 1.5])
    quiet_trainer(max_epochs=3).fit(learner, datamodule=Data([item(0), item(1)]))
    drawn = [factor for factor in oracle.factors if factor != 1.0]
    assert len(set(drawn)) == 3
    assert all(0.5 <= factor <= 1.5 for factor in drawn)
    assert oracle.factors[-1] == 1.0
    with pytest.raises(ValueError, match=r"task\.multi_scale=\[1\.5, 0\.5\] must be two factors"):
        task(oracle, multi_scale=[1.5, 0.5])


def test_a_network_for_one_size_is_refused_before_training() -> None:
    fixed = Oracle({})
    fixed.resizable = False
    with pytest.raises(
        ValueError, match=r"task\.multi_scale=\[0\.5, 1\.5\], but this network is made for one size"
    ):
        task(fixed, multi_scale=[0.5, 1.5])


def test_data_known_to_have_no_masks_is_refused_before_training() -> None:
    with pytest.raises(ValueError, match=r"the data has none; choose data with masks"):
        DetectionTask(
            model=light(mask_rcnn),  # type: ignore[arg-type]
            optimizer=partial(torch.optim.SGD, lr=0.1),
            scheduler=None,
            metadata={**METADATA, "has_masks": False},
        )


def test_the_data_is_asked_for_masks_only_where_they_are_learned() -> None:
    for model, wanted in ((light(), False), (light(mask_rcnn), True)):
        data = Data([item(0)])
        trainer = quiet_trainer(limit_test_batches=0)
        trainer.test(task(model), datamodule=data, verbose=False)
        assert data.with_masks is wanted


def test_data_without_masks_is_refused_by_name() -> None:
    learner = task(light(mask_rcnn))
    with pytest.raises(ValueError, match=r"the data has none; choose data with masks"):
        learner.training_step(batch(0), 0)


def test_rows_are_sorted_and_named() -> None:
    learner = task(Oracle({}))
    (rows,) = learner.rows({"detections": [answer()], "index": torch.tensor([0])})
    assert [(row["label"], row["score"]) for row in rows] == [("bee", 0.9), ("ant", 0.6)]
    assert rows[1]["x1"] == 5.0 and rows[1]["y2"] == 25.0
    assert learner.rows({"detections": [answer(found=0)], "index": torch.tensor([0])}) == [[]]


def test_json_is_what_coco_reads() -> None:
    learner = task(Oracle({}))
    (rows,) = learner.rows({"detections": [answer()], "index": torch.tensor([0])})
    records = learner.json_records([{"file": "a.jpg", **row} for row in rows], image_id=4)
    assert records[0]["category_id"] == 7  # the data's own id of a bee
    assert records[0]["bbox"] == [30.0, 10.0, 20.0, 20.0]
    assert records[0]["image_id"] == 4 and records[0]["file_name"] == "a.jpg"
    json.dumps(records)


def test_masks_are_measured_and_written() -> None:
    masks = torch.zeros(2, 40, 60, dtype=torch.uint8)
    masks[0, 5:25, 5:15] = 1
    masks[1, 10:30, 30:50] = 1
    oracle = Oracle({1: {**answer(), "masks": masks.bool()}, 2: {**answer(), "masks": masks.bool()}})
    oracle.predicts_masks = True
    learner, data = task(oracle), Data([{**item(index), "masks": masks} for index in (0, 1)])
    (measures,) = quiet_trainer().test(learner, datamodule=data, verbose=False)
    assert measures["test/segm_map"] == pytest.approx(1.0)
    (rows,) = learner.rows({"detections": [oracle.answers[1]], "index": torch.tensor([0])})
    assert json.loads(str(rows[0]["segmentation"]))["size"] == [40, 60]


def test_a_real_network_learns_and_keeps_the_size_of_its_images() -> None:
    learner = task(light(), multi_scale=[0.5, 1.0])
    trainer = quiet_trainer(max_epochs=1)
    trainer.fit(learner, datamodule=Data([item(0), item(1, size=(64, 50))]))
    assert torch.isfinite(trainer.callback_metrics["train/loss_rpn_box_reg"])
    learner.eval()
    found = learner.predict_step(
        {"image": [item(0)["image"], item(1)["image"]], "index": torch.tensor([0, 1])}, 0
    )  # type: ignore[typeddict-item]
    assert len(found["detections"]) == 2


def test_the_head_is_what_is_not_the_backbone() -> None:
    learner = task(light())
    head = learner.head_parameters()
    assert head
    assert not any(".backbone." in name for name in head)
    assert {name.split(".")[1] for name in head} == {"rpn", "roi_heads"}


def test_the_facts_count_the_heads() -> None:
    facts = task(light()).facts()
    assert facts["parameters"] > 1_000_000
    assert facts["multiply_adds"] is not None
    assert facts["multiply_adds"] > 10_000_000
