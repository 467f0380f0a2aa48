"""The style transfer task: what is minimised, measured, painted, and refused."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_modules.colour import match_histogram, to_yiq
from lightning_modules.losses.style import content_loss, gram_matrix, style_layer_loss, total_variation
from lightning_modules.metrics.style_transfer import structural_similarity
from lightning_modules.models.style_transfer.features_random import random_features
from lightning_modules.models.style_transfer.stylizer import normalised, resized
from lightning_modules.style_transfer import StyleTransferTask
from lightning_modules.style_transfer_objective import suggested_layers
from lightning_modules.style_transfer_pictures import apart, scaled_styles
from tests.lightning_modules.styled import (
    LAYERS,
    ONE,
    Filter,
    batch_of,
    features,
    fitted,
    loaders,
    one_picture,
    picture,
    task,
)
from tests.lightning_modules.training import quiet_trainer

LOSSES = {"loss", "content", "style", "total_variation", "style_relu1_1", "style_relu2_1"}
SEVERAL = batch_of([picture(1), picture(3)], [[picture(2, height=40, width=28)]] * 2)


def painted(learner: StyleTransferTask, batch: Any = ONE) -> dict[str, float]:
    """The numbers of a batch's first content."""
    return {name: float(value.detach()) for name, value in learner.judge.painted(apart(batch)[0]).items()}


def showing(image: Tensor, **values: Any) -> StyleTransferTask:
    """A task whose one picture is an image, uint8 (3, 32, 32)."""
    model = one_picture(start="content")
    model.begin(image[None] / 255, image[None] / 255)
    return task(model, **values)


def showing_with(other: StyleTransferTask) -> StyleTransferTask:
    """A task with the weights of another one that shows picture 7."""
    learner = showing(picture(7))
    learner.load_state_dict(other.state_dict())
    return learner


def expected_losses(image: Tensor, *, normalisation: Any, style: Tensor | None = None) -> dict[str, float]:
    """Of a picture (1, 3, 32, 32) in [0, 1] with the content and style of ``ONE``, by the losses alone."""
    wanted = ["relu1_1", "relu2_1"]
    see = features()
    asked = ONE["style"][0][0][None] / 255 if style is None else style
    asked = resized(asked, (32, 22))  # the longer side of 40 x 28 is made the picture's
    maps, of_style = see(normalised(image), wanted=wanted), see(normalised(asked), wanted=wanted)
    of_content = see(normalised(ONE["image"][0][None] / 255), wanted=wanted)["relu2_1"]
    found = {"content": content_loss(maps["relu2_1"], of_content, normalisation=normalisation)}
    for name in wanted:
        target = of_style[name]
        places = target.shape[-2] * target.shape[-1]
        found[f"style_{name}"] = style_layer_loss(
            maps[name], gram_matrix(target), normalisation=normalisation, places=places
        )
    found["style"] = found["style_relu1_1"] + 0.5 * found["style_relu2_1"]
    found["total_variation"] = total_variation(image)
    found["loss"] = 2 * found["content"] + 3 * found["style"] + 0.1 * found["total_variation"]
    return {name: float(value) for name, value in found.items()}


@pytest.mark.parametrize("normalisation", ["lecture", "relative"])
def test_losses_are_those_of_the_features_maps_with_their_weights(normalisation: str) -> None:
    learner = showing(picture(7), content_weight=2.0, style_weight=3.0, normalisation=normalisation)
    expected = expected_losses(picture(7)[None] / 255, normalisation=normalisation)
    assert set(expected) == LOSSES
    assert painted(learner) == pytest.approx(expected, rel=1e-4)


def test_the_content_as_picture_has_no_content_loss() -> None:
    assert painted(showing(ONE["image"][0]))["content"] == 0
    assert painted(showing(picture(7)))["content"] > 0.1


def test_the_style_as_picture_has_no_style_loss() -> None:
    batch = batch_of([picture(1)], [[picture(2)]])
    found = painted(showing(picture(2), content_weight=0.0, tv_weight=0.0), batch)
    assert found["loss"] == found["style"] == 0
    assert found["content"] > 0.1


def test_several_styles_are_the_weighted_sum_of_each() -> None:
    styles = [picture(2), picture(5, width=20)]
    alone = [painted(showing(picture(7)), batch_of([picture(1)], [[style]])) for style in styles]
    both = painted(showing(picture(7), num_styles=2, style_blend=[3, 1]), batch_of([picture(1)], [styles]))
    for name in ("style", "style_relu1_1", "style_relu2_1"):
        assert both[name] == pytest.approx(0.75 * alone[0][name] + 0.25 * alone[1][name], rel=1e-5)
    assert both["content"] == pytest.approx(alone[0]["content"])


def test_a_style_is_scaled_by_the_longer_side_of_the_picture() -> None:
    learner = showing(picture(7), style_scale=1.5)
    (style,) = learner.judge.styles(apart(ONE)[0])
    assert style.shape == (1, 3, 48, 34)  # 40 x 28 for a picture of 32 x 32
    (style,) = scaled_styles(apart(ONE)[0], like=(20, 60), scale=0.5, colour="none")
    assert style.shape == (1, 3, 30, 21)


