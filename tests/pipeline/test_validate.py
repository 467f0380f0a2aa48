"""Every mistake is found, all at once, and each is answered with the way out."""

import copy
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline import fitting
from pipeline.signatures import find_signature
from pipeline.sources import find_module
from pipeline.validate import Problem, find_problems, report

TRANSFORMS = {
    "train": {
        "flip": {"_target_": "albumentations.HorizontalFlip", "p": 0.5},
        "affine": {"_target_": "albumentations.Affine", "rotate": [-10, 10], "scale": [0.9, 1.1], "p": 0.3},
        "one": {
            "_target_": "albumentations.OneOf",
            "transforms": [{"_target_": "albumentations.Blur", "p": 1}],
        },
        "off": None,
    },
    "eval": {"resize": {"_target_": "albumentations.Resize", "height": 32, "width": 32}},
}
GOOD: dict[str, Any] = {
    "seed": 0,
    "resume": None,
    "choices": {"task": "drawing", "model": "pencil", "data": "sketches"},
    "task": {"_target_": "lightning_modules.drawing.DrawingTask", "monitor": "val/top1", "mode": "max"},
    "model": {"_target_": "lightning_modules.models.drawing.pencil.pencil", "num_classes": None, "lines": 3},
    "data": {
        "_target_": "datamodules.drawing.Sketches",
        "transforms": TRANSFORMS,
        "seed": 0,
        "batch_size": 8,
        "num_folds": None,
    },
    "transforms": TRANSFORMS,
    "optimizer": {
        "_target_": "torch.optim.SGD",
        "_partial_": True,
        "lr": 0.1,
        "momentum": 0.9,
        "nesterov": True,
    },
    "scheduler": None,
    "trainer": {
        "_target_": "pytorch_lightning.Trainer",
        "max_epochs": 3,
        "precision": "bf16-mixed",
        "devices": "auto",
    },
    "callbacks": {
        "checkpoint": {
            "_target_": "pytorch_lightning.callbacks.ModelCheckpoint",
            "monitor": "val/top1",
            "mode": "max",
            "save_top_k": 3,
        },
        "early_stopping": None,
    },
    "logger": {},
}
OURS = {
    "lightning_modules/drawing.py": "from typing import Literal\n"
    "Loss = Literal['ink', 'paper']\n"
    "class DrawingTask:\n"
    "    def __init__(self, *, model, optimizer, scheduler, metadata, monitor: str, mode: str,\n"
    "        losses: dict[Loss, float] | None = None): ...\n",
    "lightning_modules/models/drawing/pencil.py": "def pencil(*, num_classes: int, lines: int, dropout=0):\n"
    "    return 0\n",
    "lightning_modules/models/tracing/brush.py": "def brush(*, num_classes: int): ...\n",
    "datamodules/drawing.py": "class Sketches:\n"
    "    def __init__(self, *, transforms, seed: int, batch_size: int,\n"
    "        num_folds: int | None = None, fold: int = 0): ...\n",
    "datamodules/tracing.py": "class Stencils:\n    def __init__(self, *, sheets: int): ...\n",
    "conf/data/sketches.yaml": "# .\n_target_: datamodules.${choices.task}.Sketches\n",
    "conf/data/stencils.yaml": "# .\n_target_: datamodules.${choices.task}.Stencils\n",
    "conf/transforms/rough.yaml": "# Rough.\n# make train task=drawing transforms=rough\n",
    "conf/transforms/fine.yaml": "# Fine: make train task=drawing transforms=fine\n# task=tracing\n",
    "conf/transforms/thin.yaml": "# Thin, for task=tracing.\neval: {}\n# task=drawing\n",
    "conf/transforms/any.yaml": "# For no task by name.\n",
    "conf/model/pencil.yaml": "# .\n_target_: lightning_modules.models.drawing.pencil.pencil\n",
    "conf/model/crayon.yaml": "# .\ndefaults:\n  - pencil\nlines: 4\n",
    "conf/model/brush.yaml": "# .\n_target_: lightning_modules.models.tracing.brush.brush\n",
    "conf/task/drawing.yaml": "defaults:\n  - /transforms: rough\n",
    "conf/task/tracing.yaml": "",
}


REMEMBERED = (fitting.names_for_task, fitting.known_tasks, fitting.recipes_for_task)


