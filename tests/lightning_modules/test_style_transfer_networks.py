"""Networks that paint any picture, inside their task: they learn, are kept, and go on."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.optim import Adam

from lightning_modules.models.style_transfer.adain import adain
from lightning_modules.models.style_transfer.fast_style import fast_style
from lightning_modules.models.style_transfer.stylizer import Stylizer
from lightning_modules.style_transfer import StyleTransferTask
from tests.lightning_modules.styled import batch_of, features, fitted, loaders, picture, task
from tests.lightning_modules.training import quiet_trainer

CONTENTS = [picture(1), picture(3)]
ONE_STYLE = batch_of(CONTENTS, [[picture(2)]] * 2)
MANY_STYLES = batch_of(CONTENTS, [[picture(2)], [picture(4)]], numbers=[5, 6])
BATCHES = {"fast_style": ONE_STYLE, "adain": MANY_STYLES}
NAMES = sorted(BATCHES)


def network(name: str) -> Stylizer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if name == "adain":
            return adain(features=features())
        return fast_style(features=features(), width=4, blocks=1)


def learner(name: str, **values: Any) -> StyleTransferTask:
    return task(network(name), optimizer=partial(Adam, lr=0.01), **values)


class Save(Callback):
    """Keeps a checkpoint after the first epoch."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 0:
            trainer.save_checkpoint(self.path)


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_and_its_features_do_not(name: str) -> None:
    whole = learner(name)
    loader = loaders(BATCHES[name], steps=1)[1]
    before = {key: value.clone() for key, value in whole.model.features.state_dict().items()}
    (first,) = quiet_trainer().validate(whole, loader, verbose=False)
    trainer = fitted(whole, batch=BATCHES[name], steps=30)
    last = trainer.callback_metrics
    assert float(last["val/loss"]) < 0.5 * first["val/loss"]
    assert float(last["val/style"]) < 0.5 * first["val/style"]
    assert all(torch.equal(value, before[key]) for key, value in whole.model.features.state_dict().items())
    assert all(each.grad is None for each in whole.model.features.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_run_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    path = tmp_path / "first.ckpt"
    whole = learner(name)
    fitted(whole, batch=BATCHES[name], epochs=3, steps=2, callbacks=[Save(path)])
    rest = learner(name)
    fitted(rest, batch=BATCHES[name], epochs=3, steps=2, checkpoint=path)
    kept = torch.load(path, weights_only=True)["state_dict"]
    expected = whole.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in rest.state_dict().items())
    assert any(not torch.equal(value, expected[key]) for key, value in kept.items())


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_paints_as_the_run_did(name: str, tmp_path: Path) -> None:
    path = tmp_path / "first.ckpt"
    whole = learner(name)
    fitted(whole, batch=BATCHES[name], callbacks=[Save(path)])
    again = learner(name)
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.zero_()
    again.load_state_dict(torch.load(path, weights_only=True)["state_dict"])
    styles = [picture(7, height=20)] if name == "adain" else None
    for each in (whole, again):
        each.paint_like(styles, alpha=0.5)
    batch: Any = {"image": [picture(8, width=21), picture(9)], "index": torch.arange(2)}
    expected, found = (each.eval().predict_step(batch, 0) for each in (whole, again))
    assert [tuple(each.shape) for each in found["picture"]] == [(3, 32, 21), (3, 32, 32)]
    assert all(map(torch.equal, found["picture"], expected["picture"]))


def test_the_content_of_a_decoder_is_the_layer_that_it_decodes() -> None:
    suited = learner("adain", content_layers=None, style_layers=None).objective
    assert suited.content_layers == {"relu2_1": 1.0}
    assert suited.style_layers == {"relu1_1": 1.0, "relu2_1": 1.0}
    with pytest.raises(ValueError, match=r"task.content_layers=.*relu1_1.* must be null.*at relu2_1"):
        learner("adain", content_layers={"relu1_1": 1.0})