@pytest.mark.parametrize("model", [one_picture, Filter], ids=["one picture", "a network"])
def test_every_measure_is_logged_under_its_name(model: Any) -> None:
    learner = task(model())
    trainer = fitted(learner)
    shown = {"gram_distance", "ssim"}
    expected = {f"train/{name}" for name in LOSSES} | {"train/loss_step"}
    assert set(trainer.callback_metrics) == expected | {f"val/{name}" for name in LOSSES | shown}
    (found,) = trainer.test(learner, loaders(ONE, steps=1)[1], verbose=False)
    assert set(found) == {f"test/{name}" for name in LOSSES | shown | {"seconds", "peak_memory"}}
    assert 0 < found["test/seconds"] < 60 and 50 < found["test/peak_memory"] < 100_000


def test_measures_are_means_over_pictures_however_they_are_batched() -> None:
    learner = task(Filter())
    together = quiet_trainer().test(learner, loaders(SEVERAL, steps=1)[1], verbose=False)[0]
    singles = []
    for place in range(2):
        one = batch_of([SEVERAL["image"][place]], [SEVERAL["style"][place]])
        singles.append(quiet_trainer().test(learner, loaders(one, steps=1)[1], verbose=False)[0])
    for name in ("test/loss", "test/ssim", "test/gram_distance"):
        assert together[name] == pytest.approx((singles[0][name] + singles[1][name]) / 2, rel=1e-5)


