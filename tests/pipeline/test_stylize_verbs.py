"""From training to `make stylize`, `make predict` and `make evaluate`, as a person types them."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.commands import run_verb
from tests.pipeline.painters import read, write_photographs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SMALL = (
    "task=style_transfer",
    "data.image_size=32",
    "data.crops_per_epoch=8",
    "trainer.max_epochs=1",
    "trainer.accelerator=cpu",
    "logger=none",
    "callbacks.figures=null",
)


@pytest.mark.parametrize(("model", "words"), [("fast_style", ()), ("adain", ("style=[coffee,chelsea]",))])
def test_a_network_is_trained_and_paints(model: str, words: tuple[str, ...], tmp_path: Path) -> None:
    answer = run_verb("train", f"model={model}", *SMALL, root=tmp_path)
    assert answer.code == 0, answer.err
    assert "$ make stylize run=" in answer.out
    write_photographs(tmp_path / "photographs")

    answer = run_verb("stylize", "input=photographs", "output=painted", *words, root=tmp_path)
    assert answer.code == 1, answer.err
    assert "3 of 4 photographs painted" in answer.out and "text.jpg" in answer.out
    table = pd.read_csv(tmp_path / "painted" / "table.csv")
    for row in table.itertuples():
        painted, content = read(tmp_path / str(row.picture)), cv2.imread(str(tmp_path / str(row.file)))
        assert content is not None and painted.shape == content.shape
        assert np.abs(painted.astype(int) - content[..., ::-1]).mean() > 1, "something was painted"

    answer = run_verb("evaluate", "split=val", "output=measures.json", "accelerator=cpu", root=tmp_path)
    assert answer.code == 0, answer.err
    assert json.loads((tmp_path / "measures.json").read_text())["val/ssim"] > 0

    answer = run_verb("predict", "input=photographs/deeper", "output=found.csv", root=tmp_path)
    if words:
        assert answer.code == 2 and "make stylize run=" in answer.err and "style=PICTURE" in answer.err
    else:
        assert answer.code == 0, answer.err
        assert np.array_equal(read(tmp_path / "found" / "a.png"), read(tmp_path / "painted/deeper/a.png"))
