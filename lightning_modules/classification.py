"""Classification: one class per image."""

from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar, Literal, TypedDict, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MeanMetric, Metric

from datamodules.batch import ClassificationBatch, ClassificationMetadata, ImageBatch
from lightning_modules.base import STAGES, SchedulerFactory, Stage, TaskModule
from lightning_modules.ensembling import View
from lightning_modules.exporting import Exported, Given, Output, positions
from lightning_modules.fusion_of_scores import FUSIONS, fitted_weights, fused_scores
from lightning_modules.losses.class_weights import ClassWeights, balance
from lightning_modules.metrics.classification import classification_measures
from lightning_modules.mixing import MIXINGS, Mixing, mix
from lightning_modules.models.heads import head_parameter_names
from lightning_modules.parameter_groups import OptimizerFactory
from lightning_modules.records import ClassifiedRecords, Records
from lightning_modules.test_time_augmentation import crops_side, image_views

Row = dict[str, str | float]


class Prediction(TypedDict):
    """Answer for a batch.

    Attributes:
        probabilities: (B, C) float, rows sum to 1.
        index: int64 (B,), position of each image in its data set.
    """

    probabilities: Tensor
    index: Tensor


class LabelledPrediction(Prediction):
    """Answer for a batch whose classes are known.

    Attributes:
        label: int64 (B,) true class ids.
    """

    label: Tensor


