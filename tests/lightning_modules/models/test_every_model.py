"""Every classifier in conf/model is built and run; every model says where it comes from."""

import inspect
import re
from itertools import pairwise

import pytest
import torch
from hydra.utils import get_method
from torch import nn

from lightning_modules.models.freeze import freeze, stages
from lightning_modules.models.heads import head_names
from tests.lightning_modules.configs import CONF, build, models_of, names

CLASSIFIERS = models_of("classification")


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_scores_and_gradients(name: str) -> None:
    torch.manual_seed(0)
    model = build("model", name, num_classes=7, in_channels=1, image_size=32)
    scores = model(torch.randn(2, 1, 32, 32))
    assert scores.shape == (2, 7)
    assert torch.isfinite(scores).all()
    scores.square().sum().backward()
    untouched = [key for key, value in model.named_parameters() if value.grad is None]
    assert not untouched


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_colour_images_and_larger_ones(name: str) -> None:
    with torch.device("meta"):
        model = build("model", name, num_classes=7, in_channels=3, image_size=96)
        assert model(torch.zeros(2, 3, 96, 96)).shape == (2, 7)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_head_and_stages_are_found(name: str) -> None:
    with torch.device("meta"):
        model = build("model", name, num_classes=7, in_channels=3, image_size=32, freeze="stage:2")
    second = frozen(model)
    (head,) = head_names(model)
    assert model.get_submodule(head).weight.shape[0] == 7
    assert len(stages(model)) >= 3

    found = [frozen(model, what) for what in ("none", "stage:1", "stage:2", "stage:3", "all_but_head")]
    assert found[2] == second
    assert not found[0]
    for fewer, more in pairwise(found[:4]):
        assert fewer < more
    assert found[3] <= found[4]
    assert found[4] == {key for key, _ in model.named_parameters() if not key.startswith(f"{head}.")}


def frozen(model: nn.Module, what: str | None = None) -> set[str]:
    """Names of the frozen parameters, after freezing this part of the model and nothing else."""
    if what is not None:
        model.requires_grad_(True)
        freeze(model, what)
    return {key for key, value in model.named_parameters() if not value.requires_grad}


@pytest.mark.parametrize("name", names("model"))
def test_the_builder_names_its_paper_and_the_file_its_command(name: str) -> None:
    text = (CONF / "model" / f"{name}.yaml").read_text(encoding="utf-8")
    assert re.match(rf"# .+: make train( task=\w+)? model={name}( |\n)", text)
    builder = get_method(re.search(r"_target_: (\S+)", text)[1])  # type: ignore[index]
    documentation = inspect.getdoc(builder) or ""
    assert "https://" in documentation
    assert documentation.splitlines()[0].endswith(".")
    listed = set(re.findall(r"^(\w+):", text, re.MULTILINE)) - {"_target_", "defaults"}
    # Nested by the defaults; what goes to the top is for the rest of a run.
    listed |= set(re.findall(r"^  - /(?!\w+@_global_)(?:\w+@)?(\w+):", text, re.MULTILINE))
    assert listed == set(inspect.signature(builder).parameters)
