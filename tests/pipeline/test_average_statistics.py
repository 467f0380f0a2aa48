"""All processes of a distributed run measure and keep the same running statistics."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline import build
from pipeline.callbacks.average_statistics import AverageStatistics, average_statistics
from pipeline.errors import Mistake


def network(seed: int) -> nn.Sequential:
    """Batch norm twice, one of them without running statistics, and a buffer that is no statistic."""
    torch.manual_seed(seed)
    norms = [nn.BatchNorm2d(3), nn.BatchNorm1d(5), nn.BatchNorm1d(2, track_running_stats=False)]
    for norm in norms[:2]:
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2.0)
    built = nn.Sequential(*norms, nn.GroupNorm(1, 2))
    built.register_buffer("threshold", torch.randn(1))
    return built


def exchange(monkeypatch: pytest.MonkeyPatch, *others: nn.Module) -> list[int]:
    """Let the sum over processes be that with the statistics of `others`, read one by one."""
    calls: list[int] = []

    def all_reduce(joined: Tensor) -> None:
        calls.append(joined.numel())
        for other in others:
            state = other.state_dict()
            names = ("0.running_mean", "0.running_var", "1.running_mean", "1.running_var")
            joined += torch.cat([state[name].double() for name in names])

    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    return calls


def test_statistics_become_their_mean_over_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    own, others = network(0), [network(1), network(2)]
    before = {name: value.clone() for name, value in own.state_dict().items()}
    exchange(monkeypatch, *others)
    average_statistics(SimpleNamespace(world_size=3), own)  # type: ignore[arg-type]
    for name, value in own.state_dict().items():
        everyone = [before[name], *(other.state_dict()[name] for other in others)]
        expected = sum(everyone) / 3 if "running" in name else before[name]
        torch.testing.assert_close(value, expected)


def test_equal_statistics_stay_what_they_are_to_the_last_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    own = network(0)
    before = {name: value.clone() for name, value in own.state_dict().items()}
    exchange(monkeypatch, network(0), network(0))
    average_statistics(SimpleNamespace(world_size=3), own)  # type: ignore[arg-type]
    assert all(torch.equal(value, before[name]) for name, value in own.state_dict().items())


def test_nothing_is_exchanged_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = exchange(monkeypatch)
    average_statistics(SimpleNamespace(world_size=1), network(0))  # type: ignore[arg-type]
    average_statistics(SimpleNamespace(world_size=2), nn.Linear(2, 2))  # type: ignore[arg-type]
    assert calls == []


@pytest.mark.parametrize("hook", ["on_validation_start", "on_train_epoch_end", "on_save_checkpoint"])
def test_before_it_is_measured_and_before_it_is_kept(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = network(0), network(1)
    exchange(monkeypatch, other)
    arguments: list[Any] = [SimpleNamespace(world_size=2), own]
    checkpoint = {"state_dict": own.state_dict()}
    getattr(AverageStatistics(), hook)(*arguments, *([checkpoint] if "checkpoint" in hook else []))
    name = "0.running_mean"
    mean = (network(0).state_dict()[name] + other.state_dict()[name]) / 2
    torch.testing.assert_close(checkpoint["state_dict"][name], mean)


def trainer_node(**changes: Any) -> dict[str, Any]:
    node = {"_target_": "pytorch_lightning.Trainer", "accelerator": "cpu", "devices": 2, "strategy": "ddp"}
    return {"trainer": {**node, "logger": False, "enable_progress_bar": False, **changes}}


@pytest.mark.parametrize("strategy", ["ddp", "auto", "ddp_find_unused_parameters_true"])
def test_torch_does_not_overwrite_the_statistics_of_a_process(strategy: str, tmp_path: Any) -> None:
    config = trainer_node(strategy=strategy)
    del config["trainer"]["logger"]
    trainer = build.trainer(config, folder=tmp_path, callbacks=[], logger=None)
    assert trainer.strategy._ddp_kwargs[build._SYNC_BUFFERS] is False


def test_synchronised_batch_norm_is_refused_where_there_is_no_gpu(tmp_path: Any) -> None:
    config = trainer_node(sync_batchnorm=True)
    del config["trainer"]["logger"]
    with pytest.raises(Mistake, match="leave it out"):
        build.trainer(config, folder=tmp_path, callbacks=[], logger=None)
