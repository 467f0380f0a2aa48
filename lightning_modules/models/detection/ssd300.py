"""SSD: one stage on maps of several sizes, trained on its hardest mistakes."""

from typing import cast

from torch import Tensor, nn
from torchvision.models import VGG16_Weights
from torchvision.models.detection import SSD300_VGG16_Weights
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD, SSDFeatureExtractorVGG, SSDHead
from torchvision.models.vgg import cfgs, make_layers

from lightning_modules.models.detection.anchors import (
    DENSE_LIGHT_RATIOS,
    Anchors,
    dealt,
    dense_light_sizes,
    of_every,
)
from lightning_modules.models.detection.default_boxes import GivenDefaultBoxes
from lightning_modules.models.detection.detector import Detector
from lightning_modules.models.detection.one_stage import one_stage_pyramid
from lightning_modules.models.detection.options import (
    Answers,
    BackboneChoice,
    Scale,
    check_file,
    is_light,
    trainable_stages_of,
)
from lightning_modules.models.detection.weights import load_detector
from lightning_modules.models.published_weights import fetch

PUBLISHED_SIZE = 300
PUBLISHED_RATIOS = ([2], [2, 3], [2, 3], [2, 3], [2], [2])
PUBLISHED_SCALES = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
PUBLISHED_STEPS = (8, 16, 32, 64, 100, 300)
PUBLISHED_CHANNELS = (512, 1024, 512, 256, 256, 256)
TRAINABLE_WITH_WEIGHTS = 4
# What the published weights of VGG-16 were trained with: the mean colour, and values up to 255.
MEAN, STD = (0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255)


def ssd300(
    *,
    num_classes: int = 20,
    image_size: int = 300,
    scale: Scale = "published",
    pretrained: str = "none",
    load_weights: bool = True,
    trainable_stages: int | None = None,
    anchors: Anchors | None = None,
    num_anchors: int = 12,
    score_threshold: float = 0.01,
    nms_threshold: float = 0.45,
    detections_per_image: int = 200,
) -> Detector:
    """SSD: class and box at every place of several maps, trained on three hard negatives to a positive.

    Liu and others: SSD: Single shot multibox detector, 2015 (https://arxiv.org/abs/1512.02325). Network
    and weights: torchvision. Every image is resized to a square. Losses in training: ``bbox_regression``,
    ``classification``.

    Args:
        num_classes: Without the background; 20 as published for PASCAL VOC, 90 for the ids of COCO.
        image_size: Side of the square that the light network sees, in pixels; the published network
            always sees 300.
        scale: ``published``: VGG-16, 26,285,486 parameters at 20 classes, 35,641,826 at 90;
            ``light``: 0.45 million, for pictures of about 128 pixels.
        pretrained: ``none``; ``backbone`` for ImageNet weights; ``coco`` for the whole published
            detector, without its last layers where the classes differ; or the path of a state-dict file.
        load_weights: False builds the network that goes with ``pretrained`` and leaves it random.
        trainable_stages: 0 to 5 stages of the backbone learn, counted from the end; None for 4 with
            pretrained weights and all without.
        anchors: Width and height in pixels of an image of ``image_size``; None for the published ones, or
            for ones that fit objects of 12 to 50 pixels in light.
        num_anchors: How many anchors are to be found where ``anchors`` are to come from the data; a
            multiple of the number of maps (6, light: 2).
        score_threshold: Lowest score of an answer, in [0, 1).
        nms_threshold: Overlap (IoU) above which the weaker of two boxes of a class is left out.
        detections_per_image: Most boxes of an image.

    Raises:
        ValueError: If an argument is unknown or does not go with the others.
        OSError: If published weights cannot be fetched.
    """
    del num_anchors
    light = is_light(scale)
    check_file(pretrained, load_weights=load_weights)
    if light and pretrained == "coco":
        raise ValueError("model.pretrained=coco needs model.scale=published, not light")
    choice = BackboneChoice(
        name="light" if light else "vgg16",
        norm="auto",
        pretrained=pretrained,
        trainable_stages=trainable_stages,
        load_weights=load_weights,
    )
    answers = Answers(
        score_threshold=score_threshold, nms_threshold=nms_threshold, per_image=detections_per_image
    )
    build = _light if light else _published
    network = build(choice, num_classes=num_classes, image_size=image_size, anchors=anchors, answers=answers)
    load_detector(network, choice, published=SSD300_VGG16_Weights.COCO_V1)
    return Detector(network, resizable=light, channels_last=light)


def _light(
    choice: BackboneChoice, *, num_classes: int, image_size: int, anchors: Anchors | None, answers: Answers
) -> SSD:
    pyramid = one_stage_pyramid(choice, light=True)
    levels = len(pyramid.strides)
    if anchors is None:
        boxes = of_every(dense_light_sizes(image_size), DENSE_LIGHT_RATIOS)
    else:
        boxes = dealt(anchors, levels=levels)
    generator = GivenDefaultBoxes(boxes, image_size=image_size)
    return SSD(
        pyramid,
        generator,
        (image_size, image_size),
        num_classes + 1,
        head=SSDHead([pyramid.out_channels] * levels, generator.num_anchors_per_location(), num_classes + 1),
        score_thresh=answers.score_threshold,
        nms_thresh=answers.nms_threshold,
        detections_per_img=answers.per_image,
    )


def _published(
    choice: BackboneChoice, *, num_classes: int, image_size: int, anchors: Anchors | None, answers: Answers
) -> SSD:
    generator = _default_boxes(anchors, image_size=image_size)
    counts = generator.num_anchors_per_location()
    return SSD(
        SSDFeatureExtractorVGG(_vgg16_features(choice), highres=False),
        generator,
        (PUBLISHED_SIZE, PUBLISHED_SIZE),
        num_classes + 1,
        image_mean=list(MEAN),
        image_std=list(STD),
        head=SSDHead(list(PUBLISHED_CHANNELS), counts, num_classes + 1),
        score_thresh=answers.score_threshold,
        nms_thresh=answers.nms_threshold,
        detections_per_img=answers.per_image,
    )


def _default_boxes(anchors: Anchors | None, *, image_size: int) -> DefaultBoxGenerator:
    if anchors is None:
        return DefaultBoxGenerator(
            list(PUBLISHED_RATIOS), scales=list(PUBLISHED_SCALES), steps=list(PUBLISHED_STEPS)
        )
    levels = dealt(anchors, levels=len(PUBLISHED_STEPS))
    return GivenDefaultBoxes(levels, image_size=image_size, steps=PUBLISHED_STEPS)


def _vgg16_features(choice: BackboneChoice) -> nn.Sequential:
    """The convolutions of VGG-16; a stage that does not learn has no gradient."""
    features: nn.Sequential = make_layers(cfgs["D"], batch_norm=False)
    for module in features:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(cast(Tensor, module.bias))
    if choice.pretrained == "backbone" and choice.load_weights:
        state = fetch(VGG16_Weights.IMAGENET1K_FEATURES, word="backbone")
        # The classifier behind the features is no number in this file.
        own = features.state_dict()
        features.load_state_dict({key: state[f"features.{key}"] for key in own})
    trainable = trainable_stages_of(choice, with_weights=TRAINABLE_WITH_WEIGHTS)
    pools = [position for position, module in enumerate(features) if isinstance(module, nn.MaxPool2d)]
    # Five stages: each pooling begins one, but for the last, which is left out.
    starts = [0, *pools[:-1], len(features)]
    for module in features[: starts[len(starts) - 1 - trainable]]:
        module.requires_grad_(False)
    return features
