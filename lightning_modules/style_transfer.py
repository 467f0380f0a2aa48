"""Style transfer: a content picture, painted like a style picture."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from datamodules.batch import ImageBatch, StyleTransferBatch, StyleTransferMetadata
from lightning_modules.base import SchedulerFactory, Stage, TaskModule
from lightning_modules.exporting import Exported
from lightning_modules.exporting_style_transfer import exported_painter
from lightning_modules.losses.style import Normalisation
from lightning_modules.metrics.style_transfer import mean_measures, structural_similarity
from lightning_modules.models.style_transfer.gatys import Gatys
from lightning_modules.models.style_transfer.stylizer import (
    Painted,
    Stylizer,
    blend_weights,
    check_alpha,
)
from lightning_modules.parameter_groups import OptimizerFactory
from lightning_modules.records import PaintedRecords
from lightning_modules.style_transfer_answers import (
    Asked,
    Prediction,
    Row,
    check_choices,
    check_paints_others,
    check_style_given,
    check_together,
    joined,
    mean,
)
from lightning_modules.style_transfer_judge import Judge
from lightning_modules.style_transfer_objective import Objective, layers_for
from lightning_modules.style_transfer_pictures import (
    Colour,
    Part,
    apart,
    peak_memory,
    shown,
    to_bytes,
    together,
    unit,
)


class StyleTransferTask(TaskModule):
    """Paints, and measures what was painted.

    Losses are those of what is painted, before it is clamped and before the content's chroma is put back;
    ``gram_distance`` and ``ssim`` are those of the picture that is shown. With L-BFGS a step evaluates the
    loss many times; what is logged as ``train/`` is, as for every optimiser, the loss with which a step
    begins. Pictures are judged in 32 bits, also in mixed precision.

    ``seconds`` and ``peak_memory`` (MiB) are what painting took: all the steps of a model that is one
    picture, else one pass through the network, at the mean over the pictures. Memory is that of tensors on a
    GPU; on a CPU the most that the whole process ever had.

    Args:
        model: What paints; see there.
        optimizer: See ``TaskModule``.
        scheduler: See ``TaskModule``.
        metadata: Of the data.
        monitor: See ``TaskModule``.
        mode: See ``TaskModule``.
        content_layers: Weight of each layer in the content loss by name; None: the features choose.
        style_layers: Weight λ of each layer in the style loss by name; None: the features choose.
        content_weight: α, at least 0.
        style_weight: β, at least 0.
        tv_weight: Of the total variation, at least 0.
        normalisation: Of the losses: ``lecture`` as published, or ``relative`` to the targets.
        colour: ``none``; ``luminance`` puts the content's chroma back at the end; ``histogram`` gives the
            style the content's colours before.
        style_blend: Weight of each style picture; None: all alike.
        style_scale: Longer side of the style pictures, as a multiple of that of what is painted.
        tile: Side in pixels of what is seen at a time of a picture that is too large; None: all of it.
        decay_bias_and_norm: See ``TaskModule``; a picture is never decayed.

    Raises:
        ValueError: If an argument is out of its range.
    """

    fusions: ClassVar[tuple[str, ...]] = ("mean_picture",)
    model: Stylizer
    cost: Tensor

    def __init__(
        self,
        *,
        model: Stylizer,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None,
        metadata: StyleTransferMetadata,
        monitor: str = "val/loss",
        mode: Literal["max", "min"] = "min",
        content_layers: Mapping[str, float] | None = None,
        style_layers: Mapping[str, float] | None = None,
        content_weight: float = 1.0,
        style_weight: float = 10.0,
        tv_weight: float = 5.0,
        normalisation: Normalisation = "relative",
        colour: Colour = "none",
        style_blend: Sequence[float] | None = None,
        style_scale: float = 1.0,
        tile: int | None = None,
        decay_bias_and_norm: bool = False,
    ) -> None:
        super().__init__(
            model=model,
            optimizer=optimizer,
            scheduler=scheduler,
            metadata=metadata,
            monitor=monitor,
            mode=mode,
            decay_bias_and_norm=decay_bias_and_norm and not model.is_one_picture,
            head_lr_factor=1.0,
        )
        check_choices(model, colour=colour, style_scale=style_scale, tile=tile)
        suggested = layers_for(model)
        self.objective = Objective(
            content_layers=suggested[0] if content_layers is None else dict(content_layers),
            style_layers=suggested[1] if style_layers is None else dict(style_layers),
            content_weight=content_weight,
            style_weight=style_weight,
            tv_weight=tv_weight,
            normalisation=normalisation,
        )
        self.objective.check(model.features)
        self.objective.check_content(model)
        self.colour: Colour = colour
        self.blend = blend_weights(style_blend, count=metadata["num_styles"])
        self.judge = Judge(
            model, self.objective, blend=self.blend, colour=colour, style_scale=style_scale, tile=tile
        )
        model.features.trim([*self.objective.layers, *model.own_layers])
        self.styles: list[Tensor] | None = None
        self.alpha = 1.0
        self.register_buffer("cost", torch.zeros(2))  # of one picture: seconds, MiB
        self.measured: dict[int, dict[str, float]] = {}
        self._is_logged = False
        self._began = 0.0

    def compiled_part(self) -> nn.Module:
        """The features: nearly all that a step computes."""
        return self.model.features

    def forward(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [0, 1] of uint8 contents (B, 3, H, W), in the style that was learnt."""
        painted: Tensor = self.model(unit(images))
        return painted

    def example_input(self) -> Tensor:
        """A picture of the size that is painted, on its device."""
        if isinstance(self.model, Gatys):
            return torch.zeros_like(self.model.pictures[-1])
        return super().example_input()

    def setup(self, stage: str) -> None:
        """Forget what other features said of the styles: weights may be loaded now."""
        self.judge.forget()

    def on_train_batch_start(self, batch: StyleTransferBatch, batch_idx: int) -> None:
        """Fit the features to the first pictures, put the first picture there, or go on with a larger one."""
        self._began, self._is_logged = time.perf_counter(), False
        if self.global_step == 0:
            self._begin(batch)
        if isinstance(self.model, Gatys):
            self._enlarge_in_time(self.model)

    def training_step(self, batch: StyleTransferBatch, batch_idx: int) -> Tensor:
        """The loss of a batch; logged the first time that a step asks for it."""
        parts = together(batch, style_is_input=self.model.needs_style)
        values = mean(
            [self.judge.painted(part) for part in parts], sizes=[len(part.contents) for part in parts]
        )
        if not self._is_logged:
            self._is_logged = True
            self._log_training(values, size=len(batch["image"]))
        return values["loss"]

    def on_train_batch_end(self, outputs: Any, batch: StyleTransferBatch, batch_idx: int) -> None:
        """Add up what painting one picture costs, over interruptions too."""
        if self.model.is_one_picture:
            self.cost[0] += time.perf_counter() - self._began
            self.cost[1] = max(float(self.cost[1]), peak_memory(self.device))

    def on_validation_epoch_start(self) -> None:
        """Forget what was measured before."""
        self.measured = {}

    def on_test_epoch_start(self) -> None:
        """Forget what was measured before."""
        self.measured = {}

    def validation_step(self, batch: StyleTransferBatch, batch_idx: int) -> Prediction:
        """Paint a batch of the validation split, and measure it."""
        return self._paint(batch, stage="val")

    def test_step(self, batch: StyleTransferBatch, batch_idx: int) -> Prediction:
        """Paint a batch of the test split, and measure it."""
        return self._paint(batch, stage="test")

    def on_validation_epoch_end(self) -> None:
        """Report means over the pictures of all processes."""
        self._report("val")

    def on_test_epoch_end(self) -> None:
        """Report means over the pictures of all processes."""
        self._report("test")

    def paint_like(
        self,
        styles: Sequence[Tensor] | None,
        *,
        alpha: float = 1.0,
        blend: Sequence[float] | None = None,
        colour: Colour | None = None,
    ) -> None:
        """Choose what ``predict_step`` paints like where a batch brings no styles of its own.

        Args:
            styles: uint8 (3, h, w) each, blended; None where the style was learnt.
            alpha: From 0, the content, to 1, all of the style.
            blend: Weight of each style; None: as trained where there were as many, else all alike.
            colour: See ``StyleTransferTask``; None: as trained.

        Raises:
            ValueError: If the model is one picture, learnt its style or was shown none, or a value is out of
                its range.
        """
        check_paints_others(self.model)
        check_style_given(self.model, styles)
        if colour is not None:
            check_choices(self.model, colour=colour, style_scale=1.0, tile=None, key="colour")
            self.colour = self.judge.colour = colour
        if styles and blend is not None:
            self.blend = blend_weights(blend, count=len(styles), key="style_blend")
        self.styles = None if styles is None else list(styles)
        self.alpha = check_alpha(alpha)

    def predict_step(self, batch: ImageBatch, batch_idx: int, dataloader_idx: int = 0) -> Prediction:
        """Paint a batch whose contents may differ in size.

        Raises:
            ValueError: If the model is one picture, or needs a style and there is none.
        """
        check_paints_others(self.model)
        given = cast(Mapping[str, Any], batch)
        styles = given.get("style") or [self.styles] * len(batch["image"])
        for own in styles:
            check_style_given(self.model, own if self.model.needs_style else None)
        parts = [
            Part(unit(image)[None], [unit(style)[None].to(image.device) for style in own or []], None, 0)
            for image, own in zip(batch["image"], styles, strict=True)
        ]
        return joined([self._show(part) for part in parts], index=batch["index"])

    def exported(self) -> Exported:
        """For `make export`: uint8 pictures (B, 3, H, W) of contents and, where none was learnt, a style.

        Raises:
            ValueError: If the model is one picture, or the style is changed for each content.
        """
        check_paints_others(self.model)
        return exported_painter(self.model, colour=self.colour)

    @property
    def columns(self) -> list[str]:
        """Keys of every row."""
        return ["width", "height", "seconds", "ssim"]

    def rows(self, output: Prediction) -> list[list[Row]]:
        """Plain rows for a table, one for each image."""
        each = zip(output["picture"], output["seconds"], output["ssim"], strict=True)
        return [
            [{"width": picture.shape[2], "height": picture.shape[1], "seconds": seconds, "ssim": ssim}]
            for picture, seconds, ssim in each
        ]

    def pictures(self, output: Prediction) -> list[NDArray[np.uint8]]:
        """What was painted, (H, W, 3) RGB each, for files and figures."""
        return [picture.permute(1, 2, 0).cpu().numpy() for picture in output["picture"]]

    def infer(self, images: Asked) -> Tensor:
        """What this network alone paints, (B, 3, H, W) in [0, 1] where it is to be shown."""
        part, styles, alpha, blend = images.part, images.styles, images.alpha, images.blend
        if images.is_judged:
            return self.model.paint(part.contents, styles, blend=blend).pictures
        return self.model.stylise(part.contents, styles, alpha=alpha, blend=blend)

    def fuse(self, answers: Iterable[Tensor], *, weights: Sequence[float], images: Asked) -> Tensor:
        """The mean of the pictures: styles are blended that no network learnt together."""
        return torch.stack([weight * each for each, weight in zip(answers, weights, strict=True)]).sum(dim=0)

    def check_member(self, other: "StyleTransferTask") -> None:
        """Refuse pictures of another size, and networks that take a style beside those that learnt one."""
        check_together(self.model, other.model)

    def records(self) -> PaintedRecords:
        """The measures of each picture of the last epoch."""
        return PaintedRecords(self.measured)

    def _begin(self, batch: StyleTransferBatch) -> None:
        parts = apart(batch)
        self.judge.calibrate(parts)
        if isinstance(self.model, Gatys):
            self.model.begin(parts[0].contents, self.judge.styles(parts[0])[0])
        if self.trainer.world_size > 1:  # each process has seen other pictures
            for tensor in self.model.state_dict().values():
                distributed.broadcast(tensor, src=0)

    def _enlarge_in_time(self, model: Gatys) -> None:
        """Each size is painted for the same share of the steps; directions of another are of no use."""
        stages, total = len(model.pictures), self.trainer.estimated_stepping_batches
        if stages > 1 and total == float("inf"):
            raise ValueError("model.sizes shares out the steps: set trainer.max_epochs or trainer.max_steps")
        stage = min(stages - 1, int(self.global_step * stages / total))
        while int(model.active) < stage:
            model.enlarge()
            self.optimizers(use_pl_optimizer=False).state.clear()  # type: ignore[union-attr]

    def _log_training(self, values: Mapping[str, Tensor], *, size: int) -> None:
        loss = values["loss"].detach()
        self.log("train/loss_step", loss, on_step=True, on_epoch=False, prog_bar=True, batch_size=size)
        for name, value in values.items():
            self.log(f"train/{name}", value.detach(), on_step=False, on_epoch=True, batch_size=size)

    @torch.no_grad()
    def _paint(self, batch: StyleTransferBatch, *, stage: Stage) -> Prediction:
        found = []
        for part in apart(batch):
            answer = self._show(part)
            measures = self._judged(part, answer["picture"][0]) | {"ssim": answer["ssim"][0]}
            if stage == "test":
                seconds, memory = self._cost(answer)
                measures |= {"seconds": seconds, "peak_memory": memory}
            self.measured[part.position] = measures
            found.append(answer)
        return joined(found, index=batch["index"])

    def _judged(self, part: Part, picture: Tensor) -> dict[str, float]:
        if not self.members:
            return self.judge.measures(part, picture)
        styles = self.judge.styles(part) if self.model.needs_style else None
        asked = Asked(part, styles, self.alpha, self.blend if styles else None, is_judged=True)
        return self.judge.measures(part, picture, painted=Painted(self.answer(asked)))

    def _show(self, part: Part) -> Prediction:
        """Paint one content, as a person is to see it."""
        started = time.perf_counter()
        styles = self.judge.styles(part) if self.model.needs_style else None
        painted = self.answer(Asked(part, styles, self.alpha, self._blend_of(styles)))
        picture = to_bytes(shown(painted, part.contents, colour=self.colour))
        if picture.is_cuda:
            torch.cuda.synchronize(picture.device)
        seconds = time.perf_counter() - started
        likeness = structural_similarity(unit(picture), part.contents)
        return Prediction(
            picture=list(picture), index=torch.tensor([part.position]), seconds=[seconds], ssim=[likeness]
        )

    def _blend_of(self, styles: Sequence[Tensor] | None) -> list[float] | None:
        """The run's own weights where there are as many styles, else all alike."""
        return self.blend if styles is not None and len(styles) == len(self.blend) else None

    def _cost(self, answer: Prediction) -> tuple[float, float]:
        if self.model.is_one_picture:
            costs = torch.stack([member.cost for member in self.team])
            return float(costs[:, 0].sum()), float(costs[:, 1].max())
        return answer["seconds"][0], peak_memory(self.device)

    def _report(self, stage: Stage) -> None:
        everyone: list[Any] = [self.measured]
        if self.trainer.world_size > 1:
            everyone = [None] * self.trainer.world_size
            distributed.all_gather_object(everyone, self.measured)
        for name, value in mean_measures(everyone).items():
            self.log(f"{stage}/{name}", value, on_step=False, on_epoch=True, batch_size=1)
