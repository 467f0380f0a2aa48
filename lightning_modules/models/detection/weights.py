"""Trained weights for a whole detector: the published ones, or those of a file."""

import logging
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn
from torchvision.models import WeightsEnum
from torchvision.ops import FrozenBatchNorm2d

from lightning_modules.models.detection.options import BackboneChoice
from lightning_modules.models.published_weights import fetch
from lightning_modules.models.weights import read_weights

log = logging.getLogger(__name__)

# Their shapes depend on the number of classes or of anchors.
LAST_LAYERS = (
    "roi_heads.box_predictor.",
    "roi_heads.mask_predictor.mask_fcn_logits.",
    "rpn.head.cls_logits.",
    "rpn.head.bbox_pred.",
    "head.classification_head.cls_logits.",
    "head.classification_head.module_list.",
    "head.regression_head.bbox_reg.",
    "head.regression_head.module_list.",
)


def load_detector(network: nn.Module, choice: BackboneChoice, *, published: WeightsEnum) -> None:
    """Load the weights of a whole detector, if they are asked for; in place.

    Layers whose shape depends on the number of classes or anchors stay random where it differs.

    Args:
        network: As torchvision builds it.
        choice: Says which weights.
        published: torchvision's weights of this network.

    Raises:
        ValueError: If the weights do not fit.
        OSError: If the published weights cannot be fetched.
    """
    if not choice.load_weights or choice.pretrained in ("none", "backbone"):
        return
    if choice.pretrained == "coco":
        load_state(network, fetch(published, word="coco"), origin="coco")
    else:
        found = read_weights(Path(choice.pretrained))
        state = {key.removeprefix("network."): value for key, value in found.items()}
        load_state(network, state, origin=choice.pretrained)
    if _adds_nothing_to_variances(choice.pretrained, published):
        _take_eps_out(network)


def load_state(network: nn.Module, state: Mapping[str, Tensor], *, origin: str) -> None:
    """Load a state dict; torchvision's own hooks rename the keys of its old files.

    Raises:
        ValueError: If anything but the last layers differs.
    """
    own = network.state_dict()
    left_out = {
        key
        for key in state
        if key in own and key.startswith(LAST_LAYERS) and state[key].shape != own[key].shape
    }
    problems = [
        f"{key} is {tuple(state[key].shape)} there and {tuple(own[key].shape)} in the model"
        for key in state
        if key in own and key not in left_out and state[key].shape != own[key].shape
    ]
    if not problems:
        wanted = {key: value for key, value in state.items() if key not in left_out}
        missing, unknown = network.load_state_dict(wanted, strict=False)
        problems = [f"{key} is missing" for key in missing if key not in left_out]
        problems += [f"{key} is unknown" for key in unknown]
    _raise_about(problems, origin=origin)
    if left_out:
        layers = sorted({key.rpartition(".")[0] for key in left_out})
        log.warning(
            "model.pretrained=%s has another number of classes or anchors; these layers start from random "
            "weights: %s",
            origin,
            ", ".join(layers),
        )


def _adds_nothing_to_variances(pretrained: str, published: WeightsEnum) -> bool:
    """Whether these are weights that torchvision trained while its frozen batch norm had no epsilon."""
    is_published = pretrained == "coco" or Path(pretrained).name == Path(published.url).name
    return is_published and not any(name in str(published) for name in ("SSD", "FCOS"))


def _take_eps_out(network: nn.Module) -> None:
    """Lower the variances by what is added to them, so that every checkpoint means the same network."""
    for module in network.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.running_var -= module.eps


def _raise_about(problems: list[str], *, origin: str) -> None:
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError(
            f"the weights (model.pretrained={origin}) do not fit the model: {'; '.join(problems[:3])}{more}; "
            "choose the model, model.scale, model.backbone and model.norm that they were trained with"
        )
