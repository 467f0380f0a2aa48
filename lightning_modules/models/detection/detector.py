"""One face for every detector: images and boxes as the rest of the project has them."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.models.detection.transform import GeneralizedRCNNTransform

Target = dict[str, Tensor]
Detections = dict[str, Tensor]
MASK_THRESHOLD = 0.5
SIZE_STEP = 32


class Detector(nn.Module):
    """A network of torchvision that takes and gives class ids from 0 on and boxes in pixels.

    The network resizes and normalises the images itself.

    Args:
        network: Has ``transform`` and the interface of torchvision's detectors.
        first_label: Label of class 0 inside the network: 1 where label 0 is the background.
        resizable: Whether the network can see images of other sizes than it was built for.
        channels_last: Whether the weights lie in memory with the channels last, which makes small networks
            on a CPU a fifth faster.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        first_label: int = 1,
        resizable: bool = True,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last) if channels_last else network
        self.first_label = first_label
        self.resizable = resizable
        self.predicts_masks = isinstance(network, GeneralizedRCNN) and network.roi_heads.has_mask()
        transform = cast(GeneralizedRCNNTransform, network.transform)
        self._sizes = (transform.min_size, transform.max_size, transform.fixed_size)

    def forward(self, images: list[Tensor], targets: list[Target] | None = None) -> Any:
        """Losses while training, else detections.

        Args:
            images: Float (3, H, W) each, RGB in [0, 1], of any sizes.
            targets: Of each image ``boxes`` (N, 4), ``labels`` (N,) in [0, C) and, for a network that
                predicts masks, ``masks`` uint8 (N, H, W); only for training. N may be 0.

        Returns:
            In training the network's scalar losses by name. Otherwise of each image, in pixels of the
            image that was given: ``boxes`` (N, 4), ``scores`` (N,) falling in [0, 1], ``labels`` (N,) in
            [0, C) and ``masks`` bool (N, H, W) if the network predicts them.
        """
        if self.training:
            assert targets is not None, "a detector trains on targets"
            return self.network(images, [self._inner(target) for target in targets])
        return [self._outer(found) for found in self.network(images)]

    def rescale(self, factor: float) -> None:
        """Change the size at which the network sees images, for training at several scales.

        Args:
            factor: Multiple of the size that was configured, rounded to 32 pixels; 1 restores it exactly.

        Raises:
            ValueError: If the factor is not above 0, or the network is made for one size.
        """
        if factor <= 0:
            raise ValueError(f"the factor {factor} of the size of images must be above 0")
        if factor != 1 and not self.resizable:
            raise ValueError(
                f"{type(self.network).__name__} is made for one size of images; leave out training at "
                "several scales, or choose another model"
            )
        transform = cast(GeneralizedRCNNTransform, self.network.transform)
        min_size, max_size, fixed_size = self._sizes
        transform.min_size = tuple(_scaled(size, factor) for size in min_size)
        transform.max_size = _scaled(max_size, factor)
        transform.fixed_size = fixed_size and tuple(_scaled(size, factor) for size in fixed_size)

    def dense_forward(self, images: Tensor) -> Any:
        """What the network computes for a batch at most, without choosing boxes: it runs on shapes alone.

        The second stage sees as many boxes as it may get: the proposals that are kept for the box head,
        the detections that are kept for the mask head.

        Args:
            images: (B, 3, H, W), at the size that the network sees.
        """
        features = self.network.backbone(images)  # type: ignore[operator]
        if not isinstance(self.network, GeneralizedRCNN):
            return self.network.head(list(features.values()))  # type: ignore[operator]
        rpn = cast(RegionProposalNetwork, self.network.rpn)
        return rpn.head(list(features.values())), _second_stage(self.network, features["0"])

    def _inner(self, target: Target) -> Target:
        wanted = ("boxes", "masks") if self.predicts_masks else ("boxes",)
        return {"labels": target["labels"] + self.first_label} | {name: target[name] for name in wanted}

    def _outer(self, found: Detections) -> Detections:
        # torchvision's one-stage networks have an output for label 0, too, which nothing ever trains on.
        known = found["labels"] >= self.first_label
        kept = {name: found[name][known] for name in ("boxes", "scores", "labels")}
        kept["labels"] = kept["labels"] - self.first_label
        if self.predicts_masks:
            kept["masks"] = found["masks"][known][:, 0] > MASK_THRESHOLD
        return kept


def _scaled(size: int, factor: float) -> int:
    return size if factor == 1 else max(SIZE_STEP, round(size * factor / SIZE_STEP) * SIZE_STEP)


def _second_stage(network: GeneralizedRCNN, map_: Tensor) -> tuple[Any, ...]:
    heads = cast(RoIHeads, network.roi_heads)
    proposals = len(map_) * network.rpn._post_nms_top_n["testing"]
    boxes = heads.box_predictor(heads.box_head(_regions(map_, proposals, heads.box_roi_pool.output_size)))
    if not heads.has_mask():
        return (boxes,)
    found = len(map_) * heads.detections_per_img
    masks = heads.mask_head(_regions(map_, found, heads.mask_roi_pool.output_size))
    return boxes, heads.mask_predictor(masks)


def _regions(map_: Tensor, count: int, size: Any) -> Tensor:
    return torch.zeros((count, map_.shape[1], *size), dtype=map_.dtype, device=map_.device)
