"""Who is enrolled: folders, files, names, broken files, and people who are forgotten."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from pipeline.errors import Mistake
from pipeline.work.gallery import Gallery
from pipeline.work.gallery_file import read_gallery
from pipeline.work.loading import Trained
from pipeline.work.people import find_people
from pipeline.work.verifying import model_id
from tests.commands import AT_ONCE, run_verb
from tests.pipeline.verifiers import SIZE, RowsVerifier, a_trained, call, striped, write_people


@pytest.fixture
def trained(tmp_path: Path) -> Trained:
    (tmp_path / "run").mkdir()
    return a_trained(RowsVerifier(), tmp_path / "run")


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return write_people(tmp_path / "people")


@pytest.fixture
def enroll(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`make enroll` with some words, into the run's gallery."""

    def run(*words: str, using: Trained | None = trained) -> int:
        return call("enroll", *words, root=tmp_path, trained=using, patch=monkeypatch)

    return run


def stored(trained: Trained) -> Gallery:
    return read_gallery(trained.folder / "gallery.parquet")


def test_a_folder_for_each_person_is_stored_once(
    enroll: Any, trained: Trained, people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert enroll(f"input={people}") == 0
    gallery = stored(trained)
    assert list(gallery.identities) == ["Ada", "Ada", "Łukasz", "Łukasz"]
    assert list(gallery.files) == [
        str(people / name / f"{n}.png") for name in ("Ada", "Łukasz") for n in (0, 1)
    ]
    assert gallery.encodings.shape == (4, SIZE)
    rows = striped(1, seed=1).astype(np.float32).reshape(SIZE, -1).mean(axis=1)
    assert gallery.encodings[3] == pytest.approx(rows / 255, abs=1e-6)
    assert (gallery.model, gallery.run_id) == (model_id(trained.task), trained.run_id)
    said = capsys.readouterr().out
    assert "4 of them new" in said and "0 of them new" in said
    assert "4 encodings of 2 identities" in said


def test_one_more_person_needs_one_image(enroll: Any, trained: Trained, people: Path, tmp_path: Path) -> None:
    enroll(f"input={people}")
    cv2.imwrite(str(tmp_path / "one.png"), striped(5))
    assert enroll(f"input={tmp_path / 'one.png'}", "identity='Grace Hopper'") == 0
    assert stored(trained).names == ["Ada", "Grace Hopper", "Łukasz"]
    assert len(stored(trained)) == 5


def test_images_that_were_moved_replace_themselves(enroll: Any, trained: Trained, people: Path) -> None:
    enroll(f"input={people}")
    moved = people.rename(people.with_name("moved"))
    enroll(f"input={moved}")
    assert len(stored(trained)) == 4
    assert all("/moved/" in file for file in stored(trained).files)


def test_broken_files_are_listed_and_the_rest_is_stored(
    enroll: Any, trained: Trained, people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (people / "Ada" / "0.png").read_bytes()
    (people / "Ada" / "short.png").write_bytes(whole[: len(whole) // 2])
    (people / "Broken").mkdir()
    (people / "Broken" / "text.jpg").write_text("no picture")
    (people / "Nobody").mkdir()
    assert enroll(f"input={people}") == 1
    gallery = stored(trained)
    assert list(zip(gallery.identities, gallery.encodings.argmax(axis=1), strict=True)) == [
        ("Ada", 0), ("Ada", 0), ("Łukasz", 1), ("Łukasz", 1)
    ]  # fmt: skip
    said = capsys.readouterr().out
    for expected in ("short.png", "text.jpg", "Broken: none of the images", "Nobody: no images"):
        assert expected in said


def test_nothing_to_read_leaves_no_gallery(enroll: Any, trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    assert enroll(f"input={tmp_path / 'text.jpg'}", "identity=Ada") == 1
    assert list(trained.folder.iterdir()) == []
    path = tmp_path / "new" / "people.parquet"
    assert enroll(f"input={tmp_path / 'text.jpg'}", "identity=Ada", f"gallery={path}") == 1
    assert not path.parent.exists()


def test_one_image_of_two_people_is_told(
    enroll: Any, people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    enroll(f"input={people}")
    enroll(f"input={people / 'Ada' / '0.png'}", "identity=Grace")
    assert f"enrolled as several {people / 'Ada' / '0.png'}: Ada, Grace" in capsys.readouterr().out


def test_a_first_enrolment_that_fails_leaves_nothing(
    enroll: Any, trained: Trained, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("pyarrow.parquet.write_table", stop)
    with pytest.raises(OSError, match="no space"):
        enroll(f"input={people}")
    assert list(trained.folder.iterdir()) == []


def test_somebody_is_forgotten_without_a_network(
    enroll: Any, trained: Trained, people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    enroll(f"input={people}")
    path = trained.folder / "gallery.parquet"
    assert b"Ada" in path.read_bytes()
    assert enroll("remove=Ada", f"gallery={path}", using=None) == 0
    assert stored(trained).names == ["Łukasz"]
    assert b"Ada" not in path.read_bytes()
    assert "forgot   Ada, 2 of 4 encodings" in capsys.readouterr().out
    with pytest.raises(Mistake, match=r"remove=Lukasz.*did you mean 'Łukasz'"):
        enroll("remove=Lukasz", f"gallery={path}", using=None)
    with pytest.raises(Mistake, match=r"nowhere\.parquet.*no such file"):
        enroll("remove=Ada", f"gallery={path.with_name('nowhere.parquet')}", using=None)
    assert sorted(file.name for file in path.parent.iterdir()) == [".gallery.parquet.lock", "gallery.parquet"]


def test_a_gallery_of_another_model_is_refused_before_any_work(
    enroll: Any, trained: Trained, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enroll(f"input={people}")
    monkeypatch.setattr("pipeline.work.enroll.encode", None)
    before = (trained.folder / "gallery.parquet").read_bytes()
    other = a_trained(RowsVerifier(scale=2.0), trained.folder, run_id="b" * 32)
    with pytest.raises(Mistake) as refused:
        enroll(f"input={people}", using=other)
    for said in (model_id(trained.task), model_id(other.task), "run=aaaaaaaa", "gallery=NEW.parquet"):
        assert said in str(refused.value)
    assert (trained.folder / "gallery.parquet").read_bytes() == before


def test_the_id_of_a_model_is_that_of_its_weights_only() -> None:
    same = model_id(RowsVerifier())
    assert same == model_id(RowsVerifier(threshold=0.9))
    calibrated = RowsVerifier()
    for buffer in (calibrated.calibration, calibrated.false_accept_rate):
        buffer.fill_(0.7)
    assert same == model_id(calibrated)
    assert same != model_id(RowsVerifier(scale=1.0000001))
    assert len(same) == 16 and int(same, 16)


def test_a_network_that_answers_nan_is_refused(enroll: Any, people: Path, trained: Trained) -> None:
    diverged = a_trained(RowsVerifier(scale=float("nan")), trained.folder)
    with pytest.raises(Mistake, match=r"nan or infinity for 4 of 4 images \(0\.png.*diverged"):
        enroll(f"input={people}", using=diverged)


def test_another_task_is_refused(enroll: Any, people: Path, trained: Trained) -> None:
    class Classifier(torch.nn.Module):
        def predict_step(self, batch: Any, batch_idx: int) -> None: ...

    classifier = a_trained(Classifier(), trained.folder)
    with pytest.raises(Mistake, match=r"run=aaaaaaaa is of task=classification.*task=verification"):
        enroll(f"input={people}", using=classifier)


def test_folders_that_do_not_say_who_is_seen_are_refused(people: Path) -> None:
    cases = {
        "nowhere": "no images here",
        str(people / "Ada"): r"0\.png and 1 more directly in it.*identity=NAME",
        str(people / "Ada" / "0.png"): "does not say whom it shows.*identity=NAME",
        f"{people}/*/*.png": "does not say whom it shows.*identity=NAME",
        str(people.parent): rf"people/ holds folders.*give input={people}",
    }
    for given, said in cases.items():
        with pytest.raises(Mistake, match=said):
            find_people(given, identity=None)
    (people.parent / "hollow" / "Ada").mkdir(parents=True)
    with pytest.raises(Mistake, match=r"no images here.*hollow/NAME/\*\.jpg"):
        find_people(str(people.parent / "hollow"), identity=None)


def test_hidden_folders_are_nobody(people: Path) -> None:
    (people / ".thumbnails").mkdir()
    (people / ".thumbnails" / "0.png").write_bytes((people / "Ada" / "0.png").read_bytes())
    assert set(find_people(str(people), identity=None).images.values()) == {"Ada", "Łukasz"}


@pytest.mark.parametrize("name", ["unknown", " ", ""])
def test_names_that_mean_something_else_are_refused(name: str, people: Path) -> None:
    with pytest.raises(Mistake, match=f"identity={name}"):
        find_people(str(people / "Ada"), identity=name)


def test_a_name_is_the_same_however_a_system_writes_its_letters(people: Path) -> None:
    (people / "Zoe\u0308").mkdir()
    cv2.imwrite(str(people / "Zoe\u0308" / "0.png"), striped(3))
    found = find_people(str(people), identity=None)
    assert "Zo\u00eb" in found.images.values()
    assert set(find_people(str(people / "Ada"), identity=" Zoe\u0308").images.values()) == {"Zo\u00eb"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "input=FOLDER"),
        (("remove=Ada", "input=people"), "either input=FOLDER"),
        (("identity=Ada", "remove=Ada"), "identity=Ada: give its images"),
        (("input=people", "run=zzz"), "no run of task=verification"),
    ],
    ids=str,
)
def test_a_mistake_is_answered_at_once(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    answer = run_verb("enroll", *words, root=tmp_path)
    assert answer.code == 2
    assert said in answer.err and "Traceback" not in answer.err
    assert answer.seconds < AT_ONCE
    assert list(tmp_path.iterdir()) == []
