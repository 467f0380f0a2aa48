"""Running statistics of batch norms: which there are, and how averaged weights get their own."""

import copy
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

_SEED = 0


def running_statistics(module: nn.Module) -> dict[str, Tensor]:
    """Running means and variances by their dotted names; none of layers that keep none."""
    return {
        f"{prefix}.{name}".lstrip("."): getattr(layer, name)
        for prefix, layer in module.named_modules()
        if isinstance(layer, _NormBase)
        for name in ("running_mean", "running_var")
        if getattr(layer, name) is not None
    }


def recompute(
    task: LightningModule,
    batches: Iterable[Any],
    *,
    to_device: Callable[[Any], Any],
    reduce: Callable[[Tensor], Tensor] | None = None,
) -> None:
    """Measure the batch-norm statistics of weights that no batch has been seen with, as averaged ones are.

    As torch's ``update_bn``: the mean over all batches, each counting alike. Other than there, batches may be
    of any kind, since each goes through the task's own training step; layers that are frozen, or that no
    batch reaches, keep what they have; and processes agree. The step runs in a copy that shares what is
    frozen, knows no trainer and so logs nothing: the measures of training do not count these batches.

    Args:
        task: Holds the averaged weights; only the statistics are changed.
        batches: Of one epoch of training, augmented as there.
        to_device: Puts a batch where the network is.
        reduce: The mean of a tensor over all processes; None: there is only one.
    """
    if not running_statistics(task):
        return
    scratch = _copied(task)
    layers = {name: layer for name, layer in scratch.named_modules() if _adapts(layer)}
    if not layers:  # all are frozen
        return
    for layer in layers.values():
        layer.reset_running_stats()
        layer.momentum = None  # the mean over all batches
    devices = [task.device] if task.device.type == "cuda" else []
    with torch.no_grad(), torch.random.fork_rng(devices=devices), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are trying to `self.log")  # not to log is what is wanted
        torch.manual_seed(_SEED)  # dropout and mixing draw the same, also after an interruption
        for number, batch in enumerate(batches):
            scratch.training_step(to_device(batch), number)
    _hand_over(layers, task=task, reduce=reduce)


def _copied(task: LightningModule) -> LightningModule:
    """Ready to train, apart from the original; its trainer is not copied with it."""
    frozen = {id(each): each for each in task.parameters() if not each.requires_grad}
    scratch = copy.deepcopy(task, frozen)
    scratch.train()  # leaves what is frozen in evaluation mode
    return scratch


def _adapts(layer: nn.Module) -> bool:
    return isinstance(layer, _NormBase) and layer.running_mean is not None and layer.training


@torch.no_grad()
def _hand_over(
    layers: dict[str, nn.Module], *, task: LightningModule, reduce: Callable[[Tensor], Tensor] | None
) -> None:
    for name, layer in layers.items():
        if not int(layer.num_batches_tracked):  # type: ignore[arg-type]
            continue
        own = task.get_submodule(name)
        for kind in ("running_mean", "running_var"):
            found: Tensor = getattr(layer, kind)
            getattr(own, kind).copy_(reduce(found) if reduce else found)
