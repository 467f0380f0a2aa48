"""Detection: where the objects of an image are, and what they are."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypedDict

import torch
from torch import Tensor, distributed, nn

from datamodules.batch import DetectionBatch, DetectionMetadata, ImageBatch
from lightning_modules.base import ImageMetadata, SchedulerFactory, Stage, TaskModule
from lightning_modules.ensembling import View
from lightning_modules.exporting import Exported, Given, Output
from lightning_modules.exporting_detection import detections_apart
from lightning_modules.fusion_of_boxes import FUSIONS, fused_boxes
from lightning_modules.metrics.detection.analysis import Analysis, analyse
from lightning_modules.metrics.detection.measures import detection_measures
from lightning_modules.metrics.detection.records import Judged, encoded, joined, judge
from lightning_modules.models.detection.detector import Detector
from lightning_modules.models.detection.exportable import OneImageDetector
from lightning_modules.parameter_groups import OptimizerFactory
from lightning_modules.records import DetectedRecords
from lightning_modules.test_time_augmentation_boxes import box_views

Row = dict[str, str | float]
NO_MASKS = (
    "this network learns masks, and the data has none; choose data with masks, such as data=digit_scenes or "
    "data=coco, or a network without, such as model=faster_rcnn"
)
Found = dict[str, Tensor]


class Prediction(TypedDict):
    """Answer for a batch of B images.

    Attributes:
        detections: For each image ``boxes`` (N, 4), ``scores`` (N,), ``labels`` (N,) and, where the network
            predicts them, ``masks`` (N, H, W); in pixels of the image as it arrived.
        index: int64 (B,), position of each image in its data set.
    """

    detections: list[Found]
    index: Tensor


class DetectionTask(TaskModule):
    """Learns boxes, classes and perhaps masks of the objects in an image.

    What is minimised is the sum of the network's own losses, each logged as ``train/loss_...``. A detector
    has no loss while it is measured; training is judged by its average precision on validation.

    Args:
        model: A detector; see there.
        optimizer: See ``TaskModule``.
        scheduler: See ``TaskModule``.
        metadata: Of the data; C class names.
        monitor: See ``TaskModule``.
        mode: See ``TaskModule``.
        multi_scale: Smallest and largest factor, above 0, of the size at which a batch is trained on; a new
            one for each batch, as YOLOv2 does (https://arxiv.org/abs/1612.08242, section 2). None: one size.
        decay_bias_and_norm: See ``TaskModule``.
        head_lr_factor: See ``TaskModule``; the head is everything behind the backbone.

    Raises:
        ValueError: If an argument is out of its range, or the network learns what the data do not have.
    """

    fusions: ClassVar[tuple[str, ...]] = FUSIONS
    tta_names: ClassVar[tuple[str, ...]] = ("none", "flip", "multi_scale", "flip_multi_scale")
    model: Detector

    def __init__(
        self,
        *,
        model: Detector,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None,
        metadata: DetectionMetadata,
        monitor: str = "val/map",
        mode: Literal["max", "min"] = "max",
        multi_scale: list[float] | None = None,
        decay_bias_and_norm: bool = False,
        head_lr_factor: float = 1.0,
    ) -> None:
        super().__init__(
            model=model,
            optimizer=optimizer,
            scheduler=scheduler,
            metadata=_scaling_only(metadata),
            monitor=monitor,
            mode=mode,
            decay_bias_and_norm=decay_bias_and_norm,
            head_lr_factor=head_lr_factor,
        )
        _check_multi_scale(multi_scale, resizable=model.resizable)
        if model.predicts_masks and not metadata["has_masks"]:
            raise ValueError(NO_MASKS)
        self.class_names = list(metadata["class_names"])
        self.category_ids = list(metadata["category_ids"])
        self.multi_scale = multi_scale
        self.judged: list[Judged] = []

    def setup(self, stage: str) -> None:
        """Ask the data for masks where the network learns them; Lightning calls it before loaders."""
        datamodule = getattr(self.trainer, "datamodule", None)
        if datamodule is not None:
            datamodule.with_masks = self.model.predicts_masks

    def head_parameters(self) -> Collection[str]:
        """Everything that is not in the backbone."""
        names = (name for name, _ in self.model.named_parameters())
        return frozenset(name for name in names if ".backbone." not in f".{name}")

    def compiled_part(self) -> nn.Module:
        """The backbone: behind it every image has another number of boxes, and nothing could be reused."""
        backbone: nn.Module = self.model.network.backbone  # type: ignore[assignment]
        return backbone

    def forward(self, images: list[Tensor]) -> list[Found]:
        """Detections of uint8 RGB images (3, H, W) of any size; see ``Prediction``."""
        found: list[Found] = self.model([self.normalise(image) for image in images])
        return found

    def infer(self, images: list[Tensor]) -> list[Found]:
        """Detections of uint8 images by this network."""
        found: list[Found] = self(images)
        return found

    def fuse(
        self, answers: Iterable[list[Found]], *, weights: Sequence[float], images: list[Tensor]
    ) -> list[Found]:
        """Detections of all together, image by image; see ``fused_boxes``."""
        return [
            fused_boxes(
                of_image, weights=weights, size=(image.shape[-2], image.shape[-1]), fusion=self.fusion
            )
            for image, of_image in zip(images, zip(*answers, strict=True), strict=True)
        ]

    def views_named(self, name: str, *, mirrors: bool) -> list[View]:
        """Mirror images and other sizes; see ``box_views``."""
        return box_views(name, mirrors=mirrors, resizable=all(each.model.resizable for each in self.team))

    def check_member(self, other: "DetectionTask") -> None:
        """Refuse networks with and without masks in one ensemble."""
        if self.model.predicts_masks != other.model.predicts_masks:
            raise ValueError("one member predicts masks and another does not; join runs of one kind")

    def records(self) -> DetectedRecords:
        """What was found in each image of the last epoch."""
        return DetectedRecords(
            self.judged, num_classes=len(self.class_names), with_masks=self.model.predicts_masks
        )

    def training_step(self, batch: DetectionBatch, batch_idx: int) -> Tensor:
        """The sum of the network's losses for a batch."""
        if self.multi_scale is not None:
            low, high = self.multi_scale
            self.model.rescale(low + (high - low) * torch.rand(()).item())
        losses: dict[str, Tensor] = self.model(
            [self.normalise(image) for image in batch["image"]], self._targets(batch)
        )
        loss = torch.stack(list(losses.values())).sum()
        size = len(batch["image"])
        self.log("train/loss_step", loss, on_step=True, on_epoch=False, prog_bar=True, batch_size=size)
        for name, value in {"loss": loss, **losses}.items():
            named = name if name.startswith("loss") else f"loss_{name}"
            self.log(f"train/{named}", value.detach(), on_step=False, on_epoch=True, batch_size=size)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's detections; measure at the size that was asked for."""
        self._start_measuring()

    def on_test_epoch_start(self) -> None:
        """Forget earlier detections; measure at the size that was asked for."""
        self._start_measuring()

    def validation_step(self, batch: DetectionBatch, batch_idx: int) -> Prediction:
        """Detect in a batch of the validation split, and remember it for the measures."""
        return self._judge(batch)

    def test_step(self, batch: DetectionBatch, batch_idx: int) -> Prediction:
        """Detect in a batch of the test split, and remember it for the measures."""
        return self._judge(batch)

    def on_validation_epoch_end(self) -> None:
        """Measure once, over the detections of all processes."""
        self._measure("val")

    def on_test_epoch_end(self) -> None:
        """Measure once, over the detections of all processes."""
        self._measure("test")

    def predict_step(self, batch: ImageBatch, batch_idx: int, dataloader_idx: int = 0) -> Prediction:
        """Detections of a batch whose images may differ in size."""
        return Prediction(detections=self.answer(batch["image"]), index=batch["index"])

    def exported(self) -> Exported:
        """For `make export`: boxes, scores, labels and perhaps masks of one uint8 RGB image (1, 3, H, W)."""
        network = OneImageDetector(self.model, prepare=self.normalise)
        shapes = {"boxes": ("objects", 4), "masks": ("objects", "height", "width")}

        def answer(given: Given) -> tuple[Tensor, ...]:
            (found,) = self(list(given["images"]))
            return tuple(found[name] for name in network.names)

        return Exported(
            network=network,
            answer=answer,
            outputs=tuple(Output(name=name, shape=shapes.get(name, ("objects",))) for name in network.names),
            any_size=True,
            one_image=True,
            formats=("onnx",),
            traced=True,
            facts={"class_names": self.class_names, "category_ids": self.category_ids},
            difference=detections_apart,
        )

    def analysis(self) -> Analysis:
        """Curves, confusion and kinds of error of the last epoch that was measured; for figures."""
        return analyse(self.judged, class_names=self.class_names)

    @property
    def columns(self) -> list[str]:
        """Keys of every row, also where there is none."""
        return ["label", "score", "x1", "y1", "x2", "y2"]

    def rows(self, output: Prediction) -> list[list[Row]]:
        """Plain rows for a table, for each image one for each object, most certain first."""
        return [self._rows(found) for found in output["detections"]]

    def json_records(self, rows: list[dict[str, Any]], *, image_id: int) -> list[dict[str, Any]]:
        """Rows of one image as COCO writes detections (https://cocodataset.org/#format-results).

        Args:
            rows: From ``rows``, with ``file`` added.
            image_id: What stands for the image.
        """
        return [
            {
                "image_id": image_id,
                "file_name": row["file"],
                "category_id": self.category_ids[self.class_names.index(row["label"])],
                "category_name": row["label"],
                "bbox": [row["x1"], row["y1"], row["x2"] - row["x1"], row["y2"] - row["y1"]],
                "score": row["score"],
                **({"segmentation": json.loads(row["segmentation"])} if "segmentation" in row else {}),
            }
            for row in rows
        ]

    def _targets(self, batch: DetectionBatch) -> list[Found]:
        targets = [
            {"boxes": boxes, "labels": labels}
            for boxes, labels in zip(batch["boxes"], batch["labels"], strict=True)
        ]
        if self.model.predicts_masks:
            for target, masks in zip(targets, _masks(batch), strict=True):
                target["masks"] = masks
        return targets

    def _start_measuring(self) -> None:
        self.judged = []
        for member in self.team:
            member.model.rescale(1.0)

    def _judge(self, batch: DetectionBatch) -> Prediction:
        found = self.answer(batch["image"])
        masks = _masks(batch) if self.model.predicts_masks else [None] * len(found)
        for i, detections in enumerate(found):
            height, width = batch["image"][i].shape[-2:]
            judged = judge(
                detections,
                index=int(batch["index"][i]),
                height=height,
                width=width,
                true_boxes=batch["boxes"][i],
                true_labels=batch["labels"][i],
                true_areas=batch["areas"][i],
                is_crowd=batch["is_crowd"][i],
                is_difficult=batch["is_difficult"][i],
                true_masks=masks[i],
            )
            self.judged.append(judged)
        return Prediction(detections=found, index=batch["index"])

    def _measure(self, stage: Stage) -> None:
        self.judged = self._gathered()
        measures: Mapping[str, float] = {}
        if self.trainer.is_global_zero:
            measures = detection_measures(
                self.judged, num_classes=len(self.class_names), with_masks=self.model.predicts_masks
            )
        # Every process must know them: each decides by itself which checkpoint is the best.
        for name, value in self.trainer.strategy.broadcast(measures, src=0).items():
            self.log(f"{stage}/{name}", value, on_step=False, on_epoch=True, batch_size=1)

    def _gathered(self) -> list[Judged]:
        """Those of all processes, on the first one; elsewhere only its own."""
        if self.trainer.world_size == 1:
            return joined([self.judged])
        everyone: list[Any] | None = [None] * self.trainer.world_size if self.trainer.is_global_zero else None
        distributed.gather_object(self.judged, everyone, dst=0)
        return joined([self.judged] if everyone is None else everyone)

    def _rows(self, found: Found) -> list[Row]:
        order = found["scores"].argsort(descending=True, stable=True).cpu()
        boxes, scores, labels = (found[key].float().cpu()[order] for key in ("boxes", "scores", "labels"))
        rows: list[Row] = [
            {
                "label": self.class_names[int(label)],
                "score": round(float(score), 4),
                **dict(zip(("x1", "y1", "x2", "y2"), (round(side, 2) for side in box.tolist()), strict=True)),
            }
            for box, score, label in zip(boxes, scores, labels, strict=True)
        ]
        if "masks" in found:
            for row, mask in zip(rows, encoded(found["masks"].cpu()[order]), strict=True):
                row["segmentation"] = json.dumps(mask)
        return rows


def _scaling_only(metadata: DetectionMetadata) -> ImageMetadata:
    """The networks bring mean and deviation of their weights with them; here pixels only go to [0, 1]."""
    return ImageMetadata(image_size=metadata["image_size"], channels=3, mean=[0.0] * 3, std=[1.0] * 3)


def _masks(batch: DetectionBatch) -> list[Tensor]:
    """Masks of a batch, one for each box.

    Raises:
        ValueError: If the data has none.
    """
    pairs = list(zip(batch["masks"], batch["boxes"], strict=False))
    if len(pairs) != len(batch["boxes"]) or any(len(masks) != len(boxes) for masks, boxes in pairs):
        raise ValueError(NO_MASKS)
    return batch["masks"]


def _check_multi_scale(multi_scale: list[float] | None, *, resizable: bool) -> None:
    if multi_scale is not None and not resizable:
        raise ValueError(
            f"task.multi_scale={multi_scale}, but this network is made for one size; set it to null "
            "or choose another model"
        )
    if multi_scale is not None and (len(multi_scale) != 2 or not 0 < multi_scale[0] <= multi_scale[1]):
        raise ValueError(
            f"task.multi_scale={multi_scale} must be two factors, the smaller first and above 0, such as "
            "[0.75, 1.25]; null trains at one size"
        )
