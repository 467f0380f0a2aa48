"""Verification: whether two images show the same person or thing, and whose image it is."""

import logging
import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any, ClassVar, Literal, TypedDict

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, distributed, nn

from datamodules.batch import ImageBatch, VerificationBatch, VerificationMetadata
from lightning_modules.base import SchedulerFactory, Stage, TaskModule
from lightning_modules.ensembling import View
from lightning_modules.exporting import Exported, Given, Output, positions, shares
from lightning_modules.fusion_of_embeddings import (
    Compare,
    common_scale,
    fused_embeddings,
    known_scale,
    mean_distance,
)
from lightning_modules.images_with_identities import check_identities, check_learnt, listed_pairs
from lightning_modules.metrics.verification.calibration import logistic
from lightning_modules.metrics.verification.measured import Measured, measure
from lightning_modules.metrics.verification.records import Seen, Tally, check_finite, joined
from lightning_modules.metrics.verification.roc import accepted
from lightning_modules.models.verification.verifier import Verifier
from lightning_modules.parameter_groups import OptimizerFactory
from lightning_modules.records import VerifiedRecords
from lightning_modules.test_time_augmentation import image_views

log = logging.getLogger(__name__)

Row = dict[str, str | float]

_BELOW_HALF = 0.5 - 2**-24  # in 32 bits, too


class Prediction(TypedDict):
    """Answer for a batch of B images.

    Attributes:
        embedding: float32 (B, D).
        index: int64 (B,), position of each image in its data set.
    """

    embedding: Tensor
    index: Tensor


class LabelledPrediction(Prediction):
    """Answer for a batch whose identities are known.

    Attributes:
        label: int64 (B,), identity ids.
    """

    label: Tensor


