"""What is said of averages before anything heavy is imported."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from pipeline import average
from pipeline.averaging import check_epochs, check_resumable, first_epoch, wrong_averages
from pipeline.callbacks import keep_last
from pipeline.callbacks.keep_snapshots import KeepSnapshots
from pipeline.compose import Composed, compose_plain, problems_of, settings_of
from pipeline.errors import Mistake
from pipeline.joining import members_of_run
from pipeline.kept_files import kept_best, kept_recent, kept_snapshots
from pipeline.runs import Run, all_runs
from pipeline.work import average as work
from tests.commands import run_verb
from tests.pipeline.ensembles import plain_run


@pytest.mark.parametrize(
    ("words", "key", "says"),
    [
        (["callbacks.ema.decay=1.0"], "callbacks.ema.decay", "in [0, 1)"),
        (["callbacks.ema.decay=-0.1"], "callbacks.ema.decay", "in [0, 1)"),
        (["callbacks.ema.start=1.0"], "callbacks.ema.start", "a share of them in [0, 1)"),
        (["callbacks.ema.start=-1"], "callbacks.ema.start", "a number of epochs"),
        (["callbacks.ema.start=25", "trainer.max_epochs=25"], "callbacks.ema.start", "would never begin"),
        (
            ["callbacks.ema.start=0.5", "trainer.max_epochs=-1"],
            "callbacks.ema.start",
            "trainer.max_epochs=-1",
        ),
        (
            ["callbacks.checkpoint.save_weights_only=true"],
            "callbacks.checkpoint.save_weights_only",
            "leaves out the average",
        ),
        (
            ["+callbacks.swa._target_=pipeline.callbacks.epoch_average.EpochAverage"],
            "callbacks.swa",
            "callbacks.swa=null",
        ),
        (
            ["callbacks.ema._target_=pytorch_lightning.callbacks.EMAWeightAveraging"],
            "callbacks.ema._target_",
            "callbacks=ema",
        ),
        (["trainer=ddp", "trainer.strategy=fsdp_native"], "trainer.strategy", "averages whole; choose ddp"),
    ],
)
def test_a_wrong_average_is_named(words: list[str], key: str, says: str) -> None:
    config = compose_plain(verb="train", overrides=["callbacks=ema", *_with_new_keys(words)])
    found = {problem.key: str(problem) for problem in problems_of(verb="train", config=config)}
    assert key in found
    assert says in found[key]


def _with_new_keys(words: list[str]) -> list[str]:
    return [f"++{word}" if word.startswith("callbacks.checkpoint") else word for word in words]


@pytest.mark.parametrize("callbacks", ["ema", "swa", "default", "none"])
@pytest.mark.parametrize("words", [[], ["trainer.max_epochs=1"], ["trainer.max_epochs=100"]])
def test_what_is_right_is_not_refused(callbacks: str, words: list[str]) -> None:
    config = compose_plain(verb="train", overrides=[f"callbacks={callbacks}", *words])
    assert list(wrong_averages(config)) == []


def test_a_start_counts_epochs_or_is_a_share_of_them() -> None:
    assert first_epoch(3, max_epochs=None) == 3
    assert [first_epoch(0.75, max_epochs=count) for count in (1, 4, 5, 100)] == [0, 3, 3, 75]
    assert first_epoch(0.0, max_epochs=-1) == 0


def a_run(root: Path, *, checkpoints: tuple[str, ...], callbacks: dict[str, Any], **facts: Any) -> Run:
    """A run's folder as it is left, without weights in its checkpoints."""
    folder = (
        root / "outputs" / "classification" / "lenet5" / f"2026-01-01_{len(list(root.rglob('run.json')))}"
    )
    (folder / "checkpoints").mkdir(parents=True)
    for name in checkpoints:
        (folder / "checkpoints" / f"{name}.ckpt").touch()
    known = {"run_id": f"{len(facts)}abc" + "0" * 28, "started": 1.0, "status": "FINISHED", **facts}
    (folder / "run.json").write_text(json.dumps(known))
    (folder / "config.yaml").write_text(yaml.safe_dump({"callbacks": callbacks}))
    return next(run for run in all_runs(root=root) if run.folder == folder)


EMA = {"ema": {"_target_": "pipeline.callbacks.exponential_average.ExponentialAverage"}}


def test_epochs_are_told_apart(tmp_path: Path) -> None:
    names = ("last", "epoch_003", "epoch_010", "recent_009", "recent_010")
    run = a_run(tmp_path, checkpoints=names, callbacks={})
    assert [path.stem for path in check_epochs(run, which="best_k")] == ["epoch_003", "epoch_010"]
    for which in ("last_k", "ema"):
        assert [path.stem for path in check_epochs(run, which=which)] == ["recent_009", "recent_010"]  # type: ignore[arg-type]


