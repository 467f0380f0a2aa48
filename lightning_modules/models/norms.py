"""The normalisation of a backbone: which kind suits a run, and how to exchange it."""

import math
from collections.abc import Callable
from typing import Literal, cast

from timm.layers.norm_act import (
    BatchNormAct2d,
    GroupNormAct,
    convert_sync_batchnorm,
    freeze_batch_norm_2d,
)
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

Norm = Literal["auto", "batch", "frozen", "group", "sync"]
NORMS = ("auto", "batch", "frozen", "group", "sync")
GROUPS = 32


def resolve_norm(norm: str, *, light: bool, pretrained: bool) -> Norm:
    """Decide what ``auto`` means.

    A detector sees a few large pictures per device, and batch norm over two of them is unsteady. So its
    statistics are frozen where they come with the weights, and groups of channels are normalised where
    training starts from nothing (Wu, He: Group normalization, 2018, https://arxiv.org/abs/1803.08494;
    He, Girshick, Dollár: Rethinking ImageNet pre-training, 2018, https://arxiv.org/abs/1811.08883). The
    light backbone sees small pictures, enough of them at once for batch norm.

    Raises:
        ValueError: If ``norm`` is unknown.
    """
    if norm not in NORMS:
        raise ValueError(f"model.norm={norm} is not one of {', '.join(NORMS)}")
    if norm != "auto":
        return cast(Norm, norm)
    if light:
        return "batch"
    return "frozen" if pretrained else "group"


def group_norm(channels: int) -> nn.GroupNorm:
    """Group norm of 32 groups with two channels or more each; of fewer groups where channels are few."""
    return nn.GroupNorm(math.gcd(GROUPS, channels // 2) if channels > 1 else 1, channels)


def norm_layer(norm: Norm) -> Callable[[int], nn.Module]:
    """What builds one normalisation layer from its number of channels."""
    layers: dict[str, Callable[[int], nn.Module]] = {
        "batch": nn.BatchNorm2d,
        "frozen": FrozenBatchNorm2d,
        "group": group_norm,
        "sync": nn.SyncBatchNorm,
    }
    return layers[norm]


def exchange_batch_norm(network: nn.Module, norm: Norm) -> nn.Module:
    """Give a finished network of timm another normalisation than batch norm; weights are kept.

    Args:
        network: May be changed in place.
        norm: Not ``auto``.

    Returns:
        The network with the other normalisation.
    """
    if norm == "frozen":
        return cast(nn.Module, freeze_batch_norm_2d(network))  # type: ignore[no-untyped-call]
    if norm == "sync":
        return cast(nn.Module, convert_sync_batchnorm(network))  # type: ignore[no-untyped-call]
    if norm == "group":
        for name, module in list(network.named_modules()):
            if isinstance(module, nn.BatchNorm2d):
                parent, _, child = name.rpartition(".")
                setattr(network.get_submodule(parent), child, _grouped(module))
    return network


def has_batch_norm(network: nn.Module) -> bool:
    """Whether any layer is a batch norm."""
    return any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def _grouped(norm: nn.BatchNorm2d) -> nn.Module:
    plain = group_norm(norm.num_features)
    if not isinstance(norm, BatchNormAct2d):
        return plain
    # timm's layer holds dropout and activation as well; they stay.
    joined = GroupNormAct(norm.num_features, plain.num_groups)
    joined.drop, joined.act = norm.drop, norm.act
    return cast(nn.Module, joined)
