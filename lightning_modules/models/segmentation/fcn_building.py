"""Puts fully convolutional networks together, on VGG-16 as published or on any other body."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from lightning_modules.models.backbones import backbone_stages
from lightning_modules.models.norms import norm_layer, resolve_norm
from lightning_modules.models.segmentation.fcn_network import FcnNetwork, refined_scores, zero_scores
from lightning_modules.models.segmentation.options import check_pretrained, is_light
from lightning_modules.models.segmentation.segmenter import Segmenter
from lightning_modules.models.segmentation.vgg import (
    fully_convolutional_vgg16,
    load_classifier,
    published_vgg16,
)
from lightning_modules.models.segmentation.weights import load_file
from lightning_modules.models.weights import read_weights

NAMED_WEIGHTS = ("none", "backbone")
VGG = "vgg16"
PADDING = 100
# Of the map that is added at each skip, and of the scores: the reference release's.
CROPS = {0: (19,), 1: (5, 27), 2: (5, 9, 31)}
REFINED_CHANNELS = 64
LAST_LAYERS = ("scores.", "doublings.", "enlargement.")
STAGES = 5


@dataclass(frozen=True, kw_only=True)
class FcnChoice:
    """Which network is wanted; see ``fcn.fcn32s`` for all but the first.

    Attributes:
        skips: 0, 1 or 2 finer maps whose scores are added.
        num_classes: With the background.
        scale: ``light`` or ``published``.
        backbone: Its name; None by the scale.
        norm: Of a backbone other than VGG-16.
        pretrained: ``none``, ``backbone`` or the path of a state-dict file.
        load_weights: False leaves the weights random: somebody else brings them.
        upsampling_learned: Whether the transposed convolutions learn; None by the backbone.
        start_from: File of a network with one skip less, or None.
    """

    skips: int
    num_classes: int
    scale: str
    backbone: str | None
    norm: str
    pretrained: str
    load_weights: bool
    upsampling_learned: bool | None
    start_from: str | None


def build_fcn(choice: FcnChoice) -> Segmenter:
    """Build one of the networks, with its weights.

    Raises:
        ValueError: If an argument is unknown or does not go with the others.
        OSError: If published weights cannot be fetched.
    """
    by_scale = "light" if is_light(choice.scale) else VGG
    name = choice.backbone or by_scale
    _check(choice, light=name == "light")
    network = _on_vgg(choice) if name == VGG else _on_stages(choice, name=name)
    if choice.load_weights and choice.pretrained not in NAMED_WEIGHTS:
        load_file(network, choice.pretrained, last_layers=LAST_LAYERS)
    if choice.load_weights and choice.start_from is not None:
        take_coarser(network, choice.start_from)
    if name == VGG:
        return Segmenter(network, body="body")
    return Segmenter(network, body="body", divisor=network.divisor, channels_last=name == "light")


def take_coarser(network: FcnNetwork, path: str) -> None:
    """Start a network with the weights of one with fewer skips; in place.

    Args:
        network: Its new skips begin with scores of zero and stay so.
        path: Of a state-dict file or a checkpoint of this project.

    Raises:
        ValueError: If there is no such file, or it is not of a coarser network of the same form.
    """
    if not Path(path).is_file():
        raise ValueError(f"model.start_from={path} does not exist; give the checkpoint of a coarser network")
    state = {key.removeprefix("network."): value for key, value in read_weights(Path(path)).items()}
    own = network.state_dict()
    coarsest = next(iter(network.scores))
    shared = [key for key in own if key.startswith(("body.", f"scores.{coarsest}."))]
    problems = [f"{key} is missing" for key in shared if key not in state]
    problems += [
        f"{key} is unknown" for key in state if key not in own and not key.startswith("enlargement.")
    ]
    problems += [
        f"{key} is {tuple(state[key].shape)} there and {tuple(own[key].shape)} in the model"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    if problems:
        raise ValueError(
            f"model.start_from={path} is not of a coarser network of this form: {'; '.join(problems[:3])}; "
            "choose a checkpoint with the same classes, model.scale and model.backbone"
        )
    network.load_state_dict(own | {key: value for key, value in state.items() if key in own})


def _check(choice: FcnChoice, *, light: bool) -> None:
    check_pretrained(
        choice.pretrained,
        words=NAMED_WEIGHTS,
        light=light,
        load_weights=choice.load_weights,
        instead="model.scale=published or model.backbone=resnet18",
    )
    if choice.start_from is not None and choice.pretrained not in NAMED_WEIGHTS:
        raise ValueError(
            f"model.start_from={choice.start_from} and model.pretrained={choice.pretrained} both name a "
            "file; set one of them"
        )


def _on_vgg(choice: FcnChoice) -> FcnNetwork:
    if choice.norm != "auto":
        raise ValueError(
            f"model.norm={choice.norm}, but {VGG} has none; set model.norm=auto or model.backbone=resnet50"
        )
    body = fully_convolutional_vgg16(padding=PADDING)
    if _loads_backbone(choice):
        load_classifier(body, published_vgg16())
    return FcnNetwork(
        body,
        scorers=[zero_scores(choice.num_classes)] * (choice.skips + 1),
        num_classes=choice.num_classes,
        learned=bool(choice.upsampling_learned),
        crops=CROPS[choice.skips],
    )


def _on_stages(choice: FcnChoice, *, name: str) -> FcnNetwork:
    body = backbone_stages(
        name=name,
        norm=choice.norm,
        pretrained=choice.pretrained == "backbone",
        finds_weights=choice.pretrained != "none",
        load_weights=_loads_backbone(choice),
        trainable=STAGES,
        # On the digit scenes, skips down to half the side learn twice as fast as down to a quarter.
        strides=(2, 4, 8) if name == "light" else (8, 16, 32),
    )
    norm = resolve_norm(choice.norm, light=name == "light", pretrained=False)
    layer = nn.BatchNorm2d if norm == "frozen" else norm_layer(norm)
    # Skips that begin with zero go on where a coarser network ended; from nothing they only learn later:
    # after 500 steps on the digit scenes, the mean IoU was 0.13 with and 0.30 without.
    goes_on = choice.start_from is not None
    return FcnNetwork(
        body,
        scorers=[
            refined_scores(choice.num_classes, width=REFINED_CHANNELS, norm=layer, zero=goes_on and skip > 0)
            for skip in range(choice.skips + 1)
        ],
        num_classes=choice.num_classes,
        learned=choice.upsampling_learned is not False,
    )


def _loads_backbone(choice: FcnChoice) -> bool:
    return choice.pretrained == "backbone" and choice.load_weights and choice.start_from is None
