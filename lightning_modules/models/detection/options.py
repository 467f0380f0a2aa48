"""Arguments that all builders of detectors share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Scale = Literal["light", "published"]
SCALES = ("light", "published")
NAMED_WEIGHTS = ("none", "backbone", "coco")
PUBLISHED_BACKBONE = "resnet50"
PUBLISHED_SIDES = (800, 1333)
STAGES = 5


@dataclass(frozen=True, kw_only=True)
class BackboneChoice:
    """Which backbone a detector gets.

    Attributes:
        name: ``light``, a residual network of torchvision or any network of timm with maps.
        norm: ``auto``, ``batch``, ``frozen``, ``group`` or ``sync``.
        pretrained: ``none``, ``backbone``, ``coco`` or the path of a state-dict file.
        trainable_stages: 0 to 5; None for 3 with weights and all without.
        load_weights: False leaves the weights random: somebody else brings them.
    """

    name: str
    norm: str
    pretrained: str
    trainable_stages: int | None
    load_weights: bool


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Which boxes a detector answers with.

    Attributes:
        score_threshold: Lowest score, in [0, 1).
        nms_threshold: Overlap (IoU) above which the weaker of two boxes of a class is left out.
        per_image: Most boxes of an image.
    """

    score_threshold: float
    nms_threshold: float
    per_image: int


def is_light(scale: str) -> bool:
    """Whether the light form of a detector is asked for.

    Raises:
        ValueError: If the scale is unknown.
    """
    if scale not in SCALES:
        raise ValueError(f"model.scale={scale} is not one of {', '.join(SCALES)}")
    return scale == "light"


def longest_side(image_size: int, max_size: int | None) -> int:
    """Longest side in pixels that a network sees: where it is not given, in the published proportion."""
    short, long = PUBLISHED_SIDES
    return round(image_size * long / short) if max_size is None else max_size


def choose_backbone(
    *,
    scale: str,
    backbone: str | None,
    norm: str,
    pretrained: str,
    trainable_stages: int | None,
    load_weights: bool,
) -> BackboneChoice:
    """Fill in what depends on the scale, and check that the weights go with it.

    Raises:
        ValueError: If the scale is unknown, or the weights do not exist or do not go with the rest.
    """
    name = backbone or ("light" if is_light(scale) else PUBLISHED_BACKBONE)
    if pretrained == "coco" and (is_light(scale) or name != PUBLISHED_BACKBONE):
        raise ValueError(
            f"model.pretrained=coco needs model.scale=published and model.backbone={PUBLISHED_BACKBONE}, not "
            f"{scale} and {name}; change these, or set model.pretrained=none"
        )
    if pretrained == "coco" and norm == "group":
        raise ValueError(
            "model.pretrained=coco brings batch norm with it, not model.norm=group; choose model.norm=auto"
        )
    check_file(pretrained, load_weights=load_weights)
    return BackboneChoice(
        name=name,
        norm=norm,
        pretrained=pretrained,
        trainable_stages=trainable_stages,
        load_weights=load_weights,
    )


def check_file(pretrained: str, *, load_weights: bool) -> None:
    """Check that weights that are not named are a file.

    Raises:
        ValueError: If there is no such file.
    """
    if load_weights and pretrained not in NAMED_WEIGHTS and not Path(pretrained).is_file():
        raise ValueError(
            f"model.pretrained={pretrained} is none of {', '.join(NAMED_WEIGHTS)}, and there is no such "
            "file; give one of them, or the path of a state-dict file"
        )


def trainable_stages_of(choice: BackboneChoice, *, with_weights: int) -> int:
    """How many stages of a backbone learn, counted from the end; 5 are all.

    Args:
        choice: Of a person; the light backbone has no published weights to keep.
        with_weights: What is usual with weights.

    Raises:
        ValueError: If the number is out of its range.
    """
    if choice.trainable_stages is None:
        return STAGES if choice.pretrained == "none" or choice.name == "light" else with_weights
    if not 0 <= choice.trainable_stages <= STAGES:
        raise ValueError(
            f"model.trainable_stages={choice.trainable_stages} must be 0 to {STAGES}, or null for the usual"
        )
    return choice.trainable_stages
