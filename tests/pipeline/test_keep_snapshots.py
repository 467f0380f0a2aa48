"""Which checkpoints a snapshot schedule leaves behind."""

from pathlib import Path

import pytest
import torch
from pytorch_lightning import Callback

from lightning_modules.snapshot_schedule import snapshot
from pipeline import checkpoints
from pipeline.callbacks.keep_snapshots import KeepSnapshots
from tests.lightning_modules import synthetic
from tests.lightning_modules.training import quiet_trainer


def schedule(optimizer, horizon):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    return snapshot(optimizer, horizon, cycles=3)


@pytest.mark.parametrize(
    ("epochs", "accumulated", "steps"), [(3, 1, [4, 8, 12]), (2, 1, [3, 5, 8]), (3, 2, [2, 4, 6])]
)
def test_each_cycle_leaves_the_weights_of_its_end(
    tmp_path: Path, epochs: int, accumulated: int, steps: list[int]
) -> None:
    learner = synthetic.task(scheduler=schedule)
    callbacks: list[Callback] = [KeepSnapshots()]
    trainer = quiet_trainer(
        max_epochs=epochs,
        callbacks=callbacks,
        default_root_dir=tmp_path,
        enable_checkpointing=True,
        accumulate_grad_batches=accumulated,
    )
    trainer.fit(learner, synthetic.loader(size=32, batch_size=8), synthetic.loader(size=8, batch_size=8))
    files = sorted((tmp_path / "checkpoints").glob("snapshot_*.ckpt"))
    assert [path.name for path in files] == [f"snapshot_{number}.ckpt" for number in (1, 2, 3)]
    found = [checkpoints.read_plain(path) for path in files]
    assert [each["global_step"] for each in found] == steps
    last = found[-1]["state_dict"]
    assert all(torch.equal(last[name], value) for name, value in learner.state_dict().items())
    assert not torch.equal(found[0]["state_dict"]["model.head.weight"], last["model.head.weight"])


def test_other_schedules_leave_none(tmp_path: Path) -> None:
    trainer = quiet_trainer(max_epochs=2, callbacks=[KeepSnapshots()], default_root_dir=tmp_path)
    trainer.fit(synthetic.task(), synthetic.loader(size=16, batch_size=8))
    assert not list(tmp_path.rglob("snapshot_*"))
