"""Mask R-CNN: Faster R-CNN with a third head that outlines every object."""

from torchvision.models.detection import FasterRCNN, MaskRCNN_ResNet50_FPN_Weights
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor

from lightning_modules.models.detection.anchors import Anchors
from lightning_modules.models.detection.detector import Detector
from lightning_modules.models.detection.options import Answers, Scale, choose_backbone, is_light, longest_side
from lightning_modules.models.detection.two_stage import region_network, region_pool
from lightning_modules.models.detection.weights import load_detector
from lightning_modules.models.norms import Norm

MASK_RESOLUTION = 14
MASK_SAMPLES = 2
PUBLISHED_WIDTHS = (256, 256, 256, 256)
LIGHT_WIDTHS = (64, 64)


def mask_rcnn(
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
    """Mask R-CNN: Faster R-CNN that also answers with a mask of each object.

    He, Gkioxari, Dollár, Girshick: Mask R-CNN, 2017 (https://arxiv.org/abs/1703.06870). Network and
    weights: torchvision. Losses in training: those of ``faster_rcnn`` and ``loss_mask``.

    Args:
        num_classes: Without the background; 90 are the ids of COCO, as published.
        image_size: Short side that the network sees, in pixels; larger and smaller images are resized.
        max_size: Longest side that the network sees; None for 1333 / 800 of the short side.
        scale: ``published``: 44,454,513 parameters at 90 classes, 53,120 fewer with frozen norms;
            ``light``: 1.4 million, for pictures of about 128 pixels.
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
    _add_masks(network, num_classes=num_classes, widths=LIGHT_WIDTHS if is_light(scale) else PUBLISHED_WIDTHS)
    load_detector(network, choice, published=MaskRCNN_ResNet50_FPN_Weights.COCO_V1)
    return Detector(network, channels_last=is_light(scale))


def _add_masks(network: FasterRCNN, *, num_classes: int, widths: tuple[int, ...]) -> None:
    """Give the second stage a head for masks, as torchvision's own class does."""
    heads = network.roi_heads
    heads.mask_roi_pool = region_pool(network.backbone, resolution=MASK_RESOLUTION, samples=MASK_SAMPLES)
    heads.mask_head = MaskRCNNHeads(network.backbone.out_channels, widths, dilation=1)
    heads.mask_predictor = MaskRCNNPredictor(widths[-1], widths[-1], num_classes + 1)
