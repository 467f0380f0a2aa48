"""One picture as a parameter: how it starts, grows, is painted, interrupted and gone on with."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import LBFGS, Adam

from lightning_modules.models.style_transfer.gatys import Gatys, gatys
from lightning_modules.models.style_transfer.stylizer import blend_weights, resized
from lightning_modules.style_transfer import StyleTransferTask
from tests.lightning_modules.styled import ONE, SIDE, features, fitted, loaders, one_picture, picture, task
from tests.lightning_modules.training import quiet_trainer

CONTENT, STYLE = picture(1)[None] / 255, picture(2, height=40, width=28)[None] / 255


def begun(**values: Any) -> Gatys:
    model = one_picture(**values)
    model.begin(CONTENT, STYLE)
    return model


class Watch(Callback):
    """Keeps every loss that an evaluation gave, by step, and what was logged of it."""

    def __init__(self) -> None:
        self.evaluated: list[list[float]] = []
        self.logged: list[float] = []
        self.sizes: list[int] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.evaluated.append([])

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        self.evaluated[-1].append(float(loss))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.logged.append(float(trainer.callback_metrics["train/loss_step"]))
        model = pl_module.model
        assert isinstance(model, Gatys)
        self.sizes.append(model.pictures[int(model.active)].shape[-1])


class Save(Callback):
    """Keeps a checkpoint after some step."""

    def __init__(self, path: Path, *, after: int) -> None:
        self.path, self.after = path, after

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step == self.after:
            trainer.save_checkpoint(self.path)


def final(learner: StyleTransferTask) -> Tensor:
    model = learner.model
    assert isinstance(model, Gatys)
    picture: Tensor = model.pictures[-1].detach()
    return picture


def test_it_starts_as_the_content_the_style_or_noise() -> None:
    assert torch.equal(begun(start="content").pictures[0], CONTENT)
    middle = STYLE[:, :, 6:34]  # 28 x 28 of 40 x 28
    assert torch.equal(begun(start="style").pictures[0], resized(middle, (SIDE, SIDE)))
    noise = begun(start="noise").pictures[0]
    assert torch.equal(begun(start="noise").pictures[0], noise)
    assert not torch.equal(begun(start="noise", seed=1).pictures[0], noise)
    assert 0 <= float(noise.detach().min()) < 0.01 and 0.99 < float(noise.detach().max()) <= 1


def test_sizes_rise_to_that_of_the_content_and_keep_its_shape() -> None:
    model = gatys(features=features(), content_size=[24, 32], sizes=[8, 16, 32])
    assert [tuple(each.shape) for each in model.pictures] == [(1, 3, 6, 8), (1, 3, 12, 16), (1, 3, 24, 32)]
    assert model.pictures[-1].shape[-2:] == (24, 32)
    for sizes in ([16, 64], [32, 16], [16, 16, 32], [], [0, 32]):
        with pytest.raises(ValueError, match=r"model.sizes=.* must rise to 32.*\[16, 32\]"):
            gatys(features=features(), content_size=[24, 32], sizes=sizes)


def test_a_larger_size_goes_on_with_the_picture_so_far() -> None:
    model = begun(sizes=[16, 32])
    assert model.train().paint(CONTENT, None).pictures.shape[-1] == 16
    assert model.eval().paint(CONTENT, None).pictures.shape[-1] == 32
    before = model.stylise(CONTENT, None)
    model.enlarge()
    assert torch.equal(model.pictures[1], resized(model.pictures[0], (32, 32)))
    assert torch.equal(model.stylise(CONTENT, None), before)
    assert model.train().paint(CONTENT, None).pictures.shape[-1] == 32


def test_every_size_has_a_gradient_and_that_of_the_others_is_0() -> None:
    learner = task(begun(sizes=[8, 16, 32]))
    learner.log = lambda *_, **__: None  # type: ignore[method-assign]
    learner.model.enlarge()  # type: ignore[operator]
    learner.training_step(ONE, 0).backward()  # type: ignore[no-untyped-call]
    gradients = {name: each.grad for name, each in learner.named_parameters() if each.requires_grad}
    assert set(gradients) == {f"model.pictures.{stage}" for stage in range(3)}
    sums = [float(each.abs().sum()) for each in gradients.values() if each is not None]
    assert sums[1] > 0
    assert sums[::2] == [0, 0]


def test_other_sizes_do_not_change_where_a_step_goes() -> None:
    alone, beside = begun(), begun(sizes=[16, 32])
    beside.pictures[1].data.copy_(CONTENT)
    beside.active.fill_(1)
    for model in (alone, beside):
        learner = task(model)
        learner.log = lambda *_, **__: None  # type: ignore[method-assign]
        optimizer = LBFGS(model.pictures, max_iter=8, line_search_fn="strong_wolfe")

        def again(optimizer: LBFGS = optimizer, learner: StyleTransferTask = learner) -> Tensor:
            optimizer.zero_grad()
            loss = learner.training_step(ONE, 0)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimizer.step(again)  # type: ignore[no-untyped-call]
    assert float((alone.pictures[0] - CONTENT).abs().max()) > 0.01
    assert torch.allclose(beside.pictures[1], alone.pictures[0], atol=1e-5)


def test_a_picture_is_not_decayed() -> None:
    optimizer = partial(torch.optim.AdamW, lr=0.0, weight_decay=0.5)
    for everywhere in (False, True):
        learner = task(optimizer=optimizer, decay_bias_and_norm=everywhere)
        (group,) = learner.configure_optimizers().param_groups  # type: ignore[union-attr]
        assert group["weight_decay"] == 0


def test_a_step_logs_the_loss_it_began_with_and_falls() -> None:
    watch = Watch()
    trainer = fitted(task(), steps=6, callbacks=[watch])
    assert all(len(each) > 2 for each in watch.evaluated)
    assert watch.logged == pytest.approx([each[0] for each in watch.evaluated])
    assert watch.logged == sorted(watch.logged, reverse=True) and watch.logged[-1] < 0.8 * watch.logged[0]
    assert float(trainer.callback_metrics["train/loss"]) == pytest.approx(sum(watch.logged) / 6)
    assert trainer.global_step == 6
    assert float(trainer.callback_metrics["val/loss"]) < watch.logged[-1]


def test_every_size_is_painted_for_its_share_of_the_steps() -> None:
    watch = Watch()
    fitted(task(one_picture(sizes=[8, 16, 32])), epochs=2, steps=3, callbacks=[watch])
    assert watch.sizes == [8, 8, 16, 16, 32, 32]


def test_directions_of_another_size_are_forgotten() -> None:
    class Count(Callback):
        def __init__(self) -> None:
            self.steps: list[float] = []

        def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
            self.steps.append(float(next(iter(trainer.optimizers[0].state.values()))["step"]))

    count = Count()
    learner = task(one_picture(sizes=[16, 32]), optimizer=partial(Adam, lr=0.01))
    fitted(learner, steps=4, callbacks=[count])
    assert count.steps == [1, 2, 1, 2]


@pytest.mark.parametrize("optimizer", [None, partial(Adam, lr=0.02)], ids=["lbfgs", "adam"])
def test_an_interrupted_run_arrives_at_the_same_picture(tmp_path: Path, optimizer: Any) -> None:
    other: Mapping[str, Any] = {} if optimizer is None else {"optimizer": optimizer}
    model = {"sizes": [16, 32], "start": "noise"}
    whole = task(one_picture(**model), **other)
    saving = [Save(tmp_path / f"{after}.ckpt", after=after) for after in (2, 4)]
    fitted(whole, epochs=5, callbacks=saving)
    for after in (2, 4):  # within the first size, and within the second
        rest = task(one_picture(**model), **other)
        fitted(rest, epochs=5, checkpoint=tmp_path / f"{after}.ckpt")
        assert torch.equal(final(rest), final(whole))
    assert not torch.equal(final(whole), torch.load(tmp_path / "4.ckpt")["state_dict"]["model.pictures.1"])


def test_sizes_need_an_end() -> None:
    trainer = quiet_trainer(max_epochs=-1, max_time={"seconds": 5}, num_sanity_val_steps=0)
    with pytest.raises(ValueError, match=r"model.sizes shares out the steps: set trainer.max_epochs"):
        trainer.fit(task(one_picture(sizes=[16, 32])), *loaders(ONE, steps=1))


def test_features_stay_as_they_are() -> None:
    model = one_picture()
    before = {name: value.clone() for name, value in model.features.state_dict().items()}
    assert before
    fitted(task(model), steps=3)
    assert all(torch.equal(value, before[name]) for name, value in model.features.state_dict().items())
    assert all(each.grad is None for each in model.features.parameters())


def test_it_paints_no_other_picture() -> None:
    with pytest.raises(ValueError, match=r"one picture of 32 x 32 pixels and paints no other.*data.content="):
        one_picture().stylise(torch.rand(1, 3, 16, 32), None)
    with pytest.raises(ValueError, match=r"model.content_size=null.*data=picture_and_style"):
        gatys(features=features())
    with pytest.raises(ValueError, match=r"model.start=blank is not one of content, style, noise"):
        one_picture(start="blank")


def test_alpha_goes_from_the_content_to_the_picture() -> None:
    model = begun(start="noise")
    assert torch.equal(model.stylise(CONTENT, None, alpha=0.0), CONTENT)
    assert torch.allclose(
        model.stylise(CONTENT, None, alpha=0.5), (CONTENT + model.pictures[0]) / 2, atol=1e-6
    )
    with pytest.raises(ValueError, match=r"alpha=1.5 must be from 0"):
        model.stylise(CONTENT, None, alpha=1.5)


def test_blend_weights_sum_to_1() -> None:
    assert blend_weights([3, 1], count=2) == [0.75, 0.25]
    assert blend_weights(None, count=4) == [0.25] * 4
    with pytest.raises(
        ValueError, match=r"task.style_blend=\[1, 2\] has 2 weights and data.style has 3 pictures"
    ):
        blend_weights([1, 2], count=3)
    for wrong in ([1, -1], [0, 0]):
        with pytest.raises(ValueError, match=r"must be at least 0 each, and one of them above 0"):
            blend_weights(wrong, count=2)
