"""Means of checkpoints: which are taken, what they are, and what is refused."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.errors import Mistake
from pipeline.runs import all_runs
from pipeline.work import average
from pipeline.work.average_weights import averaged_names, best_epochs, check_alike, shares, weighted_mean
from tests.pipeline.averages import Small
from tests.pipeline.ensembles import plain_run

CONFIG: dict[str, Any] = {
    "choices": {"task": "classification"},
    "model": {"_target_": "somewhere", "width": 8, "pretrained": True, "network": {"depth": 3}},
    "task": {"monitor": "val/top1", "mode": "max"},
}
METADATA: dict[str, Any] = {"class_names": ["cat", "dog"], "channels": 3, "mean": [0.5], "std": [0.2]}


def checkpoint(value: float = 0.0, **changes: Any) -> dict[str, Any]:
    parts = {"config": CONFIG, "metadata": METADATA, **changes}
    return {"state_dict": {"weight": torch.full((2,), value)}, "pipeline": {"run_id": "1a", **parts}}


def test_the_mean_is_that_of_numpy_and_integers_are_the_newest() -> None:
    generator = torch.Generator().manual_seed(0)
    states = [
        {
            "weight": torch.randn(3, 2, generator=generator),
            "seen": torch.tensor(n),
            "other": torch.ones(1) * n,
        }
        for n in range(4)
    ]
    counted = shares(4, decay=0.5)
    assert counted == [0.125, 0.25, 0.5, 1]
    found = weighted_mean(zip(counted, states, strict=True), names={"weight"})
    expected = np.average(
        [state["weight"].numpy().astype(np.float64) for state in states], axis=0, weights=counted
    )
    np.testing.assert_array_equal(found["weight"].numpy(), expected.astype(np.float32))
    assert int(found["seen"]) == 3
    assert float(found["other"]) == 3
    assert shares(2, decay=None) == [1, 1]


def test_sums_are_in_64_bits() -> None:
    states = [{"weight": torch.tensor([value])} for value in (1e8, 1.0, -1e8)]
    found = weighted_mean([(1.0, state) for state in states], names={"weight"})
    assert float(found["weight"]) == pytest.approx(1 / 3)


def test_parameters_and_running_statistics_are_averaged_and_nothing_else() -> None:
    task = Small()
    task.again = task.layer
    names = averaged_names(task)
    assert {"layer.weight", "again.weight", "frozen.bias", "norm.running_var"} <= names
    assert not names & {"threshold", "stage", "norm.num_batches_tracked"}


@pytest.mark.parametrize(("mode", "best"), [("max", [1, 3]), ("min", [0, 2])])
def test_the_best_epochs_are_those_of_the_runs_measure(mode: str, best: list[int], tmp_path: Path) -> None:
    values = [0.5, 0.9, 0.7, 0.9]
    paths = [tmp_path / f"epoch_{epoch}.ckpt" for epoch in range(4)]
    models = {f"/elsewhere/{path.name}": torch.tensor(v) for path, v in zip(paths, values, strict=True)}
    content = {**checkpoint(), "callbacks": {"KeepBest": {"best_k_models": models}}}
    torch.save(content, tmp_path / "last.ckpt")
    assert best_epochs(paths, k=2, mode=mode) == [paths[place] for place in best]
    # Of equals the later.
    assert best_epochs(paths, k=1, mode="max") == [paths[3]]
    # One that the run does not speak of is taken last.
    assert best_epochs([*paths, tmp_path / "z.ckpt"], k=4, mode=mode) == paths


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"config": {**CONFIG, "choices": {"task": "detection"}}}, "task is classification"),
        ({"config": {**CONFIG, "model": {**CONFIG["model"], "width": 9}}}, "model.width is 8"),
        (
            {"config": {**CONFIG, "model": {**CONFIG["model"], "network": {"depth": 4}}}},
            "model.network.depth",
        ),
        ({"metadata": {**METADATA, "class_names": ["dog", "cat"]}}, "class_names is ['cat', 'dog']"),
        ({"metadata": {**METADATA, "std": [0.3]}}, "std is [0.2]"),
    ],
)
def test_other_networks_are_refused_with_what_differs(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(Mistake, match="cannot be averaged") as refused:
        check_alike(checkpoint(), checkpoint(**changes), names=("run 1a", "run 2b"))
    assert named in str(refused.value)
    assert "run 2b" in str(refused.value)


def test_another_start_is_no_other_network() -> None:
    other = {**CONFIG, "model": {**CONFIG["model"], "pretrained": False}}
    check_alike(checkpoint(), checkpoint(config=other), names=("one", "two"))
    small = checkpoint()
    small["state_dict"]["weight"] = torch.zeros(3)
    with pytest.raises(Mistake, match=r"shape of weight is \(2,\) in one and \(3,\)"):
        check_alike(checkpoint(), small, names=("one", "two"))


class FakeJudge:
    """Measures how near the weights are to 1."""

    monitor, mode = "val/top1", "max"

    def __init__(self) -> None:
        self.held: dict[str, Tensor] = {}
        self.recomputed = 0

    def load(self, state: Any) -> None:
        self.held = dict(state)

    def validate(self) -> dict[str, float]:
        return {"val/top1": -float((self.held["weight"] - 1).abs().mean())}

    def recompute_statistics(self) -> None:
        self.recomputed += 1

    def state(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.held.items()}

    is_no_worse = average.Judge.is_no_worse


class FakeTrained:
    """A network with one weight."""

    task = nn.Module()


def test_a_soup_takes_what_does_not_make_it_worse(tmp_path: Path) -> None:
    FakeTrained.task.weight = nn.Parameter(torch.zeros(2))
    # 0.8 is best; with 5.0 worse; with 1.2 exactly right; then -3.0 worse again.
    values = {"a": 5.0, "b": 0.8, "c": -3.0, "d": 1.21}
    candidates = []
    for name, value in values.items():
        torch.save(checkpoint(value), tmp_path / f"{name}.ckpt")
        candidates.append((name, tmp_path / f"{name}.ckpt"))
    judge: Any = FakeJudge()
    sides = average._soup(candidates, FakeTrained(), judge=judge)  # type: ignore[arg-type]
    assert sides.parents == ["b", "d"]
    assert sides.before["val/top1"] == pytest.approx(-0.2)
    assert sides.after["val/top1"] == pytest.approx(-0.005)
    assert judge.held["weight"].tolist() == pytest.approx([1.005, 1.005])
    assert judge.recomputed == 3


def test_the_record_of_a_soup_is_that_of_the_best_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeTrained.task.weight = nn.Parameter(torch.zeros(2))
    ids = [plain_run(tmp_path, number, config=CONFIG) for number in (1, 2)]
    for run, value in zip(all_runs(root=tmp_path), (1.5, 0.8), strict=True):
        torch.save(checkpoint(value), run.folder / "checkpoints" / "epoch_000.ckpt")
    loaded = {run_id: SimpleNamespace(run_id=run_id, config=CONFIG, task=FakeTrained.task) for run_id in ids}
    keep = Mock(return_value=(None, {}))
    replaced: dict[str, Any] = {
        "load_trained": lambda run, **_: loaded[run],
        "data_of": Mock(),
        "check_classes": Mock(),
        "check_parents": Mock(),
        "Judge": lambda *_, **__: FakeJudge(),
        "keep": keep,
        "show_kept": Mock(),
    }
    for name, stand_in in replaced.items():
        monkeypatch.setattr(average, name, stand_in)
    composed: Any = SimpleNamespace(root=tmp_path)
    assert average.run(composed=composed, which="soup", runs=ids) == 0
    assert keep.call_args.kwargs["trained"].run_id == ids[1]


def test_of_measures_that_are_no_numbers_none_is_no_worse() -> None:
    judge: Any = FakeJudge()
    assert judge.is_no_worse({"val/top1": 0.5}, {"val/top1": 0.5})
    assert not judge.is_no_worse({"val/top1": 0.4}, {"val/top1": 0.5})
    assert not judge.is_no_worse({"val/top1": float("nan")}, {"val/top1": 0.5})
    judge.mode = "min"
    assert judge.is_no_worse({"val/top1": 0.4}, {"val/top1": 0.5})
