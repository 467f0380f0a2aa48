"""Pictures of a verifier: how far apart pairs are while it learns, and where it fails in the end."""

import logging
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from pytorch_lightning import LightningModule, Trainer

from pipeline import figures_verification
from pipeline.callbacks.epoch_pictures import EpochDrawing
from pipeline.callbacks.figure_files import figures_folder, learning_curves, tell_loggers_of_all
from pipeline.callbacks.verification_scenes import hardest_pairs, mapped, pair_scene

log = logging.getLogger(__name__)

CURVES = ("auc", "eer", "accuracy", "tar_at_far_0.01", "rank1", "map")
"""Measures among the learning curves; all of them would be more than can be told apart."""


class VerificationFigures(EpochDrawing):
    """Writes `figures/` of the run: after a test everything, while it learns how far apart pairs are.

    After a validation or a test the task must have ``measured``, complete on the first process: ``first``,
    ``second``, ``same`` and ``distance`` of its pairs, ``far`` and ``tar`` of their curve, ``threshold``,
    ``embeddings``, ``labels`` and ``index`` of its images, and ``measures()``.

    Args:
        examples: How many of the most distant matching pairs, and how many of the nearest others, to show.
        every_n_epochs: See `EpochDrawing`.
    """

    def __init__(self, *, examples: int = 12, every_n_epochs: int | None = None) -> None:
        super().__init__(name="distances", every_n_epochs=every_n_epochs)
        self._examples = examples

    def picture(self, trainer: Trainer, pl_module: LightningModule) -> Figure | None:
        """The distances of validation pairs."""
        measured = getattr(pl_module, "measured", None)
        if measured is None or not len(measured.distance) or not trainer.is_global_zero:
            return None
        return figures_verification.distances(
            measured.distance,
            measured.same,
            threshold=measured.threshold,
            title=f"Validation after epoch {trainer.current_epoch + 1}",
        )

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, write, and tell the loggers."""
        if not trainer.is_global_zero:
            return
        measured = getattr(pl_module, "measured", None)
        if measured is None or not len(measured.distance):
            log.warning("no figures: the task measured no pairs")
            return
        folder = figures_folder(trainer)
        for name, figure in self._drawn(trainer, pl_module, measured).items():
            figure.savefig(folder / name)
        tell_loggers_of_all(trainer, folder)

    def _drawn(self, trainer: Trainer, pl_module: LightningModule, measured: Any) -> dict[str, Figure]:
        names = trainer.datamodule.data.identity_names  # type: ignore[attr-defined]
        return {
            "distances.png": figures_verification.distances(
                measured.distance, measured.same, threshold=measured.threshold
            ),
            **_roc(measured),
            "hardest_pairs.png": self._hardest_pairs(trainer, measured, names),
            **_embedding_map(measured, names),
            **learning_curves(trainer, pl_module, chosen=CURVES),
        }

    def _hardest_pairs(self, trainer: Trainer, measured: Any, names: Sequence[str]) -> Figure:
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        images = datamodule.dataset(datamodule.measured_split, augment=False)
        matching, others = (
            [pair_scene(measured, place, images=images, names=names) for place in places.tolist()]
            for places in hardest_pairs(measured, self._examples)
        )
        return figures_verification.pairs(
            {
                "Matching pairs that lie farthest apart (orange: refused)": matching,
                "Other pairs that lie nearest (orange: taken to match)": others,
            }
        )


def _roc(measured: Any) -> dict[str, Figure]:
    """None where one kind of pairs is missing."""
    measures = measured.measures()
    if not {"auc", "eer"} <= measures.keys():
        return {}
    others = int((~measured.same).sum())
    curve = figures_verification.roc(
        measured.far, measured.tar, others=others, auc=measures["auc"], eer=measures["eer"]
    )
    return {"roc.png": curve}


def _embedding_map(measured: Any, names: Sequence[str]) -> dict[str, Figure]:
    """None where there are too few images."""
    chosen, places = mapped(measured.embeddings)
    if not len(chosen):
        return {}
    figure = figures_verification.embedding_map(places, measured.labels[chosen], names)
    return {"embedding_map.png": figure}
