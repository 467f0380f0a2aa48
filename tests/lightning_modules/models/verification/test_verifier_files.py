"""The files of the verifiers: what Hydra makes of them, and with which networks."""

import inspect
from inspect import getdoc

import pytest
import torch
from hydra.utils import get_method

from lightning_modules.models.freeze import keep_frozen_in_eval
from tests.lightning_modules.configs import models_of
from tests.lightning_modules.models.verification.builders import VERIFIERS, built, composed, num_parameters

PARAMETERS = {
    "arcface": 325_152,
    "siamese_contrastive": 323_872,
    "siamese_logistic": 324_001,
    "supcon": 323_872,
    "triplet": 323_872,
}
"""Of colour images and, for ArcFace, ten identities."""
NETWORKS = {
    composed(name)["_target_"].rsplit(".", 1)[0]: name for name in reversed(models_of("classification"))
}
"""One classifier of each family."""


@pytest.mark.parametrize("name", VERIFIERS)
def test_parameters_are_those_that_the_documentation_says(name: str) -> None:
    assert num_parameters(built(name, in_channels=3)) == PARAMETERS[name]
    documentation = getdoc(get_method(composed(name)["_target_"])) or ""
    assert f"; {PARAMETERS[name]:,} parameters with a ResNet-8." in documentation.splitlines()[0]


@pytest.mark.parametrize("name", VERIFIERS)
def test_the_file_has_the_defaults_of_the_builder(name: str) -> None:
    node = composed(name)
    parameters = inspect.signature(get_method(node["_target_"])).parameters
    defaults = {key: each.default for key, each in parameters.items() if each.default is not each.empty}
    assert defaults == {key: node[key] for key in defaults}
    assert set(parameters) - set(defaults) == {"network"} | ({"num_identities"} & set(node))


@pytest.mark.parametrize("network", sorted(NETWORKS.values()))
def test_a_classifier_of_any_family_is_a_network(network: str) -> None:
    with torch.device("meta"):
        verifier = built(
            "triplet", f"model@model.network={network}", "model.embedding_size=24", image_size=32
        ).eval()
        assert verifier(torch.zeros(2, 1, 32, 32)).shape == (2, 24)
    head = {name: value for name, value in verifier.named_parameters() if name in verifier.head_parameters()}
    assert {len(value) for value in head.values()} == {24}
    assert len(head) < len(list(verifier.parameters()))


def test_the_width_of_the_embeddings_is_written_once() -> None:
    node = composed("triplet", "model.embedding_size=40", "model@model.network=lenet5")
    assert node["network"]["num_classes"] == node["embedding_size"] == 40
    with pytest.raises(
        Exception, match=r"gives 10 numbers .* model\.embedding_size=128; leave model\.network"
    ):
        built("triplet", "model.network.num_classes=10")


def test_a_frozen_network_keeps_its_embedding_layer_learning() -> None:
    verifier = built("arcface", "model.network.freeze=all_but_head").train()
    keep_frozen_in_eval(verifier)
    learning = {name for name, value in verifier.named_parameters() if value.requires_grad}
    assert learning == verifier.head_parameters() == {"network.fc.weight", "network.fc.bias", "loss.W"}
    assert verifier.training and verifier.get_submodule("loss").training
    assert not verifier.network.get_submodule("layer1").training
