"""Pictures of style transfer: what is being painted, and in the end beside what it was made of."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from pytorch_lightning import LightningModule, Trainer

from pipeline import figures_style_transfer
from pipeline.callbacks.epoch_pictures import EpochDrawing
from pipeline.callbacks.figure_files import (
    Bytes,
    figures_folder,
    learning_curves,
    tell_loggers_of_all,
    write_drawn,
)
from pipeline.figures_style_transfer import PaintedScene

log = logging.getLogger(__name__)

CURVES = ("content", "style", "total_variation", "gram_distance", "ssim")
"""Measures among the learning curves; those of each layer would be more than can be told apart."""


class StyleTransferFigures(EpochDrawing):
    """Writes `figures/` of the run: the picture while it is painted, and in the end beside content and style.

    The task's validation and test steps must return ``picture``, what was painted of each content of the
    batch, uint8 (3, H, W), RGB. Only the first process draws: it sees as much as a person wants to see.

    Args:
        examples: How many contents to show where there are several.
        every_n_epochs: See `EpochDrawing`.
    """

    def __init__(self, *, examples: int = 6, every_n_epochs: int | None = None) -> None:
        super().__init__(name="picture", every_n_epochs=every_n_epochs)
        self._examples = examples
        self._kept: list[PaintedScene] = []

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew."""
        super().on_validation_start(trainer, pl_module)
        self._kept = []

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew."""
        self._kept = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first pictures."""
        self._keep(batch, outputs)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first pictures."""
        self._keep(batch, outputs)

    def picture(self, trainer: Trainer, pl_module: LightningModule) -> Figure | Bytes | None:
        """The picture itself; of several, each beside its content and style."""
        kept, self._kept = self._kept, []
        if len(kept) > 1:
            return figures_style_transfer.side_by_side(
                kept, title=f"Validation after epoch {trainer.current_epoch + 1}"
            )
        return kept[0].result if kept else None

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, write, and tell the loggers."""
        kept, self._kept = self._kept, []
        if not trainer.is_global_zero:
            return
        if not kept:
            log.warning("no figures: the task painted nothing")
            return
        drawn: dict[str, Figure | Bytes] = {
            "result.png": kept[0].result,
            "side_by_side.png": figures_style_transfer.side_by_side(kept),
            **learning_curves(trainer, pl_module, chosen=CURVES),
        }
        folder = figures_folder(trainer)
        for name, one in drawn.items():
            write_drawn(folder / name, one)
        tell_loggers_of_all(trainer, folder)

    def _keep(self, batch: Mapping[str, Any], outputs: Any) -> None:
        pictures = outputs.get("picture", ()) if isinstance(outputs, Mapping) else ()
        wanted = self._examples - len(self._kept)
        for place, painted in enumerate(list(pictures)[: max(0, wanted)]):
            self._kept.append(
                PaintedScene(
                    content=_bytes(batch["image"][place]),
                    styles=[_bytes(style) for style in batch["style"][place]],
                    result=_bytes(painted),
                )
            )


def _bytes(image: Any) -> Bytes:
    """uint8 (H, W, 3) of a tensor (3, H, W)."""
    return np.ascontiguousarray(image.cpu().numpy().transpose(1, 2, 0), dtype=np.uint8)
