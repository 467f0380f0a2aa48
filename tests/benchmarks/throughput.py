"""Images per second of training, and the share of the chip's peak that they are, with each switch by itself.

ResNet-50 on 224 pixels and Faster R-CNN R50-FPN on 800, on synthetic images that lie on the device already:
what is measured is the chip, not the disk. Steps are those of the pipeline: task, optimiser, Lightning.

    make throughput ARGS="--network resnet50 --batch 256 --precision 32-true,bf16-mixed --compile false,true"

Every combination of the values that are given is measured, one JSON line each. The operations of a step are
counted by torch (convolutions and matrix products, forward and backward; a multiply-add is two), on the
network as it is without a compiler. The peak is the maker's for dense products at the precision, and beside
it what a large matrix product reaches here; where the maker's is unknown (a CPU), only the latter. On a GPU
32 bits means TF32, in which torch computes convolutions unless told otherwise.
"""

import argparse
import contextlib
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from datamodules.batch import ClassificationMetadata, DetectionMetadata
from datamodules.boxed_dataset import collate
from lightning_modules.base import TaskModule
from lightning_modules.classification import ClassificationTask
from lightning_modules.detection import DetectionTask
from lightning_modules.models.classification.resnet import resnet50
from lightning_modules.models.detection.faster_rcnn import faster_rcnn
from pipeline.callbacks.step_seed import StepSeed
from pipeline.devices import arrange
from pipeline.environment import device_name
from tests.benchmarks.detection_step import CLASSES, items

PEAK = {  # dense TFLOP/s on tensor cores by part of the device's name: of 16 bits, of TF32
    "H200": (989.0, 494.0),
    "H100 80GB": (989.0, 494.0),
    "A100": (312.0, 156.0),
}
SIZES = {"resnet50": (224, 256), "faster_rcnn": (800, 16)}  # pixels, images in a batch


class Clock(Callback):
    """Seconds of each step, with everything that the device had to do for it."""

    def __init__(self, *, steps: int) -> None:
        self.steps = steps
        self.seconds: list[float] = []
        self._since = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The first step begins."""
        self._since = now(pl_module.device)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A step has ended."""
        ended = now(pl_module.device)
        self.seconds.append(ended - self._since)
        self._since = ended


class Repeated(Dataset[Any]):
    """One batch, again and again, so that nothing is made or moved between steps."""

    def __init__(self, batch: Any, *, times: int) -> None:
        self.batch, self.times = batch, times

    def __len__(self) -> int:
        """Number of steps."""
        return self.times

    def __getitem__(self, index: int) -> Any:
        """The batch."""
        return self.batch


