"""Checkpoints of networks of every task as they are before training, and pictures to show them."""

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from pipeline import build, checkpoints
from pipeline.compose import compose_plain

RUN_ID = "5e" * 16
SIDE = 32

# Of each task what is quick to build from the data that every installation has.
WORDS: dict[str, tuple[str, ...]] = {
    "lenet5": (),
    "triplet": ("task=verification",),
    "fcn8s": ("task=segmentation", "data.num_train=4", "data.num_val=2", "data.num_test=2"),
    "faster_rcnn": ("task=detection", "data.num_train=4", "data.num_val=2", "data.num_test=2"),
    "mask_rcnn": ("task=detection", "data.num_train=4", "data.num_val=2", "data.num_test=2"),
    "fast_style": ("task=style_transfer", "data.image_size=32", "data.crops_per_epoch=4"),
    "adain": ("task=style_transfer", "data.image_size=32", "data.crops_per_epoch=4"),
    "gatys": ("task=style_transfer", "data.image_size=32"),
}


def checkpoint_of(model: str, folder: Path, *, seed: int = 0) -> Path:
    """A checkpoint as training would save it, with an optimiser's state that nobody needs to answer."""
    small = () if model in ("lenet5", "fast_style", "adain", "gatys") else ("data.image_size=64",)
    words = [*WORDS[model], f"model={model}", "logger=none", *small]
    config = compose_plain(verb="train", overrides=words)
    datamodule: Any = build.datamodule(config)
    datamodule.prepare_data()
    datamodule.setup("fit")
    config, metadata = build.filled_from_data(config, datamodule), dict(datamodule.metadata)
    torch.manual_seed(seed)
    task: Any = build.task(config, metadata)
    if model == "triplet":
        task.threshold.fill_(0.5)  # as validation would set it
    path = folder / "kept.ckpt"
    record = {"run_id": RUN_ID, "config": config, "metadata": metadata}
    content = {"state_dict": task.state_dict(), "optimizer_states": [torch.ones(10_000)], "pipeline": record}
    torch.save(content, path)
    return path


def write_pictures(folder: Path, *, count: int = 3) -> list[Path]:
    """Pictures of several sizes: soft spots of colour, as PNG and JPEG."""
    folder.mkdir()
    paths = []
    for number in range(count):
        coarse = np.random.default_rng(number).integers(0, 256, (5, 6, 3)).astype(np.uint8)
        paths.append(folder / f"{number}.{'png' if number % 2 else 'jpg'}")
        cv2.imwrite(str(paths[-1]), cv2.resize(coarse, (70 + 10 * number, 60), interpolation=cv2.INTER_CUBIC))
    return paths


def text_of(path: Path) -> str:
    """A file as the tables of served networks hold it."""
    return base64.b64encode(path.read_bytes()).decode()


def pixels_of(text: str) -> Any:
    """The numbers in a PNG that is base64 text, as they are in the file."""
    return cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_UNCHANGED)


def ensemble_of(first: Path, second: Path, folder: Path) -> Path:
    """A checkpoint as `make ensemble` writes it, of two networks that count alike."""
    contents = [checkpoints.read(path) for path in (first, second)]
    lead, other = (checkpoints.load_task(content, path=first) for content in contents)
    task: Any = lead
    task.join([other], fusion=None, weights=None)
    records = [content["pipeline"] for content in contents]
    made = {"members": records, "fusion": task.fusion, "weights": task.weights}
    path = folder / "ensemble.ckpt"
    torch.save({"state_dict": task.state_dict(), "pipeline": {**records[0], "ensemble": made}}, path)
    return path
