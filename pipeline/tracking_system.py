"""Load of the machine during a run, by MLflow's own monitors, through our queue instead of theirs.

MLflow's monitor asks the server for the run's status before each sample and gives up at the first
outage, hence only its sensors are used.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

_FIRST = 1.0
"""Seconds before the first sample, so that short runs have one."""


class Sensor(Protocol):
    """What MLflow's monitors share."""

    def collect_metrics(self) -> None:
        """Take a sample."""

    def aggregate_metrics(self) -> dict[str, float]:
        """Means of the samples."""
        ...

    def clear_metrics(self) -> None:
        """Forget the samples."""


class SystemSampler:
    """Samples processor, memory, disk, network and, where there is one, GPU.

    Args:
        put: Takes the numbers of one sample, and the seconds since the run started as their step,
            so that a resumed run goes on where its clock is.
        interval: Seconds between two samples.
        started: Milliseconds since 1970 at which the run started.
    """

    def __init__(
        self, *, put: Callable[[Mapping[str, float], int], None], interval: float, started: int
    ) -> None:
        self._put = put
        self._interval = interval
        self._started = started / 1000
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="system-metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; a sample that is being taken is finished."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        sensors = _sensors()
        _sample(sensors)  # a processor's load is that since the last time it was asked for
        pause, samples = min(_FIRST, self._interval), 0
        while not self._stop.wait(pause) or not samples:  # one at least, however short the run
            self._put(_sample(sensors), int(time.time() - self._started))
            pause, samples = self._interval, samples + 1


def _sample(sensors: Sequence[Sensor]) -> dict[str, float]:
    values: dict[str, float] = {}
    for sensor in sensors:
        sensor.collect_metrics()
        values |= {f"system/{name}": value for name, value in sensor.aggregate_metrics().items()}
        sensor.clear_metrics()
    return values


def _sensors() -> list[Sensor]:
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    kinds: list[Callable[[], Sensor]] = [CPUMonitor, DiskMonitor, NetworkMonitor, GPUMonitor]
    sensors = []
    for kind in kinds:
        # The GPU's needs a package, a driver and a card, and says so in as many ways.
        with suppress(Exception):
            sensors.append(kind())
    return sensors
