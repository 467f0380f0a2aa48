"""Fetch a published state dict through torchvision, with a message for machines without a network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.models import WeightsEnum

INSTEAD = "give the path of a state-dict file, or set model.pretrained=none"


def fetch(
    weights: WeightsEnum, *, word: str, key: str = "model.pretrained", instead: str = INSTEAD
) -> Mapping[str, Tensor]:
    """State dict of published weights, from the cache or from the network.

    Args:
        weights: A member of one of torchvision's lists.
        word: What a person wrote as ``key``, for the message.
        key: Where they wrote it.
        instead: What else they can do, besides bringing the file.

    Raises:
        OSError: If the file is neither in the cache nor can be downloaded.
    """
    try:
        state: Mapping[str, Any] = weights.get_state_dict(progress=True, check_hash=True)
    except OSError as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise OSError(
            f"{key}={word} needs {weights} from {weights.url}, which cannot be fetched ({error}); "
            f"put that file into {folder}, {instead}"
        ) from error
    return state
