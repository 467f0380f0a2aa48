"""Configuration to objects: the only place where Hydra's `instantiate` is called."""

import copy
import json
from collections.abc import Iterator, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.accelerators import CPUAccelerator
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies import DDPStrategy
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from pipeline import devices
from pipeline.effective_batch import NEEDS_GPUS, without_rule
from pipeline.errors import Mistake
from pipeline.nodes import refusal
from pipeline.signatures import find_signature

Config = dict[str, Any]

# Since torch 2.14 it has another name.
_SYNC_BUFFERS = next(
    name
    for name in ("forward_sync_buffers", "broadcast_buffers")
    if name in signature(DistributedDataParallel).parameters
)
_PARTS = ("network", "features")  # of a model, which may have weights of their own


def _build(node: Mapping[str, Any], **supplied: Any) -> Any:
    """Build one node; only classes and functions of known packages, wherever the configuration came from."""
    if "${" in json.dumps(node, default=str):
        # A resolved configuration has none; in a stranger's checkpoint they would be resolved here.
        raise Mistake("a configuration with references (${...}) cannot be built; resolve it first")
    for target in _targets(node):
        refused = refusal(target)
        if refused:
            raise Mistake(f"_target_={target}: {refused}")
    if not supplied:
        return instantiate(dict(node), _convert_="all")
    # Handed over past Hydra, which would turn lists into ListConfig and copy what it does not know.
    return instantiate({**node, "_partial_": True}, _convert_="all")(**supplied)


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"])
        for child in node.values():
            yield from _targets(child)
    elif isinstance(node, list):
        for child in node:
            yield from _targets(child)


def node(node: Mapping[str, Any]) -> Any:
    """Build one node by itself."""
    return _build(node)


def datamodule(config: Config) -> LightningDataModule:
    """The data module, with the augmentation recipe inside it."""
    built = _build(config["data"])
    assert isinstance(built, LightningDataModule)
    return built


def filled_from_data(config: Config, datamodule: Any) -> Config:
    """Put what only the data knows where the model's configuration says null, or asks for anchors.

    Args:
        config: The resolved configuration.
        datamodule: The data, set up.

    Returns:
        A copy with `num_classes`, `in_channels`, `image_size`, `scale`, `num_identities`, `content_size` and
        `anchors` of the model filled in, and the same of the network inside it.
    """
    metadata = datamodule.metadata
    filled = copy.deepcopy(config)
    known = {
        "num_classes": len(metadata["class_names"]) if "class_names" in metadata else None,
        "in_channels": metadata.get("channels"),
        "image_size": metadata.get("image_size"),
        "scale": metadata.get("scale"),
        "num_identities": metadata.get("num_identities"),
        "content_size": metadata.get("content_size"),
    }
    model = filled["model"]
    for node in (model, model.get("network") or {}):
        node.update({key: value for key, value in known.items() if key in node and node[key] is None})
    if model.get("anchors") == "kmeans" and "num_anchors" in model:
        # Numbers and not the word, so that the checkpoint builds the same network without the data.
        # A network without a longest side squashes every picture to a square.
        model["anchors"] = datamodule.kmeans_anchors(
            model["num_anchors"], squashed="max_size" not in model, max_size=model.get("max_size")
        )
    return filled


def without_weights(model: Mapping[str, Any]) -> Config:
    """The node of a model that gets its weights from a checkpoint: nothing is downloaded or read first."""
    parts = {name: model[name] for name in _PARTS if isinstance(model.get(name), Mapping)}
    inside = {name: without_weights(part) for name, part in parts.items()}
    if "load_weights" in find_signature(model["_target_"]).parameters:
        return {**model, **inside, "load_weights": False}
    return {**model, **inside, **({"pretrained": False} if "pretrained" in model else {})}


def task(config: Config, metadata: Mapping[str, Any]) -> LightningModule:
    """The task around its model.

    Args:
        config: The configuration after `filled_from_data`.
        metadata: The data module's, or the one a checkpoint remembers.
    """
    model = _build(config["model"])
    assert isinstance(model, nn.Module)
    optimizer, scheduler = without_rule(config["optimizer"] or {}), config["scheduler"]
    supplied = {
        "optimizer": _build(optimizer) if optimizer else None,
        "scheduler": _build(scheduler) if scheduler else None,
    }
    built = _build(config["task"], model=model, metadata=dict(metadata), **supplied)
    assert isinstance(built, LightningModule)
    return built


def callbacks(config: Config, *, folder: Path) -> list[Callback]:
    """The callbacks that the configuration lists; those that are null are switched off.

    Args:
        config: The resolved configuration.
        folder: The run's folder.
    """
    nodes = {name: dict(node) for name, node in config["callbacks"].items() if node}
    for node in nodes.values():
        if "dirpath" in node and node["dirpath"] is None:
            node["dirpath"] = str(folder / "checkpoints")
    built = [_build(node) for node in nodes.values()]
    unwanted = tuple(
        kind
        for kind, switch in ((ProgressBar, "enable_progress_bar"), (Checkpoint, "enable_checkpointing"))
        if config["trainer"].get(switch) is False
    )
    return [callback for callback in built if not isinstance(callback, unwanted)]


def logger(config: Config, **supplied: Any) -> Logger | None:
    """The logger, or None with `logger=none`.

    Args:
        config: The resolved configuration.
        **supplied: What the run knows and the configuration leaves null.
    """
    node = config["logger"]
    if not node or "_target_" not in node:
        return None
    built = _build(
        {**node, **{key: value for key, value in supplied.items() if key in node and node[key] is None}}
    )
    assert isinstance(built, Logger)
    return built


def trainer(config: Config, *, folder: Path, callbacks: list[Callback], logger: Logger | None) -> Trainer:
    """Lightning's Trainer with its folder, callbacks and logger."""
    # As many as there are: with None, Lightning would add a callback of its own where none is wanted.
    wanted = any(isinstance(callback, Checkpoint) for callback in callbacks)
    node = {
        **config["trainer"],
        "enable_checkpointing": wanted,
        "precision": devices.precision_of(config["trainer"]),
    }
    try:
        built = _build(node, default_root_dir=str(folder), callbacks=callbacks, logger=logger or False)
    except MisconfigurationException as error:
        asked = ", ".join(f"trainer.{key}={node.get(key)}" for key in ("accelerator", "devices", "strategy"))
        raise Mistake(f"{asked}: {error}; trainer=auto takes what this machine has") from error
    assert isinstance(built, Trainer)
    if isinstance(built.strategy, DDPStrategy):
        # Each process keeps the statistics of its own batches until AverageStatistics takes their mean; with
        # torch's default they would be the first process' alone.
        built.strategy._ddp_kwargs.setdefault(_SYNC_BUFFERS, False)
    if node.get("sync_batchnorm") and built.world_size > 1 and isinstance(built.accelerator, CPUAccelerator):
        raise Mistake(f"trainer.sync_batchnorm=true: {NEEDS_GPUS}")
    return built


def baselines(config: Config) -> Any:
    """The function that computes what the result must beat, or None."""
    node = config.get("baselines")
    return _build({**node, "_partial_": True}) if node else None
