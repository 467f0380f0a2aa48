"""The encoders of segmentation-models-pytorch, and any network of timm in their place."""

import os
from difflib import get_close_matches
from typing import Any

import segmentation_models_pytorch
import timm
from segmentation_models_pytorch.encoders import encoders, get_encoder
from torch import nn

PREFIX = "tu-"
"""What segmentation-models-pytorch puts before names of timm."""


def resolve_encoder(name: str) -> str:
    """The name as segmentation-models-pytorch knows it: ``tu-`` comes before one that only timm knows.

    Args:
        name: ``resnet34``, ``convnext_tiny`` or, with the tag of certain weights, ``convnext_tiny.fb_in1k``.

    Raises:
        ValueError: If neither library knows the name; the message holds near ones.
    """
    if name in encoders:
        return name
    plain = name.removeprefix(PREFIX)
    architecture = plain.partition(".")[0]
    known = timm.list_models()
    if architecture in known:
        return PREFIX + plain
    near = get_close_matches(architecture, ["light", *encoders, *known], n=3, cutoff=0.5)
    raise ValueError(
        f"model.encoder={name} is neither light nor an encoder of segmentation-models-pytorch or timm"
        + (f"; did you mean {', '.join(near)}?" if near else "; resnet34 is the usual one")
    )


def published_network(kind: str, *, encoder: str, num_classes: int, pretrained: bool) -> nn.Module:
    """A network of segmentation-models-pytorch, as published there.

    Args:
        kind: Its class there, such as ``Unet``.
        encoder: Any that ``resolve_encoder`` knows.
        num_classes: With the background.
        pretrained: Load the encoder's ImageNet weights.

    Raises:
        ValueError: If the encoder is unknown, does not fit the network, or has no weights.
        OSError: If the weights cannot be fetched.
    """
    name = resolve_encoder(encoder)
    if pretrained:
        _require_weights(encoder, name)
    try:
        network: nn.Module = getattr(segmentation_models_pytorch, kind)(
            name, encoder_weights=None, classes=num_classes, **_options(name)
        )
    except Exception as error:
        reason = f"{type(error).__name__} {error}".strip()
        raise ValueError(
            f"model.encoder={encoder} does not fit {kind} ({reason}); choose another, such as resnet34"
        ) from error
    if pretrained:
        _load_encoder(network.get_submodule("encoder"), encoder, name)
    return network


def _options(name: str) -> dict[str, bool]:
    """Arguments that only some networks know: windowed transformers are told to accept every size."""
    published = timm.models.get_pretrained_cfg(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
    return {"strict_img_size": False} if published is not None and published.fixed_input_size else {}


def _require_weights(encoder: str, name: str) -> None:
    if name.startswith(PREFIX):
        exist = timm.models.is_model_pretrained(name.removeprefix(PREFIX))
    else:
        exist = "imagenet" in encoders[name]["pretrained_settings"]
    if not exist:
        raise ValueError(
            f"model.pretrained=backbone, but nobody published ImageNet weights of model.encoder={encoder}; "
            "choose another encoder, such as resnet34, or set model.pretrained=none"
        )


def _load_encoder(module: nn.Module, encoder: str, name: str) -> None:
    weights: Any = True if name.startswith(PREFIX) else "imagenet"
    try:
        loaded = get_encoder(name, weights=weights)
    except Exception as error:
        # The hub client has errors of its own, of many classes, for what is always the same: no file.
        folder = os.environ.get("HF_HOME", "~/.cache/huggingface")
        raise OSError(
            f"model.pretrained=backbone needs the weights of {encoder} ({_source(name)}), which cannot be "
            f"fetched ({error}); fill the cache in {folder} on a machine that can, give the path of a "
            "state-dict file, or set model.pretrained=none"
        ) from error
    module.load_state_dict(loaded.state_dict())


def _source(name: str) -> str:
    """Where the weights are kept on the hub."""
    if not name.startswith(PREFIX):
        return str(encoders[name]["pretrained_settings"]["imagenet"]["repo_id"])
    published = timm.models.get_pretrained_cfg(name.removeprefix(PREFIX))
    return str((published.hf_hub_id or published.url) if published else name)
