"""The segmentation task: what is minimised, and measured over the whole set."""

import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from datamodules.batch import IGNORED
from lightning_modules.images_with_masks import stacked
from lightning_modules.losses.segmentation import LOSSES, PixelLosses
from lightning_modules.metrics.segmentation import Tally
from lightning_modules.segmentation import SegmentationTask
from tests.lightning_modules.pixels import (
    MEASURES,
    METADATA,
    MIXED,
    NAMES,
    Painted,
    Sighted,
    collate,
    item,
    loader,
    measures_on,
    task,
)
from tests.lightning_modules.training import quiet_trainer


def test_the_loss_is_the_weighted_sum_and_each_part_is_logged() -> None:
    weights = {"cross_entropy": 1.0, "dice": 0.5, "lovasz": 0.25, "focal": 0.0}
    learner = task(Sighted(auxiliary=True), losses=weights, auxiliary_weight=0.3)
    trainer = quiet_trainer(max_epochs=1, limit_val_batches=0)
    trainer.fit(learner, loader([item(0), item(1), item(2)], batch_size=3))
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    parts = ("loss_cross_entropy", "loss_dice", "loss_lovasz", "loss_auxiliary")
    assert set(logged) == {"train/loss", "train/loss_step", *(f"train/{part}" for part in parts)}
    expected = sum(
        factor * logged[f"train/{part}"] for factor, part in zip((1, 0.5, 0.25, 0.3), parts, strict=True)
    )
    assert logged["train/loss"] == pytest.approx(expected, rel=1e-5)


def test_auxiliary_heads_learn_by_the_same_losses() -> None:
    learner = task(Sighted(auxiliary=True), losses={"cross_entropy": 2.0})
    learner.log = lambda *_, **__: None  # type: ignore[method-assign]
    batch = collate([item(0), item(2)])
    loss = learner.training_step(batch, 0)
    images, truth = stacked(batch)
    scores = learner.model.training_scores(learner.prepared(images))
    plain = [functional.cross_entropy(scores[name], truth, ignore_index=IGNORED) for name in ("out", "aux")]
    assert float(loss.detach()) == pytest.approx(2 * float((plain[0] + 0.4 * plain[1]).detach()), rel=1e-5)


def test_balanced_weights_are_those_of_the_pixels() -> None:
    weights = task(class_weights="balanced").losses.class_weights
    assert weights is not None
    assert weights.tolist() == pytest.approx([1000 / 1800, 1000 / 900, 1000 / 300])
    assert task().losses.class_weights is None


@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_alone_learns_a_fixed_batch(name: str) -> None:
    learner = task(losses={name: 1.0})
    items = [item(0, right=1.0), item(2, right=1.0)]
    trainer = quiet_trainer(max_epochs=40, limit_val_batches=0)
    trainer.fit(learner, loader(items))
    assert measures_on(learner, items)["test/miou"] > 0.95


def test_one_training_logs_every_measure() -> None:
    trainer = quiet_trainer(max_epochs=1)
    learner = task()
    trainer.fit(learner, loader([item(0), item(2)]), loader(MIXED))
    assert {name for name in trainer.callback_metrics if name.startswith("val/")} == {
        f"val/{name}" for name in MEASURES
    }
    assert set(measures_on(learner, MIXED)) == {f"test/{name}" for name in MEASURES}


