"""The benchmark of throughput, on networks and sizes that a processor manages."""

import pytest
import torch

from pipeline.environment import device_name
from tests.benchmarks import throughput
from tests.benchmarks.throughput import batch_of, classification, measure, operations, shares


def test_operations_are_three_passes_of_the_network() -> None:
    task = classification(size=64)
    forward = task.facts()["multiply_adds"]
    assert forward is not None
    count = operations(task, batch_of("resnet50", count=2, size=64))
    # Backward costs as much for the inputs and for the weights; the first layer has no inputs to go back to.
    assert count == pytest.approx(2 * 2 * 3 * forward, rel=0.05)


def test_shares_are_of_the_peak_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "product", lambda device, dtype: 500e12)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H200")
    cuda = torch.device("cuda")
    found = shares(98.9e12, device=cuda, precision="bf16-mixed")
    assert found == {"share_of_a_product": 0.198, "share_of_peak": 0.1}
    assert shares(98.9e12, device=cuda, precision="32-true")["share_of_peak"] == 0.2
    assert "share_of_peak" not in shares(1e9, device=torch.device("cpu"), precision="32-true")


@pytest.mark.slow
@pytest.mark.parametrize("network", ["resnet50", "faster_rcnn"])
def test_a_row_is_measured_on_a_processor(network: str) -> None:
    switches = {"precision": "32-true", "channels_last": True, "compile": False}
    row = measure(network, batch=2, size=64, steps=2, warmup=1, device="cpu", **switches)
    assert row["device"] == device_name()
    assert row["images_per_second"] > 0
    speed = row["gflop_per_image"] * row["images_per_second"] / 1000
    assert row["tflop_per_second"] == pytest.approx(speed, rel=0.2)
    assert 0 < row["share_of_a_product"] < 1.5
