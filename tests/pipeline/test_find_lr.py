"""The range test: each step has its rate, divergence ends it, and its figure and table stay."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from pipeline import find_lr
from pipeline.callbacks.learning_rate_range import LearningRateRange
from pipeline.compose import Composed, compose_plain, problems_of, settings_of
from pipeline.errors import Mistake
from pipeline.rates import suggest
from pipeline.work import find_lr as work
from tests.lightning_modules.training import quiet_trainer

STEEPNESS = 10.0  # of the parabola: gradient descent diverges above a rate of 2 / 10


class Parabola(LightningModule):
    """A loss of which every step can be computed by hand."""

    def __init__(self, *, others: float = 0.1) -> None:
        super().__init__()
        self.others = others
        self.weight = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
        self.other = nn.Parameter(torch.tensor(0.0, dtype=torch.float64))

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return STEEPNESS / 2 * self.weight**2 + 0 * self.other

    def configure_optimizers(self) -> torch.optim.Optimizer:
        groups = [{"params": [self.weight]}, {"params": [self.other], "lr": self.others}]
        return torch.optim.SGD(groups, lr=0.5)


def ranged(*, steps: int, highest: float, accumulated: int = 1) -> tuple[LearningRateRange, Parabola]:
    test = LearningRateRange(lowest=1e-3, highest=highest, steps=steps, smoothing=0.5)
    module = Parabola()
    trainer = quiet_trainer(
        max_steps=steps, max_epochs=-1, callbacks=[test], accumulate_grad_batches=accumulated
    )
    trainer.fit(module, train_dataloaders=DataLoader(list(range(10)), batch_size=1))
    return test, module


@pytest.mark.parametrize("accumulated", [1, 2])
def test_losses_are_those_of_a_loop_by_hand(accumulated: int) -> None:
    test, module = ranged(steps=20, highest=0.1, accumulated=accumulated)
    weight, losses = 1.0, []
    rates = np.geomspace(1e-3, 0.1, 20)
    for rate in rates:
        losses.append(STEEPNESS / 2 * weight**2)
        weight -= rate * STEEPNESS * weight
    assert test.rates == pytest.approx(rates)
    assert test.losses == pytest.approx(losses)
    assert float(module.weight.detach()) == pytest.approx(weight)
    assert not test.diverged
    weights = [0.5**age for age in range(20)]
    expected = [np.average(losses[: n + 1][::-1], weights=weights[: n + 1]) for n in range(20)]
    assert test.smoothed == pytest.approx(expected)


@pytest.mark.parametrize("others", [0.1, 2.5])
def test_groups_keep_their_shares_of_the_rate_that_is_typed(others: float) -> None:
    test = LearningRateRange(lowest=1e-3, highest=0.1, steps=11, smoothing=0.5)
    module = Parabola(others=others)
    trainer = quiet_trainer(max_steps=6, max_epochs=-1, callbacks=[test])
    trainer.fit(module, train_dataloaders=DataLoader(list(range(10)), batch_size=1))
    first, second = (group["lr"] for group in trainer.optimizers[0].param_groups)
    assert first == pytest.approx(1e-2)
    assert second == pytest.approx(first * others / 0.5)


def test_divergence_ends_the_test() -> None:
    test, _ = ranged(steps=60, highest=10.0)
    assert test.diverged
    assert 2 / STEEPNESS < test.rates[-1] < 10.0
    best = test.rates[int(np.argmin(test.losses))]  # after the last step that still went down
    assert 2 / STEEPNESS < best < 2 / STEEPNESS * 1.4
    found = suggest(test.rates, test.smoothed)
    assert found is not None
    assert found.steepest < 2 / STEEPNESS < found.lowest < test.rates[-1]  # the mean lags behind
    assert found.tenth == found.lowest / 10


def test_suggestion_is_where_the_curve_falls_fastest() -> None:
    rates = np.geomspace(1e-6, 1, 100)
    middle, end = 1e-3, 1e-1
    losses = 1 / (1 + (rates / middle)) + (rates / end) ** 2
    found = suggest(list(rates), list(losses))
    assert found is not None
    assert found.steepest == pytest.approx(middle, rel=0.15)  # of a logistic curve, its middle
    assert found.lowest == rates[losses.argmin()]
    assert suggest(list(rates), [float("nan")] * 100) is None
    assert suggest(list(rates), list(rates)) is None, "a loss that only rises speaks for no rate"


def composed(root: Path, *words: str) -> Composed:
    config = compose_plain(verb="find_lr", overrides=list(words))
    assert problems_of(verb="find_lr", config=config) == []
    settings = settings_of(verb="find_lr", config=config)
    return Composed(
        verb="find_lr", config=config, settings=settings, overrides=[*words], root=root, show_traceback=True
    )


def test_verb_leaves_a_figure_and_a_table_and_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("model=lenet5", "data.batch_size=16", "trainer=cpu", "num_steps=12", "lowest_lr=1e-4")
    whole = composed(tmp_path, *words)
    assert work.run(composed=whole, **whole.settings) == 0
    (figure,) = tmp_path.rglob("learning_rate.png")
    assert str(figure) in capsys.readouterr().out.replace("\n", "")
    rows = list(csv.DictReader(figure.with_suffix(".csv").open()))
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx(
        np.geomspace(1e-4, 1, 12)[: len(rows)]
    )
    assert len(rows) > 5
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {
        "learning_rate.png",
        "learning_rate.csv",
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lowest_lr=0.1", "highest_lr=0.1"), "lowest_lr=0.1 must be below highest_lr=0.1"),
        (("resume=latest",), "resume= goes on with a run"),
        (("batch_size_finder=true",), "batch_size_finder=true is for make train"),
        (("optimizer.scale_lr=linear",), "optimizer.scale_lr=linear changes the rate"),
        (("task=style_transfer",), "optimizer=lbfgs finds its step by itself"),
    ],
)
def test_what_cannot_be_tested_is_refused_at_once(
    words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(Mistake, match=message):
        find_lr._check(composed(tmp_path, *words))


def test_values_out_of_range_are_told() -> None:
    words = ["lowest_lr=0", "num_steps=3", "smoothing=1"]
    problems = problems_of(verb="find_lr", config=compose_plain(verb="find_lr", overrides=words))
    assert {problem.key for problem in problems} == {"lowest_lr", "num_steps", "smoothing"}
