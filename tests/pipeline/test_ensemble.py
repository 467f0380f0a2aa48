"""What becomes of runs that are joined: measures, weights, gains, files; against slow loops."""

import csv
import hashlib
import json
import math
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.bootstrap import samples
from pipeline.errors import Mistake
from pipeline.runs import all_runs
from pipeline.work.ensemble_gain import gain
from pipeline.work.ensemble_members import Measured, seconds_per_image
from pipeline.work.loading import Trained, data_of, load_trained
from tests.pipeline.ensembles import WORDS, join, untrained_run

DRAWS = 20


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs of the digits, one of them of another architecture."""
    folder = tmp_path_factory.mktemp("untrained")
    for number in (1, 2):
        untrained_run(folder, number)
    untrained_run(folder, 3, *WORDS, "model=resnet8", "data.mean=[0.5]", "data.std=[0.25]")
    return folder


@pytest.fixture(scope="module")
def runs(root: Path) -> list[str]:
    return [run.run_id for run in all_runs(root=root) if not run.is_ensemble]


@pytest.fixture(scope="module")
def made(root: Path, runs: list[str]) -> Path:
    """All three together; the two that are alike count twice as much."""
    return join(root, runs, "weights=[2,2,1]", f"draws={DRAWS}", "task=classification")


def read(folder: Path, name: str = "metrics.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / name).read_text())
    return found


def member(root: Path, run: str) -> Trained:
    return load_trained(root=root, run=run, checkpoint=None, task=None)


@cache
def probabilities(root: Path, run: str, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """What a network says of each image, one image after the other, and the classes."""
    trained = member(root, run)
    datamodule: Any = data_of(trained)
    datamodule.setup()
    dataset = datamodule.dataset(split, augment=False)
    said, labels = [], []
    task: Any = trained.task
    for place in range(len(dataset)):
        item = dataset[place]
        with torch.inference_mode():
            said.append(task(torch.as_tensor(item["image"])[None]).softmax(dim=1)[0].double())
        labels.append(int(item["label"]))
    return torch.stack(said), torch.tensor(labels)


def test_its_measures_are_those_of_the_mean_probability(root: Path, runs: list[str], made: Path) -> None:
    each = [probabilities(root, run, "test") for run in runs]
    labels = each[0][1]
    mean = 0.4 * each[0][0] + 0.4 * each[1][0] + 0.2 * each[2][0]
    measures = read(made)
    right = sum(int(row.argmax()) == label for row, label in zip(mean, labels.tolist(), strict=True))
    assert measures["test/top1"] == pytest.approx(right / len(labels))
    loss = -sum(math.log(row[label]) for row, label in zip(mean, labels.tolist(), strict=True)) / len(labels)
    assert measures["test/loss"] == pytest.approx(loss, abs=1e-5)
    alone = [-float(said.gather(1, labels[:, None]).log().mean()) for said, _ in each]
    assert measures["mean_member/test/loss"] == pytest.approx(sum(alone) / 3, abs=1e-5)


def test_the_gain_is_paired_and_over_the_mean_and_the_best(root: Path, runs: list[str], made: Path) -> None:
    each = [probabilities(root, run, "test") for run in runs]
    labels = each[0][1]
    mean = 0.4 * each[0][0] + 0.4 * each[1][0] + 0.2 * each[2][0]
    right = np.array([(said.argmax(dim=1) == labels).numpy() for said in (mean, *(said for said, _ in each))])
    validated = [
        float((said.argmax(dim=1) == truth).double().mean())
        for said, truth in (probabilities(root, run, "val") for run in runs)
    ]
    best = 1 + int(np.argmax(validated))
    over_mean, over_best = [], []
    for places in samples(images=len(labels), draws=DRAWS, seed=0):
        shares = [sum(row[place] for place in places.tolist()) / len(places) for row in right]
        over_mean.append(shares[0] - sum(shares[1:]) / 3)
        over_best.append(shares[0] - shares[best])
    measures = read(made)
    shares = right.mean(axis=1)
    assert measures["gain/mean_member"] == pytest.approx(shares[0] - shares[1:].mean(), abs=1e-6)
    assert measures["gain/best_member"] == pytest.approx(shares[0] - shares[best], abs=1e-6)
    for name, found in (("mean", over_mean), ("best", over_best)):
        low, high = np.percentile(found, [2.5, 97.5])
        assert measures[f"gain/{name}_member_low"] == pytest.approx(low, abs=1e-6)
        assert measures[f"gain/{name}_member_high"] == pytest.approx(high, abs=1e-6)


def test_it_is_a_run_that_knows_its_parents_and_leaves_them_alone(
    root: Path, runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def state() -> dict[str, str]:
        paths = [path for path in root.glob("outputs/classification/*/*_0000000?/**/*") if path.is_file()]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}

    before = state()
    made = join(root, runs[:2], "draws=0")
    assert before and state() == before
    assert "no intervals: draws=0" in capsys.readouterr().out
    facts = read(made, "run.json")
    assert facts["ensemble"] == {"parents": runs[:2], "fusion": "mean_probability", "weights": [0.5, 0.5]}
    assert facts["status"] == "FINISHED"
    assert all_runs(root=root)[-1].run_id == facts["run_id"]
    measures = read(made)
    assert "gain/mean_member" in measures and "gain/mean_member_low" not in measures  # without draws
    assert measures["cost/seconds_per_image"] > 0 and measures["cost/times_a_member"] > 0
    for name in ("config.yaml", "run.log", "ensemble.csv", "figures/ensemble.png"):
        assert (made / name).stat().st_size > 0, name


def test_every_member_is_in_the_table(runs: list[str], made: Path) -> None:
    with (made / "ensemble.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["member"] for row in rows] == [*(run[:8] for run in runs), "mean member", "ensemble"]
    assert [row["model"] for row in rows] == ["lenet5", "lenet5", "resnet8", "", ""]
    assert [row["seed"] for row in rows[:3]] == ["1", "2", "3"]
    assert [float(row["weight"]) for row in rows[:3]] == pytest.approx([0.4, 0.4, 0.2])
    measures = read(made)
    for name in ("val/top1", "test/loss"):
        assert float(rows[-1][name]) == pytest.approx(measures[name])
        alone = [float(row[name]) for row in rows[:3]]
        assert float(rows[3][name]) == pytest.approx(sum(alone) / 3)
    assert all(float(row["seconds_per_image"]) > 0 for row in rows)


def test_the_checkpoint_is_all_of_them(root: Path, runs: list[str], made: Path) -> None:
    trained = load_trained(
        root=root, run=read(made, "run.json")["run_id"][:8], checkpoint=None, task="classification"
    )
    task: Any = trained.task
    assert task.weights == pytest.approx([0.4, 0.4, 0.2])
    for each, run in zip(task.team, runs, strict=True):
        expected = member(root, run).task.state_dict()
        found = each.state_dict()
        for name, tensor in expected.items():
            assert torch.equal(found[name], tensor), name
    # Whoever has only the file can use it: nothing else is read.
    alone = load_trained(root=made, run="latest", checkpoint=str(trained.path), task=None)
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        one, other = (
            each.task.predict_step({"image": images, "index": torch.arange(4)}, 0)
            for each in (trained, alone)
        )
    assert torch.equal(one["probabilities"], other["probabilities"])


def test_weights_are_fitted_on_validation(root: Path, runs: list[str]) -> None:
    made = join(root, runs, "weights=fitted", "draws=0")
    weights = read(made, "run.json")["ensemble"]["weights"]
    each = [probabilities(root, run, "val") for run in runs]
    labels = each[0][1]
    of_truth = torch.stack([said.gather(1, labels[:, None])[:, 0] for said, _ in each])

    def loss(shares: list[float]) -> float:
        return -float((torch.tensor(shares, dtype=torch.float64) @ of_truth).log().mean())

    assert sum(weights) == pytest.approx(1) and min(weights) >= 0
    tried = [[a / 20, b / 20, 1 - (a + b) / 20] for a in range(21) for b in range(21 - a)]
    assert loss(weights) <= min(loss(shares) for shares in tried) + 1e-6
    assert read(made)["val/loss"] == pytest.approx(loss(weights), abs=1e-5)
    with torch.no_grad():
        found = load_trained(root=root, run="latest", checkpoint=None, task=None)
    assert found.task.weights == pytest.approx(weights)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fusion=wbf"], "fusion=wbf is not one of mean_probability, mean_logit, majority"),
        (["weights=[1,0,-1]"], "must be at least 0"),
        (["weights=fitted", "fusion=majority"], "fusion=majority weights=fitted"),
    ],
)
def test_what_cannot_be_is_said_before_a_run_is_opened(
    words: list[str], said: str, root: Path, runs: list[str]
) -> None:
    before = len(all_runs(root=root))
    with pytest.raises(ValueError, match="(?s).*") as refused:
        join(root, runs, *words)
    assert said in str(refused.value)
    assert len(all_runs(root=root)) == before


def test_other_classes_and_a_measure_of_training_are_refused(
    root: Path, runs: list[str], tmp_path: Path
) -> None:
    path = member(root, runs[0]).path
    content = torch.load(path, weights_only=True)
    names = content["pipeline"]["metadata"]["class_names"]
    content["pipeline"]["metadata"]["class_names"] = names[::-1]
    torch.save(content, tmp_path / "reversed.ckpt")
    with pytest.raises(ValueError, match="join runs of the same classes"):
        join(root, [runs[1], f'"{tmp_path}/reversed.ckpt"'])
    content["pipeline"]["config"]["task"]["monitor"] = "train/loss"
    content["pipeline"]["config"]["task"]["mode"] = "min"
    content["pipeline"]["metadata"]["class_names"] = names
    torch.save(content, tmp_path / "trained.ckpt")
    with pytest.raises(Mistake, match="task.monitor=train/loss"):
        join(root, [f'"{tmp_path}/trained.ckpt"', runs[1]])


class Values:
    """Records of which a measure is the mean of a number for each image."""

    names = ("loss", "map")

    def __init__(self, values: list[float]) -> None:
        self.index = np.arange(len(values))
        self.values = np.array(values)
        self.asked = 0

    def __len__(self) -> int:
        return len(self.values)

    def measure(self, places: Any, name: str) -> float:
        self.asked += 1
        return float(self.values[places].mean())


def a_measured(values: list[float], *, name: str, validated: float) -> Measured:
    measures = {f"test/{name}": float(np.mean(values)), f"val/{name}": validated}
    return Measured(measures=measures, validation=None, test=Values(values), seconds=1.0)


def test_less_loss_is_a_gain_and_the_best_is_that_of_validation() -> None:
    members = [
        a_measured([3.0, 5.0], name="loss", validated=0.2),
        a_measured([2.0, 2.0], name="loss", validated=0.3),
    ]
    found = gain(
        members,
        a_measured([1.0, 2.0], name="loss", validated=0.1),
        monitor="val/loss",
        mode="min",
        draws=None,
        seed=0,
    )
    assert found.best == 0 and found.draws == 1000
    assert found.over_mean.value == pytest.approx(1.5) and found.over_best.value == pytest.approx(2.5)
    assert found.over_best.low == pytest.approx(2.0) and found.over_best.high == pytest.approx(3.0)


def test_average_precision_is_drawn_less_often_and_one_image_not_at_all() -> None:
    both = [a_measured([0.1, 0.2, 0.3], name="map", validated=0.5) for _ in range(2)]
    found = gain(both, both[0], monitor="val/map", mode="max", draws=None, seed=0)
    assert found.draws == 200 and both[0].test.asked == 400
    alone = [a_measured([0.1], name="loss", validated=0.5) for _ in range(2)]
    found = gain(alone, alone[0], monitor="val/loss", mode="min", draws=None, seed=0)
    assert found.draws == 0 and math.isnan(found.over_mean.low) and found.over_mean.value == 0


class Sleeper(torch.nn.Module):
    """Takes its time: long for the first batch, then as long as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.naps = [0.5, 0.02, 0.3, 0.02]

    def predict_step(self, batch: Any, batch_idx: int) -> None:
        assert not self.training and torch.is_inference_mode_enabled()
        time.sleep(self.naps.pop(0))


def test_the_time_of_an_image_is_the_median_without_the_first_batch() -> None:
    batches = [{"image": torch.zeros(2, 3, 4, 4)} for _ in range(4)]
    assert seconds_per_image(Sleeper(), batches, device=torch.device("cpu")) == pytest.approx(0.01, rel=0.5)
