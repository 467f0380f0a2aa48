"""Larger maps from the same weights."""

from torch import nn


def dilate(stage: nn.Module, rate: int) -> None:
    """Let a stage keep the size of its maps; gaps in its kernels make up for it, so that they see as far.

    Chen and others: DeepLab, 2014 (https://arxiv.org/abs/1412.7062).

    Args:
        stage: Its convolutions are changed in place; weights keep their shapes.
        rate: Distance of a kernel's places, 2 for each halving that is left out.
    """
    for module in stage.modules():
        if isinstance(module, nn.Conv2d):
            height, width = module.kernel_size
            module.stride, module.dilation = (1, 1), (rate, rate)
            module.padding = (rate * (height // 2), rate * (width // 2))
