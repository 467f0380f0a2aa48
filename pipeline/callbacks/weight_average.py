"""Measures and keeps an average of the weights, while training goes on from the weights themselves."""

import logging
from abc import ABC, abstractmethod
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, nn

from pipeline.averaging import KEY, first_epoch
from pipeline.callbacks.weight_average_statistics import running_statistics

log = logging.getLogger(__name__)


class WeightAverage(Callback, ABC):
    """Keeps an average of what is trained: the parameters with a gradient, and batch-norm statistics.

    Until its first epoch the average is the weights themselves. Validation measures the average, and every
    checkpoint holds it in its ``state_dict``, beside the weights from which training goes on exactly. What is
    frozen is not copied. Other buffers are left alone: a verifier's threshold, say, belongs to the weights
    that were validated, which are the average. Where an integer buffer changes (a picture that is painted
    coarse to fine enters its next size), the average starts anew.

    Args:
        start: The epoch from which on weights are averaged: a number counted from 0, or as a fraction in
            [0, 1) a share of ``trainer.max_epochs``.

    Attributes:
        updates: How many states of the network the average is made of.
    """

    def __init__(self, *, start: int | float) -> None:
        self.start = start
        self.updates = 0
        self._values: dict[str, Tensor] = {}  # the average; while it is measured, the weights of training
        self._tensors: dict[str, Tensor] = {}  # the network's own
        self._is_swapped = False
        self._last_step = 0
        self._stage: list[int] = []

    @abstractmethod
    def is_due(self, trainer: Trainer) -> bool:
        """Whether the weights after this optimiser step belong into the average."""

    @abstractmethod
    def blend(self, averages: list[Tensor], weights: list[Tensor]) -> None:
        """Move the averages, in place, towards the present weights."""

    def first_epoch(self, trainer: Trainer) -> int:
        """The epoch from which on weights are averaged."""
        return first_epoch(self.start, max_epochs=trainer.max_epochs)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find what is averaged, now that the network is where it is trained."""
        self._tensors = averaged_tensors(pl_module)
        self._values = {name: value.to(self._tensors[name].device) for name, value in self._values.items()}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take the weights after an optimiser step into the average."""
        has_stepped = trainer.global_step > self._last_step  # not while gradients are accumulated
        if has_stepped and trainer.current_epoch >= self.first_epoch(trainer) and self.is_due(trainer):
            self._last_step = trainer.global_step
            self.update(trainer, pl_module)

    @torch.no_grad()
    def update(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the present weights into the average; the first ones are the average."""
        stage = _integers(pl_module)
        if not self._values or stage != self._stage:
            self._values = {name: tensor.detach().clone() for name, tensor in self._tensors.items()}
            self.updates, self._stage = 0, stage
        else:
            self.blend(list(self._values.values()), [tensor.detach() for tensor in self._tensors.values()])
        self.updates += 1

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure the average."""
        if self._values:
            self.swap()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go on with the weights of training."""
        if self._is_swapped:
            self.swap()

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the average and the weights; twice is as before."""
        for name, value in self._values.items():
            held = value.clone()
            value.copy_(self._tensors[name])
            self._tensors[name].copy_(held)
        self._is_swapped = not self._is_swapped

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say how much was averaged."""
        if self.updates:
            log.info("the weights are an average of %d states of the network", self.updates)
        else:
            log.warning("no weights were averaged: training ended before epoch %d", self.first_epoch(trainer))

    @torch.no_grad()
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the average in the network: it is what was measured."""
        tensors = averaged_tensors(pl_module)
        for name, value in self._values.items():
            tensors[name].copy_(value)
        self._values, self._is_swapped = {}, False

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Put the average where the weights are looked for, and the weights of training beside it."""
        if not self._values:
            return
        if (
            trainer.world_size > 1 and not self._is_swapped
        ):  # what the network itself holds is not ours to join
            self._join_statistics(trainer, pl_module)
        present = {name: tensor.detach() for name, tensor in self._tensors.items()}
        averages, weights = (present, self._values) if self._is_swapped else (self._values, present)
        names = _names_in_state(pl_module, self._tensors)
        found = {name: averages[own] for name, own in names.items()}
        checkpoint["state_dict"] = {**checkpoint["state_dict"], **found}
        checkpoint[KEY] = {
            "kind": type(self).__name__,
            "weights": weights,
            "updates": self.updates,
            "last_step": self._last_step,
            "stage": self._stage,
        }

    @torch.no_grad()
    def _join_statistics(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give all processes the mean of their statistics, as validation has it before it measures."""
        for name in running_statistics(pl_module):
            value = self._values[name]
            value.copy_(trainer.strategy.reduce(value.clone(), reduce_op="mean"))

    @torch.no_grad()
    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take both up again where training goes on; to measure, the average alone is needed."""
        if trainer.state.fn != TrainerFn.FITTING or KEY not in checkpoint:
            return
        stored = checkpoint[KEY]
        tensors = averaged_tensors(pl_module)
        # Clones: the checkpoint's tensors may be read again, by another callback or as the network's weights.
        self._values = {name: checkpoint["state_dict"][name].clone() for name in stored["weights"]}
        for name, weights in stored["weights"].items():
            tensors[name].copy_(weights)
        self.updates, self._last_step, self._stage = stored["updates"], stored["last_step"], stored["stage"]


def averaged_tensors(module: nn.Module) -> dict[str, Tensor]:
    """What is averaged: trained parameters and running statistics, each once, by their names."""
    trained = {name: each for name, each in module.named_parameters() if each.requires_grad}
    return {**trained, **running_statistics(module)}


def _integers(module: nn.Module) -> list[int]:
    """What integer buffers say of the network's stage; counts of batches aside."""
    named = [(name, buffer) for name, buffer in module.named_buffers() if not torch.is_floating_point(buffer)]
    return [
        number
        for name, buffer in named
        if not name.endswith("num_batches_tracked") and buffer.numel() == 1
        for number in [int(buffer)]
    ]


def _names_in_state(module: nn.Module, tensors: dict[str, Tensor]) -> dict[str, str]:
    """For each name in the state of a network the name in `tensors`; shared weights have several."""
    own = {id(tensor): name for name, tensor in tensors.items()}
    state = module.state_dict(keep_vars=True)
    return {name: own[id(tensor)] for name, tensor in state.items() if id(tensor) in own}
