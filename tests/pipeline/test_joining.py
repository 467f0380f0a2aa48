"""What can be joined, judged before torch is imported."""

import copy
from pathlib import Path
from typing import Any

import pytest

from pipeline.compose import compose_plain
from pipeline.errors import Mistake
from pipeline.joining import members_of_run, named_members, refuse_ensemble
from pipeline.runs import all_runs, find_run
from tests.commands import run_verb
from tests.pipeline.ensembles import plain_run


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return compose_plain(verb="train", overrides=["task=classification", "model=lenet5"])


def other(config: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A configuration with other values at dotted keys."""
    changed = copy.deepcopy(config)
    for key, value in changes.items():
        *path, last = key.split("__")
        node = changed
        for name in path:
            node = node[name]
        node[last] = value
    return changed


def joined(root: Path, *runs: str) -> list[str]:
    return [member.exact for member in named_members(root=root, runs=runs, task=None)]


def test_members_are_named_for_good(tmp_path: Path, config: dict[str, Any]) -> None:
    ids = [plain_run(tmp_path, number, config=config) for number in (1, 2, 3)]
    path = find_run(root=tmp_path, name=ids[1]).folder / "checkpoints" / "epoch_000.ckpt"
    assert joined(tmp_path, "00000001", str(path), "latest") == [ids[0], str(path), ids[2]]
    # Of a run that only the server has, nothing is known here.
    assert joined(tmp_path, ids[0], "f" * 32) == [ids[0], "f" * 32]


def test_architectures_means_and_augmentation_may_differ(tmp_path: Path, config: dict[str, Any]) -> None:
    deeper = other(config, choices__model="resnet8", model={"_target_": "other"}, data__mean=[0.5])
    deeper["data"]["transforms"]["train"] = {}
    ids = [plain_run(tmp_path, 1, config=config), plain_run(tmp_path, 2, config=deeper, model="resnet8")]
    assert joined(tmp_path, *ids) == ids


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"choices__task": "detection"}, ["task=classification", "task=detection"]),
        ({"data__channels": 3}, ["data.channels is 1", "3"]),
        (
            {"data__transforms__eval__crop__height": 64},
            ["transforms.eval.crop.height is 32", "64", "image_size"],
        ),
        ({"data__transforms__eval": {}}, ["transforms.eval.crop", "None"]),
    ],
)
def test_what_sees_other_pictures_is_refused(
    changes: dict[str, Any], words: list[str], tmp_path: Path, config: dict[str, Any]
) -> None:
    ids = [plain_run(tmp_path, 1, config=config), plain_run(tmp_path, 2, config=other(config, **changes))]
    with pytest.raises(Mistake) as refused:
        joined(tmp_path, *ids)
    assert all(word in str(refused.value) for word in words), str(refused.value)


@pytest.mark.parametrize(
    ("model", "words", "said"),
    [
        ("gatys", "data.content=coffee", "data.content is china for one and coffee for the other"),
        ("gatys", "data.style=[coffee,flower]", "number of styles is 1 for one and 2 for the other"),
        ("fast_style", "data.style=[coffee,flower]", "number of styles is 1"),
        ("gatys", "data.style=rocket", ""),
        ("adain", "data.style_dir=pictures", ""),
    ],
)
def test_painters_of_other_pictures_are_refused(model: str, words: str, said: str, tmp_path: Path) -> None:
    typed = ["task=style_transfer", f"model={model}"]
    configs = [compose_plain(verb="train", overrides=[*typed, *more]) for more in ([], [words])]
    ids = [plain_run(tmp_path, number, config=config) for number, config in enumerate(configs, 1)]
    if not said:
        assert joined(tmp_path, *ids) == ids
        return
    with pytest.raises(Mistake, match=said):
        joined(tmp_path, *ids)


def test_a_team_of_one_and_twice_the_same_are_refused(tmp_path: Path, config: dict[str, Any]) -> None:
    ids = [plain_run(tmp_path, number, config=config) for number in (1, 2)]
    with pytest.raises(Mistake, match="at least two"):
        joined(tmp_path, ids[0])
    with pytest.raises(Mistake, match="00000002 and latest are the same"):
        joined(tmp_path, "00000002", "latest")
    with pytest.raises(Mistake, match="no such file"):
        joined(tmp_path, ids[0], "nothing.ckpt")
    with pytest.raises(Mistake, match="runs=77: no run has this id"):
        joined(tmp_path, ids[0], "77")


def test_an_ensemble_is_no_member(tmp_path: Path, config: dict[str, Any]) -> None:
    parents = {"parents": ["00000001" + 24 * "a"]}
    ids = [
        plain_run(tmp_path, 1, config=config),
        plain_run(tmp_path, 2, config=config, model="ensemble", ensemble=parents),
    ]
    assert [run.is_ensemble for run in all_runs(root=tmp_path)] == [False, True]
    with pytest.raises(Mistake, match="run=00000002 is an ensemble.*members, such as 00000001"):
        joined(tmp_path, *ids)
    with pytest.raises(Mistake, match="make average takes single networks"):
        refuse_ensemble(find_run(root=tmp_path, name="latest"), verb="average")
    with pytest.raises(Mistake, match="is an ensemble"):
        members_of_run(root=tmp_path, run="latest", which="best", task=None)


def test_several_checkpoints_of_a_run(tmp_path: Path, config: dict[str, Any]) -> None:
    plain_run(tmp_path, 1, config=config)
    folder = find_run(root=tmp_path, name="latest").folder / "checkpoints"
    names = ["last", "epoch_003", *(f"snapshot_{number}" for number in range(1, 11))]
    for name in names:
        (folder / f"{name}.ckpt").write_bytes(b"")
    found = members_of_run(root=tmp_path, run="latest", which="snapshots", task=None)
    assert [member.path.stem for member in found if member.path] == [f"snapshot_{n}" for n in range(1, 11)]
    found = members_of_run(root=tmp_path, run="latest", which="best", task=None)
    assert [member.path.stem for member in found if member.path] == ["epoch_000", "epoch_003"]
    for number in range(2, 11):
        (folder / f"snapshot_{number}.ckpt").unlink()
    with pytest.raises(Mistake, match=r"kept 1 such checkpoint.*scheduler=snapshot"):
        members_of_run(root=tmp_path, run="latest", which="snapshots", task=None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say what to join"),
        (("members=5", "runs=[a,b]"), "members and runs are given"),
        (("members=1",), "members=1: an ensemble needs at least two"),
        (("members=3", "weights=[1,2]"), "2 weights for 3 members"),
        (("members=2", "weights=[-1,2]"), "weights=[-1, 2] must be at least 0 each"),
        (("members=2", "fusion=wbf"), "fusion=wbf is not one of mean_probability"),
        (("members=2", "jobs=0"), "jobs=0: must be at least 1"),
        (("members=2", "modle=lenet5"), "did you mean 'model'?"),
        (("members=2", "resume=latest"), "resume=latest"),
        (("runs=[1,2]", "model=lenet5"), "model=lenet5: runs that exist are not trained again"),
        # Ids that look like numbers are none.
        (("runs=[12345678,1e567890]",), "runs=12345678: there is no run"),
        (("runs=[1,2]", "weights=fited"), "did you mean 'fitted'?"),
    ],
)
def test_what_is_typed_wrong_is_told_at_once(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    answer = run_verb("ensemble", *words, root=tmp_path)
    assert answer.code == 2, answer.err
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert list(tmp_path.iterdir()) == []


def test_training_does_not_go_on_with_an_ensemble(tmp_path: Path, config: dict[str, Any]) -> None:
    plain_run(tmp_path, 2, config=config, model="ensemble")
    answer = run_verb("train", "resume=latest", root=tmp_path)
    assert answer.code == 2 and "is an ensemble, and make train takes single networks" in answer.err
