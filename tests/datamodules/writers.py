"""Small data sets in their true formats, and data modules built as the configuration builds them."""

import hashlib
import pickle
import re
import struct
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torchvision import datasets

from datamodules.arrays import ByteArray
from datamodules.base import DataModule
from datamodules.boxed import DetectionDataModule
from datamodules.identified import VerificationDataModule
from datamodules.segmented import SegmentationDataModule
from datamodules.single_label import ClassificationDataModule
from datamodules.styled import StyleTransferDataModule
from tests.datamodules.box_writers import BOXED, write_boxed_data, write_image
from tests.datamodules.identity_writers import IDENTIFIED, write_verification_data
from tests.datamodules.mask_writers import MASKED, write_masked_data
from tests.datamodules.style_writers import STYLED, write_style_data

CONF = Path(__file__).parents[2] / "conf"


def names(group: str) -> list[str]:
    """Names of the files in a group of the configuration; never none."""
    found = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    assert found, f"no config in conf/{group}; is the path still right?"
    return found


def data_of(task: str) -> list[str]:
    """Names of the data of a task; never none."""
    found = [name for name in names("data") if task in tasks_of_data(name)]
    assert found, f"no data of {task} in conf/data; is the path still right?"
    return found


def tasks_of_data(data: str) -> list[str]:
    """Tasks that a file of conf/data serves: that of its target, or all that have a class of this name."""
    text = (CONF / "data" / f"{data}.yaml").read_text(encoding="utf-8")
    named = re.search(r"^_target_: datamodules\.(\S+)\.(\w+)$", text, re.MULTILINE)
    assert named, f"conf/data/{data}.yaml names no class of datamodules"
    if named[1] != "${choices.task}":
        return [named[1]]
    found = [task for task in names("task") if _has_class(task, named[2])]
    assert found, f"no task has the {named[2]} that conf/data/{data}.yaml names"
    return found


def recipes_of(task: str) -> list[str]:
    """Names of the recipes whose first comment names a task (else classification); never none."""
    found = [name for name in names("transforms") if _task_of_recipe(name) == task]
    assert found, f"no recipe of {task} in conf/transforms; is the path still right?"
    return found


def _task_of_recipe(name: str) -> str:
    text = (CONF / "transforms" / f"{name}.yaml").read_text(encoding="utf-8")
    comment = "".join(takewhile(lambda line: line.startswith("#"), text.splitlines(keepends=True)))
    told = re.search(r"task=(\w+)", comment)
    return told[1] if told else "classification"


def _has_class(task: str, name: str) -> bool:
    path = CONF.parent / "datamodules" / f"{task}.py"
    return path.is_file() and f"\nclass {name}(" in path.read_text(encoding="utf-8")


def build(data: str, *, transforms: str = "none", seed: int = 0, **changes: Any) -> ClassificationDataModule:
    """The classification data that the configuration names, with some arguments changed; not yet set up."""
    module = _built("classification", data, transforms, seed, changes)
    assert isinstance(module, ClassificationDataModule)
    return module


def build_boxed(
    data: str, *, transforms: str = "detection_none", seed: int = 0, **changes: Any
) -> DetectionDataModule:
    """The same for detection data."""
    module = _built("detection", data, transforms, seed, changes)
    assert isinstance(module, DetectionDataModule)
    return module


def build_segmented(
    data: str, *, transforms: str = "segmentation_none", seed: int = 0, **changes: Any
) -> SegmentationDataModule:
    """The same for segmentation data."""
    module = _built("segmentation", data, transforms, seed, changes)
    assert isinstance(module, SegmentationDataModule)
    return module


def build_verification(
    data: str, *, transforms: str = "none", seed: int = 0, **changes: Any
) -> VerificationDataModule:
    """The same for verification data."""
    module = _built("verification", data, transforms, seed, changes)
    assert isinstance(module, VerificationDataModule)
    return module


def build_styled(
    data: str, *, transforms: str = "style_transfer", seed: int = 0, **changes: Any
) -> StyleTransferDataModule:
    """The same for style transfer data."""
    module = _built("style_transfer", data, transforms, seed, changes)
    assert isinstance(module, StyleTransferDataModule)
    return module


def _built(task: str, data: str, transforms: str, seed: int, changes: dict[str, Any]) -> DataModule:
    config = OmegaConf.create(
        {
            "seed": seed,
            "choices": {"task": task},
            "data": OmegaConf.merge(
                OmegaConf.load(CONF / "data" / f"{data}.yaml"),
                _of_task(task),
            ),
            "transforms": OmegaConf.load(CONF / "transforms" / f"{transforms}.yaml"),
        }
    )
    for key, value in changes.items():
        assert key in list(config.data), (
            f"neither conf/data/{data}.yaml nor conf/task/{task}.yaml has data.{key}"
        )
        config.data[key] = value
    plain: Any = OmegaConf.to_container(config, resolve=True)
    try:
        module = instantiate(plain["data"], _convert_="all")
    except InstantiationException as error:
        raise error.__cause__ or error from None
    assert isinstance(module, DataModule)
    return module


