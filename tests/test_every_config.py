"""Every file of conf/ is composed, built and fitted for one batch; the cases are found by looking."""

import re
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.compose import CONF, Composed, compose_plain, problems_of, settings_of
from pipeline.work import train
from tests.datamodules.writers import tasks_of_data, write_data

# Groups whose files cannot be fitted here, and where they are looked at instead.
ELSEWHERE = {
    "hydra": "composed with every other file",
    "task": "each of its models is fitted",
    "training": "fitted with the model that brings it",
    "local": "one machine's own",
}
NEEDS_A_GPU = ("gpu", "ddp")
# Trainers of several processes, as one; test_distributed.py and test_cluster.py start several.
ALONE = {"ddp_cpu": ["trainer.devices=1"], "slurm": ["trainer.plugins=null"]}
# Data of many pictures, which the model that its task takes by itself does not paint.
PAINTED_BY = {"content_folder": "fast_style"}
SMALL = ("data.batch_size=4", "trainer.accelerator=cpu", "trainer.fast_dev_run=true", "callbacks=none")


def groups() -> list[str]:
    found = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name not in ELSEWHERE)
    assert found, f"no group in {CONF}; is the path still right?"
    return found


def files() -> list[tuple[str, str]]:
    """Every group with each of its files."""
    found = {group: sorted(path.stem for path in (CONF / group).glob("*.yaml")) for group in groups()}
    empty = [group for group, names in found.items() if not names]
    assert not empty, f"no file in conf/{empty[0]}; is the path still right?"
    return [(group, name) for group, names in found.items() for name in names]


def cases() -> list[tuple[str, str, str]]:
    """Every group with each of its files, once for each task that the file serves."""
    return [(group, name, task) for group, name in files() for task in tasks_of(group, name)]


def tasks_of(group: str, name: str) -> list[str]:
    """The tasks of a model or data set, or the one that a file or the command in its comment names."""
    if group == "data":
        return tasks_of_data(name)
    text = (CONF / group / f"{name}.yaml").read_text(encoding="utf-8")
    if group == "model":
        return [yaml.safe_load(text)["_target_"].split(".")[2]]
    comment = "".join(takewhile(lambda line: line.startswith("#"), text.splitlines(keepends=True)))
    named = re.search(r"task=(\w+)", comment) or re.search(r"override /task: (\w+)", text)
    return [named[1] if named else "classification"]


def small_data(task: str, *, group: str, name: str, folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    """Words for a little data of the task: that of the file, or of what the task takes by itself."""
    if group != "data" and task == "classification":
        return []
    overridden = re.search(r"override /data: (\w+)", with_training(group, name))
    own = re.search(r"- /data: (\w+)", (CONF / "task" / f"{task}.yaml").read_text(encoding="utf-8"))
    assert own, f"conf/task/{task}.yaml names no data"
    data = name if group == "data" else overridden[1] if overridden else own[1]
    words = [f"data.{key}={value}" for key, value in write_data(data, folder, patch).items()]
    if task in ("detection", "segmentation"):
        # No published weights: nothing is downloaded here.
        return [*words, "data.image_size=64", "data.scale=light", "model.pretrained=none"]
    if task == "style_transfer":
        # As large as the deepest layers of VGG need.
        words += ["data.image_size=64", "data.batch_size=1", *small_features(group, name)]
        return [*words, f"model={PAINTED_BY[data]}"] if data in PAINTED_BY and group == "data" else words
    if task == "verification":
        # Of each identity as many pictures as the smallest batch can hold of two.
        return [*words, "data.image_size=32", "data.images_per_identity=2"]
    return [*words, "data.image_size=32", "model=resnet8"]


def with_training(group: str, name: str) -> str:
    """The text of a file, with that of conf/training that it brings."""
    text = (CONF / group / f"{name}.yaml").read_text(encoding="utf-8")
    brought = re.search(r"/training@_global_: (\w+)", text)
    path = CONF / "training" / f"{brought[1]}.yaml" if brought else None
    return text + (path.read_text(encoding="utf-8") if path else "")


def small_features(group: str, name: str) -> list[str]:
    """Words for features without their weights: nothing is downloaded here, and there is no run to name."""
    if group != "features" or name == "random":
        return []
    network = "{_target_: lightning_modules.models.classification.resnet8.resnet8, num_classes: 10}"
    of_run = ["features.run=1a2b", "features.weights=none.ckpt", f"features.network={network}"]
    return ["features.load_weights=false", *(of_run if name == "run" else [])]


def words_for(group: str, name: str, task: str, folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    # Quoted, because the name of conf/debug/true.yaml is a word of YAML's own.
    words = [f"task={task}", *SMALL, f'{group}="{name}"', "data.num_workers=0"]
    words += small_data(task, group=group, name=name, folder=folder, patch=patch)
    words += ALONE.get(name, []) if group == "trainer" else []
    if group in ("callbacks", "logger", "debug", "experiment"):
        words.remove("callbacks=none")
    if group in ("logger", "callbacks", "debug"):
        # A whole short run, not fast_dev_run, which does without loggers and checkpoints.
        words = [word for word in words if "fast_dev_run" not in word]
        words += ["trainer.max_epochs=1", "trainer.limit_train_batches=1", "trainer.limit_val_batches=1"]
        words += ["trainer.limit_test_batches=2", "trainer.overfit_batches=0.0"]
    return words if group == "logger" else [*words, "logger=none"]


def composed(words: list[str], root: Path) -> Composed:
    config = compose_plain(verb="train", overrides=words)
    problems = problems_of(verb="train", config=config)
    assert not problems, problems
    settings = settings_of(verb="train", config=config)
    return Composed(
        verb="train", config=config, settings=settings, overrides=words, root=root, show_traceback=True
    )


@pytest.mark.parametrize(("group", "name", "task"), cases(), ids=lambda value: value)
def test_fits_one_batch(
    group: str, name: str, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    words = words_for(group, name, task, tmp_path / "data", monkeypatch)
    whole = composed(words, tmp_path)
    if name in NEEDS_A_GPU:
        assert (
            whole.config["trainer"]["accelerator"] == "cpu"
        )  # the word above wins; else it is as in the file
        assert compose_plain(verb="train", overrides=[f"{group}={name}"])["trainer"]["accelerator"] == "gpu"
    assert train.run(composed=whole, **whole.settings) == 0
    assert list(tmp_path.glob("outputs/*/*/*/metrics.json"))


def test_every_argument_of_the_trainer_can_be_overridden() -> None:
    import inspect

    from pytorch_lightning import Trainer

    # Logger and callbacks have groups of their own.
    expected = set(inspect.signature(Trainer).parameters) - {"logger", "callbacks"}
    listed: dict[str, Any] = yaml.safe_load((CONF / "trainer" / "auto.yaml").read_text(encoding="utf-8"))
    assert set(listed) - {"_target_"} == expected


@pytest.mark.parametrize("verb", sorted(path.stem for path in CONF.glob("*.yaml")))
def test_every_verb_composes(verb: str) -> None:
    missing = re.findall(r"^(\w+): \?\?\?", (CONF / f"{verb}.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    config = compose_plain(verb=verb, overrides=[f"{key}=somewhere" for key in missing])
    assert problems_of(verb=verb, config=config) == []
