"""torchvision's segmenters: a residual network whose last stages are dilated, and a head on it."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn
from torchvision.models import get_model, get_model_weights
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.segmentation.deeplabv3 import DeepLabV3
from torchvision.models.segmentation.fcn import FCN, FCNHead

from lightning_modules.models.backbones import LIGHT_WIDTHS, light_stages
from lightning_modules.models.published_weights import fetch
from lightning_modules.models.segmentation.dilation import dilate
from lightning_modules.models.segmentation.options import check_pretrained, is_light
from lightning_modules.models.segmentation.segmenter import Segmenter
from lightning_modules.models.segmentation.single_images import allow_single_images
from lightning_modules.models.segmentation.weights import load_file, load_state

BACKBONES = ("light", "resnet50", "resnet101")
WORDS = ("none", "backbone", "coco")
AUXILIARY = "aux_classifier."
LAST_LAYERS = ("classifier.4.", "aux_classifier.4.")
STRIDE = 8


@dataclass(frozen=True, kw_only=True)
class Family:
    """One of torchvision's segmenters.

    Attributes:
        name: How torchvision's names of it begin.
        network: Its class.
        light_head: Makes the head of the light network from its channels and the number of classes.
    """

    name: str
    network: type[FCN] | type[DeepLabV3]
    light_head: Callable[[int, int], nn.Module]


def torchvision_segmenter(
    family: Family,
    *,
    num_classes: int,
    scale: str,
    backbone: str | None,
    auxiliary: bool,
    pretrained: str,
    load_weights: bool,
) -> Segmenter:
    """Build one of them.

    Args:
        family: Which one.
        num_classes: With the background.
        scale: ``light`` or ``published``.
        backbone: Name; None for the one of the scale.
        auxiliary: Whether there is a second head, on the last stage but one.
        pretrained: ``none``, ``backbone``, ``coco`` or the path of a state-dict file.
        load_weights: False leaves the weights random.

    Raises:
        ValueError: If an argument is unknown or does not go with the others.
        OSError: If published weights cannot be fetched.
    """
    name = backbone or ("light" if is_light(scale) else "resnet50")
    if name not in BACKBONES:
        raise ValueError(f"model.backbone={name} is not one of {', '.join(BACKBONES)}")
    light = name == "light"
    check_pretrained(
        pretrained, words=WORDS, light=light, load_weights=load_weights, instead="model.backbone=resnet50"
    )
    if light:
        network = _light(family, num_classes=num_classes, auxiliary=auxiliary)
    else:
        network = get_model(
            f"{family.name}_{name}",
            weights=None,
            weights_backbone=None,
            num_classes=num_classes,
            aux_loss=auxiliary,
        )
    allow_single_images(network)
    if load_weights:
        _load(network, pretrained, model=f"{family.name}_{name}", backbone=name)
    return Segmenter(network, body="backbone", divisor=STRIDE, channels_last=light)


def _light(family: Family, *, num_classes: int, auxiliary: bool) -> nn.Module:
    """Three light stages, the last with gaps instead of a halving, as the published networks have them.

    The scores lie at a quarter of the side. At an eighth, even exact ones would lose two thirds of a digit
    whose strokes are a few pixels wide, and nothing finer is joined later.
    """
    stages = light_stages(norm="batch", strides=(2, 4, 8))
    dilate(stages["layer3"], 2)
    wanted = {"layer3": "out"} | ({"layer2": "aux"} if auxiliary else {})
    _, second, third, _ = LIGHT_WIDTHS
    network: nn.Module = family.network(
        IntermediateLayerGetter(stages, return_layers=wanted),
        family.light_head(third, num_classes),
        FCNHead(second, num_classes) if auxiliary else None,
    )
    return network


def _load(network: nn.Module, pretrained: str, *, model: str, backbone: str) -> None:
    if pretrained == "backbone":
        state = fetch(get_model_weights(backbone)["IMAGENET1K_V1"], word=pretrained)
        body = {key: value for key, value in state.items() if not key.startswith("fc.")}
        load_state(network.get_submodule("backbone"), body, origin=pretrained)
    elif pretrained == "coco":
        state = fetch(get_model_weights(model)["COCO_WITH_VOC_LABELS_V1"], word=pretrained)
        load_state(network, state, origin=pretrained, last_layers=LAST_LAYERS, optional=(AUXILIARY,))
    elif pretrained != "none":
        load_file(network, pretrained, last_layers=LAST_LAYERS, optional=(AUXILIARY,))
