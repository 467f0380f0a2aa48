"""The segmentation task: what it answers, whole or window by window."""

from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from datamodules.batch import SegmentationMetadata
from lightning_modules import segmentation
from tests.lightning_modules.pixels import METADATA, MIXED, Painted, item, loader, measures_on, task
from tests.lightning_modules.training import quiet_trainer


class Keep(Callback):
    """Keeps what validation returns, as figures do."""

    def __init__(self) -> None:
        self.found: list[Any] = []

    def on_validation_batch_end(
        self, trainer: Trainer, module: LightningModule, output: Any, *args: Any
    ) -> None:
        self.found.append(output)


def test_answers_are_masks_in_the_size_and_order_of_the_images() -> None:
    keep = Keep()
    quiet_trainer(callbacks=[keep]).validate(task(Painted()), loader(MIXED, batch_size=3), verbose=False)
    assert torch.cat([each["index"] for each in keep.found]).tolist() == [0, 1, 2, 3, 4]
    masks = [mask for each in keep.found for mask in each["mask"]]
    for mask, given in zip(masks, MIXED, strict=True):
        assert mask.dtype == torch.uint8
        assert torch.equal(mask, given["image"][0] // 127)


@pytest.mark.parametrize("window", [None, 16, 100])
def test_predictions_are_those_of_the_whole_image_also_by_windows(window: int | None) -> None:
    learner = task(Painted(), window=window, window_overlap=0.5).eval()
    with torch.no_grad():
        found = learner.predict_step(
            {"image": [each["image"] for each in MIXED], "index": torch.arange(5)},  # type: ignore[typeddict-item]
            0,
        )
    for mask, given in zip(learner.masks(found), MIXED, strict=True):
        assert isinstance(mask, np.ndarray) and mask.dtype == np.uint8
        assert (mask == given["image"][0].numpy() // 127).all()


def test_a_window_of_0_is_the_whole_image() -> None:
    seen: list[tuple[int, ...]] = []
    learner = task(Painted(), window=0)
    learner.model.network.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape[-2:])))
    assert measures_on(learner, MIXED[:1]) == measures_on(task(Painted()), MIXED[:1])
    assert seen == [(32, 48)]


@pytest.mark.parametrize("window", [None, 16])
def test_grey_data_trains_and_is_measured_by_networks_for_three_channels(window: int | None) -> None:
    grey = SegmentationMetadata(**{**METADATA, "channels": 1, "mean": [0.5], "std": [0.25]})  # type: ignore[typeddict-item]
    learner = task(metadata=grey, window=window)
    items = [item(0, right=1.0), item(2, right=1.0)]
    quiet_trainer(max_epochs=40, limit_val_batches=0).fit(learner, loader(items))
    assert measures_on(learner, items)["test/miou"] > 0.95
    assert learner.example_input().shape == (1, 3, 64, 64)
    assert learner.facts()["multiply_adds"] == task().facts()["multiply_adds"]
    prepared = learner.prepared(items[0]["image"][None])
    assert torch.equal(prepared[:, :1].expand(-1, 3, -1, -1), prepared)


def test_large_pictures_are_seen_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of one size a batch has: of the small ones up to eight times what training sees."""
    monkeypatch.setitem(METADATA, "image_size", 16)
    learner = task(Painted())
    seen: list[tuple[int, ...]] = []
    learner.model.network.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    sizes = [(32, 48)] * 3 + [(16, 16)] * 10 + [(32, 32)] * 3
    measures_on(learner, [item(place, size=size) for place, size in enumerate(sizes)], batch_size=16)
    assert segmentation.AT_ONCE == 8
    assert [(shape[0], *shape[2:]) for shape in seen] == [
        *[(1, 32, 48)] * 3,
        *[(8, 16, 16), (2, 16, 16)],
        *[(2, 32, 32), (1, 32, 32)],
    ]


def test_logarithms_take_the_place_of_the_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).repeat(1, 1, 4, 4)
    monkeypatch.setattr(segmentation, "blended", lambda *_, **__: shares)
    found = task(Painted(), window=2).log_probabilities(torch.zeros(1, 3, 4, 4, dtype=torch.uint8))
    assert found.data_ptr() == shares.data_ptr()
    assert torch.isfinite(found).all() and float(found.max()) == 0


def test_windows_also_measure_and_may_be_set_later() -> None:
    learner = task(Painted())
    expected = measures_on(learner, MIXED)
    seen: list[tuple[int, ...]] = []
    learner.model.network.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape[-2:])))
    learner.window = 16
    assert measures_on(learner, MIXED) == pytest.approx(expected, abs=1e-5)
    assert set(seen) == {(16, 16)}
    before = len(seen)
    learner.window_overlap = 0.75
    measures_on(learner, MIXED)
    assert len(seen) - before > before  # more windows, so more batches of them
