"""Which checkpoint is kept, and that a resumed plateau schedule is where it would have been."""

from pathlib import Path

import pytest
import torch
from pytorch_lightning import Trainer

from pipeline import build, checkpoints
from pipeline.callbacks.keep_best import KeepBest
from pipeline.callbacks.step_seed import StepSeed
from pipeline.compose import compose_plain


def test_of_equals_the_later_is_kept() -> None:
    callback = KeepBest(monitor="val/top1", mode="max", save_top_k=1)
    callback.best_k_models = {"first.ckpt": torch.tensor(0.9)}
    callback.kth_best_model_path = "first.ckpt"
    for value, is_kept in ((0.9, True), (0.91, True), (0.89, False)):
        assert bool(callback.check_monitor_top_k(Trainer(logger=False), torch.tensor(value))) is is_kept


class StopInEpoch(StepSeed):
    """A failure in the middle of an epoch, or none."""

    def __init__(self, *, epoch: int | None) -> None:
        super().__init__(seed=0)
        self.epoch = epoch
        self.rates: list[float] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
        super().on_train_batch_start(trainer, pl_module, batch, batch_idx)
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])
        if (trainer.current_epoch, batch_idx) == (self.epoch, 1):
            raise RuntimeError("as if it had been killed")


def fit(folder: Path, words: list[str], *, stop: int | None = None, resume: bool = False) -> list[float]:
    """Train four epochs of three batches; the learning rates of the batches."""
    small = ["model=lenet5", "data.batch_size=16", "trainer.max_epochs=4", "trainer.limit_train_batches=3"]
    quiet = ["trainer.limit_val_batches=1", "trainer.accelerator=cpu", "logger=none"]
    config = compose_plain(verb="train", overrides=[*small, *quiet, *words])
    config["callbacks"] = {name: config["callbacks"][name] for name in ("checkpoint", "keep_last")}
    torch.manual_seed(0)
    datamodule = build.datamodule(config)
    datamodule.setup("fit")
    metadata = datamodule.metadata  # type: ignore[attr-defined]
    config = build.filled_from_data(config, datamodule)
    watcher = StopInEpoch(epoch=stop)
    last = folder / "checkpoints" / "last.ckpt" if resume else None
    if last:
        progress = checkpoints.progress(checkpoints.read_plain(last))
        datamodule.resume(epoch=progress.epoch, batches=progress.batches)  # type: ignore[attr-defined]
    trainer = build.trainer(
        config, folder=folder, callbacks=[*build.callbacks(config, folder=folder), watcher], logger=None
    )
    try:
        trainer.fit(build.task(config, metadata), datamodule=datamodule, ckpt_path=last, weights_only=True)
    except RuntimeError:
        assert stop is not None
    return watcher.rates


@pytest.mark.parametrize(
    "words",
    [
        # Less is better, so that accuracy, which grows, makes the rate fall at every epoch.
        ["scheduler=plateau", "scheduler.patience=0", "scheduler.factor=0.5", "task.mode=min"],
        ["scheduler=one_cycle"],
        ["scheduler=cosine", "optimizer=sgd", "trainer.accumulate_grad_batches=2"],
    ],
    ids=["plateau", "one_cycle", "accumulated"],
)
def test_a_resumed_run_is_where_it_would_have_been(words: list[str], tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole", words)
    assert len(set(whole)) > 1
    fit(tmp_path / "halves", words, stop=2)
    rest = fit(tmp_path / "halves", words, resume=True)
    assert rest == whole[6:]
    final = [
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "halves")
    ]
    for name, tensor in final[0].items():
        assert torch.equal(tensor, final[1][name]), name