def test_no_other_callbacks_files_are_the_best_epochs(tmp_path: Path) -> None:
    written = ("last", "recent_998", "recent_1000", "snapshot_1", "snapshot_10")
    a_run(tmp_path, checkpoints=(*written, "average", "ensemble", "epoch_1", "last_top1"), callbacks={})
    (run,) = all_runs(root=tmp_path)
    joined = members_of_run(root=tmp_path, run="latest", which="best", task=None)
    for found in (check_epochs(run, which="best_k"), [member.path for member in joined if member.path]):
        assert [path.stem for path in found] == ["epoch_1", "last_top1"]
    assert [path.stem for path in check_epochs(run, which="last_k")] == ["recent_998", "recent_1000"]


def test_files_are_known_by_the_names_that_they_are_saved_under(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    trainer: Any = SimpleNamespace(default_root_dir=tmp_path, current_epoch=7, is_global_zero=True)
    trainer.save_checkpoint = lambda path: path.touch()
    keep_last._save(trainer)
    keep_last._keep_epoch(trainer, 1)
    KeepSnapshots()._save(trainer, 2)
    folder = tmp_path / "checkpoints"
    assert len(list(folder.iterdir())) == 3
    assert kept_best(folder) == []
    assert len(kept_recent(folder)) == len(kept_snapshots(folder)) == 1


def test_the_worker_is_told_whole_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(average, "launch", lambda composed: told.append(composed.settings))
    run = a_run(tmp_path, checkpoints=("epoch_1", "epoch_2"), callbacks={})
    remote = "f" * 32  # that only the server may know
    for words in (["run=latest"], [f"run={remote}"], ["which=soup", f"runs=[latest,{remote}]"]):
        average._start(composed_of(tmp_path, words))
    assert [settings["run"] for settings in told] == [run.run_id, remote, "latest"]
    assert told[-1]["runs"] == [run.run_id, remote]


def composed_of(root: Path, words: list[str]) -> Composed:
    config = compose_plain(verb="average", overrides=words)
    settings = settings_of(verb="average", config=config)
    return Composed(
        verb="average", config=config, settings=settings, overrides=words, root=root, show_traceback=True
    )


def test_runs_that_are_shown_other_pictures_have_no_mean(tmp_path: Path) -> None:
    ids = []
    for number, side in enumerate((32, 64)):
        data = {"transforms": {"eval": {"resize": {"height": side}}}}
        parts = {"choices": {"task": "classification"}, "data": data}
        ids.append(plain_run(tmp_path, number, config=parts))
    with pytest.raises(Mistake, match="transforms.eval.resize.height is 32 for one and 64"):
        average._start(composed_of(tmp_path, ["which=soup", f"runs=[{','.join(ids)}]"]))


def test_the_worker_refuses_an_ensemble_too(tmp_path: Path) -> None:
    parts = {"choices": {"task": "classification"}}
    ids = [plain_run(tmp_path, 1, config=parts), plain_run(tmp_path, 2, config=parts, model="ensemble")]
    composed = composed_of(tmp_path, ["which=soup", f"runs=[{','.join(ids)}]"])
    with pytest.raises(Mistake, match="run=00000002 is an ensemble, and make average takes single"):
        work.run(composed=composed, **composed.settings)


def test_a_run_is_resumed_with_its_average(tmp_path: Path) -> None:
    run = a_run(tmp_path, checkpoints=("last",), callbacks=EMA)
    check_resumable(run, {"callbacks": EMA})
    check_resumable(run, {"callbacks": {"ema": {**EMA["ema"], "decay": 0.9}, "progress": None}})
    with pytest.raises(Mistake, match="callbacks.ema=null: the run averages its weights"):
        check_resumable(run, {"callbacks": {"ema": None}})
    averaged = a_run(tmp_path, checkpoints=("average",), callbacks=EMA, average={"parents": ["1a2b"]})
    with pytest.raises(Mistake, match="is an average of 1a2b and was not trained"):
        check_resumable(averaged, {"callbacks": EMA})


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["which=last_k"], "callbacks.keep_last.keep_epochs=5"),
        (["which=best_k"], "kept 1 such checkpoints"),
        (["which=soup"], "give two or more"),
        (["which=soup", "runs=[0abc,0abc0]"], "twice"),
        (["which=soup", "runs=[0abc,9f]"], "runs=9f: no run has this id"),
        (["which=soup", "runs=[0abc,9f]", "run=0abc"], "run=0abc: which=soup averages those of runs="),
        (["runs=[0abc,9f]"], "runs=[0abc,9f]: which=best_k averages epochs of one run; add which=soup"),
        (["which=ema", "decay=1.0"], "decay=1.0 must be in (0, 1)"),
        (["which=best"], "best_k"),
        (["k=1"], "k=1"),
    ],
)
def test_a_mistake_is_answered_before_anything_starts(words: list[str], says: str, tmp_path: Path) -> None:
    a_run(tmp_path, checkpoints=("last", "epoch_003"), callbacks={})
    answer = run_verb("average", *words, root=tmp_path)
    assert answer.code == 2, answer.err
    assert says in answer.err
    assert "Traceback" not in answer.err


def test_an_average_is_not_averaged_again(tmp_path: Path) -> None:
    a_run(tmp_path, checkpoints=("average",), callbacks={}, average={"parents": ["1a2b"]})
    answer = run_verb("average", root=tmp_path)
    assert answer.code == 2, answer.err
    assert "is an average itself, of 1a2b" in answer.err