def test_what_is_shown_is_clamped_rounded_and_compared_with_the_content() -> None:
    learner = task(one_picture())
    with torch.no_grad():
        learner.model.pictures[0].copy_(picture(7)[None] / 255 * 2 - 0.5)  # type: ignore[index]
    output = learner.eval().test_step(ONE, 0)
    expected = ((picture(7) / 255 * 2 - 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    assert torch.equal(output["picture"][0], expected)
    (shown,) = learner.pictures(output)
    assert shown.shape == (32, 32, 3) and np.array_equal(shown[3, 5], expected[:, 3, 5].numpy())
    ((row,),) = learner.rows(output)
    assert list(row) == learner.columns
    similarity = structural_similarity(expected[None] / 255, ONE["image"][0][None] / 255)
    assert row["ssim"] == pytest.approx(similarity) and (row["width"], row["height"]) == (32, 32)
    # What is judged is the picture as it is painted, beyond black and white.
    assert learner.measured[0]["total_variation"] == pytest.approx(
        2 * float(total_variation(picture(7)[None] / 255))
    )


def test_luminance_keeps_the_content_s_chroma() -> None:
    learner = showing(picture(7), colour="luminance")
    shown = learner.test_step(ONE, 0)["picture"][0][None] / 255
    chroma = to_yiq(ONE["image"][0][None] / 255)[:, 1:]
    assert float((to_yiq(shown)[:, 1:] - chroma).abs().max()) < 1.5 / 255  # of rounding
    assert float((to_yiq(picture(7)[None] / 255)[:, 1:] - chroma).abs().max()) > 0.1


def test_histogram_gives_the_style_the_content_s_colours_before() -> None:
    learner = showing(picture(7), colour="histogram")
    content = ONE["image"][0][None] / 255
    matched = match_histogram(resized(ONE["style"][0][0][None] / 255, (32, 22)), content)
    found, expected = (
        painted(learner),
        expected_losses(picture(7)[None] / 255, normalisation="relative", style=matched),
    )
    assert found["style"] == pytest.approx(expected["style"], rel=1e-4)
    assert found["style"] != pytest.approx(painted(showing(picture(7)))["style"], rel=0.01)


def test_random_features_are_calibrated_on_the_first_pictures_only() -> None:
    used = random_features()
    used.trim(["relu2_1"])
    before = {name: value.clone() for name, value in used.state_dict().items()}
    learner = task(one_picture(features=used))
    fitted(learner)
    once = {name: value.clone() for name, value in used.state_dict().items()}
    assert any(not torch.equal(value, before[name]) for name, value in once.items())
    content, style = apart(ONE)[0].contents, learner.judge.styles(apart(ONE)[0])[0]
    means = [used(normalised(each), wanted=["relu1_1"])["relu1_1"].mean() for each in (content, style)]
    assert float(sum(means)) / 2 == pytest.approx(0.4, abs=0.05)  # half a normal distribution
    assert list(used.state_dict()) == list(before)


def test_what_the_styles_ask_for_is_computed_anew_when_weights_may_have_changed() -> None:
    learner = showing(picture(7))
    before = painted(learner)
    with torch.no_grad():
        learner.model.features.get_parameter("network.conv1_1.weight").mul_(-1)
    remembered = painted(learner)
    learner.setup("test")
    after = painted(learner)
    assert after != pytest.approx(before, rel=0.01) and after != pytest.approx(remembered, rel=0.01)
    assert after == pytest.approx(painted(showing_with(learner)), rel=1e-5)


def test_features_keep_no_layer_that_nobody_looks_at() -> None:
    learner = task(one_picture(features=random_features()))
    assert learner.model.features.layers[-1] == "relu2_1"
    assert not any("conv2_2" in name for name in learner.state_dict())


def test_a_network_learns_from_batches_with_a_style_each() -> None:
    learner = task(Filter(needs_style=True), tv_weight=0.0)
    learner.log = lambda *_, **__: None  # type: ignore[method-assign]
    contents = [picture(1), picture(3)]
    for other in (picture(5), picture(5, width=20)):  # together where sizes agree, else one by one
        styles = [[picture(2)], [other]]
        both = learner.training_step(batch_of(contents, styles, numbers=[4, 9]), 0)
        each = [
            learner.training_step(batch_of([content], [style]), 0)
            for content, style in zip(contents, styles, strict=True)
        ]
        assert float(both.detach()) == pytest.approx(float((each[0] + each[1]).detach() / 2), rel=1e-5)


def test_one_style_is_learnt_and_no_other() -> None:
    mixed = batch_of([picture(1), picture(3)], [[picture(2)], [picture(5)]], numbers=[0, 1])
    with pytest.raises(ValueError, match=r"this model learns one style, and this data has several"):
        task(Filter()).training_step(mixed, 0)


def test_predictions_paint_like_what_they_are_told() -> None:
    learner = task(Filter(needs_style=True)).eval()
    contents: Any = {"image": [picture(1), picture(3, height=20)], "index": torch.tensor([4, 5])}
    with pytest.raises(ValueError, match=r"was shown none; give one with style="):
        learner.predict_step(contents, 0)
    learner.paint_like([picture(2)], alpha=0.0)
    output = learner.predict_step(contents, 0)
    assert [torch.equal(a, b) for a, b in zip(output["picture"], contents["image"], strict=True)] == [
        True,
        True,
    ]
    assert output["index"].tolist() == [4, 5]
    learner.paint_like([picture(2)])
    assert not torch.equal(learner.predict_step(contents, 0)["picture"][0], contents["image"][0])
    with pytest.raises(ValueError, match=r"alpha=2 must be"):
        learner.paint_like([picture(2)], alpha=2)
    with pytest.raises(ValueError, match=r"this run learnt its style"):
        task(Filter()).paint_like([picture(2)])


def test_one_picture_paints_no_other() -> None:
    learner = task()
    with pytest.raises(
        ValueError, match=r"this run is one picture, figures/result.png in its folder.*data.content="
    ):
        learner.predict_step({"image": torch.stack(ONE["image"]), "index": ONE["index"]}, 0)
    with pytest.raises(ValueError, match=r"this run is one picture"):
        learner.paint_like([picture(2)])


def test_facts_count_the_picture_and_one_look_at_it() -> None:
    facts = task().facts()
    assert facts["trainable_parameters"] == 3 * 32 * 32
    assert facts["multiply_adds"] == 32 * 32 * 27 * 4 + 16 * 16 * 36 * 6


def test_layers_are_suggested_where_none_are_named() -> None:
    content, style = suggested_layers(random_features())
    assert (set(content), set(style)) == ({"relu2_1"}, {"relu1_1", "relu2_1", "relu3_1"})
    few = suggested_layers(features())
    assert [set(each) for each in few] == [{"relu2_1"}, {"relu1_1", "relu2_1"}]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown layer": (
        {"style_layers": {"relu2_2": 1.0}},
        r"task.style_layers: relu2_2 is no layer of tiny features, which has relu1_1, relu2_1",
    ),
    "unknown content layer": ({"content_layers": {"conv": 1.0}}, r"task.content_layers: conv"),
    "no layer": ({"style_layers": {}}, r"task.style_layers names no layer; leave it null"),
    "negative weight": ({"style_weight": -1.0}, r"task.style_weight=-1.0 must be at least 0"),
    "negative layer": ({"style_layers": {"relu1_1": -2.0}}, r"task.style_layers.relu1_1=-2.0 must be"),
    "no number": ({"tv_weight": float("nan")}, r"task.tv_weight=nan must be at least 0"),
    "nothing": (
        {"content_weight": 0.0, "style_weight": 0.0, "tv_weight": 0.0},
        r"leave nothing to minimise",
    ),
    "blend": (
        {"style_blend": [1.0, 2.0]},
        r"task.style_blend=\[1.0, 2.0\] has 2 weights and data.style has 1",
    ),
    "colour": ({"colour": "sepia"}, r"task.colour=sepia is not one of none, luminance, histogram"),
    "scale": ({"style_scale": 0.0}, r"task.style_scale=0.0 must be above 0"),
    "normalisation": (
        {"normalisation": "paper"},
        r"task.normalisation=paper is not one of lecture, relative",
    ),
}


@pytest.mark.parametrize(("values", "message"), WRONG.values(), ids=WRONG)
def test_impossible_values_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task(**(LAYERS | values))


def test_what_does_not_go_with_a_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"task.colour=histogram makes another style for each content"):
        task(Filter(), colour="histogram")
    with pytest.raises(ValueError, match=r"task.tile=64 is for model=gatys"):
        task(Filter(), tile=64)
