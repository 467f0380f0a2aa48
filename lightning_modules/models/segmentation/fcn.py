"""Fully convolutional networks: a classifier that slides, with scores from finer and finer maps."""

from lightning_modules.models.norms import Norm
from lightning_modules.models.segmentation.fcn_building import FcnChoice, build_fcn
from lightning_modules.models.segmentation.options import Scale
from lightning_modules.models.segmentation.segmenter import Segmenter


def fcn32s(
    *,
    num_classes: int = 21,
    scale: Scale = "published",
    backbone: str | None = None,
    norm: Norm = "auto",
    pretrained: str = "none",
    load_weights: bool = True,
    upsampling_learned: bool | None = None,
) -> Segmenter:
    """FCN-32s: scores of the coarsest map, enlarged to pixels in one step.

    Long, Shelhamer, Darrell: Fully convolutional networks for semantic segmentation, 2015
    (https://arxiv.org/abs/1411.4038). The light form scores the map at an eighth of the side, a quarter as
    coarse as published, and enlarges 8 times.

    Args:
        num_classes: With the background; 21 as published for PASCAL VOC.
        scale: ``published``: VGG-16 whose linear layers are convolutions, 136,152,917 parameters at 21
            classes; ``light``: 0.4 million, for pictures of about 128 pixels.
        backbone: ``light``, a residual network of torchvision or any network of timm with maps of
            several sizes; None for light or VGG-16, by the scale.
        norm: Of a backbone other than VGG-16, see ``norms.resolve_norm``.
        pretrained: ``none``; ``backbone`` for ImageNet weights, VGG-16's with both linear layers; or the
            path of a state-dict file.
        load_weights: False builds the network that goes with ``pretrained`` and leaves it random.
        upsampling_learned: Whether the transposed convolutions learn, which begin as bilinear; None: not
            with VGG-16, as in the reference release, and yes with every other backbone.

    Raises:
        ValueError: If an argument is unknown or does not go with the others.
        OSError: If published weights cannot be fetched.
    """
    return build_fcn(
        FcnChoice(
            skips=0,
            num_classes=num_classes,
            scale=scale,
            backbone=backbone,
            norm=norm,
            pretrained=pretrained,
            load_weights=load_weights,
            upsampling_learned=upsampling_learned,
            start_from=None,
        )
    )


def fcn16s(
    *,
    num_classes: int = 21,
    scale: Scale = "published",
    backbone: str | None = None,
    norm: Norm = "auto",
    pretrained: str = "none",
    load_weights: bool = True,
    start_from: str | None = None,
    upsampling_learned: bool | None = None,
) -> Segmenter:
    """FCN-16s: the scores of FCN-32s, doubled and added to those of a map twice as fine.

    Long, Shelhamer, Darrell: Fully convolutional networks for semantic segmentation, 2015
    (https://arxiv.org/abs/1411.4038). The light form scores the maps at an eighth and a quarter of the side,
    a quarter as coarse as published.

    Args:
        num_classes: With the background; 21 as published for PASCAL VOC.
        scale: ``published``: VGG-16 with a skip from pool4, 134,815,994 parameters at 21 classes;
            ``light``: 0.4 million, for pictures of about 128 pixels.
        backbone: See ``fcn32s``.
        norm: See ``fcn32s``.
        pretrained: See ``fcn32s``.
        load_weights: False builds the network that goes with ``pretrained`` and leaves it random.
        start_from: Path of a checkpoint or state-dict file of an FCN-32s of the same form. What both have
            is taken and the new skip begins with scores of zero, so that this network begins as that one,
            which only enlarges in one step what is enlarged in two here. Without it, skips begin with
            scores of zero on VGG-16, as published, and with random ones on every other backbone.
        upsampling_learned: See ``fcn32s``.

    Raises:
        ValueError: If an argument is unknown or does not go with the others.
        OSError: If published weights cannot be fetched.
    """
    return build_fcn(
        FcnChoice(
            skips=1,
            num_classes=num_classes,
            scale=scale,
            backbone=backbone,
            norm=norm,
            pretrained=pretrained,
            load_weights=load_weights,
            upsampling_learned=upsampling_learned,
            start_from=start_from,
        )
    )


def fcn8s(
    *,
    num_classes: int = 21,
    scale: Scale = "published",
    backbone: str | None = None,
    norm: Norm = "auto",
    pretrained: str = "none",
    load_weights: bool = True,
    start_from: str | None = None,
    upsampling_learned: bool | None = None,
) -> Segmenter:
    """FCN-8s: the scores of FCN-16s, doubled once more and added to those of a map twice as fine again.

    Long, Shelhamer, Darrell: Fully convolutional networks for semantic segmentation, 2015
    (https://arxiv.org/abs/1411.4038). The light form scores the maps at an eighth, a quarter and half of the
    side, a quarter as coarse as published.

    Args:
        num_classes: With the background; 21 as published for PASCAL VOC.
        scale: ``published``: VGG-16 with skips from pool4 and pool3, 134,489,759 parameters at 21
            classes; ``light``: 0.4 million, for pictures of about 128 pixels.
        backbone: See ``fcn32s``.
        norm: See ``fcn32s``.
        pretrained: See ``fcn32s``.
        load_weights: False builds the network that goes with ``pretrained`` and leaves it random.
        start_from: Path of a checkpoint or state-dict file of an FCN-16s of the same form, see ``fcn16s``.
        upsampling_learned: See ``fcn32s``.

    Raises:
        ValueError: If an argument is unknown or does not go with the others.
        OSError: If published weights cannot be fetched.
    """
    return build_fcn(
        FcnChoice(
            skips=2,
            num_classes=num_classes,
            scale=scale,
            backbone=backbone,
            norm=norm,
            pretrained=pretrained,
            load_weights=load_weights,
            upsampling_learned=upsampling_learned,
            start_from=start_from,
        )
    )
