"""Features of a network that was trained in a run of this project."""

import pickle
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lightning_modules.models.freeze import STAGE_CONTAINERS
from lightning_modules.models.heads import head_names
from lightning_modules.models.style_transfer.features import IMAGENET_MEAN, IMAGENET_STD, Features
from lightning_modules.preprocessing import LUMA

PROBE_SIDE = 64
"""Side of the image by which it is found out what the layers of a network give."""
_NO_CHECKPOINT = "it is no checkpoint of a run of this project; give one from a run's checkpoints/"


class RunFeatures(Features):
    """The stages of a classifier, by the names of its modules.

    Args:
        network: A classifier, which maps images (B, 1 or 3, H, W) that are normalised as its own data.
        source: What it is, in words for a person.

    Raises:
        ValueError: If none of its stages gives maps.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, *, source: str) -> None:
        super().__init__()
        for module in network.modules():
            if isinstance(getattr(module, "inplace", None), bool):
                # A map that was asked for must not be changed by the layer behind it.
                vars(module)["inplace"] = False
        self.network = network
        self.source = source
        # In the state dict, unlike those of a task's own data: nothing else remembers the other run's.
        self.register_buffer("mean", torch.zeros(_in_channels(network), 1, 1))
        self.register_buffer("std", torch.ones(_in_channels(network), 1, 1))
        self.requires_grad_(False)
        self.eval()
        self.widths = self._find_widths()
        self.layers = tuple(self.widths)

    def forward(self, images: Tensor, *, wanted: Sequence[str]) -> dict[str, Tensor]:
        """See ``Features``."""
        self.check(wanted, key="wanted")
        found: dict[str, Tensor] = {}
        self._run(self._as_trained(images), wanted=wanted, found=found)
        return {name: found[name] for name in wanted}

    def channels(self, name: str) -> int:
        """See ``Features``."""
        return self.widths[name]

    def load(self, state: Mapping[str, Tensor], *, mean: Sequence[float], std: Sequence[float]) -> None:
        """Take over what a run learnt; in place.

        Args:
            state: Of the network.
            mean: Of each channel of the run's data in [0, 1].
            std: As ``mean``.
        """
        self.network.load_state_dict(state)
        for own, values in ((self.mean, mean), (self.std, std)):
            own.copy_(torch.tensor(values).view_as(own))

    def _as_trained(self, images: Tensor) -> Tensor:
        """Images that were normalised as ImageNet's, as the network knows images."""
        scaled = images * _column(IMAGENET_STD, images) + _column(IMAGENET_MEAN, images)
        if len(self.mean) == 1:
            scaled = (scaled * _column(LUMA, images)).sum(dim=1, keepdim=True)
        return (scaled - self.mean) / self.std

    def _run(self, images: Tensor, *, wanted: Sequence[str], found: dict[str, Tensor]) -> None:
        """Put what modules give into ``found``, and end when all that are wanted have been run."""
        handles = [
            self.network.get_submodule(name).register_forward_hook(_keep_in(found, name, len(set(wanted))))
            for name in set(wanted)
        ]
        try:
            self.network(images)
        except _AllFound:
            pass
        finally:
            for handle in handles:
                handle.remove()

    @torch.no_grad()
    def _find_widths(self) -> dict[str, int]:
        """Channels of every stage that gives maps, in the order in which they are run."""
        image = torch.zeros(1, len(self.mean), PROBE_SIDE, PROBE_SIDE)
        found: dict[str, Tensor] = {}
        # Linear layers behind the maps, and transformers, may know images of one size only, and not this one.
        with suppress(RuntimeError, AssertionError):
            self._run(image, wanted=_stage_names(self.network), found=found)
        widths = {name: each.shape[1] for name, each in found.items() if _is_map(each)}
        if not widths:
            raise ValueError(
                f"model.features: {self.source} has no stage that gives maps (B, C, H, W); choose the run of "
                "a classifier with convolutions, such as resnet8, or features=random"
            )
        return widths


def of_run(*, run: str, network: nn.Module, weights: str, load_weights: bool = True) -> RunFeatures:
    """Features of the network of a run of this project: the stages of a classifier or of a verifier.

    Args:
        run: Its id, for messages.
        network: The run's model, with any weights.
        weights: Its checkpoint file.
        load_weights: False builds the same network and leaves its weights as they are.

    Raises:
        ValueError: If the file is no checkpoint of this project, or is of another network.
        FileNotFoundError: If there is no such file.
    """
    checkpoint = _read(Path(weights)) if load_weights else None
    classifier = getattr(network, "network", network)  # that of a verifier
    features = RunFeatures(classifier, source=f"run {run[:8]} ({type(classifier).__name__})")
    if checkpoint is not None:
        _load(
            features, checkpoint, prefix="model." if classifier is network else "model.network.", path=weights
        )
    return features


def _load(features: RunFeatures, checkpoint: Mapping[str, Any], *, prefix: str, path: str) -> None:
    state = {
        key.removeprefix(prefix): value
        for key, value in checkpoint["state_dict"].items()
        if key.startswith(prefix)
    }
    metadata = checkpoint["pipeline"]["metadata"]
    try:
        features.load(state, mean=metadata["mean"], std=metadata["std"])
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise ValueError(
            f"model.features.weights={path} is not of {features.source}: {reason}; choose another run by "
            "features=run:<id>"
        ) from error


def _read(path: Path) -> Mapping[str, Any]:
    """A checkpoint, without running any code that may be in it."""
    if not path.is_file():
        raise FileNotFoundError(
            f"model.features.weights={path} does not exist; choose a run that kept its checkpoint by "
            "features=run:<id>"
        )
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise ValueError(f"model.features.weights={path} cannot be read: {_NO_CHECKPOINT}") from error
    if not isinstance(checkpoint, dict) or not {"state_dict", "pipeline"} <= checkpoint.keys():
        raise ValueError(f"model.features.weights={path}: {_NO_CHECKPOINT}")
    if not {"mean", "std"} <= checkpoint["pipeline"]["metadata"].keys():
        raise ValueError(
            f"model.features.weights={path} is of a task that normalises images by itself; choose the run of "
            "a classifier by features=run:<id>"
        )
    return checkpoint


class _AllFound(Exception):
    """Ends a forward pass when nothing behind it is wanted."""


def _keep_in(found: dict[str, Tensor], name: str, count: int) -> Callable[..., None]:
    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found[name] = output
        if len(found) == count:
            raise _AllFound

    return keep


def _stage_names(network: nn.Module) -> list[str]:
    """Children of a classifier before its head, and those of the containers that hold its stages."""
    names: list[str] = []
    for name, child in network.named_children():
        if name in STAGE_CONTAINERS and isinstance(child, nn.Sequential | nn.ModuleList):
            names += [f"{name}.{inside}" for inside, _ in child.named_children()]
        else:
            names.append(name)
    heads = head_names(network)
    return [name for name in names if not any(f"{head}.".startswith(f"{name}.") for head in heads)]


def _is_map(output: object) -> bool:
    return isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[-2:]) > 1


def _in_channels(network: nn.Module) -> int:
    stems = (module for module in network.modules() if isinstance(module, nn.Conv2d))
    stem = next(stems, None)
    return stem.in_channels if stem is not None else 3


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    return like.new_tensor(values).view(-1, 1, 1)