class ClassificationTask(TaskModule):
    """Learns and measures one class per image.

    The loss of training is what is minimised, with label smoothing, class weights and mixtures; the
    loss of validation and test is the plain cross-entropy, so that runs can be compared.

    Args:
        model: Maps normalised images (B, channels, H, W) to class scores (B, C).
        optimizer: See ``TaskModule``.
        scheduler: See ``TaskModule``.
        metadata: Of the data; C class names.
        monitor: See ``TaskModule``.
        mode: See ``TaskModule``.
        label_smoothing: Share of each target that is spread over all classes, in [0, 1).
        class_weights: ``balanced`` gives all classes the same weight in the loss, however rare.
        mixing: ``none``, ``mixup``, ``cutmix`` or ``both``, see ``mixing``.
        mixing_alpha: See ``mixing.mix``, above 0.
        decay_bias_and_norm: See ``TaskModule``.
        head_lr_factor: See ``TaskModule``.

    Raises:
        ValueError: If an argument is out of its range.
    """

    fusions: ClassVar[tuple[str, ...]] = FUSIONS
    tta_names: ClassVar[tuple[str, ...]] = ("none", "flip", "ten_crop", "multi_scale")
    sees_one_size: ClassVar[bool] = True
    loss_weights: Tensor | None

    def __init__(
        self,
        *,
        model: nn.Module,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None,
        metadata: ClassificationMetadata,
        monitor: str = "val/top1",
        mode: Literal["max", "min"] = "max",
        label_smoothing: float = 0.0,
        class_weights: ClassWeights = "none",
        mixing: Mixing = "none",
        mixing_alpha: float = 0.2,
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
        _check_ranges(label_smoothing=label_smoothing, mixing=mixing, mixing_alpha=mixing_alpha)
        self.class_names = list(metadata["class_names"])
        if len(self.class_names) < 2:
            raise ValueError(
                f"the data has one class, {self.class_names}; a classifier needs two to tell apart"
            )
        self.label_smoothing = label_smoothing
        self.mixing = mixing
        self.mixing_alpha = mixing_alpha
        weights = balance(metadata["class_counts"], how=class_weights)
        self.register_buffer("loss_weights", weights, persistent=False)
        self._seen: list[tuple[Tensor, Tensor, Tensor]] = []
        self.measures = nn.ModuleDict({f"{stage}_measures": self._measures_of(stage) for stage in STAGES})

    def head_parameters(self) -> Collection[str]:
        """The parameters of the layers that produce the class scores."""
        return head_parameter_names(self.model)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (B, C) of uint8 RGB images (B, 3, H, W)."""
        scores: Tensor = self.model(self.normalise(images))
        return scores

    def training_step(self, batch: ClassificationBatch, batch_idx: int) -> Tensor:
        """The loss of a batch, with mixtures if they are asked for."""
        images, targets = mix(
            self.normalise(batch["image"]),
            batch["label"],
            mixing=self.mixing,
            alpha=self.mixing_alpha,
            num_classes=len(self.class_names),
        )
        scores = self.model(images)
        loss = self.training_loss(scores, targets)
        self.log("train/loss_step", loss, on_step=True, on_epoch=False, prog_bar=True)
        # A mixture counts as right where its larger part was recognised.
        labels = targets if targets.ndim == 1 else targets.argmax(dim=1)
        self._measure("train", scores, labels, loss)
        return loss

    def infer(self, images: Tensor) -> Tensor:
        """Scores (B, C) of uint8 images by this network, in 32 bits."""
        scores: Tensor = self(images)
        return scores.float()

    def fuse(self, answers: Iterable[Tensor], *, weights: Sequence[float], images: Tensor) -> Tensor:
        """Scores (B, C) of all together; see ``fused_scores``."""
        return fused_scores(answers, weights=weights, fusion=self.fusion)

    def views_named(self, name: str, *, mirrors: bool) -> list[View]:
        """Mirror images, crops, crops at several scales; see ``image_views``."""
        return image_views(name, side=self.image_size, mirrors=mirrors)

    def tta_side(self, name: str) -> int | None:
        """Crops need larger images; see ``crops_side``."""
        return crops_side(name, side=self.image_size)

    def records(self) -> ClassifiedRecords:
        """What was said of each image since ``keeps_records`` was set, in the last epoch, by this process."""
        assert self._seen, "set keeps_records before measuring"
        scores, labels, index = (torch.cat(parts) for parts in zip(*self._seen, strict=True))
        return ClassifiedRecords(scores, labels, index)

    def fit_weights(self, records: Sequence[Records]) -> list[float]:
        """Weights of ``mean_probability``; see ``fitted_weights``."""
        return fitted_weights([cast(ClassifiedRecords, each).of_truth for each in records])

    def on_validation_epoch_start(self) -> None:
        """Forget what was said before."""
        self._seen = []

    def on_test_epoch_start(self) -> None:
        """Forget what was said before."""
        self._seen = []

    def validation_step(self, batch: ClassificationBatch, batch_idx: int) -> LabelledPrediction:
        """Measure a batch of the validation split."""
        return self._evaluate("val", batch)

    def test_step(self, batch: ClassificationBatch, batch_idx: int) -> LabelledPrediction:
        """Measure a batch of the test split."""
        return self._evaluate("test", batch)

    def predict_step(self, batch: ImageBatch, batch_idx: int, dataloader_idx: int = 0) -> Prediction:
        """Probabilities of a batch."""
        return Prediction(probabilities=self.answer(batch["image"]).softmax(dim=1), index=batch["index"])

    def exported(self) -> Exported:
        """For `make export`: probabilities (B, C) of uint8 RGB images (B, 3, H, W)."""
        return Exported(
            network=nn.Sequential(self.normalise, self.model, nn.Softmax(dim=1)),
            answer=self._answers_alone,
            outputs=(Output(name="probabilities", shape=("batch", len(self.class_names))),),
            facts={"class_names": self.class_names},
        )

    def training_loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """What is minimised.

        Args:
            scores: (B, C).
            targets: (B,) class ids, or (B, C) shares.
        """
        return functional.cross_entropy(
            scores.float(), targets, weight=self.loss_weights, label_smoothing=self.label_smoothing
        )

    def rows(self, output: Prediction) -> list[list[Row]]:
        """Plain rows for a table, one per image."""
        return [[self._row(probabilities)] for probabilities in output["probabilities"].float().cpu()]

    def _answers_alone(self, given: Given) -> tuple[Tensor]:
        images = given["images"]
        batch = ImageBatch(image=images, index=positions(images))
        return (self.predict_step(batch, 0)["probabilities"],)

    def _evaluate(self, stage: Stage, batch: ClassificationBatch) -> LabelledPrediction:
        scores = self.answer(batch["image"])
        if self.keeps_records:
            self._seen.append((scores.cpu(), batch["label"].cpu(), batch["index"].cpu()))
        self._measure(stage, scores, batch["label"], functional.cross_entropy(scores, batch["label"]))
        return LabelledPrediction(
            probabilities=scores.softmax(dim=1), label=batch["label"], index=batch["index"]
        )

    def _measures_of(self, stage: Stage) -> nn.ModuleDict:
        measures = classification_measures(num_classes=len(self.class_names), exact_auc=stage != "train")
        return nn.ModuleDict({"loss": MeanMetric(), **measures})

    def _measure(self, stage: Stage, scores: Tensor, labels: Tensor, loss: Tensor) -> None:
        probabilities = scores.detach().float().softmax(dim=1)
        measures: nn.ModuleDict = self.measures[f"{stage}_measures"]  # type: ignore[assignment]
        for name, measure in measures.items():
            assert isinstance(measure, Metric)
            if name == "loss":
                measure.update(loss.detach(), weight=len(labels))
            else:
                measure.update(probabilities, labels)
            self.log_measure(stage, name, measure, batch_size=len(labels))

    def _row(self, probabilities: Tensor) -> Row:
        best = probabilities.topk(min(5, len(self.class_names)))
        pairs = list(zip(best.values.tolist(), best.indices.tolist(), strict=True))
        named = {
            f"probability_{name}": p for name, p in zip(self.class_names, probabilities.tolist(), strict=True)
        }
        return {
            "label": self.class_names[pairs[0][1]],
            "probability": pairs[0][0],
            "top5": " ".join(f"{self.class_names[index]}:{probability:.2f}" for probability, index in pairs),
            **named,
        }


def _check_ranges(*, label_smoothing: float, mixing: str, mixing_alpha: float) -> None:
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"task.label_smoothing={label_smoothing} must be at least 0 and below 1")
    if mixing not in MIXINGS:
        raise ValueError(f"task.mixing={mixing} is not one of {', '.join(MIXINGS)}")
    if mixing_alpha <= 0:
        raise ValueError(f"task.mixing_alpha={mixing_alpha} must be above 0; task.mixing=none turns it off")
