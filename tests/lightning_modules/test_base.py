"""What all tasks share: the length of training, modes, facts, resuming."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from lightning_modules.classification import ClassificationTask
from lightning_modules.models.freeze import freeze
from lightning_modules.schedules import Horizon, constant, cosine, plateau
from tests.lightning_modules.synthetic import TinyNet, loader, metadata, task
from tests.lightning_modules.training import quiet_trainer


class Watch(ClassificationTask):
    """Keeps the horizon it was told and counts the steps that were taken."""

    seen: Horizon

    def horizon(self) -> Horizon:
        self.seen = super().horizon()
        return self.seen


def watched(scheduler: Any = constant) -> Watch:
    return Watch(
        model=TinyNet(), optimizer=partial(torch.optim.SGD, lr=0.1), scheduler=scheduler, metadata=metadata()
    )


@pytest.mark.parametrize(
    ("options", "per_epoch", "total"),
    [
        ({"max_epochs": 3}, 7, 21),
        ({"max_epochs": 3, "accumulate_grad_batches": 3}, 3, 9),
        ({"max_epochs": 3, "limit_train_batches": 4}, 4, 12),
        ({"max_epochs": 3, "limit_train_batches": 0.5, "accumulate_grad_batches": 2}, 2, 6),
        ({"max_epochs": 3, "max_steps": 10}, 7, 10),
        ({"max_epochs": -1, "max_steps": 5}, 7, 5),
        ({"max_epochs": 3, "overfit_batches": 2}, 2, 6),
        ({"fast_dev_run": True}, 1, 1),
        ({"fast_dev_run": 3}, 3, 3),
    ],
)
def test_horizon_is_the_number_of_steps_that_are_taken(
    options: dict[str, Any], per_epoch: int, total: int
) -> None:
    built = watched()
    trainer = quiet_trainer(**options)
    trainer.fit(built, loader(size=13, batch_size=2))
    assert (built.seen.steps_per_epoch, built.seen.total_steps) == (per_epoch, total)
    assert trainer.global_step == total


def test_a_training_that_a_clock_ends_has_no_total() -> None:
    built = watched()
    trainer = quiet_trainer(max_epochs=-1, max_time={"seconds": 0})
    trainer.fit(built, loader(size=4, batch_size=2))
    assert (built.seen.steps_per_epoch, built.seen.total_steps) == (2, None)


class Rates(Callback):
    """Keeps the learning rate of every step."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self.found.append(trainer.optimizers[0].param_groups[0]["lr"])


def test_cosine_ends_at_zero_with_accumulation() -> None:
    rates = Rates()
    trainer = quiet_trainer(max_epochs=2, accumulate_grad_batches=2, callbacks=[rates])
    trainer.fit(watched(cosine), loader(size=10, batch_size=2))
    assert rates.found[-1] == pytest.approx(0, abs=1e-9)
    assert rates.found[-2] > 0


def test_plateau_works_in_lightning() -> None:
    rates = Rates()
    trainer = quiet_trainer(max_epochs=4, callbacks=[rates])
    built = task(scheduler=partial(plateau, patience=0, factor=0.5, warmup_epochs=1.0), monitor="val/top5")
    trainer.fit(built, loader(size=6, batch_size=2), loader(size=6, batch_size=2))
    assert rates.found[2] == pytest.approx(0.1)  # end of the warm-up
    assert rates.found[-1] == pytest.approx(0.025)  # top-5 of three classes is always 1: two cuts so far


@pytest.mark.parametrize("scheduler", [partial(cosine, warmup_epochs=1.0), partial(plateau, patience=0)])
def test_resume_from_a_checkpoint_gives_the_same_weights(scheduler: Any, tmp_path: Path) -> None:
    def fit(*, epochs: int, resume: Path | None) -> tuple[Trainer, ClassificationTask]:
        torch.manual_seed(0)
        built = task(scheduler=scheduler, model=TinyNet())
        trainer = quiet_trainer(max_epochs=4)
        trainer.limit_train_batches = 1.0
        stop = StopAfter(epochs)
        trainer.callbacks.append(stop)  # type: ignore[attr-defined]
        data = loader(size=8, batch_size=2)
        trainer.fit(built, data, data, ckpt_path=resume)
        return trainer, built

    path = tmp_path / "half.ckpt"
    half, _ = fit(epochs=2, resume=None)
    half.save_checkpoint(path)
    _, resumed = fit(epochs=4, resume=path)
    _, whole = fit(epochs=4, resume=None)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


class StopAfter(Callback):
    """Ends training after some epochs, as if it had been interrupted there."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch + 1 >= self.epochs


def test_frozen_parts_stay_in_evaluation_mode_during_training() -> None:
    model = TinyNet()
    freeze(model, "all_but_head")
    built = task(model=model)
    before = {key: value.clone() for key, value in model.features.state_dict().items()}
    built.train()
    assert not model.features.training
    assert model.head.training
    quiet_trainer(max_epochs=1).fit(built, loader(size=8, batch_size=4), loader(size=4, batch_size=4))
    for key, value in model.features.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_facts() -> None:
    model = TinyNet()
    built = task(model=model)
    built.train()
    model.features[1].eval()
    facts = built.facts()
    # 14x14 positions of a 3x3 convolution from 3 to 4 channels, and a linear layer.
    assert facts == {
        "parameters": 135,
        "trainable_parameters": 135,
        "multiply_adds": 14 * 14 * 9 * 3 * 4 + 12,
    }
    assert model.training and not model.features[1].training
    model.features.requires_grad_(False)
    assert built.facts()["trainable_parameters"] == 15


def test_example_input_has_the_shape_of_the_data() -> None:
    assert task().example_input().shape == (1, 3, 16, 16)
    grey = task(metadata=metadata(channels=1), model=TinyNet(channels=1))
    assert grey.example_input().shape == (1, 1, 16, 16)
    assert grey.model(grey.example_input()).shape == (1, 3)
