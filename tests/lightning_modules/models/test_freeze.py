"""What is frozen stays as it is, batch statistics included."""

import pytest
import torch
from torch import nn

from lightning_modules.models.classification.lenet import lenet5
from lightning_modules.models.classification.resnet import resnet18
from lightning_modules.models.classification.torchvision_models import by_name
from lightning_modules.models.freeze import freeze, keep_frozen_in_eval, stages


def frozen(model: nn.Module) -> set[str]:
    """First part of the names of the frozen parameters."""
    return {name.split(".")[0] for name, value in model.named_parameters() if not value.requires_grad}


def test_of_a_resnet() -> None:
    assert frozen(resnet18(num_classes=3, freeze="none")) == set()
    assert frozen(resnet18(num_classes=3, freeze="stage:2")) == {"conv1", "bn1", "layer1", "layer2"}
    everything = {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}
    assert frozen(resnet18(num_classes=3, freeze="stage:4")) == everything
    assert frozen(resnet18(num_classes=3, freeze="all_but_head")) == everything


def test_a_lone_norm_belongs_to_the_convolution_before_it() -> None:
    with torch.device("meta"):
        assert len(stages(by_name(name="vgg16_bn", num_classes=3))) == 13
        assert len(stages(by_name(name="vgg16", num_classes=3))) == 13
        model = by_name(name="vgg16_bn", num_classes=3, freeze="stage:1")
    names = [name for name, value in model.named_parameters() if not value.requires_grad]
    assert names == ["features.0.weight", "features.0.bias", "features.1.weight", "features.1.bias"]


def test_frozen_batch_norm_does_not_move() -> None:
    model = resnet18(num_classes=3, freeze="stage:1")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    keep_frozen_in_eval(model)
    model(torch.randn(2, 3, 32, 32) * 5 + 3).sum().backward()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert "layer2.0.bn1.running_mean" in moved
    assert not {name for name in moved if name.startswith(("bn1", "layer1"))}


def test_a_new_model_starts_in_evaluation_mode_where_it_is_frozen() -> None:
    model = resnet18(num_classes=3, freeze="stage:1")
    modes = {
        name: module.training
        for name, module in model.named_children()
        if any(True for _ in module.parameters())
    }
    expected = {"conv1": False, "bn1": False, "layer1": False}
    assert modes == expected | dict.fromkeys(("layer2", "layer3", "layer4", "fc"), True)


@pytest.mark.parametrize("what", ["stage:0", "stage:x", "stage", "head", "all"])
def test_unknown_words(what: str) -> None:
    with pytest.raises(ValueError, match=rf"model\.freeze={what} is not one of none, all_but_head, stage:N"):
        freeze(lenet5(), what)


def test_more_stages_than_there_are() -> None:
    with pytest.raises(ValueError, match=r"has 4 stages \(layer1, .*choose stage:1 to stage:4"):
        resnet18(num_classes=3, freeze="stage:5")
