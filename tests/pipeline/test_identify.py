"""Who is seen in images, how sure that is, and whether two images show the same."""

import json
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.errors import Mistake
from pipeline.work.drawing_pairs import GREEN, RED, write_pair
from pipeline.work.identify import _is_equal
from pipeline.work.loading import Trained
from tests.pipeline.verifiers import RowsVerifier, a_trained, call, striped, write_people


@pytest.fixture
def trained(tmp_path: Path) -> Trained:
    (tmp_path / "run").mkdir()
    return a_trained(RowsVerifier(), tmp_path / "run")


@pytest.fixture
def verb(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Any of the verbs with some words and a network that knows Ada (row 0) and Łukasz (row 1)."""

    def run(name: str, *words: str, using: Trained = trained) -> int:
        return call(name, *words, root=tmp_path, trained=using, patch=monkeypatch)

    assert run("enroll", f"input={write_people(tmp_path / 'people')}") == 0
    return run


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """New pictures of both and of a stranger, and a broken file."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name, row in (("ada", 0), ("lukasz", 1), ("stranger", 6)):
        cv2.imwrite(str(folder / f"{name}.png"), striped(row, seed=9))
    (folder / "text.jpg").write_text("no picture")
    return folder


def test_people_are_recognised_and_a_stranger_is_unknown(
    verb: Any, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "found.csv"
    assert verb("identify", f"input={photographs}", f"output={output}") == 1
    table = pd.read_csv(output)
    assert list(table["identity"]) == ["Ada", "Łukasz", "unknown"]
    assert list(table["nearest"][:2]) == ["Ada", "Łukasz"]
    assert list(table["second"][:2]) == ["Łukasz", "Ada"]
    assert [Path(file).name for file in table["file"]] == ["ada.png", "lukasz.png", "stranger.png"]
    assert Path(table["nearest_file"][0]).parent.name == "Ada"
    assert (table["distance"] <= table["second_distance"]).all()
    assert (table["distance"] <= 0.3).tolist() == [True, True, False]
    expected = 1 / (1 + np.exp(-(4 - 4 / 0.3 * table["distance"])))
    assert table["probability"].to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-5)
    said = capsys.readouterr().out
    known = "2 of 3 images known (Ada: 1, Łukasz: 1), 1 unknown (farther than 0.3"
    strangers = "strangers about 19 in a hundred would be taken for somebody"  # 1 - 0.9²
    for words in (known, "text.jpg", "found.csv", "gallery   4 encodings of 2 identities", strangers):
        assert words in said
    assert "threshold= a smaller distance than 0.3 takes fewer" in said
    assert "ambiguous" not in said and not table["ambiguous"].any() and "belongs" not in said
    assert len(list((tmp_path / "found").glob("*.png"))) == 3


def test_two_who_are_equally_near_are_both_named(
    verb: Any, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verb("enroll", f"input={tmp_path / 'people' / 'Ada'}", "identity=Twin")
    capsys.readouterr()
    verb("identify", f"input={photographs}", f"output={tmp_path / 'found.csv'}")
    table = pd.read_csv(tmp_path / "found.csv")
    assert table["ambiguous"].tolist() == [True, False, False]
    said = capsys.readouterr().out
    assert "1 of them ambiguous: somebody else is as near" in said and "Ada or Twin" in said
    verb("identify", f"input={photographs / 'ada.png'}", f"output={tmp_path / 'far.csv'}", "threshold=0.0")
    assert pd.read_csv(tmp_path / "far.csv")["ambiguous"].tolist() == [False], "unknown is unknown"


@pytest.mark.parametrize(
    ("nearest", "second", "is_equal"),
    [
        (0.0, 0.0, True),
        (1.0, 1.0 + 5e-7, True),
        (1.0, 1.0 + 5e-6, False),
        (-2.0, -2.0 + 1e-6, True),
        (-2.0, -1.9, False),
        (0.0, float("inf"), False),
    ],
)
def test_as_near_means_to_a_millionth(nearest: float, second: float, is_equal: bool) -> None:
    assert _is_equal(nearest, second) is is_equal


@pytest.mark.parametrize(
    ("rate", "said"),
    [(float("nan"), None), (0.0, "none was taken for somebody"), (1.0, "about 100 in")],
)
def test_strangers_are_told_as_far_as_is_known(
    rate: float,
    said: str | None,
    verb: Any,
    photographs: Path,
    trained: Trained,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cast(RowsVerifier, trained.task).false_accept_rate.fill_(rate)
    capsys.readouterr()
    verb("identify", f"input={photographs}", "pictures=0")
    found = capsys.readouterr().out
    assert ("\nstrangers " in found) == (said is not None)
    assert said is None or said in found


def test_a_threshold_of_ones_own_counts(
    verb: Any, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    for threshold, known in ((5, 3), (0.0, 0)):
        words = (f"threshold={threshold}", f"output={tmp_path / 'found.csv'}", "pictures=0")
        verb("identify", f"input={photographs}", *words)
        table = pd.read_csv(tmp_path / "found.csv")
        assert (table["identity"] != "unknown").sum() == known
        said = capsys.readouterr().out
        assert f"belongs to the calibrated threshold of 0.3, not to threshold={threshold:g}" in said
        assert "\nstrangers " not in said, "how many it takes is not known"
    two = (f"a={photographs / 'ada.png'}", f"b={photographs / 'stranger.png'}", "threshold=5.0")
    verb("verify", *two, f"output={tmp_path / 'answer.json'}")
    said = capsys.readouterr().out
    assert "yes, the same" in said and "belongs to the calibrated" in said
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer["probability"] < 0.5 and answer["calibrated_threshold"] == pytest.approx(0.3)
    assert not (tmp_path / "found").exists()


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_a_gallery_of_one_person_has_no_second(
    ending: str, verb: Any, photographs: Path, tmp_path: Path, trained: Trained
) -> None:
    verb("enroll", "remove=Ada", f"gallery={trained.folder / 'gallery.parquet'}")
    output = tmp_path / f"found.{ending}"
    verb("identify", f"input={photographs / 'ada.png'}", f"output={output}")
    read: Any = {"csv": pd.read_csv, "json": pd.read_json, "parquet": pd.read_parquet}[ending]
    (row,) = read(output).to_dict("records")
    assert (row["identity"], row["nearest"]) == ("unknown", "Łukasz")
    assert pd.isna(row["second"]) and pd.isna(row["second_distance"])


def test_a_file_that_is_enrolled_is_no_distance_from_itself(
    verb: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verb("identify", f"input='{tmp_path}/people/Ada/0.png'", f"output={tmp_path / 'found.json'}")
    (row,) = json.loads((tmp_path / "found.json").read_text())
    assert row["distance"] == 0
    assert row["nearest_file"] == str(tmp_path / "people" / "Ada" / "0.png")
    assert "0.0000" in capsys.readouterr().out, "few files are shown on the terminal"


def test_the_table_goes_to_the_run_without_output(verb: Any, photographs: Path, trained: Trained) -> None:
    verb("identify", f"input={photographs}")
    (table,) = (trained.folder / "identified").glob("*.csv")
    assert len(pd.read_csv(table)) == 3


def test_what_is_wrong_is_named(verb: Any, photographs: Path, tmp_path: Path, trained: Trained) -> None:
    cases = {
        "output=found.xls": "output=found.xls",
        "gallery=nobody.parquet": "nobody.parquet.*make enroll",
        "threshold=-0.1": "threshold=-0.1 is no distance",
        "threshold=nan": "threshold=nan is no distance",
        "input=nowhere": "input=nowhere",
    }
    for word, said in cases.items():
        with pytest.raises(Mistake, match=said):
            verb("identify", f"input={photographs}", word)
    for name in ("Ada", "Łukasz"):
        verb("enroll", f"remove='{name}'", f"gallery={trained.folder / 'gallery.parquet'}")
    with pytest.raises(Mistake, match="holds nobody; make enroll"):
        verb("identify", f"input={photographs}")


def test_a_network_that_was_never_validated_asks_for_a_threshold(
    verb: Any, photographs: Path, tmp_path: Path, trained: Trained
) -> None:
    task = RowsVerifier(threshold=float("nan"))
    task.calibration.fill_(float("nan"))
    fresh = a_trained(task, trained.folder)
    two = (f"a={photographs / 'ada.png'}", f"b={photographs / 'stranger.png'}")
    for name, words in (("identify", (f"input={photographs}",)), ("verify", two)):
        with pytest.raises(Mistake, match="no calibrated threshold.*threshold=NUMBER"):
            verb(name, *words, using=fresh)
    assert verb("identify", f"input={photographs}", "threshold=0.3", using=fresh) == 1
    output = tmp_path / "answer.json"
    assert verb("verify", *two, "threshold=0.3", f"output={output}", using=fresh) == 0
    assert json.loads(output.read_text())["probability"] is None


def test_two_images_of_one_person_and_of_two(
    verb: Any, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ada = tmp_path / "people" / "Ada" / "0.png"
    before = set(tmp_path.rglob("*"))
    for other, is_same, title in (("ada", True, "yes, the same"), ("stranger", False, "no, not the same")):
        output = tmp_path / "answers" / f"{other}.json"
        assert verb("verify", f"a={ada}", f"b={photographs / f'{other}.png'}") == 0
        said = capsys.readouterr().out
        assert title in said and "threshold of 0.3000" in said and "P(same)" in said and "belongs" not in said
        assert set(tmp_path.rglob("*")) == before, "nothing is written unless asked for"
        verb("verify", f"a={ada}", f"b={photographs / f'{other}.png'}", f"output={output}")
        answer = json.loads(output.read_text())
        assert answer["same"] is is_same
        assert (answer["distance"] <= answer["threshold"]) is is_same
        assert answer["threshold"] == pytest.approx(0.3)
        for path in (output, output.parent):
            path.unlink() if path.is_file() else path.rmdir()


def test_verify_and_identify_agree(verb: Any, photographs: Path, tmp_path: Path) -> None:
    verb("identify", f"input={photographs / 'ada.png'}", f"output={tmp_path / 'found.json'}")
    (row,) = json.loads((tmp_path / "found.json").read_text())
    words = (f"a={row['file']}", f"b={row['nearest_file']}", f"output={tmp_path / 'answer.json'}")
    verb("verify", *words)
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer["distance"] == pytest.approx(row["distance"], abs=1e-6)
    assert answer["probability"] == pytest.approx(row["probability"], abs=1e-6)


def test_an_image_that_cannot_be_compared_is_named(verb: Any, photographs: Path) -> None:
    cases = {
        ("a", "nowhere.png"): "a=nowhere.png is not there",
        ("b", str(photographs)): "is a folder",
        ("b", str(photographs / "text.jpg")): "b=.*text.jpg",
        ("output", "answer.txt"): r"ends in \.json",
    }
    for (key, value), said in cases.items():
        words = {"a": str(photographs / "ada.png"), "b": str(photographs / "ada.png"), key: value}
        with pytest.raises(Mistake, match=said):
            verb("verify", *(f"{name}={given}" for name, given in words.items()))


def a_pair(folder: Path, *, is_known: bool, enrolled: str = "b.png", title: str = "one") -> Any:
    cv2.imwrite(str(folder / "a.png"), np.full((16, 8, 3), (0, 0, 250), np.uint8))  # red, upright
    if enrolled == "b.png":
        cv2.imwrite(str(folder / "b.png"), np.full((300, 600, 3), (250, 0, 0), np.uint8))
    path = write_pair(
        folder / "a.png",
        folder / enrolled,
        words=(title, "nearest: Łukasz"),
        verdict="Łukasz: 0.100 ≤ 0.300, 94%",
        is_known=is_known,
        folder=folder / "out",
    )
    return cv2.imread(str(path))[..., ::-1]


def test_a_pair_is_drawn_side_by_side_in_a_frame(tmp_path: Path) -> None:
    known, unknown = (a_pair(tmp_path, is_known=is_known) for is_known in (True, False))
    assert known.shape == unknown.shape
    for drawn, colour in ((known, GREEN), (unknown, RED)):
        for edge in (drawn[:6], drawn[-6:], drawn[:, :6], drawn[:, -6:]):
            assert (edge == colour).all()
    half = known.shape[1] // 2
    red, blue = (np.isclose(known, colour, atol=3).all(axis=2) for colour in ((250, 0, 0), (0, 0, 250)))
    assert red[:, :half].sum() == 256 * 128 and not red[:, half:].any(), "as high as there is room, not wider"
    assert blue[:, half:].sum() == 256 * 128 and not blue[:, :half].any()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "a_2.png"]


def test_a_pair_whose_enrolled_file_is_gone_is_drawn_all_the_same(tmp_path: Path) -> None:
    whole, gone = (a_pair(tmp_path, is_known=True, enrolled=name) for name in ("b.png", "gone.png"))
    assert gone.shape == whole.shape
    assert (gone[150:170, -60:-20] == 90).all()
    long = a_pair(tmp_path, is_known=True, title="a very long name of a file" * 9)
    assert long.shape == whole.shape, "long words are cut"


def test_torch_is_as_it_was(verb: Any, photographs: Path) -> None:
    """Inference mode ends with the verb."""
    verb("identify", f"input={photographs}")
    assert not torch.is_inference_mode_enabled()
