"""Batch-norm statistics of averaged weights, measured anew."""

import copy
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torchmetrics import MeanMetric

from pipeline.callbacks.weight_average_statistics import recompute, running_statistics

NORMS = ("net.1", "net.4")


class Network(LightningModule):
    """Two batch norms that adapt, one that is frozen and one that no batch reaches."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(
            nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)
        )
        self.frozen = nn.BatchNorm1d(5).requires_grad_(False)
        self.aside = nn.BatchNorm1d(2)
        self.measure = MeanMetric()
        for name, statistic in running_statistics(self).items():
            statistic.uniform_(1, 2) if "var" in name else statistic.normal_()

    def train(self, mode: bool = True) -> "Network":
        super().train(mode)
        self.frozen.eval()
        return self

    def forward(self, features: Tensor) -> Tensor:
        answer: Tensor = self.net(self.frozen(features))
        return answer

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        loss = self(batch["features"]).mean()
        self.measure.update(loss)
        self.log("train/loss", loss)
        return loss


def batches() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [{"features": torch.randn(size, 5, generator=generator) * 3 + 1} for size in (8, 8, 5)]


def same(batch: Any) -> Any:
    return batch


def test_statistics_are_those_of_torch() -> None:
    network = Network().eval()
    before = copy.deepcopy(network)
    recompute(network, batches(), to_device=same)
    known = copy.deepcopy(before)
    torch.optim.swa_utils.update_bn([batch["features"] for batch in batches()], known.net)
    # Torch does not know what is frozen: it is asked about the part behind, for features that passed it.
    known.load_state_dict(before.state_dict())
    with torch.no_grad():
        seen = [known.frozen(batch["features"]) for batch in batches()]
    torch.optim.swa_utils.update_bn(seen, known.net)
    found, expected = running_statistics(network), running_statistics(known)
    for name in found:
        torch.testing.assert_close(found[name], expected[name], msg=name)
    changed = {name for name in found if not torch.equal(found[name], running_statistics(before)[name])}
    assert changed == {f"{norm}.{kind}" for norm in NORMS for kind in ("running_mean", "running_var")}


def test_nothing_else_changes() -> None:
    network = Network().eval()
    before = copy.deepcopy(network.state_dict())
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    recompute(network, batches(), to_device=same)
    assert torch.equal(torch.rand(3), expected), "the generator of training was used"
    assert not network.training
    assert network.measure.update_count == 0
    assert network.net[1].momentum == 0.1
    statistics = running_statistics(network)
    for name, tensor in network.state_dict().items():
        assert name in statistics or torch.equal(tensor, before[name]), name


def test_processes_agree() -> None:
    network = Network()
    recompute(network, batches(), to_device=same, reduce=torch.zeros_like)
    for norm in NORMS:
        assert network.get_submodule(norm).running_mean.abs().sum() == 0  # type: ignore[union-attr, operator]


def test_a_network_without_statistics_sees_no_batch() -> None:
    network = Network()
    network.net, network.frozen, network.aside = nn.Sequential(nn.Linear(5, 4)), nn.Identity(), nn.Identity()  # type: ignore[assignment]
    recompute(network, batches(), to_device=refuse)


def test_a_network_whose_statistics_are_frozen_sees_no_batch() -> None:
    network = Network()
    network.net, network.aside = nn.Sequential(nn.Linear(5, 4)), nn.Identity()  # type: ignore[assignment]
    assert running_statistics(network)
    recompute(network, batches(), to_device=refuse)


def refuse(batch: Any) -> Any:
    raise AssertionError("a pass for nothing")
