"""What the tests of verifiers build and feed."""

from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn

from lightning_modules.models.verification.verifier import Verifier
from tests.lightning_modules.configs import CONF, models_of

VERIFIERS = models_of("verification")
WIDTH = 5
"""Dimensions of the embeddings of a small verifier."""


def composed(name: str, *overrides: str) -> dict[str, Any]:
    """The node of a model as Hydra puts it together."""
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        config = compose(config_name=f"model/{name}", overrides=list(overrides))
    node: dict[str, Any] = OmegaConf.to_container(config, resolve=True)["model"]  # type: ignore
    return node


def built(name: str, *overrides: str, in_channels: int = 1, image_size: int = 16) -> Verifier:
    """A verifier of its file, the same one every time."""
    node = composed(name, *overrides)
    node["network"] |= {"in_channels": in_channels, "image_size": image_size}
    if "num_identities" in node:
        node["num_identities"] = 10
    torch.manual_seed(0)
    verifier: Verifier = instantiate(node, _convert_="all")
    return verifier


def small(name: str, **options: Any) -> Verifier:
    """A verifier of its file on a network that is one layer, which takes images of 1 × 2 × 2."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, WIDTH))
    needed = {"num_identities": 6} if name == "arcface" else {}
    target = composed(name)["_target_"]
    verifier: Verifier = instantiate(
        {"_target_": target, "embedding_size": WIDTH} | needed | options, network=network
    )
    if name == "siamese_logistic":
        with torch.no_grad():
            verifier.get_parameter("weights").copy_(
                torch.tensor([-1.0, 0.4, -0.7, 0.0, 0.3])
            )  # of both signs
    return verifier


def images(count: int, *, seed: int = 1) -> Tensor:
    """Images (count, 1, 2, 2) for a small verifier."""
    return torch.randn(count, 1, 2, 2, generator=torch.Generator().manual_seed(seed))


def num_parameters(model: nn.Module) -> int:
    """Numbers that a model learns."""
    return sum(parameter.numel() for parameter in model.parameters())
