"""RetinaNet: one stage, with a loss that turns away from the many easy places without an object."""

from torchvision.models.detection import RetinaNet, RetinaNet_ResNet50_FPN_Weights
from torchvision.models.detection.anchor_utils import AnchorGenerator

from lightning_modules.models.detection.anchors import (
    DENSE_LIGHT_RATIOS,
    PUBLISHED_RATIOS,
    Anchors,
    anchor_generator,
    dense_light_sizes,
)
from lightning_modules.models.detection.detector import Detector
from lightning_modules.models.detection.light_retinanet import light_head
from lightning_modules.models.detection.one_stage import one_stage_pyramid
from lightning_modules.models.detection.options import Scale, choose_backbone, is_light, longest_side
from lightning_modules.models.detection.pyramid import Pyramid
from lightning_modules.models.detection.weights import load_detector
from lightning_modules.models.norms import Norm

ANCHOR_SIZE_PER_STRIDE = 4
OCTAVE = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))


def retinanet(
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
    """RetinaNet: class and box at every place of a feature pyramid, trained with the focal loss.

    Lin, Goyal, Girshick, He, Dollár: Focal loss for dense object detection, 2017
    (https://arxiv.org/abs/1708.02002). Network and weights: torchvision, whose network has one output more
    than classes, as if there were a background; no target ever uses it. Losses in training:
    ``classification``, ``bbox_regression``.

    Args:
        num_classes: Without the background; 90 are the ids of COCO, as published.
        image_size: Short side that the network sees, in pixels; larger and smaller images are resized.
        max_size: Longest side that the network sees; None for 1333 / 800 of the short side.
        scale: ``published``: 34,068,119 parameters at 90 classes, 53,120 fewer with frozen norms;
            ``light``: 0.6 million, for pictures of about 128 pixels, with group norm in its heads.
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
    light = is_light(scale)
    pyramid = one_stage_pyramid(choice, light=light)
    generator = _anchors(anchors, pyramid=pyramid, light=light, image_size=image_size)
    head = None
    if light:
        count = generator.num_anchors_per_location()[0]
        head = light_head(channels=pyramid.out_channels, num_anchors=count, outputs=num_classes + 1)
    network = RetinaNet(
        pyramid,
        num_classes + 1,
        min_size=image_size,
        max_size=longest_side(image_size, max_size),
        anchor_generator=generator,
        head=head,
        score_thresh=score_threshold,
        nms_thresh=nms_threshold,
        detections_per_img=detections_per_image,
    )
    load_detector(network, choice, published=RetinaNet_ResNet50_FPN_Weights.COCO_V1)
    return Detector(network, channels_last=light)


def _anchors(anchors: Anchors | None, *, pyramid: Pyramid, light: bool, image_size: int) -> AnchorGenerator:
    if light:
        return anchor_generator(anchors, sizes=dense_light_sizes(image_size), ratios=DENSE_LIGHT_RATIOS)
    sizes = [[int(ANCHOR_SIZE_PER_STRIDE * stride * step) for step in OCTAVE] for stride in pyramid.strides]
    return anchor_generator(anchors, sizes=sizes, ratios=PUBLISHED_RATIOS)
