"""How fast a run was and what it needed: measured right, and sent along."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from pipeline.callbacks import device_use
from pipeline.callbacks.device_use import DeviceUse
from pipeline.session import Session
from pipeline.tracking_entries import without_repetitions
from pipeline.tracking_file import Entry
from pipeline.tracking_system import SystemSampler
from pipeline.tracking_values import metric_entries
from pipeline.work.report import record_use
from tests.commands import eventually


class Clock:
    """Time that goes on when it is told to."""

    now = 0.0

    def perf_counter(self) -> float:
        """Seconds."""
        return self.now


def test_speed_is_that_of_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(device_use, "time", clock)
    use, trainer, module = DeviceUse(), SimpleNamespace(world_size=2), SimpleNamespace()

    def batch(images: int, seconds: float) -> None:
        clock.now += seconds
        use.on_train_batch_end(trainer, module, None, {"image": torch.zeros(images, 1)}, 0)  # type: ignore[arg-type]

    for _ in range(2):
        use.on_train_epoch_start(trainer, module)  # type: ignore[arg-type]
        batch(8, 100.0)  # workers start
        batch(8, 2.0)
        use.on_validation_start(trainer, module)  # type: ignore[arg-type]
        batch(8, 50.0)  # after validation
        batch(4, 1.0)
    assert use.images == 2 * 2 * 12
    assert use.images_per_second == pytest.approx(2 * 12 / 3)
    assert DeviceUse().images_per_second is None


def test_largest_peak_of_all_processes_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def reduce(tensor: torch.Tensor, reduce_op: str) -> torch.Tensor:
        asked.append(reduce_op)
        return tensor + 2**20

    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(reduce=reduce))
    module: Any = SimpleNamespace(device=torch.device("cpu"))
    monkeypatch.setattr(device_use, "peak_of_process", lambda: 2**30)
    use = DeviceUse()
    use.on_train_end(trainer, module)
    assert asked == ["max"]
    assert use.peak_memory == 2**30 + 2**20


def test_peak_of_a_process_is_what_it_ever_had() -> None:
    before = device_use.peak_of_process()
    block = torch.ones(64 * 2**20, dtype=torch.uint8)
    assert device_use.peak_of_process() >= max(before, block.numel())
    assert device_use.peak_of_process() >= psutil.Process().memory_info().rss * 0.9


def test_what_was_measured_is_kept_with_the_run(tmp_path: Path) -> None:
    logged: dict[str, float] = {}
    logger: Any = SimpleNamespace(log_metrics=lambda values, step: logged.update(values))
    session = Session(folder=tmp_path, run_id="1a", logger=logger, resumed=False)
    use = DeviceUse()
    use.images, use.seconds, use.peak_memory = 300, 2.0, 3 * 2**30
    record_use(session, use, precision="bf16-mixed", seconds=12.5)
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["precision"] == "bf16-mixed"
    assert facts["device"]
    assert (facts["images_per_second"], facts["peak_memory_gib"]) == (150.0, 3.0)
    assert facts["seconds"] == 12.5
    of_device = {"system/images_per_second": 150.0, "system/peak_memory_gib": 3.0}
    assert logged == {**of_device, "cost/seconds": 12.5}


def test_an_interrupted_training_took_as_long_as_its_parts(tmp_path: Path) -> None:
    session = Session(folder=tmp_path, run_id="1a", logger=None, resumed=True)
    rows = [{"epoch": epoch, "step": 20 * (epoch + 1), "seconds": 10.0} for epoch in range(3)]
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    record_use(session, DeviceUse(), precision="32-true", seconds=12.5)
    assert json.loads((tmp_path / "run.json").read_text())["seconds"] == 30.0


def test_what_a_finished_run_cost_that_goes_on_is_no_repetition(tmp_path: Path) -> None:
    entries: list[Entry] = []
    points: dict[str, tuple[int, int]] = {}
    logger: Any = SimpleNamespace(
        log_metrics=lambda values, step=0: entries.extend(metric_entries(values, step=step))
    )
    session = Session(folder=tmp_path, run_id="1a", logger=logger, resumed=True)
    use = DeviceUse()
    use.images, use.seconds = 300, 2.0
    for epochs, moment in ((1, 1000), (3, 3000)):
        rows = [{"epoch": epoch, "step": 20 * (epoch + 1), "seconds": 10.0} for epoch in range(epochs)]
        (tmp_path / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        entries.clear()
        record_use(session, use, precision="32-true", seconds=0.0)
        told = [replace(entry, time=moment) for entry in entries]
        kept, points = without_repetitions(told, points=points, resumes=(2000,))
        assert kept == told
        assert {entry.key: (entry.value, entry.step) for entry in kept} == {
            "cost/seconds": (10.0 * epochs, 20 * epochs),
            "system/images_per_second": (150.0, 20 * epochs),
        }


def fake_nvml() -> ModuleType:
    """NVIDIA's library on a machine with two GPUs."""
    module = ModuleType("pynvml")
    answers: dict[str, Any] = {
        "NVMLError": RuntimeError,
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(used=(handle + 1) * 2e9, total=8e9),
        "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=90 - handle),
        "nvmlDeviceGetPowerUsage": lambda handle: 350_000,
        "nvmlDeviceGetEnforcedPowerLimit": lambda handle: 700_000,
    }
    for name, answer in answers.items():
        setattr(module, name, answer)
    return module


def test_load_of_the_gpus_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml())
    monkeypatch.delitem(sys.modules, "mlflow.system_metrics.metrics.gpu_monitor", raising=False)
    samples: list[dict[str, float]] = []
    sampler = SystemSampler(
        put=lambda values, step: samples.append(dict(values)), interval=0.05, started=int(time.time() * 1000)
    )
    assert eventually(lambda: bool(samples))
    sampler.stop()
    monkeypatch.delitem(sys.modules, "mlflow.system_metrics.metrics.gpu_monitor", raising=False)
    found = samples[0]
    assert (found["system/gpu_0_utilization_percentage"], found["system/gpu_1_utilization_percentage"]) == (
        90,
        89,
    )
    assert found["system/gpu_1_memory_usage_percentage"] == 50
    assert found["system/gpu_0_power_usage_watts"] == 350
