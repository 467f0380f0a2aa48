"""What a task can do with its members, read without torch: as the classes themselves say it."""

import importlib
from typing import Any

import pytest

from pipeline.compose import compose_plain
from pipeline.errors import Mistake
from pipeline.fitting import known_tasks
from pipeline.fusing import check_fusing, fusing_of


def of_task(task: str) -> dict[str, Any]:
    return compose_plain(verb="ensemble", overrides=[f"task={task}", "members=2"])


@pytest.mark.parametrize("task", sorted(known_tasks()))
def test_the_text_says_what_the_class_says(task: str) -> None:
    config = of_task(task)
    module, _, name = config["task"]["_target_"].rpartition(".")
    imported = getattr(importlib.import_module(module), name)
    known = fusing_of(config)
    assert known.names == imported.fusions and known.names
    assert known.fits == ("fit_weights" in vars(imported))


@pytest.mark.parametrize(
    ("task", "fusion", "weights", "said"),
    [
        ("classification", "wbf", None, "fusion=wbf is not one of mean_probability, mean_logit, majority"),
        ("detection", None, "fitted", "weights=fitted: task=detection does not fit"),
        ("classification", "majority", "fitted", "fusion=majority weights=fitted"),
    ],
)
def test_what_a_task_cannot_do_is_refused(
    task: str, fusion: str | None, weights: str | None, said: str
) -> None:
    with pytest.raises(Mistake, match=said):
        check_fusing(of_task(task), fusion=fusion, weights=weights)


def test_what_a_task_can_do_is_not_refused() -> None:
    check_fusing(of_task("classification"), fusion=None, weights="fitted")
    check_fusing(of_task("classification"), fusion="mean_probability", weights="fitted")
    check_fusing(of_task("detection"), fusion="nms", weights=[1, 2])
    check_fusing({**of_task("detection"), "task": {"_target_": "my.Own"}}, fusion="own", weights=None)
