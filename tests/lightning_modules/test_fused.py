"""Fused optimisers: the same steps, clipped gradients, and resuming bit for bit."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lightning_modules.parameter_groups import build_optimizer, parameter_groups
from tests.lightning_modules.synthetic import TinyNet
from tests.lightning_modules.training import quiet_trainer

KINDS: dict[str, Any] = {
    "sgd": partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.01),
    "nesterov": partial(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True),
    "adam": partial(torch.optim.Adam, lr=0.01),
    "adamw": partial(torch.optim.AdamW, lr=0.01, weight_decay=0.05),
    "adagrad": partial(torch.optim.Adagrad, lr=0.01),
}


class Small(LightningModule):
    """A network that learns random targets."""

    def __init__(self, factory: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = TinyNet()
        self.factory = factory

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.model(batch).float().square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return build_optimizer(self.factory, parameter_groups(self.model), head_lr_factor=1.0)


def fit(factory: Any, *, epochs: int, resume: Path | None = None, **options: Any) -> tuple[Small, Any]:
    images = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    module = Small(factory)
    trainer = quiet_trainer(max_epochs=epochs, **options)
    trainer.fit(module, train_dataloaders=DataLoader(images, batch_size=2), ckpt_path=resume)  # type: ignore[arg-type]
    return module, trainer


def weights(module: nn.Module) -> Tensor:
    """All but a bias before batch norm: its gradient is rounding, which Adam makes as large as any other."""
    kept = [value for name, value in module.named_parameters() if not name.endswith("features.0.bias")]
    return torch.cat([parameter.detach().flatten() for parameter in kept])


@pytest.mark.parametrize("kind", KINDS)
def test_fused_steps_are_those_of_the_loop(kind: str) -> None:
    loop, _ = fit(partial(KINDS[kind], foreach=False), epochs=2)
    fused, trainer = fit(partial(KINDS[kind], fused=True), epochs=2)
    assert trainer.optimizers[0].defaults["fused"] is True
    torch.testing.assert_close(weights(fused), weights(loop), rtol=1e-4, atol=1e-5)
    assert not torch.equal(weights(fused), weights(Small(KINDS[kind])))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_are_clipped_before_fused_steps(precision: str) -> None:
    factory = partial(torch.optim.SGD, lr=1.0)
    options: dict[str, Any] = {"precision": precision, "gradient_clip_val": 1e-3}
    fused, _ = fit(partial(factory, fused=True), epochs=1, limit_train_batches=1, **options)
    moved = weights(fused) - weights(Small(factory))
    assert float(moved.norm()) == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_resuming_is_exact(kind: str, tmp_path: Path) -> None:
    factory = partial(KINDS[kind], fused=True)
    whole, _ = fit(factory, epochs=4)
    _, half = fit(factory, epochs=2)
    half.save_checkpoint(tmp_path / "half.ckpt")
    resumed, _ = fit(factory, epochs=4, resume=tmp_path / "half.ckpt")
    assert torch.equal(weights(resumed), weights(whole))
