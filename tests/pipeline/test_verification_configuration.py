"""What the pipeline makes of a verifier's configuration: the network inside, and what mistakes are told."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline import build, compose, typed_words
from pipeline.compose import Composed, compose_file, compose_plain, problems_of
from pipeline.errors import Mistake
from pipeline.fitting import names_for_task, networks, recipes_for_task, tasks_with_networks
from pipeline.resume import resumed
from pipeline.signatures import find_signature
from pipeline.work import models

VERIFICATION = "task=verification"
MODELS = names_for_task("model", "verification")


def composed(*words: str) -> dict[str, Any]:
    return compose_plain(verb="train", overrides=[VERIFICATION, *words])


def problems(*words: str) -> dict[str, str]:
    return {problem.key: problem.message for problem in problems_of(verb="train", config=composed(*words))}


def answer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command line that cannot be used is answered with."""

    def start(composed: Composed) -> int:
        pytest.fail(f"this was started: {composed.overrides}")

    monkeypatch.setattr(sys, "argv", ["pipeline.train", *words])
    assert compose.run_verb(verb="train", start=start) == 2
    return capsys.readouterr().err


def test_one_word_is_a_run() -> None:
    assert problems() == {}


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_one_word_more(model: str) -> None:
    assert problems(f"model={model}", "network=resnet18") == {}


def test_every_classifier_may_be_the_network() -> None:
    assert "resnet50" in networks()
    assert "fcn_resnet50" not in networks()
    for network in networks():
        config = composed(f"network={network}")
        assert problems_of(verb="train", config=config) == []
        assert (config["choices"]["model"], config["choices"]["network"]) == ("triplet", network)
        node = config["model"]["network"]
        assert node["_target_"].startswith("lightning_modules.models.classification.")
        assert node["num_classes"] == config["model"]["embedding_size"]


def test_a_run_of_another_task_has_no_network() -> None:
    assert tasks_with_networks() == ("verification",)
    for task in ("classification", "detection", "segmentation"):
        assert compose_plain(verb="train", overrides=[f"task={task}"])["choices"]["network"] is None


def test_its_pictures_are_those_of_classifiers() -> None:
    assert recipes_for_task("verification") == recipes_for_task("classification")
    assert problems("transforms=heavy") == {}
    assert "transforms of verification: " in problems("transforms=detection_light")["transforms"]


@pytest.mark.parametrize(
    ("word", "key", "said"),
    [
        (
            "network=faster_rcnn",
            "network",
            "must be a classifier (task=classification); the network is one of",
        ),
        ("network=fcn_resnet50", "network", "did you mean 'resnet50'?"),
        ("network=triplet", "network", "must be a classifier"),
        (
            "model.network=resnet18",
            "model.network",
            "is chosen as a file, with network=NAME; there are lenet5",
        ),
        ("model.network=null", "model.network", "is chosen as a file"),
        ("model.network.image_size=large", "model.network.image_size", "wants int here, not text"),
        ("model.network.num_classes=null", "model.network.num_classes", "wants int here, not null"),
        ("++model.network.image_sise=64", "model.network.image_sise", "did you mean 'image_size'?"),
        ("model.network.in_channels=0", "model.network.in_channels", "must be at least 1"),
        ("model.embedding_size=0", "model.embedding_size", "must be at least 1"),
        ("model.mining=semihard", "model.mining", "did you mean 'semi_hard'?"),
        ("task.max_pairs=1", "task.max_pairs", "must be at least 2"),
        ("task.monitor=val/acc", "task.monitor", "the task has no such measure; did you mean 'val/auc'?"),
        ("task.monitor=val/loss", "task.monitor", "the task has no such measure"),
        ("task.mode=min", "task.mode", "of auc, more is better"),
        ("data.images_per_identity=1", "data.images_per_identity", "must be at least 2"),
        ("data.match_share=1.5", "data.match_share", "must be in [0, 1]"),
        ("data=digits", "data", "data of verification: "),
        ("model=resnet8", "model", "model of verification: arcface"),
    ],
)
def test_a_mistake_is_answered(word: str, key: str, said: str) -> None:
    found = problems(word)
    assert key in found
    assert said in found[key]
    alone = {
        "model.embedding_size",
        "model",
    }  # the network has as many classes; a classifier has other arguments
    assert key in alone or list(found) == [key]