@pytest.fixture(autouse=True, scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A project with the tasks drawing and tracing stands in for ours."""
    root = tmp_path_factory.mktemp("project")
    for name, text in OURS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    forget()
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("lightning_modules", "datamodules"):
            (root / name / "__init__.py").touch()
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(str(root))
        monkeypatch.setattr(fitting, "CONF", root / "conf")
        yield
    forget()


def forget() -> None:
    """Empty what is remembered of source files."""
    for remembered in (find_module, find_signature, *REMEMBERED):
        remembered.cache_clear()


def problems(changes: dict[str, Any]) -> list[Problem]:
    """What is found after some values of the good configuration were changed; a value of ... removes."""
    config = copy.deepcopy(GOOD)
    for key, value in changes.items():
        *parents, last = key.split(".")
        node: Any = config
        for parent in parents:
            node = node[int(parent)] if isinstance(node, list) else node[parent]
        if value is ...:
            del node[last]
        else:
            node[last] = value
    config["data"]["transforms"] = config["transforms"]  # as the interpolation gives it
    return find_problems(config, top_level=GOOD)


def test_good_configuration_has_no_problem() -> None:
    assert problems({}) == []


MISTAKES: list[tuple[dict[str, Any], str, str, str]] = [
    # keys
    ({"optimiser": {}}, "optimiser", "there is no such key; did you mean 'optimizer'?", "optimizer"),
    (
        {"trainer.max_epoch": 3},
        "trainer.max_epoch",
        "no argument 'max_epoch'; did you mean 'max_epochs'?",
        "max_epochs",
    ),
    ({"optimizer.learning_rate": 3}, "optimizer.learning_rate", "did you mean 'lr'?", "lr"),
    ({"transforms.train.flip.pp": 1}, "transforms.train.flip.pp", "did you mean 'p'?", "p"),
    ({"model.qqq": 1}, "model.qqq", "no argument 'qqq'; it takes num_classes, lines, dropout", ""),
    ({"task.moniter": "x"}, "task.moniter", "did you mean 'monitor'?", "monitor"),
    ({"transforms.trian": {}}, "transforms.trian", "did you mean 'train'?", "train"),
    ({"optimizer._partial": True}, "optimizer._partial", "did you mean '_partial_'?", "_partial_"),
    # values that are missing
    ({"data.batch_size": "???"}, "data.batch_size", "needs a value; give it with data.batch_size=...", ""),
    ({"model.lines": ...}, "model.lines", "needs this argument (int); give it with +model.lines=...", ""),
    # targets
    (
        {"optimizer._target_": "torch.optim.SDG"},
        "optimizer._target_",
        "did you mean 'torch.optim.SGD'?",
        "torch.optim.SGD",
    ),
    (
        {"optimizer._target_": "torch.optm.SGD"},
        "optimizer._target_",
        "did you mean 'torch.optim.SGD'?",
        "torch.optim.SGD",
    ),
    (
        {"transforms.train.flip._target_": "albumentation.HorizontalFlip"},
        "transforms.train.flip._target_",
        "did you mean 'albumentations.HorizontalFlip'?",
        "albumentations.HorizontalFlip",
    ),
    (
        {"scheduler": {"_target_": "os.system"}},
        "scheduler._target_",
        "'os' is not one that a _target_ may come from",
        "",
    ),
    (
        {"scheduler": {"_target_": "torch.os.system"}},
        "scheduler._target_",
        "is really in 'os', which is not",
        "",
    ),
    ({"scheduler": {"_target_": "torch.hub.load"}}, "scheduler._target_", "can run code from elsewhere", ""),
    ({"scheduler": {"_target_": "no path"}}, "scheduler._target_", "must be a dotted path such as", ""),
    ({"scheduler": {"_target_": 3}}, "scheduler._target_", "must be a dotted path such as", ""),
    # places of targets
    (
        {"scheduler": {"_target": "torch.optim.lr_scheduler.StepLR"}},
        "scheduler._target",
        "mean '_target_'?",
        "_target_",
    ),
    (
        {"transforms.eval.resize": {"target_": "x"}},
        "transforms.eval.resize.target_",
        "mean '_target_'?",
        "_target_",
    ),
    ({"callbacks.new": {"monitor": "val/loss"}}, "callbacks.new._target_", "needs a _target_; choose", ""),
    ({"callbacks.new": 3}, "callbacks.new", "must be a group of values with a _target_, or null", ""),
    (
        {"model": "pencil"},
        "model",
        "choose a file with model=<name>, or in a file with `override /model: <name>`",
        "",
    ),
    # types
    ({"trainer.max_epochs": "3"}, "trainer.max_epochs", "wants Optional[int] here, not text", ""),
    ({"trainer.max_epochs": 3.5}, "trainer.max_epochs", "wants Optional[int] here, not a fraction", ""),
    ({"data.batch_size": True}, "data.batch_size", "wants int here, not true or false", ""),
    ({"task.monitor": 3}, "task.monitor", "wants str here, not an integer; quotes make it text: '\"3\"'", ""),
    ({"trainer.precision": "bf16-mixd"}, "trainer.precision", "did you mean 'bf16-mixed'?", "bf16-mixed"),
    (
        {"transforms.eval.resize.height": [32]},
        "transforms.eval.resize.height",
        "wants int here, not this list",
        "",
    ),
    # ranges
    ({"optimizer.lr": 0}, "optimizer.lr", "must be above 0 (at 0 nothing is learned", ""),
    ({"optimizer.momentum": 1.0}, "optimizer.momentum", "must be in [0, 1) (", ""),
    ({"data.batch_size": 0}, "data.batch_size", "must be at least 1 (a batch holds at least one image)", ""),
    ({"data.num_folds": 1}, "data.num_folds", "must be at least 2", ""),
    ({"transforms.train.affine.p": 1.5}, "transforms.train.affine.p", "in [0, 1] (it is a probability)", ""),
    ({"transforms.train.one.transforms.0.p": -1}, "transforms.train.one.transforms.0.p", "in [0, 1] (", ""),
    ({"trainer.devices": 0}, "trainer.devices", "must be at least 1, or -1 for all there are", ""),
    (
        {"trainer.limit_val_batches": 1.5},
        "trainer.limit_val_batches",
        "write an integer to count batches",
        "",
    ),
    ({"seed": -1}, "seed", "must be in [0, 4294967295]", ""),
    # parts that do not fit together
    ({"data.fold": 2}, "data.fold", "there are no folds; say how many with data.num_folds=5", ""),
    ({"data.num_folds": 3, "data.fold": 3}, "data.fold", "must be in [0, 3), because data.num_folds=3", ""),
    ({"optimizer.momentum": 0}, "optimizer.nesterov", "needs optimizer.momentum above 0", ""),
    ({"optimizer.dampening": 0.1}, "optimizer.nesterov", "does not go with dampening", ""),
    ({"task.monitor": "valid/top1"}, "task.monitor", "did you mean 'val/top1'?", "val/top1"),
    ({"task.monitor": "accuracy"}, "task.monitor", "write it like val/top1", ""),
    ({"task.mode": "maximum"}, "task.mode", "did you mean 'max'?", "max"),
    (
        {
            "model": {"_target_": "lightning_modules.models.tracing.brush.brush", "num_classes": 3},
            "choices.model": "brush",
        },
        "model",
        "another task than task=drawing; model of drawing: crayon, pencil; or choose task=tracing",
        "",
    ),
    (
        {"data": {"_target_": "datamodules.drawing.Stencils", "sheets": 0}, "choices.data": "stencils"},
        "data",
        "another task than task=drawing; data of drawing: sketches; or choose task=tracing",
        "",
    ),
    ({"choices.transforms": "thin"}, "transforms", "transforms of drawing: fine, rough", ""),
    ({"task.losses": {"inc": 1.0}}, "task.losses.inc", "no such losses; did you mean 'ink'?", "ink"),
    ({"task.losses": {"ink": -1.0}}, "task.losses", "must be at least 0 (each is the weight of a loss", ""),
    (
        {"data._target_": "datamodules.batch.Lines"},
        "data",
        "_target_ must start with datamodules.drawing.",
        "",
    ),
]


@pytest.mark.parametrize(
    ("changes", "key", "message", "suggestion"), MISTAKES, ids=lambda value: str(value)[:40]
)
def test_mistake_is_answered(changes: dict[str, Any], key: str, message: str, suggestion: str) -> None:
    found = [problem for problem in problems(changes) if problem.key == key]

    assert [problem.suggestion for problem in found] == [suggestion], problems(changes)
    assert message in found[0].message


def test_all_mistakes_come_together() -> None:
    changes: dict[str, Any] = {}
    for change, key, _, _ in MISTAKES:
        if list(change) == [key] and "." in key and not key.endswith("_target_"):
            changes |= change

    assert len(changes) > 15
    assert {problem.key for problem in problems(changes)} >= changes.keys()


@pytest.mark.parametrize(
    "changes",
    [
        {
            "trainer.max_epochs": -1,
            "trainer.max_steps": 10,
            "trainer.devices": [0, 1],
            "trainer.fast_dev_run": True,
        },
        {"trainer.limit_train_batches": 2, "trainer.limit_val_batches": 0.5, "trainer.gradient_clip_val": 1},
        {"optimizer.lr": 1, "optimizer.weight_decay": 0, "model.dropout": 0.5},
        {"data.num_folds": 5, "data.fold": 4},
        {"task.losses": {"paper": 0, "ink": 1.5}, "choices.transforms": "fine"},
        {"optimizer": {"_target_": "torch.optim.AdamW", "_partial_": True, "betas": [0.9, 0.95]}},
        {"transforms.train.affine.rotate": 10, "transforms.train.affine.scale": [0.5, 1.5]},
        {"callbacks.checkpoint": None, "transforms.train.flip": None, "logger": None},
        {"trainer.callbacks": [{"_target_": "pytorch_lightning.callbacks.RichProgressBar"}]},
        {"scheduler": {"_target_": "torch.optim.lr_scheduler.ConstantLR", "_partial_": True}},
        {"optimizer": {"_target_": "timm.optim.create_optimizer_v2", "_partial_": True, "anything": 1}},
    ],
    ids=str,
)
def test_right_values_are_left_alone(changes: dict[str, Any]) -> None:
    assert problems(changes) == []


def test_what_belongs_to_another_task_is_one_mistake() -> None:
    """Not also each value that this task adds to its own data."""
    node = {"_target_": "datamodules.tracing.Stencils", "sheets": 2, "batch_size": 8, "keep": True}
    config = {**copy.deepcopy(GOOD), "data": node}
    config["choices"]["data"] = "stencils"

    assert [problem.key for problem in find_problems(config, top_level=GOOD)] == ["data"]


def test_a_file_may_serve_several_tasks() -> None:
    assert fitting.names_for_task("data", "drawing") == ("sketches",)
    assert fitting.names_for_task("data", "tracing") == ("stencils",)
    assert fitting.tasks_of("data", "stencils") == ("tracing",)
    assert fitting.names_for_task("model", "drawing") == ("crayon", "pencil")
    assert fitting.recipes_for_task("tracing") == (), "it names no recipe to start from"


def test_only_near_words_are_wrong_where_anything_is_taken() -> None:
    node = {"_target_": "timm.optim.create_optimizer_v2", "_partial_": True, "other": 3, "momentm": 0.9}

    found = problems({"callbacks.new": node})

    assert [problem.suggestion for problem in found] == ["momentum"]


def test_repeated_parts_are_reported_once() -> None:
    found = problems(
        {"transforms.train.flip.p": 2, "task.monitor": "top1", "callbacks.checkpoint.monitor": "top1"}
    )

    assert [problem.key for problem in found] == ["transforms.train.flip.p", "task.monitor"]


def test_settings_of_a_verb_are_one_with_their_references() -> None:
    config = {key: value for key, value in copy.deepcopy(GOOD).items() if key != "seed"}
    config["data"]["seed"] = -1
    config["train"] = {"_target_": "pipeline.work.train.run", "_partial_": True, "seed": -1}

    found = find_problems(config, top_level=[*GOOD, "train"])

    assert [problem.key for problem in found] == ["train.seed"]


def test_other_verbs_need_no_task() -> None:
    assert find_problems({"run": "latest", "split": "test"}, top_level=["run", "split"]) == []


def test_report_is_one_block() -> None:
    text = report(problems({"trainer.max_epoch": 3, "optimizer.lr": 0}))

    assert text.splitlines() == [
        "2 problems in the configuration; nothing was started:",
        "  optimizer.lr=0: must be above 0 (at 0 nothing is learned, below 0 the loss is climbed)",
        "  trainer.max_epoch=3: pytorch_lightning.Trainer has no argument 'max_epoch'; "
        "did you mean 'max_epochs'?",
    ]
    assert report([Problem("a", None, "b")]).startswith("1 problem in")
    assert len(str(Problem("key", "long" * 100, "message"))) < 100


def test_quick_and_light() -> None:
    """The point of it all: an answer before anything heavy is imported."""
    code = f"""
import sys, time
from pipeline.validate import find_problems
config = {GOOD!r}
del config["task"], config["model"], config["data"]
start = time.process_time()
assert find_problems(config, top_level=config) == []
seconds = time.process_time() - start
heavy = {{"torch", "pytorch_lightning", "mlflow", "albumentations", "numpy", "omegaconf"}} & set(sys.modules)
sys.exit(f"imported {{heavy}}" if heavy else f"took {{seconds:.2f}} s" if seconds > 0.5 else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
