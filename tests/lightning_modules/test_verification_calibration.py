"""What validation teaches a verifier beside its weights: from which distance on two images differ."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from lightning_modules.metrics.verification.calibration import best_threshold, logistic
from lightning_modules.verification import VerificationTask
from tests.lightning_modules.identities import MIXED, item, loader, measures_on, task
from tests.lightning_modules.training import quiet_trainer

OTHERS = [item(500 + index, label=index % 5, spread=60) for index in range(30)]


def calibrated() -> VerificationTask:
    learner = task()
    quiet_trainer().validate(learner, loader(MIXED), verbose=False)
    return learner


def test_a_validation_calibrates() -> None:
    learner = calibrated()
    found = learner.measured
    assert found is not None
    assert float(learner.threshold) == pytest.approx(best_threshold(found.distance, found.same))
    assert float(learner.threshold) == found.threshold  # to the last bit
    expected = logistic(found.distance, found.same, threshold=found.threshold)
    assert learner.calibration.tolist() == pytest.approx(expected, rel=1e-5)
    false = (found.distance[~found.same] <= found.threshold).mean()
    assert float(learner.false_accept_rate) == pytest.approx(false) and 0 < false < 1


def test_before_it_nothing_is_said_that_needs_it() -> None:
    learner = task()
    assert learner.threshold.isnan() and learner.false_accept_rate.isnan()
    assert learner.probabilities(torch.ones(2)).isnan().all()
    assert not {"test/tar", "test/far"} & set(measures_on(learner, MIXED))
    assert learner.threshold.isnan()  # a test does not calibrate


def test_a_test_judges_by_the_threshold_of_validation() -> None:
    learner = calibrated()
    threshold = float(learner.threshold)
    measures = measures_on(learner, OTHERS)
    found = learner.measured
    assert found is not None
    assert found.threshold == float(learner.threshold) == threshold
    accept = found.distance <= threshold
    assert measures["test/tar"] == pytest.approx(accept[found.same].mean())
    assert measures["test/far"] == pytest.approx(accept[~found.same].mean())
    assert threshold != pytest.approx(best_threshold(found.distance, found.same))


def test_the_same_split_measured_again_gives_the_same() -> None:
    learner = task()
    trainer = quiet_trainer()
    trainer.validate(learner, loader(MIXED), verbose=False)
    measures = {name: float(value) for name, value in trainer.callback_metrics.items()}
    again = measures_on(learner, MIXED)
    assert {name.replace("test/", "val/"): value for name, value in again.items()} == measures


def test_probabilities_fall_with_the_distance() -> None:
    learner = calibrated()
    found = learner.measured
    assert found is not None
    probabilities = learner.probabilities(torch.from_numpy(np.sort(found.distance)))
    assert (probabilities.diff() <= 0).all()
    assert 0 <= probabilities[-1] < 0.2 < 0.8 < probabilities[0] <= 1
    matrix = learner.probabilities(learner.distances(torch.zeros(2, 3), torch.ones(4, 3)))
    assert matrix.shape == (2, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_probable_is_what_the_threshold_says(dtype: torch.dtype) -> None:
    """Also of neighbours of the threshold, where numbers are rounded, and where distances say little."""
    for seed in range(20):
        generator = np.random.default_rng(seed)
        same = generator.random(200) < generator.uniform(0.1, 0.9)
        distance = generator.normal(size=200) * 10.0 ** generator.integers(-3, 3) - generator.normal() * same
        learner = task()
        found = SimpleNamespace(
            distance=distance, same=same, threshold=float(np.float32(best_threshold(distance, same)))
        )
        learner._calibrate(found)  # type: ignore[arg-type]
        at = torch.tensor(found.threshold, dtype=dtype)
        near = [at, *(torch.nextafter(at, torch.tensor(way * torch.inf, dtype=dtype)) for way in (-1, 1))]
        asked = torch.cat([torch.from_numpy(distance).to(dtype), torch.stack(near)])
        probable = learner.probabilities(asked)
        assert torch.equal(asked <= learner.threshold, probable >= 0.5)
        assert probable[-3] == 0.5


def test_a_measured_split_is_judged_alike_by_both() -> None:
    learner = calibrated()
    found = learner.measured
    assert found is not None
    accepted = found.distance <= found.threshold
    assert np.array_equal(accepted, learner.probabilities(torch.from_numpy(found.distance)).numpy() >= 0.5)
    assert 0 < accepted.sum() < len(accepted)


def test_a_checkpoint_holds_it_and_opens_without_pickle(tmp_path: Path) -> None:
    learner = task()
    trainer = quiet_trainer(max_epochs=1)
    trainer.fit(learner, loader(MIXED), loader(MIXED))
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    saved = torch.load(tmp_path / "one.ckpt", weights_only=True)
    own = {f"model.{key}" for key in learner.model.state_dict()}
    assert set(saved["state_dict"]) == own | {"threshold", "calibration", "false_accept_rate"}
    again = task()
    again.load_state_dict(saved["state_dict"])
    assert float(again.threshold) == float(learner.threshold) > 0
    assert measures_on(again, OTHERS) == measures_on(learner, OTHERS)
    assert float(again.false_accept_rate) == float(learner.false_accept_rate)


def test_a_checkpoint_without_a_share_of_false_accepts_opens() -> None:
    learner, again = calibrated(), task()
    saved = {name: value for name, value in learner.state_dict().items() if name != "false_accept_rate"}
    again.load_state_dict(saved)
    assert again.false_accept_rate.isnan() and again.threshold == learner.threshold
    with pytest.raises(RuntimeError, match="calibration"):
        again.load_state_dict({name: value for name, value in saved.items() if name != "calibration"})


@pytest.mark.parametrize("batch_size", [1, 4, 30], ids=["one image", "one identity", "all"])
def test_the_check_before_training_may_see_a_part(batch_size: int) -> None:
    """One image has no pair; one identity has no other. The check neither fails nor calibrates."""
    items = sorted(MIXED, key=lambda each: each["label"])
    learner, thresholds = task(), []

    def start(*_: Any) -> None:
        thresholds.append(float(learner.threshold))

    learner.on_train_start = start  # type: ignore[method-assign]
    trainer = quiet_trainer(max_epochs=1, num_sanity_val_steps=1)
    trainer.fit(learner, loader(MIXED), loader(items, batch_size=batch_size))
    assert np.isnan(thresholds).tolist() == [True]
    assert "val/auc" in trainer.callback_metrics
    assert not learner.threshold.isnan()


@pytest.mark.parametrize("stage", ["val", "test"])
def test_a_split_is_named_by_what_is_measured(stage: str) -> None:
    """`make evaluate split=val` runs Lightning's test loop on validation images."""
    learner, trainer = task(), quiet_trainer()
    items = [item(index, label=index) for index in range(4)]
    learner.trainer = trainer
    trainer.datamodule = type("Data", (), {"measured_split": stage})()
    assert learner._split("test") == stage
    assert learner._split("val") == "val"
    with pytest.raises(ValueError, match=r"the val split has 6 pairs"):
        quiet_trainer().validate(task(), loader(items), verbose=False)