def now(device: torch.device) -> float:
    """Seconds, once the device has nothing left to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def classification(*, size: int) -> TaskModule:
    """ResNet-50 as published, with a thousand classes."""
    metadata = ClassificationMetadata(
        class_names=[str(number) for number in range(1000)],
        class_counts=[1] * 1000,
        image_size=size,
        channels=3,
        mean=[0.5] * 3,
        std=[0.25] * 3,
    )
    network = resnet50(num_classes=1000, in_channels=3, image_size=size)
    return ClassificationTask(model=network, optimizer=sgd(), scheduler=None, metadata=metadata)


def detection(*, size: int) -> TaskModule:
    """Faster R-CNN R50-FPN as published for COCO."""
    metadata = DetectionMetadata(
        class_names=[str(number) for number in range(CLASSES)],
        class_counts=[1] * CLASSES,
        category_ids=list(range(CLASSES)),
        image_size=size,
        scale="published",
        has_masks=False,
    )
    network = faster_rcnn(num_classes=CLASSES, image_size=size)
    return DetectionTask(model=network, optimizer=sgd(), scheduler=None, metadata=metadata)


def sgd() -> Callable[..., torch.optim.Optimizer]:
    """Small steps, so that random images do no harm."""
    return partial(torch.optim.SGD, lr=1e-4, momentum=0.9, weight_decay=1e-4)


def batch_of(network: str, *, count: int, size: int) -> dict[str, Any]:
    """Random images with random targets."""
    if network == "faster_rcnn":
        return dict(collate(items(count, size=size)))  # type: ignore[arg-type]
    return {
        "image": torch.randint(256, (count, 3, size, size), dtype=torch.uint8),
        "label": torch.randint(1000, (count,)),
        "index": torch.arange(count),
    }


def operations(task: TaskModule, batch: Any) -> int:
    """Of one step, forward and backward, as torch counts them; the logs of the step go nowhere."""
    task.log = lambda *_, **__: None  # type: ignore[method-assign, assignment]
    task.log_dict = lambda *_, **__: None  # type: ignore[method-assign, assignment]
    counter = FlopCounterMode(display=False)
    with counter:
        task.train().training_step(batch, 0).backward()
    return int(counter.get_total_flops())


@contextlib.contextmanager
def fitted(
    task: TaskModule, batch: Any, *, steps: int, device: str, precision: str, clock: Clock
) -> Iterator[tuple[Trainer, Callable[[], None]]]:
    """A trainer for so many steps, and what starts it."""
    loader = DataLoader(Repeated(batch, times=steps), batch_size=None)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator=device,
            devices=1,
            precision=precision,  # type: ignore[arg-type]
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
            callbacks=[StepSeed(seed=0), clock],
        )
        yield trainer, lambda: trainer.fit(task, train_dataloaders=loader)


def measure(
    network: str, *, batch: int, size: int, steps: int, warmup: int, device: str, **switches: Any
) -> dict[str, Any]:
    """One row: images per second and shares of the peak."""
    torch.manual_seed(0)
    build = {"resnet50": classification, "faster_rcnn": detection}[network]
    images = batch_of(network, count=batch, size=size)
    count = operations(build(size=size), batch_of(network, count=1, size=size)) * batch
    task, clock = build(size=size), Clock(steps=steps)
    precision, channels_last, compiles = (switches[key] for key in ("precision", "channels_last", "compile"))
    on_gpu = device == "cuda"
    images = move(images, torch.device(device))
    with fitted(task, images, steps=warmup + steps, device=device, precision=precision, clock=clock) as (
        trainer,
        start,
    ):
        arrange(task, channels_last=channels_last, compiles=compiles, precision=precision, on_gpu=on_gpu)
        start()
        used = torch.cuda.max_memory_allocated() if on_gpu else 0
        del trainer
    timed = clock.seconds[warmup:]
    per_second = count * len(timed) / sum(timed)
    named = {"network": network, "batch": batch, "size": size, "device": device_name(), **switches}
    return {
        **named,
        "torch": torch.__version__,
        "first_step_seconds": round(clock.seconds[0], 2),
        "images_per_second": round(batch * len(timed) / sum(timed), 2),
        "gflop_per_image": round(count / batch / 1e9, 2),
        "tflop_per_second": round(per_second / 1e12, 3),
        "peak_memory_gib": round(used / 2**30, 2),
        **shares(per_second, device=torch.device(device), precision=precision),
    }


def move(batch: Any, device: torch.device) -> Any:
    """Tensors of a batch to a device, in lists, too."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device)
    if isinstance(batch, dict):
        return {key: move(value, device) for key, value in batch.items()}
    return [move(value, device) for value in batch] if isinstance(batch, list) else batch


def shares(per_second: float, *, device: torch.device, precision: str) -> dict[str, float]:
    """Of the maker's peak, where it is known, and of what a large product reaches."""
    is_half = precision.startswith(("bf16", "16"))
    dtype = (torch.bfloat16 if precision.startswith("bf16") else torch.float16) if is_half else torch.float32
    reached = product(device, dtype)
    found = {"share_of_a_product": round(per_second / reached, 3)}
    name = torch.cuda.get_device_name() if device.type == "cuda" else ""
    for part, (half, full) in PEAK.items():
        if part in name:
            found["share_of_peak"] = round(per_second / 1e12 / (half if is_half else full), 3)
    return found


def product(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of a large matrix product, the best of five."""
    side = 8192 if device.type == "cuda" else 1024
    a = torch.randn(side, side, device=device, dtype=dtype)
    best, kept = float("inf"), torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    for _ in range(6):
        begun = now(device)
        torch.mm(a, a)
        best = min(best, now(device) - begun)
    torch.set_float32_matmul_precision(kept)
    return 2 * side**3 / best


def switch(text: str) -> Any:
    """A word of the command line: true, false, or itself."""
    return {"true": True, "false": False}.get(text, text)


def main() -> int:
    """Measure every combination of what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=tuple(SIZES), default="resnet50")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--size", type=int)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--warmup", type=int, default=10)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    for key, values in (("precision", "32-true"), ("channels-last", "false"), ("compile", "false")):
        parser.add_argument(f"--{key}", default=values, help="one value, or several with commas between them")
    given = parser.parse_args()
    size, batch = SIZES[given.network]
    for precision, channels_last, compiles in itertools.product(
        *(words.split(",") for words in (given.precision, given.channels_last, given.compile))
    ):
        row = measure(
            given.network,
            batch=given.batch or batch,
            size=given.size or size,
            steps=given.steps,
            warmup=given.warmup,
            device=given.device,
            precision=precision,
            channels_last=switch(channels_last),
            compile=switch(compiles),
        )
        print(json.dumps(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
