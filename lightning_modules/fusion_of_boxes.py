"""Boxes that several networks or views found in one image: one list of all."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_iou, clip_boxes_to_image, remove_small_boxes

Found = dict[str, Tensor]
Fusion = Literal["wbf", "soft_nms", "nms"]
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)

SAME_OBJECT = 0.55
"""Overlap from which on weighted boxes fusion takes two boxes for one object, as published."""
SUPPRESSED = 0.5
"""Overlap from which on plain suppression drops the less certain of two boxes."""
SIGMA = 0.5
"""Of the Gaussian by which soft suppression lessens scores, as published."""
LEAST_SCORE = 0.001
"""Softly suppressed boxes below it are left out, as published."""


def fused_boxes(
    answers: Sequence[Found], *, weights: Sequence[float], size: tuple[int, int], fusion: str
) -> Found:
    """What all of them found in one image, the most certain first.

    Args:
        answers: Of each ``boxes`` (N, 4) in pixels, ``scores`` (N,) in [0, 1], ``labels`` (N,) and perhaps
            ``masks`` (N, H, W). What is not finite, or outside of the image, is left out.
        weights: Of each; only their relation counts.
        size: Height and width of the image.
        fusion: ``wbf``, see ``weighted``; ``soft_nms``, see ``softly_suppressed``; ``nms`` keeps the most
            certain of the boxes of a class that overlap by 0.5, with scores relative to the largest weight.
    """
    sane = [_inside(answer, size) for answer in answers]
    sources = _joined(sane, weights)
    if not len(sources["scores"]):
        return _picked(sources, torch.arange(0))
    if fusion == "wbf":
        return _weighted(sane, weights, size=size, sources=sources)
    boxes, scores, labels = sources["boxes"], sources["scores"], sources["labels"]
    if fusion == "nms":
        return _picked(sources, batched_nms(boxes, scores, labels, SUPPRESSED))
    lessened = softly_suppressed(boxes, scores, labels)
    order = lessened.argsort(descending=True, stable=True)
    return _picked({**sources, "scores": lessened}, order[lessened[order] > LEAST_SCORE])


def softly_suppressed(boxes: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    """Scores (N,), each lessened by exp(-IoU²/σ) of every more certain box of its class.

    Bodla, Singh, Chellappa, Davis: Soft-NMS, 2017 (https://arxiv.org/abs/1704.04503), equation 3. Not that
    of ensemble-boxes 1.0.9, which lessens the scores and then returns them as they were.

    Args:
        boxes: (N, 4).
        scores: (N,).
        labels: (N,).
    """
    weakening = torch.exp(-box_iou(boxes, boxes).square() / SIGMA)
    weakening[labels[:, None] != labels[None]] = 1.0
    lessened, waiting = scores.clone(), torch.ones_like(scores, dtype=torch.bool)
    for _ in range(len(scores)):
        best = int(lessened.masked_fill(~waiting, -1.0).argmax())
        waiting[best] = False
        lessened[waiting] *= weakening[best, waiting]
    return lessened


def _weighted(
    answers: Sequence[Found], weights: Sequence[float], *, size: tuple[int, int], sources: Found
) -> Found:
    """Boxes that overlap become their mean, weighted by their scores.

    Solovyev, Wang, Gabruseva: Weighted boxes fusion, 2019 (https://arxiv.org/abs/1910.13302). The score is
    the mean of all that might have found the object: what one of five found has a fifth of its score.
    """
    # Here, because it imports a compiler that nothing else needs.
    from ensemble_boxes import weighted_boxes_fusion

    height, width = size
    scale = np.array([width, height, width, height])
    lists = [
        [(answer["boxes"].double().cpu().numpy() / scale).clip(0, 1) for answer in answers],
        *([answer[key].double().cpu().numpy() for answer in answers] for key in ("scores", "labels")),
    ]
    boxes, scores, labels = weighted_boxes_fusion(*lists, weights=list(weights), iou_thr=SAME_OBJECT)
    like = sources["boxes"]
    found = {
        "boxes": torch.from_numpy(boxes * scale).to(like),
        "scores": torch.from_numpy(scores).to(sources["scores"]),
        "labels": torch.from_numpy(labels).to(sources["labels"]),
    }
    return {**found, "masks": _best_masks(found, sources)} if "masks" in sources else found


def _best_masks(found: Found, sources: Found) -> Tensor:
    """Of each box the mask of the most certain box that went into it: a mean of masks has no sharp edge."""
    overlap = box_iou(found["boxes"], sources["boxes"])
    overlap[found["labels"][:, None] != sources["labels"][None]] = -1.0
    # A box that only overlaps a little is still better than one that does not.
    certainty = torch.where(overlap > SAME_OBJECT, 1.0 + sources["scores"], overlap)
    return sources["masks"][certainty.argmax(dim=1)]


def _inside(found: Found, size: tuple[int, int]) -> Found:
    """What is in the image, and has numbers."""
    sane = torch.isfinite(found["boxes"]).all(dim=1) & torch.isfinite(found["scores"])
    kept = _picked(found, sane.nonzero()[:, 0])
    kept["boxes"] = clip_boxes_to_image(kept["boxes"], size)
    return _picked(kept, remove_small_boxes(kept["boxes"], min_size=1e-3))


def _joined(answers: Sequence[Found], weights: Sequence[float]) -> Found:
    """All boxes of an image, with scores relative to the largest weight."""
    scaled = [
        {**answer, "scores": answer["scores"] * (weight / max(weights))}
        for answer, weight in zip(answers, weights, strict=True)
    ]
    return {key: torch.cat([answer[key] for answer in scaled]) for key in answers[0]}


def _picked(found: Found, places: Tensor) -> Found:
    return {key: value[places.to(value.device)] for key, value in found.items()}
