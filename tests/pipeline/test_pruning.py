"""Hopeless trials are ended early; a study that does not answer ends nothing."""

import json
import logging
import random
import statistics
import threading
import time
from pathlib import Path
from typing import Any, Literal

import optuna
import pytest
import torch
from optuna.trial import TrialState
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from pipeline.callbacks.pruning import Pruning, pruning, was_pruned
from pipeline.sweeps import watching
from pipeline.sweeps.jobs import TRIAL
from pipeline.sweeps.samplers import pruner_of
from pipeline.sweeps.settings import Pruner
from pipeline.sweeps.storages import STORAGE, opened
from pipeline.sweeps.watching import Reporter, Watched
from tests.commands import run_verb

Direction = Literal["maximize", "minimize"]


class Learner(LightningModule):
    """Says after each epoch what it was told to say."""

    def __init__(self, says: list[float], name: str = "val/top1") -> None:
        super().__init__()
        self.says, self.name_of_measure = says, name
        self.network = nn.Linear(1, 1)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss: Tensor = self.network(batch).mean()
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        # Before training, hopeless: nobody must hear of it.
        value = -1.0 if self.trainer.sanity_checking else self.says[self.current_epoch]
        self.log(self.name_of_measure, value)

    def train_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(list(torch.ones(2, 1)), batch_size=1)  # type: ignore[arg-type]

    val_dataloader = train_dataloader

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def address(folder: Path) -> str:
    """A journal, which is there at once; the tables of a database take a second."""
    return f"journal://{folder}/log"


def study_in(folder: Path, direction: Direction = "maximize", others: int = 6) -> optuna.Study:
    """A study with trials that have said 0.1, 0.2, ... times the epoch, and one that runs.

    The median of six is 0.35 after the first epoch, and 0.35 more after each.
    """
    study = optuna.create_study(study_name="s", storage=opened(address(folder)), direction=direction)
    for place in range(others):
        said = {epoch: (place + 1) / 10 * epoch for epoch in range(1, 9)}
        study.add_trial(optuna.trial.create_trial(value=said[8], intermediate_values=said))
    study.ask()
    return study


def watched(
    folder: Path, monkeypatch: pytest.MonkeyPatch, prune: Pruner = "median", number: int = 6
) -> Watched:
    trial = Watched(study="s", number=number, storage="here", prune=prune, measure="val/top1")
    monkeypatch.setenv(STORAGE, address(folder))
    monkeypatch.setenv(TRIAL, trial.to_environment()[TRIAL])
    return trial


def trained(learner: Learner, folder: Path, **options: Any) -> Trainer:
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=len(learner.says),
        callbacks=pruning(),
        default_root_dir=str(folder),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(learner)
    return trainer


def test_a_hopeless_trial_ends_after_the_validation_that_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_in(tmp_path)
    watched(tmp_path, monkeypatch)
    trainer = trained(Learner([0.5, 0.8, 0.8, 9.0, 9.0]), tmp_path)
    assert trainer.current_epoch == 3
    assert was_pruned(trainer)
    # The check before training is none of the values.
    assert study.trials[6].intermediate_values == pytest.approx({1: 0.5, 2: 0.8, 3: 0.8})


def test_a_good_trial_trains_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_in(tmp_path)
    watched(tmp_path, monkeypatch)
    trainer = trained(Learner([0.5, 0.8, 1.1]), tmp_path)
    assert trainer.current_epoch == 3
    assert not was_pruned(trainer)
    assert len(study.trials[6].intermediate_values) == 3


@pytest.mark.parametrize("prune", ["median", "asha", "hyperband"])
def test_every_pruner_saves_epochs_and_keeps_the_best(prune: Pruner) -> None:
    study = optuna.create_study(study_name="s", direction="maximize", pruner=pruner_of(prune))
    qualities = random.Random(0).sample(range(100), 60)
    spent = {}
    for quality in qualities:
        trial = study.ask()
        for epoch in range(1, 10):
            trial.report(quality * epoch, epoch)
            if trial.should_prune():
                break
        spent[quality] = epoch
        study.tell(trial, quality, state=None) if epoch == 9 else study.tell(trial, state=TrialState.PRUNED)
    assert spent[max(qualities)] == 9
    assert sum(spent.values()) < 0.75 * 60 * 9
    assert statistics.mean(spent[one] for one in qualities if one < 30) < 5


