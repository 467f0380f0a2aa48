"""How large and how expensive a network is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

COUNTED = ("convolution", "_convolution", "addmm", "mm")


def count_multiply_adds(model: nn.Module, example: Tensor) -> int | None:
    """Multiply-adds of all convolution and linear layers, as papers count them.

    Nothing is computed: the network runs on shapes alone.

    Args:
        model: Left as it is; its ``dense_forward`` is run in place of ``forward`` where it has one.
        example: One input, with its batch dimension.

    Returns:
        The count for the example, or None for a network that cannot run on shapes.
    """
    countable = _Countable(model)
    tensors: dict[str, Tensor] = dict(countable.named_parameters()) | dict(countable.named_buffers())
    shapes = {name: tensor.to("meta") for name, tensor in tensors.items()}
    try:
        with _evaluating(model), torch.no_grad(), FlopCounterMode(display=False) as counter:
            torch.func.functional_call(countable, shapes, (example.to("meta"),))
    except (NotImplementedError, RuntimeError):
        return None
    counts: dict[Any, int] = counter.get_flop_counts()["Global"]
    return sum(flops for op, flops in counts.items() if str(op).split(".")[-1] in COUNTED) // 2


class _Countable(nn.Module):
    """Runs what can run on shapes: a detector's suppression of boxes cannot, and costs next to nothing."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Any:
        """What the network makes of normalised images."""
        return getattr(self.model, "dense_forward", self.model)(images)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; afterwards each module has its own mode again."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
