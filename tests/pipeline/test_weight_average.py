"""Averaged weights: what they are, where they are measured and saved, and that a run resumes exactly."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from torch import Tensor, nn

from pipeline.averaging import KEY
from pipeline.callbacks.epoch_average import EpochAverage
from pipeline.callbacks.exponential_average import ExponentialAverage
from pipeline.callbacks.weight_average import WeightAverage, averaged_tensors
from tests.pipeline.averages import BATCHES, Saver, Small, train_digits, train_small

AVERAGED = {
    "layer.weight",
    "layer.bias",
    "norm.weight",
    "norm.bias",
    "norm.running_mean",
    "norm.running_var",
}


def slow_average(states: list[dict[str, Tensor]], *, decay: float, warmup: bool) -> dict[str, Tensor]:
    """Number by number, as the formula is written."""
    found = {name: states[0][name].double() for name in AVERAGED}
    for n, state in enumerate(states[1:], start=1):
        d = min(decay, (1 + n) / (10 + n)) if warmup else decay
        found = {name: d * found[name] + (1 - d) * state[name].double() for name in AVERAGED}
    return found


def close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name in AVERAGED:
        torch.testing.assert_close(found[name].double(), expected[name].double(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("warmup", [True, False])
def test_the_moving_average_is_that_of_a_slow_loop(warmup: bool, tmp_path: Path) -> None:
    average = ExponentialAverage(decay=0.9 if not warmup else 0.4, warmup=warmup)
    recorder, saved = train_small(average, tmp_path)
    assert average.updates == len(recorder.states) == 3 * BATCHES
    expected = slow_average(recorder.states, decay=average.decay, warmup=warmup)
    close(saved["state_dict"], expected)
    close(recorder.validated[-1], expected)
    close(saved["left"], expected)
    assert not torch.allclose(saved["state_dict"]["layer.weight"], recorder.states[-1]["layer.weight"])


def test_accumulated_gradients_are_one_step(tmp_path: Path) -> None:
    average = ExponentialAverage(decay=0.9)
    recorder, saved = train_small(average, tmp_path, accumulate_grad_batches=2)
    assert average.updates == 3 * BATCHES / 2
    # The statistics of batch norm are those at the time of the step.
    close(saved["state_dict"], slow_average(recorder.states[1::2], decay=0.9, warmup=True))


def test_a_checkpoint_holds_both_and_validation_measures_the_average(tmp_path: Path) -> None:
    recorder, saved = train_small(ExponentialAverage(decay=0.9), tmp_path)
    for name in AVERAGED:
        assert torch.equal(saved["state_dict"][name], recorder.validated[-1][name]), name
        assert torch.equal(saved[KEY]["weights"][name], recorder.states[-1][name]), name
    # What validation found belongs to the average and is not averaged itself.
    own = recorder.validated[-1]["layer.weight"].sum()
    assert torch.allclose(saved["state_dict"]["threshold"], own)
    assert torch.allclose(saved["left"]["threshold"], own)


def test_only_what_is_trained_is_copied(tmp_path: Path) -> None:
    _, saved = train_small(ExponentialAverage(), tmp_path)
    assert saved[KEY]["weights"].keys() == AVERAGED


def test_before_its_start_the_average_is_the_weights(tmp_path: Path) -> None:
    average = ExponentialAverage(decay=0.9, start=2)
    recorder, saved = train_small(average, tmp_path)
    for epoch in (0, 1):
        last = recorder.states[(epoch + 1) * BATCHES - 1]
        assert torch.equal(recorder.validated[epoch]["layer.weight"], last["layer.weight"])
    assert average.updates == BATCHES
    close(saved["state_dict"], slow_average(recorder.states[-BATCHES:], decay=0.9, warmup=True))


def test_what_never_starts_leaves_the_trained_weights_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        recorder, saved = train_small(ExponentialAverage(start=7), tmp_path)
    for state in (saved["state_dict"], saved["left"], recorder.validated[-1]):
        assert torch.equal(state["layer.weight"], recorder.states[-1]["layer.weight"])
    assert KEY not in saved
    assert "no weights were averaged" in caplog.text


def test_a_share_of_the_epochs_is_a_start(tmp_path: Path) -> None:
    average = ExponentialAverage(start=0.5)
    train_small(average, tmp_path, max_epochs=4)
    assert average.updates == 2 * BATCHES


def test_a_new_stage_starts_anew(tmp_path: Path) -> None:
    class Stages(Saver):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if trainer.global_step == 2 * BATCHES:
                pl_module.stage.fill_(1)

    average = ExponentialAverage(decay=0.9)
    stages = Stages()
    average.on_train_batch_start = stages.on_train_batch_start  # type: ignore[method-assign]
    recorder, saved = train_small(average, tmp_path)
    assert average.updates == BATCHES
    close(saved["state_dict"], slow_average(recorder.states[-BATCHES:], decay=0.9, warmup=True))


def test_shared_weights_are_averaged_once_and_saved_under_both_names(tmp_path: Path) -> None:
    class Shared(Small):
        def __init__(self) -> None:
            super().__init__()
            self.again = self.layer

    task = Shared()
    average = ExponentialAverage(decay=0.5, warmup=False)
    average._tensors = averaged_tensors(task)
    assert average._tensors.keys() == AVERAGED
    for value in (0.0, 1.0):
        nn.init.constant_(task.layer.weight, value)
        average.update(None, task)  # type: ignore[arg-type]
    for is_measured in (False, True):
        if is_measured:
            average.swap()
            assert task.again.weight.unique().tolist() == [0.5]
        checkpoint: dict[str, Any] = {"state_dict": task.state_dict()}
        average.on_save_checkpoint(Trainer(logger=False, accelerator="cpu"), task, checkpoint)
        for name in ("layer.weight", "again.weight"):
            assert checkpoint["state_dict"][name].unique().tolist() == [0.5]
        assert checkpoint[KEY]["weights"]["layer.weight"].unique().tolist() == [1.0]


def test_the_mean_of_epochs_is_their_mean(tmp_path: Path) -> None:
    recorder, saved = train_small(EpochAverage(start=1), tmp_path, max_epochs=4)
    ends = [recorder.states[(epoch + 1) * BATCHES - 1] for epoch in (1, 2, 3)]
    for name in AVERAGED - {"norm.running_mean", "norm.running_var"}:
        mean = torch.stack([state[name].double() for state in ends]).mean(dim=0)
        torch.testing.assert_close(saved["state_dict"][name].double(), mean, rtol=1e-6, atol=1e-7)
    task = Small()
    task.load_state_dict(saved["state_dict"])
    torch.optim.swa_utils.update_bn(only_features(task), task)
    for name in ("running_mean", "running_var"):
        expected = getattr(task.norm, name)
        torch.testing.assert_close(saved["state_dict"][f"norm.{name}"], expected)
        assert not torch.allclose(expected, saved[KEY]["weights"][f"norm.{name}"])


def only_features(task: Small) -> list[Tensor]:
    from tests.pipeline.averages import Numbers

    return [features for features, _ in Numbers().train_dataloader()]


def test_the_mean_of_epochs_sets_the_learning_rate(tmp_path: Path) -> None:
    constant, _ = train_small(EpochAverage(start=1, lr=0.05), tmp_path)
    assert constant.rates[BATCHES:] == pytest.approx([0.05] * 2 * BATCHES)
    assert constant.rates[:BATCHES] == pytest.approx([0.1] * BATCHES)
    average = EpochAverage(start=1, lr=0.05, min_lr=0.01, cycle_epochs=2)
    cyclic, _ = train_small(average, tmp_path, max_epochs=5)
    steps = 2 * BATCHES
    falling = [0.05 + (0.01 - 0.05) * (step + 1) / steps for step in range(steps)]
    assert cyclic.rates[BATCHES:] == pytest.approx(falling * 2)
    assert average.updates == 2


@pytest.mark.parametrize(
    "words",
    [["callbacks=ema"], ["callbacks=swa", "callbacks.swa.start=0", "callbacks.swa.lr=0.002"]],
    ids=["ema", "swa"],
)
def test_an_interrupted_run_arrives_at_the_same_average(words: list[str], tmp_path: Path) -> None:
    whole = train_digits(tmp_path / "whole", words)
    train_digits(tmp_path / "halves", words, stop=1)
    halves = train_digits(tmp_path / "halves", words, resume=True)
    assert KEY in whole and whole[KEY]["updates"] == halves[KEY]["updates"] > 2
    for one, other in (
        (whole["state_dict"], halves["state_dict"]),
        (whole[KEY]["weights"], halves[KEY]["weights"]),
    ):
        assert one.keys() == other.keys()
        for name, tensor in one.items():
            assert torch.equal(tensor, other[name]), name
    weights = whole[KEY]["weights"]
    assert not any(torch.equal(whole["state_dict"][name], weights[name]) for name in weights)


def test_every_average_of_ours_is_known_to_the_light_half() -> None:
    from pipeline import averaging

    ours = {f"{kind.__module__}.{kind.__name__}" for kind in WeightAverage.__subclasses__()}
    assert ours == set(averaging._OURS)
