"""Batches depend on seed, epoch and position alone: not on workers, interruptions or the past."""

import pickle
from collections import Counter
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from datamodules.single_label import ClassificationDataModule
from tests.datamodules.writers import build

Batch = dict[str, Tensor]


def make(*, num_workers: int = 0, seed: int = 0, **changes: Any) -> ClassificationDataModule:
    module = build(
        "digits", transforms="light", seed=seed, num_workers=num_workers, batch_size=200, **changes
    )
    module.setup()
    return module


def epochs(module: ClassificationDataModule, *numbers: int) -> list[Batch]:
    """Training batches of some epochs, from one loader as Lightning keeps it."""
    loader = module.train_dataloader()
    found = []
    for number in numbers:
        loader.sampler.set_epoch(number)  # type: ignore[attr-defined]
        found += list(loader)
    return found


def same(first: list[Batch], second: list[Batch]) -> bool:
    if len(first) != len(second):
        return False
    return all(torch.equal(a[key], b[key]) for a, b in zip(first, second, strict=True) for key in a)


def test_the_seed_decides_the_batches_and_epochs_differ() -> None:
    first = epochs(make(), 0, 1)
    torch.manual_seed(77)
    assert same(first, epochs(make(), 0, 1))
    assert not same(first[:6], epochs(make(seed=1), 0))
    assert not same(first[:6], first[6:])


def test_the_same_picture_is_augmented_anew_in_each_epoch() -> None:
    views: dict[tuple[int, int], Tensor] = {}
    for epoch in range(2):
        for batch in epochs(make(), epoch):
            views |= {(epoch, int(i)): image for i, image in zip(batch["index"], batch["image"], strict=True)}
    changed = sum(not torch.equal(views[0, index], views[1, index]) for index in range(1078))
    assert changed == 1078


def test_workers_change_nothing() -> None:
    alone = epochs(make(), 0, 1)
    for num_workers in (1, 2):
        assert same(alone, epochs(make(num_workers=num_workers), 0, 1)), f"{num_workers} workers"


def test_two_workers_draw_two_streams() -> None:
    """Where the workers share a stream, the same picture at the same place comes out the same."""
    module = make(num_workers=2)
    # every item the same scan
    module.data.splits["train"][:] = 5
    loader = module.train_dataloader()
    views = Counter(image.numpy().tobytes() for batch in loader for image in batch["image"])
    assert max(views.values()) == 1


def test_balanced_sampling_repeats_pictures_but_not_augmentations() -> None:
    module = make(balanced_sampling=True)
    batches = epochs(module, 0)
    indices = torch.cat([batch["index"] for batch in batches])
    images = torch.cat([batch["image"] for batch in batches])
    assert len(indices) == 1078
    assert len(set(indices.tolist())) < 1078
    assert len({image.numpy().tobytes() for image in images}) == 1078


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("balanced", [False, True])
def test_resuming_in_mid_epoch_gives_the_batches_that_were_left(num_workers: int, balanced: bool) -> None:
    whole = epochs(make(balanced_sampling=balanced), 1, 2)
    module = make(num_workers=num_workers, balanced_sampling=balanced)
    module.resume(epoch=1, batches=4)
    loader = module.train_dataloader()
    assert len(loader) == 6
    found = list(loader)  # Lightning starts the first epoch before it sets it
    loader.sampler.set_epoch(2)  # type: ignore[attr-defined]
    assert same(found + list(loader), whole[4:])


def test_evaluation_is_in_order_and_never_varies() -> None:
    module = make()
    first, second = list(module.test_dataloader()), list(module.test_dataloader())
    assert same(first, second)
    assert torch.cat([batch["index"] for batch in first]).tolist() == list(range(359))


def test_loaders_leave_the_global_generator_alone() -> None:
    module = make()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    epochs(module, 0)
    list(module.val_dataloader())
    assert torch.equal(before, torch.get_rng_state())


def test_datasets_can_be_sent_to_spawned_workers() -> None:
    dataset = make().dataset("train", augment=True)
    copy = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(copy[3]["image"], dataset[3]["image"])


class Recorder(LightningModule):
    """Remembers what it was trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.seen: list[Batch] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.seen.append(batch)
        loss: Tensor = self.layer(torch.ones(1)).sum()
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(module: ClassificationDataModule, recorder: Recorder, *, checkpoint: str | None = None) -> Trainer:
    trainer = Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        num_sanity_val_steps=0,
    )
    trainer.fit(recorder, datamodule=module, ckpt_path=checkpoint, weights_only=True)
    return trainer


class Stopped(Recorder):
    """Writes a checkpoint in mid-epoch, instead of training on one more batch, and stops."""

    def __init__(self, *, stop_after: int, path: str) -> None:
        super().__init__()
        self.stop_after = stop_after
        self.path = path

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> int | None:
        if len(self.seen) == self.stop_after:
            self.trainer.save_checkpoint(self.path)
            self.trainer.should_stop = True
            return -1
        return None


@pytest.mark.filterwarnings("ignore")
def test_lightning_resumes_in_mid_epoch(tmp_path: Any) -> None:
    whole = Recorder()
    fit(make(), whole)
    assert len(whole.seen) == 18
    path = str(tmp_path / "last.ckpt")
    stopped = Stopped(stop_after=8, path=path)
    fit(make(), stopped)
    assert same(stopped.seen[:8], whole.seen[:8])
    module = make()
    module.resume(epoch=1, batches=2)
    resumed = Recorder()
    fit(module, resumed, checkpoint=path)
    assert same(resumed.seen, whole.seen[8:])


def test_lightning_sets_the_epoch() -> None:
    recorder = Recorder()
    fit(make(), recorder)
    assert same(recorder.seen, epochs(make(), 0, 1, 2))


def test_a_plain_position_means_epoch_zero() -> None:
    dataset = make().dataset("train", augment=True)
    batch = epochs(make(), 0)[0]
    index = int(batch["index"][0])
    assert torch.equal(dataset[index]["image"], batch["image"][0])
    assert len(list(DataLoader(dataset, batch_size=500))) == 3


@pytest.mark.slow
def test_a_small_network_learns_digits_from_heavy_pictures() -> None:
    torch.manual_seed(0)
    module = build("digits", transforms="heavy")
    module.setup()
    network = nn.Sequential(
        *(
            nn.Conv2d(1, 32, 5, 2, 2),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, 2, 1),
            nn.BatchNorm2d(64),
        ),
        *(nn.ReLU(), nn.Conv2d(64, 64, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 16, 10)),
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    # The rate falls to nothing, so that the last few steps, which differ between processors, decide less.
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=12 * 34)
    for batch in [batch for epoch in range(12) for batch in epochs(module, epoch)]:
        loss = nn.functional.cross_entropy(network(batch["image"][:, :1] / 255), batch["label"])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    network.eval()
    right = [(network(b["image"][:, :1] / 255).argmax(1) == b["label"]) for b in module.test_dataloader()]
    accuracy = torch.cat(right).float().mean()
    assert accuracy > 0.93, accuracy  # measured 0.955