def test_measures_are_of_the_whole_set_whatever_the_batch() -> None:
    learner = task(Painted(), class_weights="balanced", losses={"dice": 1.0})
    expected = measures_on(learner, MIXED, batch_size=1)
    for size in (2, 5):
        assert measures_on(learner, MIXED, batch_size=size) == pytest.approx(expected, abs=1e-6)
    assert measures_on(learner, MIXED[::-1], batch_size=3) == pytest.approx(expected, abs=1e-6)
    counted = torch.cat([each["mask"].flatten() for each in MIXED])
    shades = torch.cat([each["image"][0].flatten() // 127 for each in MIXED])
    kept = counted != IGNORED
    assert expected["test/pixel_accuracy"] == pytest.approx(
        float((counted == shades)[kept].double().mean()), abs=1e-6
    )
    learner.eval()
    scores = [learner(each["image"][None])[0].flatten(1).T for each in MIXED]
    plain = functional.cross_entropy(torch.cat(scores), counted.long(), ignore_index=IGNORED)
    assert expected["test/loss"] == pytest.approx(float(plain), abs=1e-5)


def test_measures_are_not_means_over_pictures() -> None:
    learner = task(Painted())
    items = [item(0, right=1.0), item(1, right=0.2)]
    whole = measures_on(learner, items)
    alone = [measures_on(learner, [each]) for each in items]
    for name in ("test/miou", "test/fw_iou"):
        assert abs(whole[name] - (alone[0][name] + alone[1][name]) / 2) > 0.05, name


def test_what_was_measured_is_kept_for_figures() -> None:
    learner = task(Painted())
    measures_on(learner, MIXED)
    found = learner.measured
    assert found is not None
    assert found.confusion.shape == (3, 3)
    assert found.confusion.sum() == sum(int((each["mask"] != IGNORED).sum()) for each in MIXED)
    ants = sum(int((each["mask"] == 1).sum()) for each in MIXED)
    assert found.confusion[1].sum() == ants  # rows are the truth
    assert {found.iou.shape, found.accuracy.shape, found.boundary_f1.shape} == {(3,)}
    measures_on(learner, MIXED[:1])
    assert learner.measured is not None
    assert learner.measured.confusion.sum() == int((MIXED[0]["mask"] != IGNORED).sum())


def test_each_validation_starts_anew() -> None:
    learner = task(Painted())
    for _ in range(2):
        quiet_trainer().validate(learner, loader(MIXED[:1]), verbose=False)
    assert learner.measured is not None
    assert learner.measured.confusion.sum() == int((MIXED[0]["mask"] != IGNORED).sum())


def test_processes_are_measured_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process has the second half: both then know the whole."""
    other = task(Painted())
    measures_on(other, MIXED[2:])
    expected = measures_on(task(Painted()), MIXED)

    def gather(everyone: list[Any], mine: Tally) -> None:
        everyone[:] = [mine, other.tally]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    logged: dict[str, float] = {}
    learner = task(Painted())
    measures_on(learner, MIXED[:2])
    monkeypatch.setattr(SegmentationTask, "trainer", SimpleNamespace(world_size=2))
    learner.log = lambda name, value, **_: logged.update({name: value})  # type: ignore[method-assign]
    learner.on_test_epoch_end()
    assert logged == pytest.approx(expected, abs=1e-6)
    assert learner.measured is not None
    assert learner.measured.confusion.sum() == sum(int((each["mask"] != IGNORED).sum()) for each in MIXED)


def test_absent_classes_do_not_count() -> None:
    ground = {
        "image": torch.zeros(3, 8, 8, dtype=torch.uint8),
        "index": 0,
        "mask": torch.zeros(8, 8, dtype=torch.uint8),
    }
    learner = task(Painted())
    measures = measures_on(learner, [ground])
    assert measures["test/miou"] == measures["test/mean_accuracy"] == 1.0
    assert math.isnan(measures["test/boundary_f1"])  # nothing has a contour
    assert learner.measured is not None
    assert np.isnan(learner.measured.iou[1:]).all()


def test_a_set_without_a_counted_pixel_is_measured_and_trained_on() -> None:
    ignored = [{**item(index), "mask": torch.full((32, 48), IGNORED, dtype=torch.uint8)} for index in (0, 1)]
    learner = task(losses=dict.fromkeys(LOSSES, 1.0))
    trainer = quiet_trainer(max_epochs=1)
    trainer.fit(learner, loader(ignored), loader(ignored))
    assert float(trainer.callback_metrics["train/loss"]) == 0.0
    assert math.isnan(float(trainer.callback_metrics["val/miou"]))
    assert all(torch.isfinite(parameter).all() for parameter in learner.parameters())


def test_rows_name_the_classes_that_are_there_the_largest_first() -> None:
    learner = task()
    mask = torch.tensor([[2, 2, 0, 2]], dtype=torch.uint8)
    found = learner.rows({"mask": [mask, torch.ones(2, 2, dtype=torch.uint8)], "index": torch.arange(2)})
    assert found[0] == [
        {"class": "bee", "pixels": 3, "share": 0.75},
        {"class": "ground", "pixels": 1, "share": 0.25},
    ]
    assert found[1] == [{"class": "ant", "pixels": 4, "share": 1.0}]
    assert all(list(row) == learner.columns for row in found[0])
    assert learner.palette == METADATA["palette"]
    assert learner.class_names == NAMES


def test_a_checkpoint_holds_the_model_and_opens_without_pickle(tmp_path: Path) -> None:
    learner = task(class_weights="balanced")
    trainer = quiet_trainer(max_epochs=1)
    trainer.fit(learner, loader([item(0), item(2)]), loader(MIXED))
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    saved = torch.load(tmp_path / "one.ckpt", weights_only=True)
    assert set(saved["state_dict"]) == {f"model.{key}" for key in learner.model.state_dict()}
    again = task()
    again.load_state_dict(saved["state_dict"])
    assert measures_on(again, MIXED) == measures_on(learner, MIXED)


def test_facts_and_groups() -> None:
    learner = task()
    pixels = 64 * 64
    assert learner.facts()["multiply_adds"] == pixels * (16 * 27 + 3 * 16)
    assert learner.head_parameters() == {"network.head.weight", "network.head.bias"}


@pytest.mark.parametrize("stage", ["fit", "test"])
def test_a_value_that_is_no_class_is_named_with_its_image(stage: str) -> None:
    broken = item(7)
    broken["mask"][3, 4] = 3
    message = r"the mask of image 7 has the values \[3\], and the classes are 0 to 2 \(255 is ignored\)"
    run = partial(quiet_trainer(max_epochs=1).fit, task()) if stage == "fit" else partial(measures_on, task())
    given: Any = loader([item(0), broken]) if stage == "fit" else [item(0), broken]
    with pytest.raises(ValueError, match=message):
        run(given)


def test_a_mask_of_another_size_is_named_with_its_image() -> None:
    broken = item(7)
    broken["mask"] = broken["mask"][:-1]
    with pytest.raises(ValueError, match=r"image 7 has \(32, 48\) pixels .* its mask \(31, 48\)"):
        measures_on(task(), [item(0), broken])


def test_images_of_two_sizes_are_refused_in_training() -> None:
    with pytest.raises(ValueError, match=r"images of \(32, 48\) and \(40, 25\) pixels in one batch"):
        quiet_trainer(max_epochs=1).fit(task(), loader(MIXED))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("losses", {"dise": 1.0}, r"task\.losses: dise is not one of .*; did you mean dice\?"),
        ("losses", {}, r"one of them must weigh more than 0"),
        ("class_weights", "even", r"task\.class_weights=even is not one of none, balanced"),
        ("auxiliary_weight", -0.1, r"task\.auxiliary_weight=-0\.1 must be at least 0"),
        ("window", -1, r"window=-1 must be at least 1 pixel; null or 0 sees images whole"),
        ("window_overlap", 1.0, r"window_overlap=1\.0 must be at least 0 and below 1"),
        ("metadata", {**METADATA, "class_names": ["one"]}, r"the data has 1 classes"),
    ],
)
def test_impossible_values_are_named(option: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task(**{option: value})
    assert isinstance(task().losses, PixelLosses)
