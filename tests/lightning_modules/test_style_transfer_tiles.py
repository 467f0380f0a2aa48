"""Tiles: the value and the gradient of a picture that is seen whole."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.models.style_transfer.features import Features, LayeredFeatures
from lightning_modules.models.style_transfer.features_layers import squeezenet_layers, widths
from lightning_modules.models.style_transfer.features_random import random_features
from lightning_modules.style_transfer_pictures import apart
from lightning_modules.style_transfer_tiles import Tiling
from tests.lightning_modules.styled import batch_of, features, fitted, one_picture, picture, task

NAMES = ["relu1_1", "relu2_1"]
CASES = {
    "mirrored edges, relative": ({}, "relative"),
    "mirrored edges, lecture": ({}, "lecture"),
    "edges of zeros": ({"padding_mode": "zeros"}, "relative"),
    "maximum": ({"pooling": nn.MaxPool2d(2)}, "relative"),
}


def squeezenet() -> Features:
    """Maps that are no fraction of the picture: convolutions without padding, pooling that rounds up."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = squeezenet_layers(pooling="max")
    return LayeredFeatures(layers, answered=widths(layers), source="SqueezeNet without weights")


def values_of(
    used: Features, *, tile: int | None, size: tuple[int, int], **values: Any
) -> tuple[Tensor, ...]:
    """All numbers, and the gradient with respect to every pixel; maps have 64 bits."""
    high, wide = size
    used.double().register_forward_pre_hook(lambda _, images: (images[0].double(),))
    model = one_picture(features=used)
    model.pictures[0] = nn.Parameter(picture(3, height=high, width=wide)[None] / 255)
    learner = task(model, tile=tile, content_weight=2.0, style_weight=3.0, **values)
    learner.log = lambda *_, **__: None  # type: ignore[method-assign]
    content, style = picture(1, height=high, width=wide), picture(2, height=high, width=wide)
    batch = batch_of([content], [[style]])
    learner.training_step(batch, 0).backward()  # type: ignore[no-untyped-call]
    numbers = learner.judge.painted(apart(batch)[0])
    gradient = model.pictures[0].grad
    assert gradient is not None
    return torch.stack([numbers[name].detach() for name in sorted(numbers)]), gradient


@pytest.mark.parametrize(("kind", "normalisation"), CASES.values(), ids=CASES)
def test_tiles_have_the_value_and_gradient_of_the_whole(kind: dict[str, Any], normalisation: str) -> None:
    whole, slopes = values_of(features(**kind), tile=None, size=(57, 83), normalisation=normalisation)
    found, gradient = values_of(features(**kind), tile=38, size=(57, 83), normalisation=normalisation)
    assert found == pytest.approx(whole, rel=1e-6)
    # Everywhere alike: at the picture's own edges, at those of tiles, and between.
    assert float((gradient - slopes).abs().max()) < 1e-6 * float(slopes.abs().max())


def test_tiles_may_have_maps_of_odd_sizes() -> None:
    layers = {"content_layers": {"fire2": 1.0}, "style_layers": {"relu1": 1.0, "fire3": 1.0}}
    whole, slopes = values_of(squeezenet(), tile=None, size=(131, 102), **layers)
    found, gradient = values_of(squeezenet(), tile=100, size=(131, 102), **layers)
    assert found == pytest.approx(whole, rel=1e-6)
    assert float((gradient - slopes).abs().max()) < 1e-6 * float(slopes.abs().max())


def test_tiles_share_out_every_place_once() -> None:
    tiling = Tiling(features(), layers=NAMES, side=38)
    for length in (1, 17, 18, 19, 64, 83):
        for stride in (1, 2):
            places = torch.zeros(length // stride)
            for span in tiling.spans(length):
                seen = torch.arange(span.seen_from // stride, span.seen_to // stride)
                places[seen[span.places(stride)]] += 1
            assert places.eq(1).all(), (length, stride)


def test_what_is_seen_is_never_larger_than_a_tile() -> None:
    tiling = Tiling(features(), layers=NAMES, side=38)
    assert max(span.seen_to - span.seen_from for span in tiling.spans(500)) <= 38


def test_a_picture_in_tiles_is_painted_and_measured_as_the_whole() -> None:
    measured = []
    for tile in (None, 28):
        learner = task(tile=tile)
        trainer = fitted(learner, steps=2)
        measured.append({name: float(value) for name, value in trainer.callback_metrics.items()})
    assert measured[1] == pytest.approx(measured[0], rel=1e-3)


def test_a_tile_must_show_more_than_what_its_places_see_beside_it() -> None:
    with pytest.raises(ValueError, match=r"task.tile=17 pixels.*relu2_1 sees 8; take at least 18"):
        task(tile=17)
    with pytest.raises(ValueError, match=r"task.tile=100 pixels"):
        task(one_picture(features=random_features()), tile=100, style_layers={"relu5_1": 1.0})
