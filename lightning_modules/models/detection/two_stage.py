"""What Faster R-CNN and Mask R-CNN share: the network of regions, in two sizes."""

from dataclasses import dataclass

from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from lightning_modules.models.detection.anchors import (
    LIGHT_RATIOS,
    PUBLISHED_RATIOS,
    Anchors,
    anchor_generator,
    light_sizes,
)
from lightning_modules.models.detection.options import Answers, BackboneChoice
from lightning_modules.models.detection.pyramid import Pyramid, build_pyramid

BOX_RESOLUTION = 7
ANCHOR_SIZE_PER_STRIDE = 8


@dataclass(frozen=True, kw_only=True)
class RegionSizes:
    """How large the two stages are.

    Attributes:
        strides: Of the maps of the pyramid.
        channels: Of the pyramid.
        representation: Width of the box head.
        candidates: Boxes of each map that non-maximum suppression sees: while training, otherwise.
        proposals: Boxes of each image that the second stage sees: while training, otherwise.
        sampled_anchors: Of each image, for the loss of the first stage.
        sampled_regions: Of each image, for the loss of the second stage.
        samples: Of each bin of a region and side; one is enough where a bin is smaller than a place.
    """

    strides: tuple[int, ...]
    channels: int
    representation: int
    candidates: tuple[int, int]
    proposals: tuple[int, int]
    sampled_anchors: int
    sampled_regions: int
    samples: int


LIGHT = RegionSizes(
    strides=(4, 8),
    channels=64,
    representation=256,
    candidates=(300, 300),
    proposals=(100, 100),
    sampled_anchors=128,
    sampled_regions=64,
    samples=1,
)
PUBLISHED = RegionSizes(
    strides=(4, 8, 16, 32),
    channels=256,
    representation=1024,
    candidates=(2000, 1000),
    proposals=(2000, 1000),
    sampled_anchors=256,
    sampled_regions=512,
    samples=2,
)


def region_network(
    choice: BackboneChoice,
    *,
    num_classes: int,
    image_size: int,
    max_size: int,
    light: bool,
    anchors: Anchors | None,
    answers: Answers,
) -> FasterRCNN:
    """Build the network of Faster R-CNN.

    Args:
        choice: Of the backbone.
        num_classes: Without the background.
        image_size: Short side that the network sees, in pixels.
        max_size: Longest side that the network sees, in pixels.
        light: Small heads and few regions for small pictures, or the published sizes.
        anchors: Width and height in pixels of the network's input; None for the usual ones.
        answers: Which boxes it answers with.

    Raises:
        ValueError: If the anchors do not fit, see ``anchors.dealt``.
    """
    sizes = LIGHT if light else PUBLISHED
    extra = None if light else LastLevelMaxPool()
    pyramid = build_pyramid(choice, strides=sizes.strides, out_channels=sizes.channels, extra=extra)
    return FasterRCNN(
        pyramid,
        min_size=image_size,
        max_size=max_size,
        rpn_anchor_generator=_anchors(anchors, pyramid=pyramid, light=light, image_size=image_size),
        rpn_pre_nms_top_n_train=sizes.candidates[0],
        rpn_pre_nms_top_n_test=sizes.candidates[1],
        rpn_post_nms_top_n_train=sizes.proposals[0],
        rpn_post_nms_top_n_test=sizes.proposals[1],
        rpn_batch_size_per_image=sizes.sampled_anchors,
        box_roi_pool=region_pool(pyramid, resolution=BOX_RESOLUTION, samples=sizes.samples),
        box_head=TwoMLPHead(sizes.channels * BOX_RESOLUTION**2, sizes.representation),
        box_predictor=FastRCNNPredictor(sizes.representation, num_classes + 1),
        box_score_thresh=answers.score_threshold,
        box_nms_thresh=answers.nms_threshold,
        box_detections_per_img=answers.per_image,
        box_batch_size_per_image=sizes.sampled_regions,
    )


def region_pool(pyramid: Pyramid, *, resolution: int, samples: int) -> MultiScaleRoIAlign:
    """Regions of fixed size from the maps of a pyramid, with so many samples to a bin and side."""
    names = [str(position) for position in range(pyramid.num_body_maps)]
    return MultiScaleRoIAlign(featmap_names=names, output_size=resolution, sampling_ratio=samples)


def _anchors(anchors: Anchors | None, *, pyramid: Pyramid, light: bool, image_size: int) -> AnchorGenerator:
    if light:
        return anchor_generator(anchors, sizes=light_sizes(image_size), ratios=LIGHT_RATIOS)
    sizes = [[ANCHOR_SIZE_PER_STRIDE * stride] for stride in pyramid.strides]
    return anchor_generator(anchors, sizes=sizes, ratios=PUBLISHED_RATIOS)
