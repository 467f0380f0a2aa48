"""Pictures and tables of a detector: what it finds while it learns, and where it fails in the end."""

import csv
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn

from pipeline import figures, figures_detection
from pipeline.callbacks.detection_scenes import Watched, extremes, judged_scene, watched
from pipeline.callbacks.figure_files import FOLDER, figures_folder, from_every_process, tell_loggers
from pipeline.callbacks.history import HISTORY_FILE, read_history

log = logging.getLogger(__name__)

EPOCHS = f"{FOLDER}/epochs"

PICTURES = 12
"""About as many epochs are drawn, however many there are."""

CURVES = ("map", "map_50", "map_75", "voc07_map_50", "segm_map", "segm_map_50")
"""Measures among the learning curves; all of them would be two dozen lines."""


class DetectionFigures(Callback):
    """Writes `figures/` of the run: after a test everything, while it learns a few validation images.

    The task's validation step must return ``detections`` and ``index``; after a test it must have
    ``judged``, one record for each image, and ``analysis()``, both complete on the first process.

    Args:
        examples: How many images with most mistakes, and how many without any, to show after a test.
        watched: How many validation images to show while the network learns; always the same.
        every_n_epochs: How often; None shows about twelve epochs of a run, and those at 1, 2, 4, 8 … of one
            that has no last epoch.
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
        self._examples = examples
        self._watched = watched
        self._every_n_epochs = every_n_epochs
        self._score_threshold = score_threshold
        self._last_epoch: int | None = None
        self._drawing = False
        self._kept: list[Watched] = []

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Decide whether this epoch is drawn."""
        self._kept = []
        fitting = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
        self._drawing = fitting and self._watched > 0 and self._due(trainer)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first images."""
        if not self._drawing or not isinstance(outputs, Mapping) or "detections" not in outputs:
            return
        if len(self._kept) >= self._watched:
            return
        names = _metadata(trainer)["class_names"]
        for place, found in enumerate(outputs["detections"][: self._watched - len(self._kept)]):
            kept = watched(batch, found, place=place, names=names, threshold=self._score_threshold)
            self._kept.append(kept)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the images with the lowest numbers of all processes."""
        if not self._drawing:
            return
        self._last_epoch = trainer.current_epoch
        everyone = {one.index: one.scene for part in from_every_process(self._kept, trainer) for one in part}
        self._kept = []
        if not trainer.is_global_zero or not everyone:
            return
        scenes = [everyone[index] for index in sorted(everyone)[: self._watched]]
        title = f"Validation after epoch {trainer.current_epoch + 1}: truth, and what was found"
        title += f" with a score of at least {self._score_threshold:g}"
        path = figures_folder(trainer, EPOCHS) / f"predictions_epoch_{trainer.current_epoch:03d}.png"
        figures_detection.scenes({title: scenes}).savefig(path)
        tell_loggers(trainer, path, EPOCHS)

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
        for path in sorted(path for path in folder.iterdir() if path.is_file()):
            tell_loggers(trainer, path)

    def _due(self, trainer: Trainer) -> bool:
        """The first epoch, each n-th after it, and the last."""
        if self._last_epoch is None:
            return True
        since = trainer.current_epoch - self._last_epoch
        last = trainer.current_epoch + 1 == trainer.max_epochs
        return since >= self._distance(trainer, self._last_epoch) or (last and since > 0)

    def _distance(self, trainer: Trainer, last_epoch: int) -> int:
        """Epochs until the next one that is drawn; ever more where nobody knows how many there will be."""
        if self._every_n_epochs is not None:
            return self._every_n_epochs
        if trainer.max_epochs is None or trainer.max_epochs < 1:
            return max(1, last_epoch)
        return math.ceil(trainer.max_epochs / PICTURES)

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
        rows = [_curves_of(row) for row in read_history(Path(trainer.default_root_dir) / HISTORY_FILE)]
        if rows:
            drawn["learning_curves.png"] = figures.learning_curves(
                rows, monitor=getattr(pl_module, "monitor", "")
            )
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


def write_per_class(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A line for each class; four figures of what is a share, nothing where it is unknown."""
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


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
    return {"image_ids": ids, "category_ids": _metadata(trainer)["category_ids"]}


def _metadata(trainer: Trainer) -> Mapping[str, Any]:
    metadata: Mapping[str, Any] = trainer.datamodule.metadata  # type: ignore[attr-defined]
    return metadata


def _curves_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the history with what can be read in a figure."""
    return {
        name: value
        for name, value in row.items()
        if "/" not in name or name.endswith("/loss") or name.split("/")[-1] in CURVES
    }


def _cell(value: str | int | float) -> str | int:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4f}"
    return value
