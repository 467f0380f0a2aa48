"""Any network of timm that gives maps of several sizes, as stages."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import timm
from torch import Tensor, nn

from lightning_modules.models.norms import Norm, exchange_batch_norm, has_batch_norm


class TimmStages(nn.Module):
    """The maps of a network of timm.

    Shape: (B, 3, H, W) to maps ``"0"``, ``"1"``, … of (B, channels[i], H / strides[i], W / strides[i]).

    Args:
        network: Built with ``features_only``; its norms may have been exchanged.
        channels: Of each map.
        strides: Of each map.
    """

    def __init__(self, network: Any, *, channels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.channels, self.strides = tuple(channels), tuple(strides)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps of a batch of normalised images, the finest first."""
        maps: dict[str, Tensor] = OrderedDict()
        for channels, found in zip(self.channels, self.network(images), strict=True):
            # Some transformers keep their channels last.
            first = found if found.shape[1] == channels else found.permute(0, 3, 1, 2)
            maps[str(len(maps))] = first.contiguous()
        return maps


def timm_stages(
    *, name: str, norm: Norm, insists: bool, pretrained: bool, trainable: int, strides: Sequence[int]
) -> TimmStages:
    """A network of timm, cut behind its last wanted map.

    Wightman: PyTorch image models, 2019 (https://github.com/huggingface/pytorch-image-models).

    Args:
        name: As timm spells it, with or without the tag of certain weights.
        norm: What takes the place of the network's batch norm; ``batch`` keeps it.
        insists: Whether a person asked for this norm; a network without batch norm is refused then.
        pretrained: Load timm's published weights.
        trainable: How many stages learn, counted from the end.
        strides: Of the maps that are wanted; the network must have at least two of them.

    Raises:
        ValueError: If the name is unknown, the network has no such maps, or no batch norm to exchange.
        OSError: If the weights cannot be fetched.
    """
    _require_known(name)
    every = _create(name, pretrained=False, out_indices=None).feature_info.reduction()
    positions = [position for position, stride in enumerate(every) if stride in strides]
    if len({every[position] for position in positions}) < 2:
        raise ValueError(
            f"model.backbone={name} has maps of strides {every}, but at least two of {list(strides)} are "
            "needed; choose a network whose maps get smaller step by step, such as resnet50"
        )
    network = _create(name, pretrained=pretrained, out_indices=tuple(positions))
    information = network.feature_info
    channels, reductions = information.channels(), information.reduction()
    if insists and not has_batch_norm(network):
        raise ValueError(
            f"model.norm={norm}, but {name} has no batch norm to exchange; choose model.norm=auto"
        )
    ends = _ends(network)
    network = exchange_batch_norm(network, norm)
    freeze_stages(network, ends=ends, trainable=trainable)
    return TimmStages(network, channels=channels, strides=reductions)


def freeze_stages(stages: nn.Module, *, ends: Sequence[str], trainable: int) -> None:
    """Stop the gradient of the stages next to the image.

    Args:
        stages: Changed in place.
        ends: Dotted names of the modules that end a stage, from the image on.
        trainable: How many stages learn, counted from the end; the stem is one, too.
    """
    names = [name for name, _ in stages.named_parameters()]
    starts = [next(i for i, name in enumerate(names) if name.startswith(f"{ends[0]}."))]
    starts += [max(i for i, name in enumerate(names) if name.startswith(f"{end}.")) + 1 for end in ends]
    # starts[k]: position of the first parameter behind the stem and k stages.
    frozen = len(ends) + 1 - trainable
    kept = 0 if frozen <= 0 else starts[min(frozen - 1, len(ends))]
    for parameter in list(stages.parameters())[:kept]:
        parameter.requires_grad_(False)


def _require_known(name: str) -> None:
    architecture = name.partition(".")[0]
    known = timm.list_models()
    if architecture in known:
        return
    near = get_close_matches(architecture, ["light", *known], n=3, cutoff=0.5)
    raise ValueError(
        f"model.backbone={name} is neither light nor a network of torchvision or timm"
        + (f"; did you mean {', '.join(near)}?" if near else "; resnet50 is the usual one")
    )


def _ends(network: Any) -> list[str]:
    """Dotted names of the modules that end a stage; timm flattens some networks and joins with _."""
    modules = dict(network.named_modules())
    names = network.feature_info.module_name()
    found = [name if name in modules else name.replace(".", "_") for name in names]
    return [name for name in found if any(True for _ in modules[name].parameters())]


def _create(name: str, *, pretrained: bool, out_indices: tuple[int, ...] | None) -> Any:
    options: dict[str, Any] = {} if out_indices is None else {"out_indices": out_indices}
    try:
        return timm.create_model(name, features_only=True, pretrained=pretrained, **options)
    except Exception as error:
        if not pretrained:
            raise ValueError(f"model.backbone={name} gives no maps: {error}") from error
        # The hub client has errors of its own, of many classes, for what is always the same: no file.
        folder = os.environ.get("HF_HOME", "~/.cache/huggingface")
        raise OSError(
            f"model.pretrained=backbone needs timm's weights of {name}, which cannot be fetched ({error}); "
            f"fill the cache in {folder} on a machine that can, or set model.pretrained=none"
        ) from error