def _of_task(task: str) -> Any:
    """What a task adds to every data set."""
    config = OmegaConf.load(CONF / "task" / f"{task}.yaml")
    assert isinstance(config, DictConfig)
    return config.get("data", {})


def picture(number: int, *, height: int = 20, width: int = 30) -> ByteArray:
    """A picture of one colour with some noise, another one for each number; RGB."""
    generator = np.random.default_rng(number)
    colour = generator.integers(40, 200, size=3)
    noise = generator.integers(-30, 30, size=(height, width, 3))
    return np.asarray((colour + noise).clip(0, 255), dtype=np.uint8)


def write_folders(root: Path, *, splits: dict[str, int], classes: tuple[str, ...] = ("ant", "bee")) -> Path:
    """One folder per split (none for the empty name) and class, with some JPEGs each."""
    number = 0
    for split, count in splits.items():
        for name in classes:
            for position in range(count):
                number += 1
                write_image(root / split / name / f"{position:02}.jpg", picture(number))
    return root


def cut_short(path: Path) -> Path:
    """Leave out the second half of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def write_mnist(data_dir: Path, *, name: str = "MNIST", train: int = 40, test: int = 20) -> Path:
    """The four idx files of MNIST or FashionMNIST, as torchvision lays them out."""
    folder = data_dir / name / "raw"
    folder.mkdir(parents=True)
    for part, count in (("train", train), ("t10k", test)):
        generator = np.random.default_rng(count)
        pixels = generator.integers(0, 256, size=(count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = struct.pack(">IIII", 0x803, count, 28, 28) + pixels.tobytes()
        (folder / f"{part}-images-idx3-ubyte").write_bytes(images)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">II", 0x801, count) + labels.tobytes()
        )
    return data_dir


def write_cifar(data_dir: Path, patch: pytest.MonkeyPatch, *, classes: int = 10, size: int = 20) -> Path:
    """The pickles of CIFAR-10 or -100; torchvision is told their checksums."""
    kind = datasets.CIFAR10 if classes == 10 else datasets.CIFAR100
    labels_key, names_key = (
        ("labels", "label_names") if classes == 10 else ("fine_labels", "fine_label_names")
    )
    folder = data_dir / kind.base_folder
    folder.mkdir(parents=True)
    for attribute in ("train_list", "test_list"):
        written = []
        for position, (file, _) in enumerate(getattr(kind, attribute)):
            generator = np.random.default_rng(position)
            pixels = generator.integers(0, 256, size=(size * classes // 10, 3072), dtype=np.uint8)
            labels = [int(label) for label in np.arange(len(pixels)) % classes]
            written.append([file, _pickle(folder / file, {"data": pixels, labels_key: labels})])
        patch.setattr(kind, attribute, written)
    meta = dict(kind.meta)
    meta["md5"] = _pickle(folder / meta["filename"], {names_key: [f"class {n}" for n in range(classes)]})
    patch.setattr(kind, "meta", meta)
    return data_dir


def _pickle(path: Path, value: dict[str, Any]) -> str:
    content = pickle.dumps(value)
    path.write_bytes(content)
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def write_data(name: str, folder: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Write a little of the data that conf/data/<name>.yaml names, in its true format.

    Args:
        name: Name of the file.
        folder: Where to write it.
        patch: Tells torchvision the checksums of what was written.

    Returns:
        The arguments of the data module with which it is found.
    """
    splits = {"image_folder": {"train": 4, "val": 2, "test": 2}, "imagenet": {"train": 4, "val": 2}}
    match name:
        case "digits":
            return {}
        case "mnist" | "fashion_mnist":
            write_mnist(folder, name="MNIST" if name == "mnist" else "FashionMNIST")
        case "cifar10" | "cifar100":
            write_cifar(folder, patch, classes=int(name[5:]))
        case "image_folder" | "imagenet":
            write_folders(folder, splits=splits[name])
        case "csv":
            write_folders(folder, splits={"": 20})
            lines = [
                f"{path.relative_to(folder)},{path.parent.name}" for path in sorted(folder.rglob("*.jpg"))
            ]
            (folder / "pets.csv").write_text("\n".join(["path,label", *lines]))
            return {"manifest": str(folder / "pets.csv")}
        case _ if name in BOXED:
            return write_boxed_data(name, folder)
        case _ if name in MASKED:
            return write_masked_data(name, folder)
        case _ if name in IDENTIFIED:
            return write_verification_data(name, folder)
        case _ if name in STYLED:
            return write_style_data(name, folder)
        case _:
            pytest.fail(f"conf/data/{name}.yaml is new: write a little of its data here")
    return {"data_dir": str(folder)} | ({"num_classes": 2} if name == "imagenet" else {})
