"""The learning rate follows the effective batch by the rule that was chosen, for every optimiser."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pipeline.compose import compose_plain, problems_of
from pipeline.effective_batch import RULES, factor, scale_rate
from tests.test_every_config import CONF


@pytest.mark.parametrize(
    ("rule", "processes", "accumulated", "expected"),
    [
        ("none", 8, 4, 1.0),
        ("linear", 1, 1, 1.0),
        ("linear", 3, 2, 6.0),
        ("sqrt", 2, 8, 4.0),
        ("sqrt", 1, 1, 1.0),
    ],
)
def test_factors(rule: str, processes: int, accumulated: int, expected: float) -> None:
    assert factor(rule, processes=processes, accumulated=accumulated) == expected


def test_the_optimiser_is_built_with_the_scaled_rate() -> None:
    task = SimpleNamespace(optimizer_factory=partial(torch.optim.SGD, lr=0.1, momentum=0.9))
    config = {"optimizer": {"lr": 0.1, "scale_lr": "linear"}}
    assert scale_rate(task, config=config, processes=2, accumulated=3) == pytest.approx(0.6)
    built = task.optimizer_factory([nn.Parameter(torch.zeros(1))])
    assert built.param_groups[0]["lr"] == pytest.approx(0.6)
    assert built.param_groups[0]["momentum"] == 0.9


def test_without_a_rule_nothing_is_touched() -> None:
    factory = partial(torch.optim.SGD, lr=0.1)
    task = SimpleNamespace(optimizer_factory=factory)
    for config in ({"optimizer": {"lr": 0.1}}, {"optimizer": {"lr": 0.1, "scale_lr": "none"}}):
        assert scale_rate(task, config=config, processes=4, accumulated=1) == 0.1
        assert task.optimizer_factory is factory


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "optimizer").glob("*.yaml")))
def test_every_optimiser_can_be_scaled(name: str) -> None:
    task = "style_transfer" if name == "lbfgs" else "classification"
    for rule in RULES:
        words = [f"task={task}", f"optimizer={name}", f"optimizer.scale_lr={rule}"]
        assert problems_of(verb="train", config=compose_plain(verb="train", overrides=words)) == []


@pytest.mark.parametrize(
    ("words", "key", "way_out"),
    [
        (["optimizer.scale_lr=liner"], "optimizer.scale_lr", "did you mean 'linear'?"),
        (["optimizer.scale_lr=2"], "optimizer.scale_lr", "it is one of none, linear, sqrt"),
        (["trainer=ddp_cpu", "trainer.sync_batchnorm=true"], "trainer.sync_batchnorm", "leave it out"),
        (["trainer=cpu", "trainer.strategy=fsdp"], "trainer.strategy", "choose trainer.strategy=ddp"),
    ],
)
def test_what_cannot_be_is_told_before_torch_is_there(words: list[str], key: str, way_out: str) -> None:
    (problem,) = problems_of(verb="train", config=compose_plain(verb="train", overrides=words))
    assert problem.key == key
    assert way_out in problem.message


@pytest.mark.parametrize(
    "words", [["trainer=ddp", "trainer.sync_batchnorm=true"], ["trainer=ddp", "trainer.strategy=fsdp"]]
)
def test_gpus_can_do_both(words: list[str]) -> None:
    assert problems_of(verb="train", config=compose_plain(verb="train", overrides=words)) == []