def test_less_is_better_where_the_study_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study_in(tmp_path, direction="minimize")
    reporter = Reporter(watched(tmp_path, monkeypatch))
    assert not reporter.is_hopeless(0.34, epochs=1)
    assert reporter.is_hopeless(float("nan"), epochs=2) is False  # the best so far counts
    other = study_in_again(tmp_path)
    assert Reporter(watched(tmp_path, monkeypatch, number=other)).is_hopeless(0.36, epochs=1)


def study_in_again(folder: Path) -> int:
    study = optuna.load_study(study_name="s", storage=opened(address(folder)))
    return study.ask().number


def test_a_loss_that_overflowed_is_hopeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study_in(tmp_path, direction="minimize")
    watched(tmp_path, monkeypatch)
    assert was_pruned(trained(Learner([float("nan"), 0.1]), tmp_path))


def test_without_a_trial_nobody_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TRIAL, raising=False)
    assert pruning() == []
    assert not was_pruned(trained(Learner([0.1]), tmp_path))


def test_a_measure_that_is_not_taken_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_in(tmp_path)
    watched(tmp_path, monkeypatch)
    assert not was_pruned(trained(Learner([0.0, 0.0], name="val/other"), tmp_path))
    assert not study.trials[6].intermediate_values


@pytest.mark.parametrize(
    "address", ["sqlite:////nowhere/at/all/optuna.db", "nosuch://x", "redis://127.0.0.1:1"]
)
def test_a_storage_that_fails_is_said_once_and_training_goes_on(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched(tmp_path, monkeypatch)
    monkeypatch.setenv(STORAGE, address.replace("/nowhere", f"/{__file__}"))
    trainer = trained(Learner([0.1, 0.1, 0.1]), tmp_path)
    assert trainer.current_epoch == 3 and not was_pruned(trainer)
    said = [line for line in caplog.records if "goes on to its end" in line.getMessage()]
    assert len(said) == 1


def test_a_storage_that_hangs_costs_the_patience_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    released = threading.Event()
    monkeypatch.setattr(watching, "opened", lambda address: released.wait(60))
    reporter = Reporter(watched(tmp_path, monkeypatch), patience=0.3)
    started = time.monotonic()
    assert not any(reporter.is_hopeless(0.0, epochs=epoch) for epoch in range(1, 9))
    assert 0.3 <= time.monotonic() - started < 2.0
    assert [line.levelno for line in caplog.records] == [logging.WARNING]
    released.set()


def test_the_ranks_follow_the_first_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rank that does not lead asks nobody, and ends when it is told to."""

    class Silent(Reporter):
        def is_hopeless(self, value: float, *, epochs: int) -> bool:
            raise AssertionError("only the first rank asks")

    class OtherRank:
        sanity_checking = is_global_zero = should_stop = False

        class state:  # noqa: N801
            fn = "fit"

        class strategy:  # noqa: N801
            @staticmethod
            def broadcast(_: bool) -> bool:
                return True

    trial = watched(tmp_path, monkeypatch)
    callback, trainer = Pruning(trial, reporter=Silent(trial)), OtherRank()
    callback.on_validation_end(trainer, Learner([0.0]))  # type: ignore[arg-type]
    assert callback.pruned and trainer.should_stop


WORDS = ["experiment=digits_lenet5", "trainer=ddp_cpu", "trainer.devices=2", "trainer.max_epochs=4"]


@pytest.mark.slow
def test_a_run_of_two_processes_is_pruned_and_closed_properly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_in(tmp_path, direction="minimize")  # nobody reaches a loss of 0.35 after one epoch
    watched(tmp_path, monkeypatch)
    trial = Watched(study="s", number=6, storage="here", prune="median", measure="val/loss")
    monkeypatch.setenv(TRIAL, trial.to_environment()[TRIAL])
    words = [*WORDS, "+trainer.limit_train_batches=4", "callbacks.figures=null"]
    answer = run_verb("train", *words, root=tmp_path)
    assert answer.code == 0, answer.out + answer.err
    (folder,) = (tmp_path / "outputs" / "classification" / "lenet5").iterdir()
    facts = json.loads((folder / "run.json").read_text())
    measures = json.loads((folder / "metrics.json").read_text())
    assert facts["status"] == "FINISHED" and facts["pruned"] is True
    assert "val/top1" in measures and not any(name.startswith("test/") for name in measures)
    assert list(study.trials[6].intermediate_values) == [1]
    assert "pruned" in answer.out
    from mlflow.tracking import MlflowClient

    run = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").get_run(facts["run_id"])
    assert run.info.status == "FINISHED" and run.data.tags["pruned"] == "true"
