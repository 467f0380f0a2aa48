"""What is decayed, and what learns at which rate."""

from functools import partial

import pytest
import torch
from torch import nn

from lightning_modules.models.heads import head_parameter_names
from lightning_modules.parameter_groups import build_optimizer, parameter_groups
from tests.lightning_modules.configs import build, models_of, names
from tests.lightning_modules.synthetic import TinyNet

NORMS = (nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)
SGD = partial(torch.optim.SGD, lr=0.1, weight_decay=0.01)


def members(model: nn.Module, groups: list[dict[str, object]]) -> dict[str, set[str]]:
    """Names of the parameters in each group."""
    known = {parameter: name for name, parameter in model.named_parameters()}
    return {str(group["name"]): {known[each] for each in group["params"]} for group in groups}  # type: ignore[attr-defined]


def test_groups_of_body_and_head() -> None:
    model = TinyNet()
    found = members(model, parameter_groups(model, head={"head.weight", "head.bias"}))
    assert found == {
        "body": {"features.0.weight"},
        "body_no_decay": {"features.0.bias", "features.1.weight", "features.1.bias"},
        "head": {"head.weight"},
        "head_no_decay": {"head.bias"},
    }


def test_everything_can_be_decayed() -> None:
    groups = parameter_groups(TinyNet(), decay_bias_and_norm=True)
    assert [group["name"] for group in groups] == ["body"]
    assert "weight_decay" not in groups[0]


@pytest.mark.parametrize("name", models_of("classification"))
def test_in_every_model_biases_and_norms_are_not_decayed(name: str) -> None:
    with torch.device("meta"):
        model = build("model", name, num_classes=10, in_channels=3, image_size=32)
    found = members(model, parameter_groups(model, head=head_parameter_names(model)))
    free = found["body_no_decay"] | found["head_no_decay"]
    modules = dict(model.named_modules())
    for parameter, value in model.named_parameters():
        owner = modules[parameter.rpartition(".")[0]]
        is_bias_or_norm = parameter.endswith("bias") or isinstance(owner, NORMS)
        assert (parameter in free) == is_bias_or_norm or value.ndim <= 1, parameter
    assert found["head"] and found["body"]
    assert sum(map(len, found.values())) == len(list(model.parameters()))


def test_what_a_model_declares_is_not_decayed() -> None:
    model = build("model", "timm", name="test_vit", num_classes=10, in_channels=3, image_size=32)
    found = members(model, parameter_groups(model))
    assert "pos_embed" in found["body_no_decay"]


def test_frozen_parameters_are_left_out() -> None:
    model = TinyNet()
    model.features.requires_grad_(False)
    assert set(members(model, parameter_groups(model))) == {"body", "body_no_decay"}
    model.requires_grad_(False)
    with pytest.raises(ValueError, match=r"TinyNet has no trainable parameter; set model\.freeze=none"):
        parameter_groups(model)


def test_head_learns_at_its_own_rate_and_norms_are_not_decayed() -> None:
    model = TinyNet()
    optimizer = build_optimizer(
        SGD, parameter_groups(model, head={"head.weight", "head.bias"}), head_lr_factor=10.0
    )
    settings = {group["name"]: (group["lr"], group["weight_decay"]) for group in optimizer.param_groups}
    assert settings == {
        "body": (0.1, 0.01),
        "body_no_decay": (0.1, 0.0),
        "head": (1.0, 0.01),
        "head_no_decay": (1.0, 0.0),
    }


@pytest.mark.parametrize("name", names("optimizer"))
def test_every_optimizer_takes_a_step(name: str) -> None:
    model = TinyNet()
    optimizer = build_optimizer(build("optimizer", name), parameter_groups(model), head_lr_factor=1.0)
    before, images = model.head.weight.clone(), torch.rand(2, 3, 16, 16)

    def loss() -> float:
        optimizer.zero_grad()
        value = model(images).square().sum()
        value.backward()
        return float(value.detach())

    optimizer.step(loss)  # L-BFGS asks several times
    assert not torch.equal(before, model.head.weight)
    assert torch.isfinite(model.head.weight).all()


def test_a_factor_needs_a_head_and_a_sense() -> None:
    groups = parameter_groups(TinyNet())
    with pytest.raises(ValueError, match=r"task\.head_lr_factor=10\.0, but this model has no trainable head"):
        build_optimizer(SGD, groups, head_lr_factor=10.0)
    with pytest.raises(ValueError, match=r"task\.head_lr_factor=0 must be above 0"):
        build_optimizer(SGD, groups, head_lr_factor=0)


def test_lbfgs_gets_all_parameters_in_one_group_at_one_rate() -> None:
    model = TinyNet()
    head = {"head.weight", "head.bias"}
    lbfgs = partial(torch.optim.LBFGS, lr=0.5)
    (group,) = build_optimizer(lbfgs, parameter_groups(model, head=head), head_lr_factor=1.0).param_groups
    assert {id(each) for each in group["params"]} == {id(each) for each in model.parameters()}
    assert group["name"] == "body" and "weight_decay" not in group
    with pytest.raises(ValueError, match=r"task\.head_lr_factor=2\.0, but L-BFGS has one rate for all"):
        build_optimizer(lbfgs, parameter_groups(model, head=head), head_lr_factor=2.0)
