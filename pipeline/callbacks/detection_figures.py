"""Pictures and tables of a detector: what it finds while it learns, and where it fails in the end."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from pytorch_lightning import LightningModule, Trainer

from pipeline import figures_detection
from pipeline.callbacks.detection_scenes import extremes, judged_scene, watched
from pipeline.callbacks.epoch_pictures import EpochPictures, Watched, metadata_of
from pipeline.callbacks.figure_files import (
    figures_folder,
    learning_curves,
    tell_loggers_of_all,
    write_per_class,
)
from pipeline.figures_detection import Scene

log = logging.getLogger(__name__)

CURVES = ("map", "map_50", "map_75", "voc07_map_50", "segm_map", "segm_map_50")
"""Measures among the learning curves; all of them would be two dozen lines."""


class DetectionFigures(EpochPictures[Scene]):
    """Writes `figures/` of the run: after a test everything, while it learns a few validation images.

    The task's validation step must return ``detections`` and ``index``; after a test it must have
    ``judged``, one record for each image, and ``analysis()``, both complete on the first process.

    Args:
        examples: How many images with most mistakes, and how many without any, to show after a test.
        watched: See `EpochPictures`.
        every_n_epochs: See `EpochPictures`.
        score_threshold: Detections with a lower score are not drawn while the network learns, in [0, 1].
            Low, as networks without a proposal stage are seldom surer; after a test the score with the
            highest F1 is used.
    """

    def __init__(
        self,
        *,
        examples: int = 6,
        watched: int = 6,
        every_n_epochs: int | None = None,
        score_threshold: float = 0.3,
    ) -> None:
        super().__init__(watched=watched, every_n_epochs=every_n_epochs)
        self._examples = examples
        self._score_threshold = score_threshold

    def watch(self, batch: Mapping[str, Any], outputs: Any, *, count: int, data: Any) -> list[Watched[Scene]]:
        """The first images with their detections."""
        names, threshold = data["class_names"], self._score_threshold
        return [
            watched(batch, found, place=place, names=names, threshold=threshold)
            for place, found in enumerate(outputs.get("detections", ())[:count])
        ]

    def draw(self, scenes: list[Scene], *, epoch: int, data: Any) -> Figure:
        """Truth beside detections."""
        title = f"Validation after epoch {epoch}: truth, and what was found"
        return figures_detection.scenes(
            {f"{title} with a score of at least {self._score_threshold:g}": scenes}
        )

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, write, and tell the loggers."""
        if not trainer.is_global_zero:
            return
        judged: Sequence[Any] = getattr(pl_module, "judged", ())
        if not judged:
            log.warning("no figures: the task kept no detections")
            return
        analysis = pl_module.analysis()  # type: ignore[operator]
        folder = figures_folder(trainer)
        for name, figure in self._drawn(trainer, pl_module, judged, analysis).items():
            figure.savefig(folder / name)
        write_per_class(folder / "per_class.csv", analysis["per_class"])
        write_detections(folder, judged, **_ids(trainer, judged))
        tell_loggers_of_all(trainer, folder)

    def _drawn(
        self, trainer: Trainer, pl_module: LightningModule, judged: Sequence[Any], analysis: Mapping[str, Any]
    ) -> dict[str, Figure]:
        names, threshold = analysis["class_names"], analysis["score_threshold"]
        drawn = {
            "precision_recall.png": figures_detection.precision_recall(analysis["curves"], names),
            "confusion_matrix.png": figures_detection.confusion_matrix(
                analysis["confusion"], names, score_threshold=threshold
            ),
            "errors.png": figures_detection.error_kinds(analysis["errors"], score_threshold=threshold),
        }
        drawn |= learning_curves(trainer, pl_module, chosen=CURVES)
        if hasattr(getattr(trainer, "datamodule", None), "dataset"):
            drawn["predictions.png"] = self._predictions(trainer, judged, analysis)
        return drawn

    def _predictions(self, trainer: Trainer, judged: Sequence[Any], analysis: Mapping[str, Any]) -> Figure:
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        dataset = datamodule.dataset(datamodule.measured_split, augment=False)
        images, names = analysis["images"], analysis["class_names"]

        def scene(place: int) -> figures_detection.Scene:
            picture = np.asarray(dataset[judged[place].index]["image"]).transpose(1, 2, 0)
            return judged_scene(picture, judged[place], images[place], names)

        worst, best = extremes(images, self._examples)
        return figures_detection.scenes(
            {
                "Most mistakes (orange: wrong or missed; dashed: does not count)": [
                    scene(place) for place in worst
                ],
                "Most found without a mistake": [scene(place) for place in best],
            }
        )


def write_detections(
    folder: Path, judged: Sequence[Any], *, image_ids: Mapping[int, int], category_ids: Sequence[int]
) -> None:
    """Detections in COCO's format of results, with the data's own ids (https://cocodataset.org/#format-results).

    Masks are in a file of their own: tools take the area of the box for that of the mask where both
    are in one.

    Args:
        folder: Gets ``detections.json`` and, where there are masks, ``detections_segm.json``.
        judged: Images.
        image_ids: The data's id of each position.
        category_ids: C ids of the data.
    """
    boxes: list[dict[str, Any]] = []
    masks: list[dict[str, Any]] = []
    for one in judged:
        sides = one.boxes.astype(np.float64)
        sides[:, 2:] -= sides[:, :2]
        for place, (label, score) in enumerate(zip(one.labels.tolist(), one.scores.tolist(), strict=True)):
            row = {"image_id": image_ids[one.index], "category_id": category_ids[label], "score": score}
            boxes.append({**row, "bbox": sides[place].tolist()})
            if one.masks is not None:
                masks.append({**row, "segmentation": one.masks[place]})
    (folder / "detections.json").write_text(json.dumps(boxes), encoding="utf-8")
    if any(one.masks is not None for one in judged):
        (folder / "detections_segm.json").write_text(json.dumps(masks), encoding="utf-8")


def _ids(trainer: Trainer, judged: Sequence[Any]) -> dict[str, Any]:
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    positions = [one.index for one in judged]
    ids = dict(zip(positions, positions, strict=True))
    if hasattr(datamodule, "image_ids"):
        known = datamodule.image_ids(datamodule.measured_split)
        ids = {position: int(known[position]) for position in positions}
    return {"image_ids": ids, "category_ids": metadata_of(trainer)["category_ids"]}
