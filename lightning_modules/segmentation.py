"""Segmentation: a class for each pixel."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, ClassVar, Literal, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.nn import functional

from datamodules.batch import IGNORED, ImageBatch, SegmentationBatch, SegmentationMetadata
from lightning_modules.base import SchedulerFactory, Stage, TaskModule
from lightning_modules.ensembling import View
from lightning_modules.exporting import Exported, Output, ThreeChannels
from lightning_modules.fusion_of_scores import fused_scores, log_of
from lightning_modules.images_with_masks import check_masks, of_one_size, stacked
from lightning_modules.losses.class_weights import ClassWeights, balance
from lightning_modules.losses.segmentation import LossName, PixelLosses
from lightning_modules.metrics.segmentation import Measured, Tally, joined
from lightning_modules.models.segmentation.segmenter import MAIN, Segmenter
from lightning_modules.parameter_groups import OptimizerFactory
from lightning_modules.records import SegmentedRecords
from lightning_modules.test_time_augmentation import pixel_views
from lightning_modules.windows import blended, check_windows

Row = dict[str, str | float]
AT_ONCE = 8
"""Pixels that are measured or predicted at a time, in multiples of those of an image trained on."""


class Prediction(TypedDict):
    """Answer for a batch of B images.

    Attributes:
        mask: uint8 (H, W) class ids for each image, in its own size.
        index: int64 (B,), position of each image in its data set.
    """

    mask: list[Tensor]
    index: Tensor


class SegmentationTask(TaskModule):
    """Learns and measures the class of each pixel.

    The loss of training is a weighted sum of losses, each logged as ``train/loss_<name>``; that of
    validation and test is the plain cross-entropy, so that runs can be compared.

    Args:
        model: Gives scores to each pixel; see there.
        optimizer: See ``TaskModule``.
        scheduler: See ``TaskModule``.
        metadata: Of the data; C class names.
        monitor: See ``TaskModule``.
        mode: See ``TaskModule``.
        losses: Weight of each loss by name, see ``PixelLosses``; None: cross-entropy and Dice, 1 each.
        class_weights: ``balanced`` gives all classes the same weight in ``cross_entropy`` and
            ``hard_pixels``, however few pixels they have.
        auxiliary_weight: Weight of the same losses on the scores of auxiliary heads, at least 0.
        window: Side in pixels of the windows in which images are measured and predicted; None or 0: whole.
        window_overlap: Share of a window that the next one covers, too; in [0, 1).
        decay_bias_and_norm: See ``TaskModule``.
        head_lr_factor: See ``TaskModule``; the head is everything behind the network's body.

    Raises:
        ValueError: If an argument is out of its range.
    """

    fusions: ClassVar[tuple[str, ...]] = ("mean_probability",)
    tta_names: ClassVar[tuple[str, ...]] = ("none", "flip", "multi_scale", "flip_multi_scale")
    model: Segmenter
    tally: Tally

    def __init__(
        self,
        *,
        model: Segmenter,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None,
        metadata: SegmentationMetadata,
        monitor: str = "val/miou",
        mode: Literal["max", "min"] = "max",
        losses: dict[LossName, float] | None = None,
        class_weights: ClassWeights = "none",
        auxiliary_weight: float = 0.4,
        window: int | None = None,
        window_overlap: float = 0.25,
        decay_bias_and_norm: bool = False,
        head_lr_factor: float = 1.0,
    ) -> None:
        super().__init__(
            model=model,
            optimizer=optimizer,
            scheduler=scheduler,
            metadata=metadata,
            monitor=monitor,
            mode=mode,
            decay_bias_and_norm=decay_bias_and_norm,
            head_lr_factor=head_lr_factor,
        )
        self.class_names = list(metadata["class_names"])
        _check_classes(self.class_names)
        if auxiliary_weight < 0:
            raise ValueError(f"task.auxiliary_weight={auxiliary_weight} must be at least 0")
        check_windows(window=window, overlap=window_overlap)
        self.palette = [list(colour) for colour in metadata["palette"]]
        self.losses = PixelLosses(
            {"cross_entropy": 1.0, "dice": 1.0} if losses is None else losses,
            ignored=IGNORED,
            class_weights=balance(metadata["class_counts"], how=class_weights),
        )
        self.auxiliary_weight = auxiliary_weight
        self.window = window
        self.window_overlap = window_overlap
        self.measured: Measured | None = None
        self._start_measuring()

    def head_parameters(self) -> Collection[str]:
        """The parameters behind the body of the network."""
        return self.model.head_parameters()

    def compiled_part(self) -> nn.Module:
        """The network without what fits images to it, which differs from size to size."""
        return self.model.network

    def forward(self, images: Tensor) -> Tensor:
        """Scores (B, C, H, W) of uint8 RGB images (B, 3, H, W), each seen whole."""
        scores: Tensor = self.model(self.prepared(images))
        return scores

    def prepared(self, images: Tensor) -> Tensor:
        """Normalised (B, 3, H, W) of uint8 RGB images: grey data thrice, since every network takes three."""
        normalised: Tensor = self.normalise(images)
        return normalised.expand(-1, 3, -1, -1)

    def example_input(self) -> Tensor:
        """A prepared image (1, 3, image_size, image_size) for the network, on its device."""
        return super().example_input().expand(-1, 3, -1, -1)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Refuse impossible masks while they are on the CPU: on a GPU they would end the process."""
        if "mask" in batch:
            check_masks(batch, num_classes=len(self.class_names))
        return batch

    def training_step(self, batch: SegmentationBatch, batch_idx: int) -> Tensor:
        """The weighted sum of the losses of a batch whose images have one size."""
        images, truth = stacked(batch)
        scores = self.model.training_scores(self.prepared(images))
        values = self.losses(scores.pop(MAIN), truth)
        logged = dict(values)
        loss = self.losses.total(values)
        if scores:
            logged["auxiliary"] = sum(self.losses.total(self.losses(each, truth)) for each in scores.values())
            loss = loss + self.auxiliary_weight * logged["auxiliary"]
        size = len(images)
        self.log("train/loss_step", loss, on_step=True, on_epoch=False, prog_bar=True, batch_size=size)
        for name, value in {"loss": loss, **{f"loss_{name}": each for name, each in logged.items()}}.items():
            self.log(f"train/{name}", value.detach(), on_step=False, on_epoch=True, batch_size=size)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget what was measured before."""
        self._start_measuring()

    def on_test_epoch_start(self) -> None:
        """Forget what was measured before."""
        self._start_measuring()

    def validation_step(self, batch: SegmentationBatch, batch_idx: int) -> Prediction:
        """Predict a batch of the validation split, and count it for the measures."""
        return self._answer(batch["image"], index=batch["index"], masks=batch["mask"])

    def test_step(self, batch: SegmentationBatch, batch_idx: int) -> Prediction:
        """Predict a batch of the test split, and count it for the measures."""
        return self._answer(batch["image"], index=batch["index"], masks=batch["mask"])

    def on_validation_epoch_end(self) -> None:
        """Measure once, over the pictures of all processes."""
        self._measure("val")

    def on_test_epoch_end(self) -> None:
        """Measure once, over the pictures of all processes."""
        self._measure("test")

    def predict_step(self, batch: ImageBatch, batch_idx: int, dataloader_idx: int = 0) -> Prediction:
        """Masks of a batch whose images may differ in size."""
        return self._answer(list(batch["image"]), index=batch["index"], masks=None)

    def log_probabilities(self, images: Tensor) -> Tensor:
        """Logarithms (B, C, H, W) of the probabilities of uint8 images (B, 3, H, W), by windows if asked."""
        if not self.window:
            scores: Tensor = self(images)
            return scores.float().log_softmax(dim=1)
        probabilities = blended(
            lambda part: self.model(part).float().softmax(dim=1),
            self.prepared(images),
            window=self.window,
            overlap=self.window_overlap,
        )
        return log_of(probabilities)

    def infer(self, images: Tensor) -> Tensor:
        """See ``log_probabilities``."""
        return self.log_probabilities(images)

    def fuse(self, answers: Iterable[Tensor], *, weights: Sequence[float], images: Tensor) -> Tensor:
        """Logarithms (B, C, H, W) of the mean probabilities."""
        return fused_scores(answers, weights=weights, fusion=self.fusion)

    def views_named(self, name: str, *, mirrors: bool) -> list[View]:
        """Mirror images and other sizes; see ``pixel_views``."""
        return pixel_views(name, mirrors=mirrors)

    def records(self) -> SegmentedRecords:
        """Counts of each image since ``keeps_records`` was set, in the last epoch, by this process."""
        assert self._tallies, "set keeps_records before measuring"
        return SegmentedRecords(self._tallies)

    def exported(self) -> Exported:
        """For `make export`: probabilities (B, C, H, W) of uint8 RGB images (B, 3, H, W), each seen whole."""
        return Exported(
            network=nn.Sequential(self.normalise, ThreeChannels(), self.model, nn.Softmax(dim=1)),
            answer=lambda given: (self(given["images"]).float().softmax(dim=1),),
            outputs=(
                Output(name="probabilities", shape=("batch", len(self.class_names), "height", "width")),
            ),
            any_size=True,
            facts={"class_names": self.class_names, "palette": self.palette},
        )

    @property
    def columns(self) -> list[str]:
        """Keys of every row."""
        return ["class", "pixels", "share"]

    def rows(self, output: Prediction) -> list[list[Row]]:
        """Plain rows for a table, for each image one for each class that is there, the largest first."""
        return [self._rows(mask) for mask in output["mask"]]

    def masks(self, output: Prediction) -> list[NDArray[np.uint8]]:
        """The class ids (H, W) of each image, for files and figures."""
        return [mask.cpu().numpy() for mask in output["mask"]]

    def _answer(self, images: list[Tensor], *, index: Tensor, masks: list[Tensor] | None) -> Prediction:
        """Predict a few images of one size together; the answer for one does not depend on the others."""
        found: dict[int, Tensor] = {}
        for places in of_one_size(images, pixels=AT_ONCE * self.image_size**2):
            scores = self.answer(torch.stack([images[place] for place in places]))
            guesses = scores.argmax(dim=1).to(torch.uint8)
            found |= dict(zip(places, guesses, strict=True))
            if masks is not None:
                truths = torch.stack([masks[place] for place in places])
                self._count(scores, guesses, truths, index=[int(index[place]) for place in places])
        return Prediction(mask=[found[place] for place in range(len(images))], index=index)

    def _count(self, scores: Tensor, guesses: Tensor, truths: Tensor, *, index: list[int]) -> None:
        losses = functional.nll_loss(scores, truths.long(), ignore_index=IGNORED, reduction="none")
        sums = losses.sum(dim=(1, 2)).tolist()
        rows = zip(truths.cpu().numpy(), guesses.cpu().numpy(), sums, index, strict=True)
        for truth, guess, loss, position in rows:
            one = self._new_tally()
            one.add(truth, guess, loss=loss)
            self.tally = joined([self.tally, one])
            if self.keeps_records:
                self._tallies.setdefault(position, one)

    def _new_tally(self) -> Tally:
        return Tally(num_classes=len(self.class_names), ignored=IGNORED)

    def _start_measuring(self) -> None:
        self.tally = self._new_tally()
        self._tallies: dict[int, Tally] = {}

    def _measure(self, stage: Stage) -> None:
        if self.trainer.world_size > 1:
            everyone: list[Any] = [None] * self.trainer.world_size
            distributed.all_gather_object(everyone, self.tally)
            self.tally = joined(everyone)
        self.measured = self.tally.measured()
        for name, value in self.measured.measures().items():
            self.log(f"{stage}/{name}", value, on_step=False, on_epoch=True, batch_size=1)

    def _rows(self, mask: Tensor) -> list[Row]:
        pixels = torch.bincount(mask.flatten().cpu(), minlength=len(self.class_names))
        return [
            {
                "class": self.class_names[number],
                "pixels": int(pixels[number]),
                "share": round(int(pixels[number]) / mask.numel(), 6),
            }
            for number in pixels.argsort(descending=True, stable=True).tolist()
            if pixels[number]
        ]


def _check_classes(names: list[str]) -> None:
    if not 2 <= len(names) <= IGNORED:
        raise ValueError(
            f"the data has {len(names)} classes; a segmenter tells 2 to {IGNORED} apart, since masks "
            f"hold them in bytes and {IGNORED} stands for what is ignored"
        )
