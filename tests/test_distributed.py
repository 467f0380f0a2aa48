"""Two processes are one run: one folder, one MLflow run, and measures that count every image once."""

import json
from pathlib import Path

import pytest

from tests.commands import run_verb

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TWO = ("trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp")
# Test images of which there is one more than two processes can share evenly: 359 digits, 9 scenes.
FEW_SCENES = (
    "data.num_train=40",
    "data.num_val=5",
    "data.num_test=9",
    "data.batch_size=2",
    "task.class_weights=balanced",
)
# A test photograph for each process.
PAINTING = ("data.image_size=32", "data.crops_per_epoch=9", "trainer.max_epochs=1")
ONE_STYLE = (*PAINTING, "model.width=4")
ANY_STYLE = (*PAINTING, "model.layer=relu2_1")
OF_THE_MACHINE = ("test/seconds", "test/peak_memory")
SCENES = (
    "data.num_train=400",
    "data.num_val=5",
    "data.num_test=9",
    "data.batch_size=4",
    "optimizer.lr=0.002",
)


@pytest.mark.parametrize(
    "words",
    [
        ("task=classification", "model=lenet5", "trainer.max_epochs=2"),
        ("task=detection", "model=faster_rcnn", "trainer.max_epochs=2", *SCENES),
        ("task=segmentation", "model=fcn8s", "trainer.max_epochs=1", *FEW_SCENES),
        ("task=verification", "network=lenet5", "trainer.max_epochs=1"),
        ("task=style_transfer", "model=fast_style", *ONE_STYLE),
        ("task=style_transfer", "model=adain", *ANY_STYLE),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_two_processes_are_one_run_with_exact_measures(words: tuple[str, ...], tmp_path: Path) -> None:
    answer = run_verb("train", *words, *TWO, root=tmp_path)
    assert answer.code == 0, answer.err
    assert answer.out.count("finished after") == 1
    assert "2 devices" in answer.out
    (folder,) = tmp_path.glob("outputs/*/*/*")
    together = json.loads((folder / "metrics.json").read_text())
    alone = tmp_path / "alone.json"
    assert run_verb("evaluate", f"output={alone}", root=tmp_path).code == 0
    for key, value in json.loads(alone.read_text()).items():
        if key in OF_THE_MACHINE:
            continue
        assert together[key] == pytest.approx(value, abs=1e-6), key
    judged = ("test/top1", "test/map", "test/miou", "test/auc", "test/ssim")
    assert any(0 < together.get(name, 0) < 1 for name in judged), "nothing was learned that could differ"
