"""Galleries: what is kept, what a file holds, and what is refused."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline.errors import Mistake
from pipeline.work.gallery import Gallery, joined, of_several, without
from pipeline.work.gallery_file import check_model, gallery_path, locked, read_gallery, write_gallery


def a_gallery(*rows: tuple[str, str, str, float]) -> Gallery:
    """Rows of identity, file, content, and the number that the encoding is made of."""
    return Gallery(
        model="0123456789abcdef",
        run_id="f" * 32,
        identities=[row[0] for row in rows],
        files=[row[1] for row in rows],
        contents=[row[2] for row in rows],
        encodings=np.array([[row[3]] * 3 for row in rows], np.float32).reshape(-1, 3),
    )


ADA, GRACE = ("Ada", "/ada.png", "aa", 1.0), ("Grace", "/grace.png", "bb", 2.0)


def rows_of(gallery: Gallery) -> list[tuple[str, str, str, float]]:
    numbers = gallery.encodings[:, 0].tolist()
    return list(zip(gallery.identities, gallery.files, gallery.contents, numbers, strict=True))


def test_who_comes_is_added_to_who_is_there() -> None:
    assert rows_of(joined(a_gallery(ADA), a_gallery(GRACE))) == [ADA, GRACE]
    assert rows_of(joined(a_gallery(), a_gallery(ADA))) == [ADA]


@pytest.mark.parametrize(
    "again",
    [("Ada", "/ada.png", "new", 3.0), ("Ada", "/moved/ada.png", "aa", 3.0)],
    ids=["another picture in the same file", "the same picture in another file"],
)
def test_the_same_image_of_somebody_is_replaced(again: tuple[str, str, str, float]) -> None:
    assert rows_of(joined(a_gallery(ADA, GRACE), a_gallery(again))) == [GRACE, again]
    assert rows_of(joined(a_gallery(), a_gallery(ADA, again, GRACE))) == [again, GRACE]


def test_an_image_of_two_people_is_kept_and_told() -> None:
    as_grace = ("Grace", "/ada.png", "aa", 1.0)
    both = joined(a_gallery(ADA, GRACE), a_gallery(as_grace))
    assert rows_of(both) == [ADA, GRACE, as_grace]
    assert of_several(both, contents=["aa"]) == {"/ada.png": ["Ada", "Grace"]}
    assert of_several(both, contents=["bb"]) == {}


def test_somebody_is_forgotten() -> None:
    gallery = a_gallery(ADA, GRACE, ("Ada", "/other.png", "cc", 4.0))
    assert rows_of(without(gallery, "Ada")) == [GRACE]
    assert len(without(without(gallery, "Ada"), "Grace")) == 0


def test_a_gallery_is_counted_in_words() -> None:
    assert str(a_gallery()) == "0 encodings of 0 identities"
    assert str(a_gallery(ADA)) == "1 encoding of 1 identity"
    assert str(a_gallery(ADA, GRACE)) == "2 encodings of 2 identities"


def test_codes_are_places_in_the_sorted_names() -> None:
    gallery = a_gallery(GRACE, ADA, GRACE)
    assert gallery.names == ["Ada", "Grace"]
    assert gallery.codes().tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    "gallery", [a_gallery(ADA, ("Łukasz 画像", "/a b/[1].png", "dd", -0.1)), a_gallery()]
)
def test_a_file_gives_back_what_was_written(gallery: Gallery, tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    write_gallery(gallery, path)
    found = read_gallery(path)
    assert rows_of(found) == rows_of(gallery)
    assert (found.model, found.run_id) == (gallery.model, gallery.run_id)
    assert found.encodings.shape == (len(gallery), 3)
    assert [file.name for file in tmp_path.iterdir()] == ["people.parquet"]


def test_other_programs_read_the_file(tmp_path: Path) -> None:
    write_gallery(a_gallery(ADA, GRACE), tmp_path / "people.parquet")
    frame = pd.read_parquet(tmp_path / "people.parquet")
    assert list(frame.columns) == ["identity", "file", "content", "encoding"]
    assert frame["encoding"][1].tolist() == [2.0, 2.0, 2.0]


def test_an_interrupted_writing_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "people.parquet"
    write_gallery(a_gallery(ADA), path)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for place in ("pyarrow.parquet.write_table", "os.fsync", "os.replace"):
        with monkeypatch.context() as patch:
            patch.setattr(place, stop)
            with pytest.raises(KeyboardInterrupt):
                write_gallery(a_gallery(GRACE), path)
        assert rows_of(read_gallery(path)) == [ADA]
        assert [file.name for file in tmp_path.iterdir()] == ["people.parquet"], "encodings are left behind"


ADDING = """
import sys
from pathlib import Path
import numpy as np
from pipeline.work.gallery import Gallery, joined
from pipeline.work.gallery_file import locked, read_gallery, write_gallery
path, name = Path(sys.argv[1]), sys.argv[2]
for number in range(8):
    with locked(path):
        old = read_gallery(path)
        who = [f"{name}{number}"]
        new = Gallery(model=old.model, run_id=old.run_id, identities=who, files=who, contents=who,
                      encodings=np.zeros((1, 3), np.float32))
        write_gallery(joined(old, new), path)