def test_folds_of_the_data_need_no_number_of_folds() -> None:
    assert problems("data=lfw", "data.fold=3") == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            (VERIFICATION, "network=resnet81"),
            "network=resnet81: there is no conf/model/resnet81.yaml; did you mean",
        ),
        ((VERIFICATION, "network=faster_rcnn"), "network=faster_rcnn: the network inside a model must be"),
        ((VERIFICATION, "network=zzz", "--multirun"), "the network is one of lenet5, resnet101"),
        (
            ("network=resnet18",),
            "only models of task=verification are built around a network; leave it out, or",
        ),
        (("network=resnet18", "task=detection"), "choose model=resnet18"),
        (("network=resnet8,resnet18", "--multirun"), "only models of task=verification"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_network_is_one_message(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PIPELINE_ROOT", str(tmp_path))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    shown = answer(monkeypatch, capsys, *words)
    assert said in shown
    assert "1 problem in the configuration" in shown
    assert "model@" not in shown


def test_several_networks_are_several_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_ROOT", str(tmp_path))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    in_here = ("hydra/sweeper=basic", "hydra/launcher=basic")
    words = [VERIFICATION, "network=resnet8,lenet5", *in_here, "--multirun"]
    monkeypatch.setattr(sys, "argv", ["pipeline.train", *words])
    chosen: list[str] = []

    def start(composed: Composed) -> int:
        chosen.append(composed.config["choices"]["network"])
        return 0

    assert compose.run_verb(verb="train", start=start) == 0
    assert chosen == ["resnet8", "lenet5"]


def test_a_resumed_run_keeps_its_network(monkeypatch: pytest.MonkeyPatch) -> None:
    run = SimpleNamespace(config=composed(), run_id="0123", is_ensemble=False)
    monkeypatch.setattr("pipeline.resume.find_run", lambda **_: run)
    typed = Composed(
        verb="train",
        config={},
        settings={"resume": "0123"},
        overrides=[f"{typed_words.NETWORK}=lenet5"],
        root=Path(),
        show_traceback=False,
    )
    with pytest.raises(Mistake, match="network=lenet5: a resumed run goes on with its own network"):
        resumed(typed)


def data(**changes: Any) -> Any:
    return SimpleNamespace(metadata={"num_identities": 48, "channels": 1, "image_size": 32, **changes})


def test_the_data_fill_in_what_the_network_inside_must_know() -> None:
    config = composed("model=arcface")
    model = build.filled_from_data(config, data())["model"]
    assert model["num_identities"] == 48
    network = model["network"]
    assert (network["in_channels"], network["image_size"], network["num_classes"]) == (1, 32, 128)
    assert config["model"]["network"]["in_channels"] is None, "the configuration itself stays"


def test_a_person_wins_over_the_data() -> None:
    words = ("model.network.in_channels=3", "model.network.image_size=64", "model.embedding_size=16")
    network = build.filled_from_data(composed(*words), data())["model"]["network"]
    assert (network["in_channels"], network["image_size"], network["num_classes"]) == (3, 64, 16)


def test_weights_of_a_checkpoint_replace_the_networks_own() -> None:
    model = composed("network=resnet18", "model.network.pretrained=true")["model"]
    bare = build.without_weights(model)
    assert (model["network"]["pretrained"], bare["network"]["pretrained"]) == (True, False)
    assert bare["margin"] == model["margin"]


def test_a_file_is_put_together_from_others() -> None:
    alone = compose_file("model", "supcon")
    assert alone["network"]["_target_"].endswith("resnet8.resnet8")
    assert alone["network"]["num_classes"] == alone["embedding_size"] == 128
    assert compose_file("model", "resnet8")["num_classes"] is None


def test_models_are_listed_with_the_network_they_start_from(capsys: pytest.CaptureFixture[str]) -> None:
    config = compose_plain(verb="models", overrides=[])
    whole = Composed(
        verb="models", config=config, settings={}, overrides=[], root=Path(), show_traceback=False
    )
    assert models.run(composed=whole, format="json", filter="[as][ri][ca]*") == 0
    found = {entry["model"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert set(found) == {"arcface", "siamese_contrastive", "siamese_logistic"}
    networks_own = 308_650 - 129 * 10 + 129 * 128
    sizes = {name: entry["parameters"] - networks_own for name, entry in found.items()}
    assert sizes == {"arcface": 128 * 10, "siamese_contrastive": 0, "siamese_logistic": 128 + 1}
    for entry in found.values():
        assert (entry["task"], entry["input"], entry["source"]) == ("verification", [3, 32, 32], "own")
        assert entry["multiply_adds"] > 12_000_000
        assert entry["paper"].startswith("https://")


def test_measures_are_those_that_are_logged() -> None:
    """Each that `measures:` promises is one of the contract; none is missing."""
    listed = composed()["measures"]
    rates = {f"tar_at_far_{far}" for far in ("0.1", "0.01", "0.001", "0.0001")}
    others = {"auc", "eer", "accuracy", "accuracy_standard_error", "tar", "far", "rank1", "rank5", "map"}
    assert set(listed) == rates | others | {"recall_1", "recall_5"}
    assert {name for name, better in listed.items() if better == "min"} == {
        "eer",
        "far",
        "accuracy_standard_error",
    }
    assert "monitor" in find_signature("lightning_modules.verification.VerificationTask").parameters
