"""The heads of RetinaNet for small pictures, made to learn in minutes."""

from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models.detection.retinanet import RetinaNetClassificationHead, RetinaNetHead
from torchvision.ops import sigmoid_focal_loss

CONVOLUTIONS = 2
GROUPS = 16
# Gentler than the paper's 0.25 and 2: few objects in a picture, and few pictures to learn from.
ALPHA = 0.5
GAMMA = 1.5
BETWEEN_THRESHOLDS = -2


class LightClassificationHead(RetinaNetClassificationHead):  # type: ignore[misc]
    """torchvision's head with the two numbers of the focal loss set for short training."""

    def compute_loss(
        self, targets: list[dict[str, Tensor]], head_outputs: dict[str, Tensor], matched_idxs: list[Tensor]
    ) -> Tensor:
        """Focal loss of all anchors that are matched or clearly background, for each matched one."""
        losses = []
        for target, scores, matched in zip(targets, head_outputs["cls_logits"], matched_idxs, strict=True):
            positive = matched >= 0
            wanted = torch.zeros_like(scores)
            wanted[positive, target["labels"][matched[positive]]] = 1.0
            used = matched != BETWEEN_THRESHOLDS
            loss = sigmoid_focal_loss(scores[used], wanted[used], alpha=ALPHA, gamma=GAMMA, reduction="sum")
            losses.append(loss / positive.sum().clamp(min=1))
        return torch.stack(losses).mean()


def light_head(*, channels: int, num_anchors: int, outputs: int) -> RetinaNetHead:
    """Two convolutions in place of four, with group norm, and a loss of overlaps for the boxes.

    The tiny initial weights of the paper are for a trained backbone; from nothing they learn slowly.

    Args:
        channels: Of the pyramid, a multiple of 16.
        num_anchors: At every place.
        outputs: Of every anchor.
    """
    norm = partial(nn.GroupNorm, GROUPS)
    head = RetinaNetHead(channels, num_anchors, outputs, norm)
    head.classification_head = LightClassificationHead(channels, num_anchors, outputs, norm_layer=norm)
    # Generalised intersection over union, one of torchvision's choices without an argument of its own.
    head.regression_head._loss_type = "giou"
    for part in (head.classification_head, head.regression_head):
        part.conv = part.conv[:CONVOLUTIONS]
        for module in part.conv.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return head
