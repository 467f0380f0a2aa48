"""From training to `make enroll`, `make identify` and `make verify`, as a person types them."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits

from pipeline.errors import Mistake
from pipeline.work.gallery_file import read_gallery
from pipeline.work.loading import load_trained
from pipeline.work.verifying import model_id
from tests.commands import run_verb
from tests.pipeline.verifiers import call

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SMALL = (
    "task=verification",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=12",
    "task.max_queries=200",
    "task.max_pairs=5000",
    "baselines.limit_test=200",
    "callbacks.figures=null",
)
QUIET = ("trainer.accelerator=cpu", "logger=none")
NAMES = ("zero", "one", "Łukasz", "three")


def write_digits(folder: Path, *, first: int) -> dict[str, list[Path]]:
    """Two scans of each of four digits, in a folder for each."""
    digits = load_digits()
    written: dict[str, list[Path]] = {}
    for label, name in enumerate(NAMES):
        (folder / name).mkdir(parents=True)
        for place in np.flatnonzero(digits.target[first:] == label)[:2] + first:
            path = folder / name / f"{place}.png"
            cv2.imwrite(str(path), np.kron(digits.images[place] * 15, np.ones((4, 4))).astype(np.uint8))
            written.setdefault(name, []).append(path)
    return written


def test_people_are_enrolled_identified_and_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_ROOT", str(tmp_path))
    assert call("train", *SMALL, *QUIET, root=tmp_path, trained=None, patch=monkeypatch) == 0
    (folder,) = tmp_path.glob("outputs/verification/triplet/*")

    people = write_digits(tmp_path / "people", first=1500)
    (tmp_path / "people" / "zero" / "short.png").write_bytes(people["zero"][0].read_bytes()[:80])
    answer = run_verb("enroll", "input=people", root=tmp_path)
    assert answer.code == 1, answer.err
    assert "short.png" in answer.out and "8 encodings of 4 identities" in answer.out
    gallery = read_gallery(folder / "gallery.parquet")
    trained = load_trained(root=tmp_path, run="latest", checkpoint=None, task=None)
    assert gallery.model == model_id(trained.task)
    assert np.linalg.norm(gallery.encodings, axis=1) == pytest.approx(np.ones(8), abs=1e-5)

    write_digits(tmp_path / "photographs", first=1700)
    answer = run_verb("identify", "input=photographs", "output=found.csv", root=tmp_path)
    assert answer.code == 0, answer.err
    table = pd.read_csv(tmp_path / "found.csv")
    right = [row.nearest == Path(row.file).parent.name for row in table.itertuples()]
    assert len(table) == 8 and np.mean(right) > 0.5, "four people, and not guessed"
    assert ((table["identity"] == "unknown") == (table["distance"] > float(trained.task.threshold))).all()
    assert table["probability"].between(0, 1).all() and table["probability"].nunique() > 1
    assert len(list((tmp_path / "found").glob("*.png"))) == 8

    words = [f"a={table['file'][0]}", f"b={table['nearest_file'][0]}", "output=answer.json"]
    answer = run_verb("verify", *words, root=tmp_path)
    assert answer.code == 0, answer.err
    said = json.loads((tmp_path / "answer.json").read_text())
    assert said["distance"] == pytest.approx(table["distance"][0], abs=1e-5)
    assert said["same"] is bool(table["identity"][0] != "unknown")
    assert ("yes, the same" if said["same"] else "no, not the same") in answer.out

    # In this process: the imports of three more would take longer than the work.
    monkeypatch.chdir(tmp_path)
    words = ["input=people/one", "output=encodings.parquet"]
    assert call("predict", *words, root=tmp_path, trained=None, patch=monkeypatch) == 0
    encodings = pd.read_parquet("encodings.parquet").filter(like="embedding_").to_numpy()
    of_one = [place for place, name in enumerate(gallery.identities) if name == "one"]
    assert encodings == pytest.approx(gallery.encodings[of_one], abs=1e-5)
    words = ["input=photographs", f"gallery={folder / 'gallery.parquet'}", f"checkpoint={another(folder)}"]
    with pytest.raises(
        Mistake, match=r"made with model .* of two networks cannot be compared; .*gallery=NEW"
    ):
        call("identify", *words, root=tmp_path, trained=None, patch=monkeypatch)
    assert call("enroll", "remove=one", root=tmp_path, trained=None, patch=monkeypatch) == 0
    assert read_gallery(folder / "gallery.parquet").names == ["three", "zero", "Łukasz"]


def another(folder: Path) -> Path:
    """A checkpoint whose weights differ by very little."""
    content = torch.load(next((folder / "checkpoints").glob("epoch*.ckpt")), weights_only=True)
    name = next(name for name, value in content["state_dict"].items() if value.ndim == 4)
    content["state_dict"][name][0, 0, 0, 0] += 1e-3
    torch.save(content, folder / "another.ckpt")
    return folder / "another.ckpt"
