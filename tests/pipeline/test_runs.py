"""How a run is named, and what is said when none or several are meant."""

import json
from pathlib import Path

import pytest

from pipeline.errors import Mistake
from pipeline.runs import all_runs, find_run


def write_run(root: Path, *, task: str, run_id: str, started: float) -> Path:
    folder = root / "outputs" / task / "lenet5" / f"2026-01-01_00-00-00_{run_id[:8]}"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"run_id": run_id, "started": started}))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_run(tmp_path, task="classification", run_id="aaaa1111" * 4, started=1)
    write_run(tmp_path, task="classification", run_id="aaaa2222" * 4, started=3)
    write_run(tmp_path, task="detection", run_id="bbbb3333" * 4, started=4)
    write_run(tmp_path, task="classification", run_id="cccc4444" * 4, started=2)
    return tmp_path


def test_latest_is_the_one_that_started_last(root: Path) -> None:
    assert find_run(root=root, name="latest").task == "detection"
    assert find_run(root=root, name="latest", task="classification").run_id.startswith("aaaa2222")
    assert [run.facts["started"] for run in all_runs(root=root)] == [1, 2, 3, 4]


def test_a_unique_beginning_is_enough(root: Path) -> None:
    assert find_run(root=root, name="c").run_id == "cccc4444" * 4
    assert find_run(root=root, name="bbbb3333" * 4).task == "detection"


def test_a_run_of_another_task_is_told_from_none(root: Path) -> None:
    with pytest.raises(Mistake, match=r"run=bbbb is of task=detection, not of task=classification; .*latest"):
        find_run(root=root, name="bbbb", task="classification")
    assert find_run(root=root, name="bbbb", task="detection").task == "detection"
    with pytest.raises(Mistake, match="no run has this id"):
        find_run(root=root, name="zzzz", task="detection")


def test_several_none_and_an_empty_folder_are_told_apart(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(Mistake, match="beginning of 2 runs: aaaa2222 .*, aaaa1111"):
        find_run(root=root, name="aaaa")
    with pytest.raises(Mistake, match="no run has this id; the latest are bbbb3333"):
        find_run(root=root, name="zzzz")
    with pytest.raises(Mistake, match="no run of task=segmentation"):
        find_run(root=root, name="latest", task="segmentation")
    with pytest.raises(Mistake, match="`make train` makes one"):
        find_run(root=tmp_path_factory.mktemp("empty"), name="latest")
