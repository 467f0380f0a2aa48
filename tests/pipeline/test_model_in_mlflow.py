"""A network that is asked through MLflow answers as the verbs do."""

import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException
from mlflow.models.utils import _enforce_schema
from mlflow.pyfunc.scoring_server import predictions_to_json
from PIL import Image

from pipeline.console import console
from pipeline.served.answering import Network, load
from pipeline.served.schema import example_of, signature_of
from pipeline.work.loading import Trained
from tests.pipeline.networks import checkpoint_of, pixels_of, text_of, write_pictures
from tests.pipeline.verifiers import call

Answer = tuple[pd.DataFrame, Trained, Path, list[Path]]


def ask(model: str, folder: Path, **columns: Any) -> Answer:
    """Ask an untrained network about three pictures; what it says is held against its own signature."""
    network = load(checkpoint_of(model, folder), accelerator="cpu")
    files = write_pictures(folder / "pictures")
    table = pd.DataFrame({"image": [text_of(path) for path in files], **columns})
    trained = network._trained
    signature = signature_of(trained.task)
    _enforce_schema(table, signature.inputs)
    answer = network.predict(table, {"min_score": 0.0} if model.endswith("rcnn") else None)
    assert len(answer) == len(files)
    _enforce_schema(answer, signature.outputs)
    predictions_to_json(answer, written := io.StringIO())
    assert json.loads(written.getvalue())["predictions"] == answer.to_dict("records")
    _enforce_schema(network.predict(example_of(trained)), signature.outputs)
    return answer, trained, folder, files


def predicted(given: Answer, patch: pytest.MonkeyPatch, *words: str) -> pd.DataFrame:
    """The table of `make predict` for the same pictures."""
    _, trained, folder, _ = given
    words = (
        f"checkpoint={trained.path}",
        f"input={folder / 'pictures'}",
        f"output={folder / 'table.csv'}",
        *words,
    )
    assert call("predict", *words, "accelerator=cpu", root=folder, trained=None, patch=patch) == 0
    return pd.read_csv(folder / "table.csv")


def test_classes_are_those_of_make_predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ask("lenet5", tmp_path)
    table = predicted(given, monkeypatch)
    for row, said in zip(table.to_dict("records"), given[0].to_dict("records"), strict=True):
        assert said["label"] == str(row["label"])
        assert said["score"] == pytest.approx(row["probability"], abs=1e-6)
        assert said["scores"] == {
            name: pytest.approx(row[f"probability_{name}"], abs=1e-6) for name in map(str, range(10))
        }
        assert sum(said["scores"].values()) == pytest.approx(1)


