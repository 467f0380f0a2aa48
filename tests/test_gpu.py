"""What only a GPU can show: precision, memory, speed, and the search for the largest batch."""

import json
from pathlib import Path

import pytest
import torch

from pipeline import devices
from tests.benchmarks.throughput import measure
from tests.commands import run_verb

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(600)]

WORDS = ("trainer=gpu", "trainer.max_epochs=2", "logger=none")


def facts(root: Path) -> dict[str, object]:
    (path,) = root.glob("outputs/*/*/*/run.json")
    return dict(json.loads(path.read_text()))


@pytest.mark.parametrize("compiles", ["false", "true"])
def test_all_switches_together_still_learn(compiles: str, tmp_path: Path) -> None:
    switches = ("trainer.precision=auto", f"compile={compiles}", "optimizer.fused=true")
    clipped = ("trainer.gradient_clip_val=1.0", "trainer.max_epochs=15")
    answer = run_verb("train", *WORDS, *switches, *clipped, root=tmp_path)
    assert answer.code == 0, answer.err
    found = facts(tmp_path)
    has_bfloat16 = torch.cuda.get_device_capability() >= (8, 0)
    assert found["precision"] == ("bf16-mixed" if has_bfloat16 else "32-true")
    assert found["device"] == torch.cuda.get_device_name()
    assert 0 < float(str(found["peak_memory_gib"])) < torch.cuda.mem_get_info()[1] / 2**30
    (path,) = tmp_path.glob("outputs/*/*/*/metrics.json")
    assert json.loads(path.read_text())["test/top1"] > 0.9


def test_largest_batch_is_found_where_memory_ends(tmp_path: Path) -> None:
    words = ("model=resnet50", "data.image_size=512", "data.batch_size=64", "batch_size_finder=true")
    answer = run_verb("train", *WORDS, *words, "trainer.limit_train_batches=2", root=tmp_path)
    assert answer.code == 0, answer.err
    assert "is the largest that fits" in answer.out


@pytest.mark.parametrize("network", ["resnet50", "faster_rcnn"])
def test_throughput_is_below_the_peak(network: str) -> None:
    switches = {"precision": "bf16-mixed", "channels_last": True, "compile": False}
    row = measure(network, batch=8, size=224, steps=5, warmup=3, device="cuda", **switches)
    assert row["images_per_second"] > 0
    assert 0 < row["share_of_a_product"] < 1


def test_capabilities_decide() -> None:
    expected = "bf16-mixed" if torch.cuda.get_device_capability() >= (8, 0) else "32-true"
    assert devices.precision_of({"precision": "auto", "accelerator": "gpu"}) == expected
