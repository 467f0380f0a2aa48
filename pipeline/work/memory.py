"""How much memory there is for training, on a GPU or beside everything else on this machine."""

import gc
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.utilities.memory import garbage_collection_cuda

_SHARE_OF_GPU = 0.9  # the rest is for batches with more objects, and for what other libraries take later
_SHARE_OF_CPU = 0.7  # of what is free: beyond it the system ends some process, and asks nobody which


class HostMemory:
    """Foretells whether a batch fits beside everything else: a processor has no error to wait for.

    What was needed beyond the start by the largest batch so far is taken to grow in proportion.

    Args:
        processes: That will share the machine.
    """

    def __init__(self, *, processes: int) -> None:
        self.room = free_memory() * _SHARE_OF_CPU / processes
        self.before = psutil.Process().memory_info().rss
        self.per_image = 0.0

    def has_room(self, size: int) -> bool:
        """Whether a batch of this size should fit; of the first nobody knows."""
        return self.per_image * size <= self.room

    def ran(self, size: int) -> None:
        """Learn from a batch of this size that did."""
        self.per_image = max(0, peak_of_process() - self.before) / size


def free_memory() -> int:
    """Bytes that this machine can give to processes without swapping."""
    return int(psutil.virtual_memory().available)


def peak_of_process() -> int:
    """Bytes, the most that this process ever had in memory."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # Linux counts in KiB


def tightest_device(planned: Trainer) -> torch.device:
    """Of the devices that a trainer will use, the one with least free memory.

    Args:
        planned: The trainer.
    """
    if planned.strategy.root_device.type != "cuda":
        return planned.strategy.root_device
    free = {index: torch.cuda.mem_get_info(index)[0] for index in planned.device_ids}
    return torch.device("cuda", min(free, key=lambda index: free[index]))


@contextmanager
def headroom(device: torch.device) -> Iterator[None]:
    """Let this process have nine tenths of a GPU's memory only; elsewhere nothing happens."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.set_per_process_memory_fraction(_SHARE_OF_GPU, device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


@contextmanager
def gradients_of_others(module: torch.nn.Module, *, processes: int, device: torch.device) -> Iterator[None]:
    """Hold on a GPU what one of several processes needs beside: gradients are exchanged in buffers."""
    if processes == 1 or device.type != "cuda":
        yield
        return
    count = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    buffers = torch.empty(count, device=device)
    yield
    del buffers


def let_go(module: torch.nn.Module, *, device: torch.device) -> None:
    """Give back what a training held that has ended, however it did."""
    module.zero_grad(set_to_none=True)
    gc.collect()
    if device.type == "cuda":
        garbage_collection_cuda()
