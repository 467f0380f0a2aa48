"""The measures of a detector by the names under which they are logged."""

from collections.abc import Sequence

from lightning_modules.metrics.detection.coco import coco_measures
from lightning_modules.metrics.detection.records import Judged
from lightning_modules.metrics.detection.voc import mean_of_known, voc_precisions


def detection_measures(judged: Sequence[Judged], *, num_classes: int, with_masks: bool) -> dict[str, float]:
    """COCO's and PASCAL VOC's measures of the detections in a set of images.

    Args:
        judged: Images, each once.
        num_classes: C.
        with_masks: Whether masks are measured, too; every image must have them.

    Returns:
        COCO's twelve of boxes (``map``, ``map_50`` …, see ``coco_measures``), ``voc07_map_50`` and
        ``voc10_map_50`` (see ``voc_precisions``; mean over classes) and, with masks, the twelve of
        masks (``segm_map`` …). In [0, 1]; -1 where no such object exists.
    """
    by_points, by_area = voc_precisions(judged, num_classes=num_classes)
    measures = coco_measures(judged, num_classes=num_classes, kind="bbox")
    measures |= {"voc07_map_50": mean_of_known(by_points), "voc10_map_50": mean_of_known(by_area)}
    if with_masks:
        masks = coco_measures(judged, num_classes=num_classes, kind="segm")
        measures |= {f"segm_{name}": value for name, value in masks.items()}
    return measures
