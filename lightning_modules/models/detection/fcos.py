"""FCOS: one stage without anchors."""

from torchvision.models.detection import FCOS, FCOS_ResNet50_FPN_Weights
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOSHead

from lightning_modules.models.detection.anchors import Anchors
from lightning_modules.models.detection.detector import Detector
from lightning_modules.models.detection.one_stage import one_stage_pyramid
from lightning_modules.models.detection.options import Scale, choose_backbone, is_light, longest_side
from lightning_modules.models.detection.weights import load_detector
from lightning_modules.models.norms import Norm

LIGHT_SCORE, PUBLISHED_SCORE = 0.05, 0.2
LIGHT_CONVOLUTIONS = 2
PUBLISHED_CONVOLUTIONS = 4


def fcos(
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
    score_threshold: float | None = None,
    nms_threshold: float = 0.6,
    detections_per_image: int = 100,
) -> Detector:
    """FCOS: every place inside an object tells its class and its distances to the four sides.

    Tian, Shen, Chen, He: FCOS, 2019 (https://arxiv.org/abs/1904.01355); 2020
    (https://arxiv.org/abs/2006.09214). Network and weights: torchvision, whose network has one output more
    than classes, as if there were a background; no target ever uses it. Losses in training:
    ``classification``, ``bbox_regression``, ``bbox_ctrness``.

    Args:
        num_classes: Without the background; 90 are the ids of COCO, as published.
        image_size: Short side that the network sees, in pixels; larger and smaller images are resized.
        max_size: Longest side that the network sees; None for 1333 / 800 of the short side.
        scale: ``published``: 32,322,720 parameters at 90 classes, 53,120 fewer with frozen norms;
            ``light``: 0.6 million, for pictures of about 128 pixels.
        backbone: ``light``, a residual network of torchvision or any network of timm with maps of
            several sizes; None for light or resnet50, by the scale.
        norm: Of the backbone, see ``norms.resolve_norm``.
        pretrained: ``none``; ``backbone`` for ImageNet weights; ``coco`` for the whole published
            detector, without its last layers where the classes differ; or the path of a state-dict file.
        load_weights: False builds the network that goes with ``pretrained`` and leaves it random.
        trainable_stages: 0 to 5 stages of the backbone learn, counted from the end; None for 3 with
            pretrained weights and all without.
        anchors: None; there are none.
        score_threshold: Lowest score of an answer, in [0, 1); a score is the root of the
            probabilities of class and centre. None for 0.2 as published, or 0.05 in light, whose scores
            are lower while it learns.
        nms_threshold: Overlap (IoU) above which the weaker of two boxes of a class is left out.
        detections_per_image: Most boxes of an image.

    Raises:
        ValueError: If an argument is unknown or does not go with the others.
        OSError: If published weights cannot be fetched.
    """
    if anchors is not None:
        raise ValueError(
            f"model.anchors={anchors}, but fcos has no anchors; set it to null or choose model=retinanet"
        )
    choice = choose_backbone(
        scale=scale,
        backbone=backbone,
        norm=norm,
        pretrained=pretrained,
        trainable_stages=trainable_stages,
        load_weights=load_weights,
    )
    light = is_light(scale)
    if score_threshold is None:
        score_threshold = LIGHT_SCORE if light else PUBLISHED_SCORE
    pyramid = one_stage_pyramid(choice, light=light)
    convolutions = LIGHT_CONVOLUTIONS if light else PUBLISHED_CONVOLUTIONS
    network = FCOS(
        pyramid,
        num_classes + 1,
        min_size=image_size,
        max_size=longest_side(image_size, max_size),
        # Places, not anchors: their size is the stride.
        anchor_generator=AnchorGenerator(tuple((stride,) for stride in pyramid.strides), (1.0,)),
        head=FCOSHead(pyramid.out_channels, 1, num_classes + 1, convolutions),
        score_thresh=score_threshold,
        nms_thresh=nms_threshold,
        detections_per_img=detections_per_image,
    )
    load_detector(network, choice, published=FCOS_ResNet50_FPN_Weights.COCO_V1)
    return Detector(network, channels_last=light)
