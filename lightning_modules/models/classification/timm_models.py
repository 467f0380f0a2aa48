"""Every classifier of timm by its name."""

import os
from typing import Any

import timm
import timm.models
from torch import nn

from lightning_modules.models.names import require_known
from lightning_modules.models.stems import Stem, keep_size_at_first, wants_small_stem
from lightning_modules.models.weights import prepare


def by_name(
    *,
    name: str,
    num_classes: int,
    in_channels: int = 3,
    image_size: int = 224,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    stem: Stem = "auto",
    pretrained: bool | str = False,
    freeze: str = "none",
) -> nn.Module:
    """Any classifier of timm, chosen by ``model.name``.

    Wightman: PyTorch image models, 2019 (https://github.com/huggingface/pytorch-image-models, whose
    files name each network's paper).

    Shape: (B, in_channels, image_size, image_size) to (B, num_classes).

    Args:
        name: As timm spells it, such as ``convnext_tiny`` or, with the tag of published weights,
            ``convnext_tiny.fb_in1k``.
        num_classes: Number of classes.
        in_channels: 1 for grey images, 3 for colour; weights for 3 are adapted.
        image_size: Side of the images in pixels; given to the networks that are built for one size.
        drop_rate: Dropout before the head, in [0, 1).
        drop_path_rate: Stochastic depth, in [0, 1); 0 leaves it out.
        stem: ``imagenet``: as published; ``small``: the first convolution keeps the size and the pooling
            behind it is left out; ``auto``: small up to 64 pixels, unless weights are given.
        pretrained: True for published weights, or the path of a state-dict file.
        freeze: ``none``, ``all_but_head`` or ``stage:N``.

    Raises:
        ValueError: If the name, its tag or ``freeze`` is unknown, a rate does not apply, or the weights
            do not fit.
        OSError: If the published weights cannot be fetched.
    """
    _check_name(name, pretrained=pretrained)
    model = _create(
        name,
        num_classes=num_classes,
        in_chans=in_channels,
        drop_rate=drop_rate,
        pretrained=pretrained is True,
        **_options(name, image_size=image_size, drop_path_rate=drop_path_rate),
    )
    if wants_small_stem(stem=stem, image_size=image_size, pretrained=pretrained):
        keep_size_at_first(model)
    prepare(model, pretrained=pretrained if isinstance(pretrained, str) else False, freeze=freeze)
    return model


def _check_name(name: str, *, pretrained: bool | str) -> None:
    architecture, _, tag = name.partition(".")
    require_known(architecture, timm.list_models(), library="timm")
    tagged = timm.list_models(f"{architecture}.*", pretrained=True)
    if tag and name not in tagged:
        raise ValueError(f"model.name={name} has an unknown tag; timm knows {', '.join(tagged) or 'none'}")
    if pretrained is True and not tagged:
        raise ValueError(
            f"model.pretrained=true, but timm has no weights of {name}; set model.pretrained=false "
            "or give the path of a state-dict file"
        )


def _options(name: str, *, image_size: int, drop_path_rate: float) -> dict[str, Any]:
    """Arguments that only some networks know."""
    options: dict[str, Any] = {"drop_path_rate": drop_path_rate} if drop_path_rate else {}
    published = timm.models.get_pretrained_cfg(name)
    if published is not None and published.fixed_input_size:
        options["img_size"] = image_size
    return options


def _create(name: str, **options: Any) -> nn.Module:
    try:
        return timm.create_model(name, **options)
    except TypeError as error:
        raise ValueError(f"{name} does not take one of model.drop_path_rate, image_size: {error}") from error
    except Exception as error:
        if not options["pretrained"]:
            raise
        # The hub client has errors of its own, of many classes, for what is always the same: no file.
        folder = os.environ.get("HF_HOME", "~/.cache/huggingface")
        published = timm.models.get_pretrained_cfg(name)
        source = (published.hf_hub_id or published.url) if published else "unknown"
        raise OSError(
            f"model.pretrained=true needs the weights of {name} ({source}), which cannot be fetched "
            f"({error}); fill the cache in {folder} on a machine that can, give the path of a state-dict "
            "file, or set model.pretrained=false"
        ) from error
