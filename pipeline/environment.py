"""Facts of the machine and the code that make a run's numbers explicable later."""

import os
import platform
import socket
import subprocess
from importlib import metadata
from pathlib import Path

import psutil

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "mlflow", "albumentations", "timm", "torchmetrics")


def environment_facts() -> dict[str, str]:
    """Commit, versions, host and device; no path and no user name.

    Returns:
        Tag names and values; `git.commit` and `git.dirty` only inside a git repository with a commit.
    """
    return {**host_facts(), "device": device_name()}


def host_facts() -> dict[str, str]:
    """The same without the device, which only torch knows, for a process that does without torch."""
    return {**_git(), **_versions(), **_machine()}


def device_name() -> str:
    """The GPUs, or the processor where there is none."""
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    if names:
        return names[0] if len(names) == 1 else f"{len(names)} x {names[0]}"
    if torch.backends.mps.is_available():
        return "Apple GPU"
    return processor_name()


def processor_name() -> str:
    """The processor as its maker calls it, and the cores this process may use."""
    name = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    for line in information.read_text(encoding="utf-8").splitlines() if information.exists() else []:
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    return f"{name}, {usable_cores()} cores"


def usable_cores() -> int:
    """Cores that this process may use, which a container or a scheduler may have limited."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _git() -> dict[str, str]:
    commit = _git_output("rev-parse", "HEAD")
    if not commit:
        return {}
    dirty = "true" if _git_output("status", "--porcelain") else "false"
    # MLflow's own page shows the commit under its own name.
    return {"git.commit": commit, "git.dirty": dirty, "mlflow.source.git.commit": commit}


def _git_output(*arguments: str) -> str:
    """What git says of the folder this code is in; empty without git, or outside a repository."""
    command = ["git", "-C", str(Path(__file__).resolve().parent), *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


def _versions() -> dict[str, str]:
    found = {"version.python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[f"version.{package}"] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _machine() -> dict[str, str]:
    return {
        "host": socket.gethostname(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": str(usable_cores()),
        "memory_gib": f"{psutil.virtual_memory().total / 2**30:.0f}",
    }
