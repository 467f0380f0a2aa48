"""Faster R-CNN: one network proposes regions, a second one classifies and refines them."""

from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from lightning_modules.models.detection.anchors import Anchors
from lightning_modules.models.detection.detector import Detector
from lightning_modules.models.detection.options import Answers, Scale, choose_backbone, is_light, longest_side
from lightning_modules.models.detection.two_stage import region_network
from lightning_modules.models.detection.weights import load_detector
from lightning_modules.models.norms import Norm


def faster_rcnn(
    *,
    num_classes: int = 90,
    image_size: int = 800,
    max_size: int | None = None,
    scale: Scale = "published",
    backbone: str | None = None,
    norm: Norm = "auto",
    pretrained: str = "none",
    load_weights: bool = True,
    trainable_stages: int | None = None,
    anchors: Anchors | None = None,
    num_anchors: int = 10,
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    detections_per_image: int = 100,
) -> Detector:
    """Faster R-CNN on a feature pyramid: a network proposes regions, a second one names them.

    Ren, He, Girshick, Sun: Faster R-CNN, 2015 (https://arxiv.org/abs/1506.01497); pyramid: Lin and
    others, 2016 (https://arxiv.org/abs/1612.03144). Network and weights: torchvision. Losses in training:
    ``loss_objectness``, ``loss_rpn_box_reg``, ``loss_classifier``, ``loss_box_reg``.

    Args:
        num_classes: Without the background; 90 are the ids of COCO, as published.
        image_size: Short side that the network sees, in pixels; larger and smaller images are resized.
        max_size: Longest side that the network sees; None for 1333 / 800 of the short side.
        scale: ``published``: 41,808,406 parameters at 90 classes, 53,120 fewer with frozen norms;
            ``light``: 1.3 million, for pictures of about 128 pixels.
        backbone: ``light``, a residual network of torchvision or any network of timm with maps of
            several sizes; None for light or resnet50, by the scale.
        norm: Of the backbone, see ``norms.resolve_norm``.
        pretrained: ``none``; ``backbone`` for ImageNet weights; ``coco`` for the whole published
            detector, without its last layers where the classes differ; or the path of a state-dict file.
        load_weights: False builds the network that goes with ``pretrained`` and leaves it random.
        trainable_stages: 0 to 5 stages of the backbone learn, counted from the end; None for 3 with
            pretrained weights and all without.
        anchors: Width and height in pixels of the network's input; None for the published ones, or for
            ones that fit objects of 12 to 50 pixels in light.
        num_anchors: How many anchors are to be found where ``anchors`` are to come from the data; a
            multiple of the number of levels (5, light: 2).
        score_threshold: Lowest score of an answer, in [0, 1).
        nms_threshold: Overlap (IoU) above which the weaker of two boxes of a class is left out.
        detections_per_image: Most boxes of an image.

    Raises:
        ValueError: If an argument is unknown or does not go with the others.
        OSError: If published weights cannot be fetched.
    """
    del num_anchors
    choice = choose_backbone(
        scale=scale,
        backbone=backbone,
        norm=norm,
        pretrained=pretrained,
        trainable_stages=trainable_stages,
        load_weights=load_weights,
    )
    network = region_network(
        choice,
        num_classes=num_classes,
        image_size=image_size,
        max_size=longest_side(image_size, max_size),
        light=is_light(scale),
        anchors=anchors,
        answers=Answers(
            score_threshold=score_threshold, nms_threshold=nms_threshold, per_image=detections_per_image
        ),
    )
    load_detector(network, choice, published=FasterRCNN_ResNet50_FPN_Weights.COCO_V1)
    return Detector(network, channels_last=is_light(scale))