@pytest.mark.parametrize("model", ["faster_rcnn", "mask_rcnn"])
def test_objects_are_those_of_make_predict(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ask(model, tmp_path)
    answer, trained, _, files = given
    table = predicted(given, monkeypatch, "min_score=0.0")
    assert len(table) > 3, "an untrained detector finds something everywhere"
    for path, said in zip(files, answer.to_dict("records"), strict=True):
        rows = table[table["file"] == str(path)]
        assert said["labels"] == [str(label) for label in rows["label"]]
        assert said["scores"] == pytest.approx(rows["score"].tolist())
        assert np.allclose(said["boxes"], rows[["x1", "y1", "x2", "y2"]].to_numpy().reshape(-1, 4))
        if model == "mask_rcnn":
            assert said["masks"] == [json.loads(text) for text in rows["segmentation"]]
            assert {tuple(mask["size"]) for mask in said["masks"]} <= {cv2.imread(str(path)).shape[:2]}
    highest = max(max(scores, default=0.0) for scores in answer["scores"])
    nothing = Network(trained, accelerator="cpu").predict(
        pd.DataFrame({"image": [text_of(files[0])]}), {"min_score": highest + 0.01}
    )
    assert nothing["boxes"][0] == [] and nothing["labels"][0] == []


def test_masks_are_those_of_make_predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ask("fcn8s", tmp_path)
    answer, trained, folder, files = given
    predicted(given, monkeypatch)
    for path, said in zip(files, answer.to_dict("records"), strict=True):
        mask = np.asarray(Image.open(folder / "table" / "masks" / f"{path.stem}.png"))
        served = Image.open(io.BytesIO(__import__("base64").b64decode(said["mask"])))
        assert (np.asarray(served) == mask).all()
        assert mask.shape == cv2.imread(str(path)).shape[:2]
        assert said["class_names"] == trained.metadata["class_names"]


def test_distances_are_those_of_make_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = write_pictures(tmp_path / "others", count=5)[2:]
    texts = [text_of(others[0]), None, text_of(others[2])]
    answer, trained, folder, files = ask("triplet", tmp_path, other=texts)
    embeddings = np.array(answer["embedding"].tolist())
    table = predicted((answer, trained, folder, files), monkeypatch)
    assert np.allclose(embeddings, table.filter(like="embedding_").to_numpy(), atol=1e-6)
    assert answer["distance"][1] is None and answer["same"][1] is None
    for row in (0, 2):
        words = (f"a={files[row]}", f"b={others[row]}", f"checkpoint={trained.path}")
        output = f"output={folder / 'answer.json'}"
        patched = (*words, output, "accelerator=cpu")
        assert call("verify", *patched, root=folder, trained=None, patch=monkeypatch) == 0
        told = json.loads((folder / "answer.json").read_text())
        assert answer["distance"][row] == pytest.approx(told["distance"], abs=1e-6)
        assert answer["same"][row] is told["same"]


def test_without_another_picture_there_is_no_distance(tmp_path: Path) -> None:
    answer, trained, _, files = ask("triplet", tmp_path)
    assert list(answer.columns) == ["embedding"]
    trained.task.threshold.fill_(float("nan"))  # type: ignore[operator, union-attr]
    same = pd.DataFrame({"image": [text_of(files[0])], "other": [text_of(files[0])]})
    (told,) = Network(trained, accelerator="cpu").predict(same).to_dict("records")
    assert told["distance"] == pytest.approx(0, abs=1e-6)
    assert told["same"] is None, "nothing was calibrated"


def test_pictures_are_those_of_make_stylize(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = write_pictures(tmp_path / "styles", count=2)
    styles = [one, two, one]
    answer, trained, folder, files = ask("adain", tmp_path, style=[text_of(path) for path in styles])
    for path, style, said in zip(files, styles, answer["picture"], strict=True):
        words = (f"checkpoint={trained.path}", f"input={path}", f"style={style}")
        places = (f"output={folder / 'painted'}", "pictures=0", "accelerator=cpu")
        assert call("stylize", *words, *places, root=folder, trained=None, patch=monkeypatch) == 0
        painted = cv2.imread(str(next((folder / "painted").glob("*.png"))))
        assert (pixels_of(said) == painted).all()
        next((folder / "painted").glob("*.png")).unlink()
    assert not (pixels_of(answer["picture"][0])[:, :60] == pixels_of(answer["picture"][1])[:, :60]).all()


def test_a_learnt_style_needs_none(tmp_path: Path) -> None:
    answer, _, _, files = ask("fast_style", tmp_path)
    for path, said in zip(files, answer["picture"], strict=True):
        content = cv2.imread(str(path))
        assert content is not None and pixels_of(said).shape == content.shape


def test_a_row_that_is_no_picture_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = load(checkpoint_of("lenet5", tmp_path), accelerator="cpu")
    whole = text_of(write_pictures(tmp_path / "pictures", count=1)[0])
    wrong = {"bm90aGluZw==": "not a picture", "%": "no base64", "": "no text", whole[:200]: "the picture"}
    for text, said in wrong.items():
        with pytest.raises(MlflowException, match=f"row 1, column image: .*{said}") as raised:
            network.predict(pd.DataFrame({"image": [whole, text]}))
        assert raised.value.get_http_status_code() == 400
        assert str(tmp_path) not in str(raised.value) and "/000001" not in str(raised.value)
    assert capsys.readouterr().out == ""
    assert not console.quiet, "other work of the process may speak again"
    assert len(network.predict(pd.DataFrame({"image": []}, dtype=str))) == 0


def test_a_broken_picture_beside_it_is_named_with_its_column(tmp_path: Path) -> None:
    whole = text_of(write_pictures(tmp_path / "pictures", count=1)[0])
    for model, column in (("triplet", "other"), ("adain", "style")):
        (tmp_path / model).mkdir()
        network = load(checkpoint_of(model, tmp_path / model), accelerator="cpu")
        table = pd.DataFrame({"image": [whole, whole], column: [whole, "bm90aGluZw=="]})
        with pytest.raises(MlflowException, match=f"row 1, column {column}: "):
            network.predict(table)


def test_several_threads_are_answered_one_after_the_other(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    network = load(checkpoint_of("adain", tmp_path), accelerator="cpu")
    files = [text_of(path) for path in write_pictures(tmp_path / "pictures")]
    tables = [pd.DataFrame({"image": [files[0]], "style": [style]}) for style in files]
    alone = [network.predict(table)["picture"][0] for table in tables]
    torch.manual_seed(0)
    with ThreadPoolExecutor(3) as pool:
        together = [found["picture"][0] for found in pool.map(network.predict, tables * 2)]
    assert together == alone * 2
