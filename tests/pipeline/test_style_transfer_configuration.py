"""What the pipeline makes of a painter's configuration: its features, and what mistakes are told."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline import build, compose
from pipeline.compose import CONF, Composed, compose_file, compose_plain, problems_of
from pipeline.errors import Mistake
from pipeline.features import check_features, spelt_out
from pipeline.fitting import names_for_task, recipes_for_task, tasks_with_features
from pipeline.resume import resumed
from pipeline.work import features, models

STYLE = "task=style_transfer"
FEATURES = [path.stem for path in sorted((CONF / "features").glob("*.yaml"))]
RUN = "0123456789abcdef0123456789abcdef"


def composed(*words: str) -> dict[str, Any]:
    return compose_plain(verb="train", overrides=[STYLE, *words])


def problems(*words: str) -> dict[str, str]:
    return {problem.key: problem.message for problem in problems_of(verb="train", config=composed(*words))}


def test_one_word_is_a_run() -> None:
    assert problems() == {}
    assert names_for_task("model", "style_transfer") == ("adain", "fast_style", "gatys")
    assert recipes_for_task("style_transfer") == ("style_transfer",)


def test_one_run_is_a_hundred_iterations() -> None:
    config = composed()
    steps = config["trainer"]["max_epochs"] * config["data"]["steps_per_epoch"]
    assert steps * config["optimizer"]["max_iter"] == 100


def test_every_file_of_features_is_one_word_more() -> None:
    assert {"random", "vgg19", "vgg16", "squeezenet", "run"} <= set(FEATURES)
    for name in FEATURES:
        word = "features=run:1a2b" if name == "run" else f"features={name}"
        config = composed(word)
        assert problems_of(verb="train", config=config) == [], name
        assert config["choices"]["features"] == name
        assert "features" not in config, "they belong into the model"


def test_features_start_with_random_ones_and_other_tasks_have_none() -> None:
    assert composed()["choices"]["features"] == "random"
    assert tasks_with_features() == ("style_transfer",)
    assert compose_plain(verb="train", overrides=[])["choices"]["features"] is None


@pytest.mark.parametrize("run", ["12345678", "1e5", "latest", "007"])
def test_the_run_of_features_is_a_text(run: str) -> None:
    assert composed(f"features=run:{run}")["model"]["features"]["run"] == run


@pytest.mark.parametrize(
    ("word", "full"),
    [
        ("features=vgg19", ["features@model.features=vgg19"]),
        ("features.pooling=max", ["model.features.pooling=max"]),
        ("features=run:", ["features@model.features=run"]),
        ("features=run:1a", ["features@model.features=run", 'model.features.run="1a"']),
        ("data.features=run:1a", ["data.features=run:1a"]),
    ],
)
def test_words_are_spelt_out(word: str, full: list[str]) -> None:
    assert spelt_out(word) == full


@pytest.mark.parametrize(
    ("word", "key", "said"),
    [
        ("features=run", "model.features.run", "needs the id of a run that was trained here"),
        ("model.features=vgg19", "model.features", "features=NAME; there are random, run, squeezenet"),
        ("model.features=null", "model.features", "is chosen as a file"),
        ("++model.features.poling=max", "model.features.poling", "it takes seed"),
        ("features.seed=many", "model.features.seed", "wants int here, not text"),
        ("model.start=contents", "model.start", "did you mean 'content'?"),
        ("task.normalisation=relativ", "task.normalisation", "did you mean 'relative'?"),
        ("task.colour=luminence", "task.colour", "did you mean 'luminance'?"),
        ("task.monitor=val/los", "task.monitor", "the task has no such measure; did you mean 'val/loss'?"),
        ("task.mode=max", "task.mode", "of loss, less is better"),
        (
            "trainer.devices=2",
            "trainer.devices",
            "there is one picture, which several processes cannot share",
        ),
        ("trainer.devices=auto", "trainer.devices", "set trainer.devices=1"),
        ("trainer.num_nodes=2", "trainer.num_nodes", "set trainer.num_nodes=1"),
        ("data=digits", "data", "data of style_transfer: "),
        ("model=resnet8", "model", "model of style_transfer: adain, fast_style, gatys"),
        ("transforms=none", "transforms", "transforms of style_transfer: style_transfer"),
    ],
)
def test_a_mistake_is_answered(word: str, key: str, said: str) -> None:
    found = problems(word)
    assert key in found
    assert said in found[key]


@pytest.mark.parametrize("model", ["fast_style", "adain"])
def test_a_network_brings_its_data_and_how_it_is_trained(model: str) -> None:
    assert problems(f"model={model}") == {}
    chosen = composed(f"model={model}")
    assert [chosen["choices"][group] for group in ("data", "optimizer")] == ["content_folder", "adam"]
    assert chosen["trainer"]["devices"] == "auto"
    assert problems(f"model={model}", "trainer.devices=2", "trainer.num_nodes=2") == {}
    assert (chosen["data"]["style"] is None) == (model == "adain")
    own = composed(f"model={model}", "optimizer=sgd", "trainer.max_epochs=77", "data.image_size=40")
    assert own["choices"]["optimizer"] == "sgd"
    assert (own["trainer"]["max_epochs"], own["data"]["image_size"]) == (77, 40)
    assert own["choices"]["data"] == "content_folder"


def test_a_network_is_not_trained_on_one_picture() -> None:
    found = problems("model=fast_style", "data=picture_and_style")
    assert "from which a network learns to paint no other; leave data= out" in found["data"]


def test_a_model_by_itself_leaves_the_rest_of_a_run_out() -> None:
    assert set(compose_file("model", "fast_style")) == {"_target_", "features", "width", "blocks"}


def test_one_device_may_be_named() -> None:
    assert problems("trainer.devices=[1]") == {}
    assert problems("trainer=gpu") == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            (STYLE, "features=vgg18"),
            "features=vgg18: there is no conf/features/vgg18.yaml; did you mean 'vgg16'?",
        ),
        ((STYLE, "features=vgg16", "features.poling=max"), "did you mean 'pooling'?"),
        (
            ("features=vgg19",),
            "features=vgg19: only models of task=style_transfer judge pictures by features; leave it out",
        ),
        (("task=detection", "features=run:1a2b"), "features=run: only models of task=style_transfer"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_features_are_one_message(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def start(composed: Composed) -> int:
        pytest.fail(f"this was started: {composed.overrides}")

    monkeypatch.setenv("PIPELINE_ROOT", str(tmp_path))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(sys, "argv", ["pipeline.train", *words])
    assert compose.run_verb(verb="train", start=start) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "1 problem in the configuration" in shown
    assert "features@" not in shown


def test_a_resumed_run_keeps_its_features(monkeypatch: pytest.MonkeyPatch) -> None:
    run = SimpleNamespace(config=composed(), run_id=RUN, is_ensemble=False)
    monkeypatch.setattr("pipeline.resume.find_run", lambda **_: run)
    typed = Composed(
        verb="train",
        config={},
        settings={"resume": "0123"},
        overrides=spelt_out("features=vgg19"),
        root=Path(),
        show_traceback=False,
    )
    with pytest.raises(Mistake, match="^features=vgg19: a resumed run goes on with its own features"):
        resumed(typed)


def write_run(root: Path, *, task: str, config: str = "model: {}\n") -> None:
    folder = root / "outputs" / task / "some" / "now"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "epoch_000.ckpt").touch()
    (folder / "config.yaml").write_text(config)
    facts = {"run_id": RUN, "started": 1.0, "checkpoint": "checkpoints/epoch_000.ckpt"}
    (folder / "run.json").write_text(json.dumps(facts))


def test_a_run_that_is_not_there_is_told_before_anything_is_read(tmp_path: Path) -> None:
    config = composed("features=run:1a2b")
    with pytest.raises(Mistake, match=r"model\.features\.run=1a2b: there is no run"):
        check_features(root=tmp_path, config=config)
    check_features(root=tmp_path, config=composed())
    check_features(root=tmp_path, config=composed(f"features=run:{RUN}"))  # the server may know it


def test_features_are_those_of_a_classifier(tmp_path: Path) -> None:
    write_run(tmp_path, task="segmentation")
    with pytest.raises(Mistake, match="features=run:01234567 is a run of task=segmentation, whose network"):
        check_features(root=tmp_path, config=composed("features=run:0123"))
    with pytest.raises(Mistake, match="there is no run of task=classification"):
        check_features(root=tmp_path, config=composed("features=run:latest"))


def test_a_run_fills_in_its_network_and_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resnet18 = compose_plain(verb="train", overrides=["model=resnet18", "model.pretrained=true"])["model"]
    known = {"num_classes": 10, "in_channels": 3, "image_size": 32}
    write_run(tmp_path, task="classification", config=json.dumps({"model": {**resnet18, **known}}))
    kept = tmp_path / "best.ckpt"
    monkeypatch.setattr("pipeline.checkpoints.kept", lambda run: kept)
    config = composed("features=run:latest")
    filled = features.filled_from_run(config, root=tmp_path)
    found = filled["model"]["features"]
    assert (found["run"], found["weights"]) == (RUN, str(kept))
    assert (found["network"]["num_classes"], found["network"]["pretrained"]) == (10, False)
    assert config["model"]["features"]["network"] is None, "the configuration itself stays"
    assert problems_of(verb="train", config=filled) == []
    again = features.filled_from_run(filled, root=tmp_path / "elsewhere")
    assert again == filled, "a run that goes on knows them"
    bare = build.without_weights(filled["model"])
    assert not bare["features"]["load_weights"], "a checkpoint brings them"


def test_random_features_need_no_run(tmp_path: Path) -> None:
    config = composed()
    assert features.filled_from_run(config, root=tmp_path) is config


def test_the_data_fill_in_the_size_of_the_picture() -> None:
    config = composed()
    data = SimpleNamespace(metadata={"content_size": [171, 256], "image_size": 256, "channels": 3})
    assert build.filled_from_data(config, data)["model"]["content_size"] == [171, 256]
    assert config["model"]["content_size"] is None


@pytest.mark.parametrize("name", ["vgg19", "vgg16", "squeezenet"])
def test_a_checkpoint_needs_no_published_weights(name: str) -> None:
    model = composed(f"features={name}")["model"]
    bare = build.without_weights(model)
    assert (model["features"]["load_weights"], bare["features"]["load_weights"]) == (True, False)
    assert bare["start"] == model["start"]


def test_it_is_listed_with_the_features_it_starts_from(capsys: pytest.CaptureFixture[str]) -> None:
    config = compose_plain(verb="models", overrides=[])
    whole = Composed(
        verb="models", config=config, settings={}, overrides=[], root=Path(), show_traceback=False
    )
    assert compose_file("model", "gatys")["features"]["_target_"].endswith("random_features")
    assert models.run(composed=whole, format="json", filter="gat*") == 0
    (found,) = json.loads(capsys.readouterr().out)
    # One picture, and VGG-19 up to its classifier.
    assert found["parameters"] == 3 * 224 * 224 + 20_024_384
    assert (found["model"], found["task"], found["input"]) == ("gatys", "style_transfer", [3, 224, 224])
    assert found["classes"] is None
    assert found["multiply_adds"] > 19_000_000_000