class VerificationTask(TaskModule):
    """Learns and measures embeddings in which images of one identity lie close together.

    A verifier has no loss while it is measured, since its losses depend on how a batch is put together:
    training is judged by its pairs of validation images. These also calibrate it. What they say is kept in
    every checkpoint: ``threshold``, the distance up to which two images are taken for the same (nan before
    the first validation), ``calibration`` (2,), how probable that is, see ``logistic`` and
    ``probabilities``, and ``false_accept_rate``, the share of other pairs that the threshold accepts.

    Args:
        model: Gives embeddings and their distances; see there.
        optimizer: See ``TaskModule``.
        scheduler: See ``TaskModule``.
        metadata: Of the data; C identities.
        monitor: See ``TaskModule``.
        mode: See ``TaskModule``.
        max_pairs: Pairs that are measured; of more that are not listed by the data as many are drawn at
            random, always the same. At least 2.
        max_queries: Images that are looked up among the others, evenly spaced; at least 1.
        decay_bias_and_norm: See ``TaskModule``.
        head_lr_factor: See ``TaskModule``; the head is the embedding layer and what the loss learns.

    Raises:
        ValueError: If an argument is out of its range, or the model knows fewer identities than there are.
    """

    fusions: ClassVar[tuple[str, ...]] = ("mean_distance",)
    tta_names: ClassVar[tuple[str, ...]] = ("none", "flip")
    sees_one_size: ClassVar[bool] = True
    model: Verifier
    units: Tensor
    threshold: Tensor
    calibration: Tensor
    false_accept_rate: Tensor

    def __init__(
        self,
        *,
        model: Verifier,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None,
        metadata: VerificationMetadata,
        monitor: str = "val/auc",
        mode: Literal["max", "min"] = "max",
        max_pairs: int = 500_000,
        max_queries: int = 5_000,
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
        _check_limits(max_pairs=max_pairs, max_queries=max_queries)
        self.num_identities = metadata["num_identities"]
        check_learnt(model.num_identities, known=self.num_identities)
        self.max_pairs = max_pairs
        self.max_queries = max_queries
        self.register_buffer("threshold", torch.tensor(float("nan")))
        self.register_buffer("calibration", torch.full((2,), float("nan")))
        self.register_buffer("false_accept_rate", torch.tensor(float("nan")))
        self.register_load_state_dict_pre_hook(_with_rate)  # type: ignore[no-untyped-call]
        self.measured: Measured | None = None
        self._start_measuring()

    def head_parameters(self) -> Collection[str]:
        """The parameters of the embedding layer and of the loss."""
        return self.model.head_parameters()

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (B, D) of uint8 RGB images (B, 3, H, W)."""
        embeddings: Tensor = self.model(self.normalise(images))
        return embeddings

    def distances(self, a: Tensor, b: Tensor) -> Tensor:
        """Distance (N, M) of each embedding of a (N, D) to each of b (M, D); smaller means more alike."""
        if self.is_single or self.model.is_euclidean:
            return self.model.distances(a, b)
        return self._compared([each.model.distances for each in self._asking()], a, b)

    def pair_distances(self, a: Tensor, b: Tensor) -> Tensor:
        """Distance (P,) of each embedding of a (P, D) to the one of b (P, D) in the same row."""
        if self.is_single or self.model.is_euclidean:
            return self.model.pair_distances(a, b)
        return self._compared([each.model.pair_distances for each in self._asking()], a, b)

    def probabilities(self, distance: Tensor) -> Tensor:
        """Probability that two images so far apart show the same; nan before the first validation.

        It counts matching and other pairs as equally frequent beforehand. It is at least 0.5 up to the
        threshold and below that from there on, whatever is rounded.

        Args:
            distance: Of any shape.
        """
        found = torch.sigmoid(self.calibration[1] * (distance - self.threshold))
        return torch.where(distance > self.threshold, found.clamp(max=_BELOW_HALF), found)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Refuse impossible identities while they are on the CPU: on a GPU they would end the process."""
        if "label" in batch:
            check_identities(batch, known=self.num_identities if self.trainer.training else None)
        return batch

    def infer(self, images: Tensor) -> Tensor:
        """Embeddings (B, D) of uint8 images by this network."""
        embeddings: Tensor = self(images)
        return embeddings

    def fuse(self, answers: Iterable[Tensor], *, weights: Sequence[float], images: Tensor) -> Tensor:
        """Embeddings side by side, whose distance is the mean of all; see ``fused_embeddings``."""
        if not self.model.is_euclidean:
            return torch.cat(list(answers), dim=1)
        units = [unit for unit in self._units() for _ in self.looks]
        return fused_embeddings(answers, weights=weights, units=units)

    def join(
        self,
        others: Sequence[LightningModule],
        *,
        fusion: str | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        """See ``EnsembleModule``; the threshold and what it says are unknown until the next validation."""
        super().join(others, fusion=fusion, weights=weights)
        # A buffer, since the thresholds that it comes from are not those of the ensemble.
        thresholds = torch.stack([member.threshold for member in self.team])
        self.register_buffer("units", common_scale(thresholds))
        for buffer in (self.threshold, self.calibration, self.false_accept_rate):
            buffer.fill_(float("nan"))

    def check_member(self, other: "VerificationTask") -> None:
        """Refuse members whose distances are of two kinds, which have no common unit."""
        if self.model.is_euclidean != other.model.is_euclidean:
            raise ValueError(
                "one member compares by the Euclidean distance and another by one that it learnt; join runs "
                "of one kind (model=siamese_logistic is the one that learns it)"
            )

    def views_named(self, name: str, *, mirrors: bool) -> list[View]:
        """The image and its mirror image."""
        return image_views(name, side=self.image_size, mirrors=mirrors)

    def records(self) -> VerifiedRecords:
        """The pairs of the last epoch that was measured."""
        assert self.measured is not None, "measure before"
        return VerifiedRecords(self.measured)

    def training_step(self, batch: VerificationBatch, batch_idx: int) -> Tensor:
        """The loss of a batch, over the pairs that it lists, if it does."""
        embeddings = self(batch["image"])
        values = self.model.training_losses(embeddings, batch["label"], listed_pairs(batch["pairs"]))
        loss = values["loss"]
        size = len(batch["image"])
        self.log("train/loss_step", loss, on_step=True, on_epoch=False, prog_bar=True, batch_size=size)
        for name, value in values.items():
            self.log(f"train/{name}", value.detach(), on_step=False, on_epoch=True, batch_size=size)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget what was measured before."""
        self._start_measuring()

    def on_test_epoch_start(self) -> None:
        """Forget what was measured before."""
        self._start_measuring()

    def validation_step(self, batch: VerificationBatch, batch_idx: int) -> LabelledPrediction:
        """Embed a batch of the validation split, and remember it for the measures."""
        return self._answer(batch)

    def test_step(self, batch: VerificationBatch, batch_idx: int) -> LabelledPrediction:
        """Embed a batch of the test split, and remember it for the measures."""
        return self._answer(batch)

    def on_validation_epoch_end(self) -> None:
        """Measure once, over the images of all processes, and calibrate by what was found."""
        found = self._measure("val", threshold=None)
        if not self.trainer.sanity_checking:  # it sees a part only
            self._calibrate(found)

    def on_test_epoch_end(self) -> None:
        """Measure once, over the images of all processes, by the threshold of validation."""
        found = self._measure("test", threshold=float(self.threshold))
        if found.unresolved() and self.trainer.is_global_zero:
            log.warning(found.unresolved())

    def predict_step(self, batch: ImageBatch, batch_idx: int, dataloader_idx: int = 0) -> Prediction:
        """Embeddings of a batch."""
        return Prediction(embedding=self.answer(batch["image"]), index=batch["index"])

    def exported(self) -> Exported:
        """For `make export`: embeddings (B, D) of uint8 RGB images (B, 3, H, W), as they are compared."""
        threshold = float(self.threshold)
        own = {name: each.tolist() for name, each in self.model.named_parameters(recurse=False)}
        return Exported(
            network=nn.Sequential(self.normalise, self.model),
            answer=self._answers_alone,
            outputs=(Output(name="embeddings", shape=("batch", self.model.embedding_size)),),
            facts={
                "threshold": threshold if math.isfinite(threshold) else None,
                # The weights of a learnt distance belong to whoever compares embeddings by it.
                **({"distance": "euclidean"} if self.model.is_euclidean else {"distance": "learnt", **own}),
            },
            difference=shares(scale=None),
        )

    @property
    def columns(self) -> list[str]:
        """Keys of every row."""
        size = sum(member.model.embedding_size for member in self._asking())
        return [f"embedding_{number}" for number in range(size)]

    def rows(self, output: Prediction) -> list[list[Row]]:
        """Plain rows for a table, one for each image."""
        columns = self.columns
        return [[dict(zip(columns, values, strict=True))] for values in output["embedding"].tolist()]

    def _answers_alone(self, given: Given) -> tuple[Tensor]:
        images = given["images"]
        batch = ImageBatch(image=images, index=positions(images))
        return (self.predict_step(batch, 0)["embedding"],)

    def _answer(self, batch: VerificationBatch) -> LabelledPrediction:
        embeddings = self.answer(batch["image"])
        self.tally.add(embeddings, labels=batch["label"], index=batch["index"], pairs=batch["pairs"])
        return LabelledPrediction(embedding=embeddings, label=batch["label"], index=batch["index"])

    def _asking(self) -> list["VerificationTask"]:
        """Whose embedding stands at each place of those that are side by side."""
        return [member for member in self.team for _ in self.looks]

    def _units(self) -> list[float]:
        """By what each member's embeddings are multiplied to be compared with those of others."""
        if not self.members or all(member.model.normalise for member in self.team):
            return [1.0] * len(self.team)
        return known_scale(self.units)

    def _compared(self, compare: Sequence[Compare], a: Tensor, b: Tensor) -> Tensor:
        """The mean of the members' own distances."""
        sizes = [member.model.embedding_size for member in self._asking()]
        return mean_distance(compare, a, b, sizes=sizes, weights=self.shares())

    def _calibrate(self, found: Measured) -> None:
        threshold = found.threshold
        self.threshold.fill_(threshold)
        self.calibration.copy_(torch.from_numpy(logistic(found.distance, found.same, threshold=threshold)))
        _, false = accepted(found.distance, found.same, threshold=threshold)
        self.false_accept_rate.fill_(false)

    def _start_measuring(self) -> None:
        self.tally = Tally()

    def _measure(self, stage: Stage, *, threshold: float | None) -> Measured:
        seen, split = self._seen(), self._split(stage)
        check_finite(seen, split=split)
        found = measure(
            seen,
            embeddings=torch.from_numpy(seen.embeddings).to(self.device),
            pair_distances=self.pair_distances,
            distances=self.distances,
            max_pairs=self.max_pairs,
            max_queries=self.max_queries,
            threshold=threshold,
        )
        self.measured = found
        self._check_kinds(found, stage=stage, split=split)
        for name, value in found.measures().items():
            self.log(f"{stage}/{name}", value, on_step=False, on_epoch=True, batch_size=1)
        return found

    def _seen(self) -> Seen:
        """The images of all processes."""
        if self.trainer.world_size == 1:
            return joined([self.tally])
        everyone: list[Any] = [None] * self.trainer.world_size
        distributed.all_gather_object(everyone, self.tally)
        return joined(everyone)

    def _split(self, stage: Stage) -> str:
        """Name of the split that is measured: any can be tested on."""
        datamodule = getattr(self.trainer, "datamodule", None)
        return getattr(datamodule, "measured_split", stage) if stage == "test" else stage

    def _check_kinds(self, found: Measured, *, stage: Stage, split: str) -> None:
        """Refuse a split in which nothing can be verified; of a part of one, say what is left out."""
        matching = int(found.same.sum())
        if 0 < matching < len(found.same) or self.trainer.sanity_checking:
            return
        limit = self.trainer.limit_val_batches if stage == "val" else self.trainer.limit_test_batches
        message = _one_kind(split, images=len(found.index), pairs=len(found.same), matching=matching)
        if isinstance(limit, float) and limit == 1.0:
            raise ValueError(f"{message}; {split} needs two images of one identity, and two identities")
        if self.trainer.is_global_zero:
            log.warning(
                "%s: measures of pairs are left out (trainer.limit_%s_batches=%s)", message, stage, limit
            )


def _with_rate(_: Any, state: dict[str, Any], prefix: str, *__: Any) -> None:
    """Open checkpoints from before there was a rate; of them none is known."""
    state.setdefault(f"{prefix}false_accept_rate", torch.tensor(float("nan")))


def _check_limits(*, max_pairs: int, max_queries: int) -> None:
    if max_pairs < 2:
        raise ValueError(f"task.max_pairs={max_pairs} must be at least 2: a matching pair, and another")
    if max_queries < 1:
        raise ValueError(f"task.max_queries={max_queries} must be at least 1")


def _one_kind(split: str, *, images: int, pairs: int, matching: int) -> str:
    which = "all of them matching" if matching else "none of them matching"
    return f"the {split} split has {pairs} pairs of its {images} images, {which}"
