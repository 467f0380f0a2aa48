"""What a training step of Faster R-CNN R50-FPN costs, beside a bare PyTorch loop around the same network.

Both take turns in one process: beside each step of the pipeline its twin does one without Lightning, on the
same images and with the same random numbers, so that both choose the same regions; every other time the twin
goes first. So whatever else the machine does meets both. A step of the pipeline is everything between two
batches: fetching, moving, scaling, losses, logging, callbacks, the optimiser.

    make bench ARGS="--steps 8 --size 800"
"""

import argparse
import copy
import json
import os
import statistics
import sys
import tempfile
import time
from functools import partial
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.batch import DetectionMetadata
from datamodules.boxed_dataset import collate
from lightning_modules.detection import DetectionTask
from lightning_modules.models.detection.faster_rcnn import faster_rcnn
from pipeline.callbacks.graceful_stop import GracefulStop
from pipeline.callbacks.history import History
from pipeline.callbacks.learning_rate import LearningRate
from pipeline.callbacks.progress import Progress
from pipeline.callbacks.step_seed import StepSeed

BATCH = 2
CLASSES = 90
OBJECTS = 7  # of an image of COCO, on average
ALLOWED = 1.03


class Twin(Callback):
    """Times each step of the pipeline, and beside it the same step done bare; the last of the callbacks."""

    def __init__(self, network: torch.nn.Module, *, device: torch.device) -> None:
        self.network = network.to(device).train()
        self.optimizer = make_optimizer(self.network.parameters())
        self.device = device
        self.pipeline: list[float] = []
        self.bare: list[float] = []
        self.started = 0.0
        self.generator = torch.get_rng_state()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The first step begins."""
        self.started = self._now()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """The batch is there; every other time the bare step goes first."""
        self.generator = torch.get_rng_state()
        if batch_idx % 2:
            self._take_turn(batch)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A step of the pipeline has ended; what comes until the next one belongs to that."""
        if not batch_idx % 2:
            self._take_turn(batch)
        now = self._now()
        self.pipeline.append(now - self.started)
        self.started = now

    def _take_turn(self, batch: Any) -> None:
        """A bare step, whose time is taken out of that of the pipeline."""
        kept = torch.get_rng_state()
        torch.set_rng_state(self.generator)
        begun = self._now()
        self._bare_step(batch)
        self.bare.append(self._now() - begun)
        torch.set_rng_state(kept)
        self.started += self.bare[-1]

    def _bare_step(self, batch: Any) -> None:
        images = [image.float() / 255 for image in batch["image"]]
        targets = [
            {"boxes": boxes, "labels": labels + 1}
            for boxes, labels in zip(batch["boxes"], batch["labels"], strict=True)
        ]
        loss: Tensor = sum(self.network(images, targets).values())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def make_optimizer(parameters: Any) -> torch.optim.Optimizer:
    """As published for COCO."""
    return torch.optim.SGD(parameters, lr=1e-4, momentum=0.9, weight_decay=1e-4)


def items(count: int, *, size: int) -> list[dict[str, Any]]:
    """Random square images with boxes of 5 to 50 % of the side."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for index in range(count):
        corners = torch.rand(OBJECTS, 2, generator=generator) * size * 0.5
        sides = (0.05 + 0.45 * torch.rand(OBJECTS, 2, generator=generator)) * size
        made.append(
            {
                "image": torch.randint(256, (3, size, size), dtype=torch.uint8, generator=generator),
                "index": index,
                "boxes": torch.cat([corners, corners + sides], dim=1),
                "labels": torch.randint(CLASSES, (OBJECTS,), generator=generator),
                "areas": sides.prod(dim=1),
                "is_crowd": torch.zeros(OBJECTS, dtype=torch.bool),
                "is_difficult": torch.zeros(OBJECTS, dtype=torch.bool),
                "masks": None,
            }
        )
    return made


def measure(*, steps: int, size: int, warmup: int) -> dict[str, Any]:
    """Seconds of each step on both sides, the first ones left out."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    model = faster_rcnn(num_classes=CLASSES, image_size=size)
    twin = Twin(copy.deepcopy(model.network), device=device)
    metadata = DetectionMetadata(
        class_names=[str(number) for number in range(CLASSES)],
        class_counts=[1] * CLASSES,
        category_ids=list(range(CLASSES)),
        image_size=size,
        scale="published",
        has_masks=False,
    )
    factory = partial(torch.optim.SGD, lr=1e-4, momentum=0.9, weight_decay=1e-4)
    task = DetectionTask(model=model, optimizer=factory, scheduler=None, metadata=metadata)
    loader = DataLoader(items(BATCH * (steps + warmup), size=size), batch_size=BATCH, collate_fn=collate)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator=device.type,
            devices=1,
            max_epochs=1,
            logger=False,
            enable_model_summary=False,
            default_root_dir=folder,
            callbacks=[StepSeed(seed=0), Progress(), History(), LearningRate(), GracefulStop(), twin],
        )
        trainer.fit(task, train_dataloaders=loader)
    return summary(twin.pipeline[warmup:], twin.bare[warmup:], device=device, size=size)


def summary(pipeline: list[float], bare: list[float], *, device: torch.device, size: int) -> dict[str, Any]:
    """Medians and the ratio of the sums."""
    return {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "batch": BATCH,
        "size": size,
        "steps": len(bare),
        "pipeline_seconds": statistics.median(pipeline),
        "bare_seconds": statistics.median(bare),
        "ratio": sum(pipeline) / sum(bare),
        "median_of_ratios": statistics.median(a / b for a, b in zip(pipeline, bare, strict=True)),
    }


def main() -> int:
    """Measure, print as JSON, and fail where the pipeline costs more than 3 %."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--size", type=int, default=800)
    given = parser.parse_args()
    found = measure(steps=given.steps, size=given.size, warmup=given.warmup)
    print(json.dumps(found, indent=1))
    return 0 if found["median_of_ratios"] <= ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())
