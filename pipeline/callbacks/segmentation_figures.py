"""Pictures and tables of a segmenter: what it sees while it learns, and where it fails in the end."""

import logging
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from pytorch_lightning import LightningModule, Trainer

from pipeline import figures_segmentation
from pipeline.callbacks.epoch_pictures import EpochPictures, Watched, metadata_of
from pipeline.callbacks.figure_files import (
    figures_folder,
    from_every_process,
    learning_curves,
    tell_loggers_of_all,
    write_per_class,
)
from pipeline.callbacks.segmentation_scenes import (
    JudgedMask,
    extremes,
    judged_masks,
    mask_scene,
    watched_scene,
)
from pipeline.figures_segmentation import MaskScene

log = logging.getLogger(__name__)


class SegmentationFigures(EpochPictures[MaskScene]):
    """Writes `figures/` of the run: after a test everything, while it learns a few validation images.

    The task's validation and test steps must return ``mask``, the predicted class ids (H, W) of each image;
    after a test it must have ``measured``, with ``confusion`` and the ``iou``, ``accuracy`` and
    ``boundary_f1`` of each class.

    Args:
        examples: How many images with the lowest IoU, and how many with the highest, to show after a test.
        watched: See `EpochPictures`.
        every_n_epochs: See `EpochPictures`.
    """

    def __init__(self, *, examples: int = 6, watched: int = 6, every_n_epochs: int | None = None) -> None:
        super().__init__(watched=watched, every_n_epochs=every_n_epochs)
        self._examples = examples
        self._extremes: list[JudgedMask] = []

    def watch(
        self, batch: Mapping[str, Any], outputs: Any, *, count: int, data: Any
    ) -> list[Watched[MaskScene]]:
        """The first images with their masks."""
        places = range(min(count, len(outputs.get("mask", ()))))
        return [
            Watched(index=int(batch["index"][place]), scene=watched_scene(batch, outputs, place))
            for place in places
        ]

    def draw(self, scenes: list[MaskScene], *, epoch: int, data: Any) -> Figure:
        """Truth, prediction and errors of each."""
        title = f"Validation after epoch {epoch}"
        return figures_segmentation.scenes(
            {title: scenes}, names=data["class_names"], palette=data["palette"]
        )

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget an earlier test."""
        self._extremes = []

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the masks of the worst and the best images so far, and no others."""
        if isinstance(outputs, Mapping) and "mask" in outputs:
            judged = [*self._extremes, *judged_masks(batch, outputs)]
            self._extremes = [one for end in extremes(judged, self._examples) for one in end]

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, write, and tell the loggers."""
        judged = [one for part in from_every_process(self._extremes, trainer) for one in part]
        self._extremes = []
        if not trainer.is_global_zero:
            return
        measured = getattr(pl_module, "measured", None)
        if measured is None:
            log.warning("no figures: the task measured no masks")
            return
        folder = figures_folder(trainer)
        for name, figure in self._drawn(trainer, pl_module, measured, judged).items():
            figure.savefig(folder / name)
        write_per_class(folder / "per_class.csv", _per_class(measured, metadata_of(trainer)["class_names"]))
        tell_loggers_of_all(trainer, folder)

    def _drawn(
        self, trainer: Trainer, pl_module: LightningModule, measured: Any, judged: list[JudgedMask]
    ) -> dict[str, Figure]:
        names = metadata_of(trainer)["class_names"]
        per_class = {"IoU": measured.iou, "boundary F1": measured.boundary_f1}
        return {
            "confusion_matrix.png": figures_segmentation.confusion_matrix(measured.confusion, names),
            "iou_per_class.png": figures_segmentation.class_measures(per_class, names),
            "predictions.png": self._predictions(trainer, judged),
            **learning_curves(trainer, pl_module),
        }

    def _predictions(self, trainer: Trainer, judged: list[JudgedMask]) -> Figure:
        """Pictures and truth are read again: only the predictions were kept."""
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        dataset = datamodule.dataset(datamodule.measured_split, augment=False)
        worst, best = (
            [mask_scene(dataset[one.index], one.prediction) for one in end]
            for end in extremes(judged, self._examples)
        )
        data = datamodule.metadata
        return figures_segmentation.scenes(
            {"Lowest IoU of an image": worst, "Highest IoU of an image": best},
            names=data["class_names"],
            palette=data["palette"],
        )


def _per_class(measured: Any, names: list[str]) -> list[dict[str, Any]]:
    """A line for each class."""
    pixels = measured.confusion.sum(axis=1)
    return [
        {
            "class": name,
            "iou": float(measured.iou[place]),
            "accuracy": float(measured.accuracy[place]),
            "boundary_f1": float(measured.boundary_f1[place]),
            "pixels": int(pixels[place]),
        }
        for place, name in enumerate(names)
    ]
