"""How many trainings a machine takes at the same time, and which GPUs each of them is given."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from pipeline.errors import Mistake

GPUS = "CUDA_VISIBLE_DEVICES"


def places(
    *, trainer: Mapping[str, Any], jobs: int | None, devices_per_job: int | None = None, key: str = ""
) -> list[str]:
    """For each training that may run at the same time, the GPUs it is given.

    Args:
        trainer: The node `trainer` of the configuration that is trained.
        jobs: How many at the same time; None: one for each group of GPUs, and one where there are none.
        devices_per_job: GPUs in a group; None: as many as `trainer.devices` says.
        key: How a person types `devices_per_job`, for messages.

    Returns:
        Names as CUDA_VISIBLE_DEVICES has them; an empty one is whatever there is.

    Raises:
        Mistake: A group is larger than what the machine has.
    """
    gpus = visible_gpus() if trainer.get("accelerator") in ("auto", "gpu", "cuda") else []
    if devices_per_job is not None and devices_per_job > len(gpus):
        raise Mistake(
            f"{key}={devices_per_job}: this machine has {len(gpus)} GPUs for trainer.accelerator="
            f"{trainer.get('accelerator')}; give at most as many, or leave it out"
        )
    each = devices_per_job or _devices_of_one(trainer.get("devices", 1))
    count = jobs or (max(1, len(gpus) // each) if each else 1)
    groups = [gpus[first : first + each] for first in range(0, len(gpus) - each + 1, each)] if each else []
    if not groups or (count == 1 and devices_per_job is None):
        return [""] * count
    return [",".join(groups[number % len(groups)]) for number in range(count)]


def _devices_of_one(devices: Any) -> int:
    """How many GPUs a training takes; 0 where it names them itself, or takes all."""
    if devices in (None, "auto"):
        return 1
    typed = str(devices)
    return int(typed) if typed.isdecimal() else 0


def visible_gpus() -> list[str]:
    """Names of the GPUs that a process would see, as CUDA_VISIBLE_DEVICES lists them; found without torch."""
    if GPUS in os.environ:
        return [name.strip() for name in os.environ[GPUS].split(",") if name.strip() not in ("", "-1")]
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        found = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    count = sum(line.startswith("GPU ") for line in found.stdout.splitlines()) if found.returncode == 0 else 0
    return [str(number) for number in range(count)]
