"""Trained weights for a network that was just built: from a file, or from whoever published it."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import timm.models
from torch import Tensor, nn

from lightning_modules.models.freeze import freeze as freeze_part
from lightning_modules.models.heads import head_names

Weights = Mapping[str, Tensor]


def prepare(
    model: nn.Module, *, pretrained: bool | str, freeze: str, published: Callable[[], Weights] | None = None
) -> None:
    """Load weights into a new model, then freeze what is to stay; both in place.

    Args:
        model: The network with its final head and number of input channels.
        pretrained: False for random weights, True for the published ones, or the path of a state-dict
            file (``.pth``, ``.safetensors`` or a checkpoint of this project).
        freeze: See ``freeze.freeze``.
        published: Fetches the published weights; None if there are none.

    Raises:
        ValueError: If there are no published weights, or the weights do not fit the model.
        FileNotFoundError: If the path does not exist.
        OSError: If the published weights cannot be fetched.
    """
    if isinstance(pretrained, str):
        load_into(model, read_weights(Path(pretrained)), origin=pretrained)
    elif pretrained and published is None:
        raise ValueError(
            f"model.pretrained=true, but nobody published weights of {type(model).__name__}; "
            "set model.pretrained=false or give the path of a state-dict file"
        )
    elif pretrained and published is not None:
        load_into(model, published(), origin="the published weights")
    freeze_part(model, freeze)


def read_weights(path: Path) -> Weights:
    """State dict of a file; the prefix that a training wrapper gave all keys is taken off.

    Raises:
        FileNotFoundError: If the path does not exist.
        ValueError: If the file holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"model.pretrained={path} does not exist; give the path of a state-dict file, true or false"
        )
    state = timm.models.load_state_dict(str(path), weights_only=True)
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"model.pretrained={path} holds no state dict (names to tensors)")
    return {key.removeprefix("model."): value for key, value in state.items()}


def load_into(model: nn.Module, weights: Weights, *, origin: str) -> None:
    """Load weights; a head of another number of classes stays random, a stem of other channels is adapted.

    Args:
        model: Changed in place.
        weights: A state dict of the same architecture.
        origin: Where it comes from, for the message.

    Raises:
        ValueError: If anything but the head or the number of input channels differs.
    """
    own = model.state_dict()
    wanted = _without_auxiliary_heads(_with_own_input_channels(model, weights), own)
    heads = tuple(f"{name}." for name in head_names(model))
    for key in [key for key in wanted if key.startswith(heads) and key in own]:
        if wanted[key].shape != own[key].shape:
            wanted[key] = own[key]
    _check_fit(own, wanted, origin=origin)
    model.load_state_dict(wanted)


def _with_own_input_channels(model: nn.Module, weights: Weights) -> dict[str, Tensor]:
    stem = next((name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)), "")
    key = f"{stem}.weight"
    adapted = dict(weights)
    channels = model.state_dict()[key].shape[1] if stem else 0
    if key in adapted and adapted[key].ndim == 4 and adapted[key].shape[1] != channels:
        adapted[key] = timm.models.adapt_input_conv(channels, adapted[key])
    return adapted


def _without_auxiliary_heads(weights: dict[str, Tensor], own: Weights) -> dict[str, Tensor]:
    """Leave out the second heads of GoogLeNet and Inception, which are never built here."""
    return {
        key: value
        for key, value in weights.items()
        if key in own or not re.match(r"aux(\d|logits)\.", key, re.IGNORECASE)
    }


def _check_fit(own: Weights, wanted: Weights, *, origin: str) -> None:
    problems = [f"{key} is missing" for key in own if key not in wanted]
    problems += [f"{key} is unknown" for key in wanted if key not in own]
    problems += [
        f"{key} is {tuple(wanted[key].shape)} there and {tuple(own[key].shape)} in the model"
        for key in own
        if key in wanted and wanted[key].shape != own[key].shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError(
            f"{origin} (model.pretrained) does not fit the model: {'; '.join(problems[:3])}{more}; "
            "choose the architecture, stem and image size that the weights were trained with"
        )
