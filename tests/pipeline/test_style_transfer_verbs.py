"""What is done with a painter's run, from its panels to what it refuses."""

import json
from pathlib import Path
from typing import Any

import cv2
import pytest

from pipeline import checkpoints
from pipeline.compose import Composed, compose_plain, settings_of
from pipeline.console import console
from pipeline.errors import Mistake
from pipeline.runs import find_run
from pipeline.work import evaluate, predict, train

QUICK = ("logger=none", "trainer.accelerator=cpu")
SMALL = (*QUICK, "task=style_transfer", "data.image_size=32", "trainer.max_epochs=2", "optimizer.max_iter=3")


def composed(verb: str, *words: str, root: Path) -> Composed:
    config = compose_plain(verb=verb, overrides=list(words))
    settings = settings_of(verb=verb, config=config)
    return Composed(
        verb=verb, config=config, settings=settings, overrides=[*words], root=root, show_traceback=True
    )


def paint(root: Path, *words: str) -> str:
    """Train with these words; what was said."""
    whole = composed("train", *SMALL, *words, root=root)
    with console.capture() as said:
        assert train.run(composed=whole, **whole.settings) == 0
    return " ".join(said.get().replace("│", " ").split())


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of one short run, and what it said."""
    root = tmp_path_factory.mktemp("painted")
    return root, paint(root)


def test_it_says_what_it_paints_and_by_which_features(painted: tuple[Path, str]) -> None:
    _, said = painted
    assert "content china (32 x 21)" in said
    assert "style coffee (64 x 43)" in said
    assert "random features, calibrated on the pictures; features=vgg19 (learnt from ImageNet" in said
    assert "131 k of them trained" not in said
    assert "2.02 k of them trained" in said


def test_it_says_where_the_picture_lies_and_what_to_do_next(painted: tuple[Path, str]) -> None:
    root, said = painted
    run = find_run(root=root, name="latest")
    assert "figures/result.png weights" in said
    assert "$ make train task=style_transfer data.content=FILE data.style=FILE" in said
    assert f"$ make evaluate run={run.run_id[:8]} split=val" in said
    for other in ("make predict", "make verify", "make enroll"):
        assert other not in said


def test_it_leaves_pictures_and_the_measures_that_are_promised(painted: tuple[Path, str]) -> None:
    run = find_run(root=painted[0], name="latest")
    result = cv2.imread(str(run.folder / "figures" / "result.png"))
    assert result is not None
    assert result.shape == (21, 32, 3)
    for name in ("side_by_side.png", "learning_curves.png", "epochs/picture_epoch_001.png"):
        assert (run.folder / "figures" / name).is_file(), name
    measures = json.loads((run.folder / "metrics.json").read_text())
    tested = {key.partition("/")[2] for key in measures if key.startswith("test/")}
    layers = {f"style_relu{block}_1" for block in (1, 2, 3)}
    assert tested == set(run.config["measures"]) | layers
    assert measures["val/loss"] < measures["train/loss"]


def test_a_checkpoint_is_measured_again_as_it_was(painted: tuple[Path, str], tmp_path: Path) -> None:
    root, _ = painted
    output = tmp_path / "measures.json"
    whole = composed("evaluate", "split=val", f"output={output}", "accelerator=cpu", root=root)
    assert evaluate.run(composed=whole, **whole.settings) == 0
    reported = json.loads((find_run(root=root, name="latest").folder / "metrics.json").read_text())
    found: dict[str, Any] = json.loads(output.read_text())
    for name in ("val/loss", "val/gram_distance", "val/ssim"):
        assert found[name] == pytest.approx(reported[name], abs=1e-6)


def test_a_picture_predicts_nothing(painted: tuple[Path, str]) -> None:
    root, _ = painted
    picture = find_run(root=root, name="latest").folder / "figures" / "result.png"
    whole = composed("predict", f"input={picture}", "accelerator=cpu", root=root)
    with pytest.raises(ValueError, match="this run is one picture"):
        predict.run(composed=whole, **whole.settings)


def test_a_classifier_trained_here_judges_pictures(tmp_path: Path) -> None:
    words = (*QUICK, "model=resnet8", "trainer.max_epochs=1", "trainer.limit_train_batches=1")
    short = ("trainer.limit_val_batches=1", "trainer.limit_test_batches=1", "baselines=null")
    whole = composed("train", *words, *short, "callbacks.figures=null", root=tmp_path)
    assert train.run(composed=whole, **whole.settings) == 0
    classifier = find_run(root=tmp_path, name="latest")
    said = paint(tmp_path, f"features=run:{classifier.run_id[:8]}")
    assert f"features run {classifier.run_id[:8]} (ResNet8)" in said
    assert "would also know" not in said
    run = find_run(root=tmp_path, name="latest")
    assert run.config["model"]["features"]["run"] == classifier.run_id
    checkpoints.kept(classifier).unlink()
    path = checkpoints.kept(run)
    loaded: Any = checkpoints.load_task(checkpoints.read(path), path=path)
    assert loaded.model.features.source.startswith("run ")


def test_a_run_of_another_task_judges_nothing(painted: tuple[Path, str]) -> None:
    root, _ = painted
    run = find_run(root=root, name="latest")
    with pytest.raises(Mistake, match="is a run of task=style_transfer, whose network gives no maps"):
        paint(root, f"features=run:{run.run_id[:8]}")
