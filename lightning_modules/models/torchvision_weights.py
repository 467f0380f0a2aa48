"""Published weights of torchvision's classifiers."""

from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import get_model, get_model_weights


def published(name: str) -> dict[str, Tensor]:
    """State dict with torchvision's best published weights, 1000 ImageNet classes.

    Built by torchvision itself, because it renames keys of old files.

    Args:
        name: An architecture as torchvision spells it.

    Raises:
        OSError: If the file is neither in the cache nor can be downloaded.
    """
    weights = get_model_weights(name)["DEFAULT"]
    try:
        network = get_model(name, weights=weights)
    except OSError as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise OSError(
            f"model.pretrained=true needs {weights} from {weights.url}, which cannot be fetched ({error}); "
            f"put that file into {folder}, give the path of a state-dict file, or set model.pretrained=false"
        ) from error
    state: dict[str, Tensor] = network.state_dict()
    return state
