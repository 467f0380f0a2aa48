"""What all networks of the lectures have in common: counts, sizes, gradients, learning."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from lightning_modules.counting import count_multiply_adds
from tests.lightning_modules.models.segmentation.lectures import (
    BUILDERS,
    light,
    num_parameters,
    on_shapes,
    two_classes,
)

PUBLISHED = {
    "fcn32s": 136_152_917,
    "fcn16s": 134_815_994,
    "fcn8s": 134_489_759,
    "segnet": 29_449_932,
    "encoder_decoder": 29_449_932,
    "dilated_vgg": 134_346_581 + 28_392,
    "patch_classifier": 220_826,
}
# At eleven classes, and at 128 pixels.
LIGHT = {
    "fcn32s": (416_747, 239_190_016),
    "fcn16s": (433_158, 278_155_264),
    "fcn8s": (448_561, 358_518_784),
    "segnet": (585_035, 372_768_768),
    "encoder_decoder": (572_267, 296_484_864),
    "dilated_vgg": (632_515, 294_240_256),
    "patch_classifier": (62_043, 563_183_616),
}
# Mean accuracy of both classes after twelve steps with seed 0.
STEPS = 12
LEARNED = dict.fromkeys(BUILDERS, 0.9) | {"fcn32s": 0.85}


def test_no_network_is_left_out() -> None:
    assert set(PUBLISHED) == set(LIGHT) == set(BUILDERS)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_published_parameters(name: str) -> None:
    assert num_parameters(on_shapes(name)) == PUBLISHED[name]


@pytest.mark.parametrize("name", sorted(LIGHT))
def test_light_parameters_and_multiply_adds(name: str) -> None:
    model = light(name, num_classes=11)
    assert (num_parameters(model), count_multiply_adds(model, torch.zeros(1, 3, 128, 128))) == LIGHT[name]


@pytest.mark.parametrize("name", sorted(BUILDERS))
@pytest.mark.parametrize("size", [(97, 131), (64, 32), (3, 40)])
def test_scores_have_the_size_of_the_image(name: str, size: tuple[int, int]) -> None:
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        scores = light(name).eval()(images)
        published = on_shapes(name, num_classes=5)(images.to("meta"))
    assert scores.shape == (2, 3, *size)
    assert torch.isfinite(scores).all()
    assert published.shape == (2, 5, *size)


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_gradients_reach_every_parameter(name: str) -> None:
    model = light(name)
    # Scores that begin with zero let nothing through before their first step.
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    model(torch.randn(2, 3, 64, 64)).square().sum().backward()
    untouched = [key for key, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert not untouched


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_the_head_is_what_does_not_see_the_image(name: str) -> None:
    model = light(name)
    head = model.head_parameters()
    names = [key for key, _ in model.named_parameters()]
    assert names[0] not in head
    last = [key for key in names if num_classes_of(model, key) == 3]
    assert last and head.issuperset(last)


def num_classes_of(model: nn.Module, key: str) -> int:
    """Outputs of the layer of a bias; 0 for other parameters."""
    return len(model.get_parameter(key)) if key.endswith(".bias") else 0


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_light_networks_learn_two_classes(name: str) -> None:
    model = light(name, num_classes=2)
    images, masks = two_classes()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(STEPS):
        loss = functional.cross_entropy(model.training_scores(images)["out"], masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = model(images).argmax(1) == masks
    # The mean of both classes: answering with the background everywhere gives a half.
    accuracy = torch.stack([right[masks == each].float().mean() for each in (0, 1)]).mean()
    assert accuracy > LEARNED[name]


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_a_network_comes_back_from_a_file(name: str, tmp_path: Any) -> None:
    expected = light(name).state_dict()
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": {f"model.{key}": value for key, value in expected.items()}}, path)
    torch.manual_seed(1)
    found = BUILDERS[name](num_classes=3, scale="light", pretrained=str(path)).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in found.items())
    other = BUILDERS[name](num_classes=4, scale="light", pretrained=str(path)).state_dict()
    random = {key for key, value in other.items() if value.shape != expected[key].shape}
    assert random and all(torch.equal(other[key], expected[key]) for key in set(other) - random)


@pytest.mark.parametrize("name", sorted(BUILDERS))
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": "huge"}, r"model\.scale=huge is not one of light, published"),
        ({"pretrained": "nowhere.pth"}, r"model\.pretrained=nowhere\.pth is none of none"),
    ],
)
def test_what_is_wrong_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BUILDERS[name](**options)


@pytest.mark.parametrize("name", sorted(set(BUILDERS) - {"patch_classifier"}))
def test_nobody_published_light_weights(name: str) -> None:
    with pytest.raises(ValueError, match=r"nobody published weights of the light network"):
        light(name, pretrained="backbone")
    assert light(name, pretrained="elsewhere.pth", load_weights=False) is not None
