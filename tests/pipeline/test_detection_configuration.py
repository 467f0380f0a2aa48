"""What the pipeline makes of a detector's configuration: recipes that fit, anchors that the data proposes."""

from pathlib import Path
from typing import Any

import pytest

from pipeline import build
from pipeline.compose import compose_plain, problems_of
from pipeline.fitting import recipes_for_task

SMALL = (
    "task=detection",
    "data.num_train=16",
    "data.num_val=2",
    "data.num_test=2",
    "data.horizontal_flip=0.5",
)


def problems(*words: str) -> dict[str, str]:
    config = compose_plain(verb="train", overrides=list(words))
    return {problem.key: problem.message for problem in problems_of(verb="train", config=config)}


def filled(folder: Path, *words: str) -> dict[str, Any]:
    """The configuration after the data has said what it knows."""
    config = compose_plain(verb="train", overrides=[*SMALL, f"data.cache_dir={folder}", *words])
    assert not problems_of(verb="train", config=config)
    datamodule: Any = build.datamodule(config)
    datamodule.setup("fit")
    config = build.filled_from_data(config, datamodule)
    build.task(config, datamodule.metadata)
    return config


def test_each_task_has_recipes_and_no_recipe_belongs_to_both() -> None:
    classification, detection = (set(recipes_for_task(task)) for task in ("classification", "detection"))
    assert {"light", "heavy"} <= classification
    assert {"detection_light", "detection_heavy", "ssd", "mosaic"} <= detection
    assert not classification & detection


@pytest.mark.parametrize(
    ("words", "choice"),
    [
        (("task=classification", "transforms=mosaic"), "light"),
        (("task=classification", "transforms=detection_light"), "light"),
        (("task=detection", "transforms=light"), "detection_light"),
    ],
)
def test_a_recipe_of_another_task_is_refused(words: tuple[str, ...], choice: str) -> None:
    found = problems(*words)
    assert list(found) == ["transforms"]
    assert "recipe for another task" in found["transforms"]
    assert choice in found["transforms"]


@pytest.mark.parametrize("model", ["faster_rcnn", "retinanet", "ssd300", "mask_rcnn"])
def test_kmeans_becomes_numbers_that_the_network_uses(model: str, tmp_path: Path) -> None:
    anchors = filled(tmp_path, f"model={model}", "model.anchors=kmeans")["model"]["anchors"]
    assert len(anchors) == (12 if model == "ssd300" else 10)
    areas = [width * height for width, height in anchors]
    assert areas == sorted(areas)
    assert areas[0] > 8 * 8 and areas[-1] < 64 * 64  # in pixels at 128: digits are 12 to 50 high


def test_fcos_says_that_it_has_no_anchors(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"model\.anchors=kmeans, but fcos has no anchors"):
        filled(tmp_path, "model=fcos", "model.anchors=kmeans")


def test_another_word_for_anchors_is_a_typing_error() -> None:
    found = problems(*SMALL, "model.anchors=kmean")
    assert "did you mean 'kmeans'" in found["model.anchors"]


def test_the_data_proposes_classes_size_and_scale(tmp_path: Path) -> None:
    model = filled(tmp_path)["model"]
    assert (model["num_classes"], model["image_size"], model["scale"]) == (10, 128, "light")
    assert filled(tmp_path, "model.image_size=96")["model"]["image_size"] == 96


def test_what_a_checkpoint_fills_needs_no_weights_and_keeps_its_norm() -> None:
    node = compose_plain(verb="train", overrides=["task=detection", "model.pretrained=coco"])["model"]
    assert build.without_weights(node) == {**node, "load_weights": False}
    classifier = compose_plain(verb="train", overrides=["model=resnet18", "model.pretrained=true"])["model"]
    assert build.without_weights(classifier)["pretrained"] is False