"""


def test_two_processes_that_add_at_once_lose_nobody(tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    write_gallery(a_gallery(ADA), path)
    started = [subprocess.Popen([sys.executable, "-c", ADDING, str(path), name]) for name in "xy"]
    assert [process.wait(60) for process in started] == [0, 0]
    assert len(read_gallery(path)) == 1 + 2 * 8


def test_a_lock_that_guarded_nothing_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "people.parquet"

    def fail() -> None:
        with locked(path):
            assert [file.name for file in path.parent.iterdir()] == [".people.parquet.lock"]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []
    with locked(path):
        (tmp_path / "new" / "other.txt").write_text("of somebody else")
    assert [file.name for file in tmp_path.rglob("*")] == ["new", "other.txt"]
    with locked(path):
        write_gallery(a_gallery(ADA), path)
    assert rows_of(read_gallery(path)) == [ADA]


FIRST = """
import sys, time
from pathlib import Path
from pipeline.work.gallery_file import locked
path = Path(sys.argv[1])
for _ in range(200):
    with locked(path):
        (path.parent / "inside").touch(exist_ok=False)
        (path.parent / "inside").unlink()
"""


def test_a_removed_lock_lets_nobody_in_beside_another(tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    started = [subprocess.Popen([sys.executable, "-c", FIRST, str(path)]) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def damaged(path: Path, how: str) -> None:
    whole = path.read_bytes()
    if how == "foreign":
        pd.DataFrame({"a": [1]}).to_parquet(path)
    elif how == "with a flipped bit":
        place = whole.index(b"/ada.png")
        path.write_bytes(whole[:place] + b"X" + whole[place + 1 :])
    else:
        path.write_bytes({"cut short": whole[: len(whole) // 2], "empty": b"", "text": b"Ada;Grace"}[how])


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("cut short", "damaged"),
        ("empty", "damaged"),
        ("text", "damaged"),
        ("with a flipped bit", "damaged"),
        ("foreign", "no gallery"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(how: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    write_gallery(a_gallery(ADA, GRACE), path)
    damaged(path, how)
    with pytest.raises(Mistake, match=f"people.parquet.*{said}"):
        read_gallery(path)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("gallery_format", "99", "format 99.*reads format 1"),
        ("embedding_size", "4", "columns"),
        ("embedding_size", "many", "columns"),
    ],
)
def test_a_file_that_says_something_else_of_itself_is_refused(
    key: str, value: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "people.parquet"
    write_gallery(a_gallery(ADA), path)
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, key.encode(): value}), path)
    with pytest.raises(Mistake, match=said):
        read_gallery(path)


def test_a_missing_file_names_the_verb_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=r"nobody\.parquet.*make enroll"):
        read_gallery(tmp_path / "nobody.parquet")


def test_a_gallery_of_another_model_is_refused_with_both_ids(tmp_path: Path) -> None:
    gallery, path = a_gallery(ADA), tmp_path / "people.parquet"
    check_model(gallery, path, model=gallery.model, run_id="another run with the same weights")
    with pytest.raises(Mistake) as refused:
        check_model(gallery, path, model="other", run_id="e" * 32)
    for said in ("people.parquet", "0123456789abcdef", "other", "run=ffffffff", "gallery=NEW.parquet"):
        assert said in str(refused.value)
    with pytest.raises(Mistake, match="checkpoint=FILE"):
        check_model(gallery, path, model="other", run_id=gallery.run_id)


def test_a_gallery_is_a_parquet_file(tmp_path: Path) -> None:
    assert gallery_path(None, folder=tmp_path) == tmp_path / "gallery.parquet"
    assert gallery_path("my.parquet", folder=tmp_path) == Path("my.parquet")
    for given in ("my.csv", str(tmp_path)):
        with pytest.raises(Mistake, match=r"ends in \.parquet"):
            gallery_path(given, folder=tmp_path)


def test_a_gallery_has_as_many_names_as_encodings() -> None:
    with pytest.raises(AssertionError):
        replace(a_gallery(ADA), identities=["Ada", "Grace"])
