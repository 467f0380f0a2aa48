"""What a person is told who names a wrong picture, folder or number for style transfer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.datamodules.box_writers import write_image
from tests.datamodules.style_writers import write_paintings
from tests.datamodules.writers import build_styled


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (
            "chnia",
            r"data\.content=chnia .* is no file .* did you mean china\? the embedded ones are china, flower",
        ),
        ("pictures/coffe.jpg", r"did you mean coffee\?"),
        (
            "zzz.png",
            r"data\.content=zzz\.png \(/.*zzz\.png\) is no file .* correct the path; the embedded ones",
        ),
        ("folder", r"data\.content=folder is a folder, but one picture .* data\.content_dir=<folder>"),
        ("text.png", r"data\.content=text\.png: .* is not a picture .* give a whole JPEG or PNG"),
        ("line.png", r"data\.content=line\.png has 1000x1 pixels, .* cut it into several"),
        ("", r"data\.content=.* is a folder"),
    ],
)
def test_a_wrong_content_is_explained(
    word: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.png").write_text("no picture at all\n" * 10)
    write_image(tmp_path / "line.png", np.zeros((1, 1000, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match=message):
        build_styled("picture_and_style", content=word).setup()


@pytest.mark.parametrize(
    ("data", "changes", "message"),
    [
        ("picture_and_style", {"style": "cofee"}, r"data\.style=cofee .* did you mean coffee\?"),
        ("picture_and_style", {"style": []}, r"data\.style=\[\] names no picture"),
        ("picture_and_style", {"batch_size": 4}, r"data\.batch_size=4 must be 1, .* data=content_folder"),
        ("picture_and_style", {"steps_per_epoch": 0}, r"data\.steps_per_epoch=0 must be at least 1"),
        ("content_folder", {"crops_per_epoch": 0}, r"data\.crops_per_epoch=0 must be at least 1"),
        (
            "content_folder",
            {"style_dir": "x"},
            r"data\.style=flower and data\.style_dir=x .* data\.style=null",
        ),
        (
            "content_folder",
            {"style": ["coffee", "ihc"]},
            r"data\.style=\['coffee', 'ihc'\] leaves none .* for val",
        ),
        ("content_folder", {"content_dir": "none"}, r"data\.content_dir=none \(/.*none\) is no folder"),
        ("content_folder", {"content_dir": "empty"}, r"data\.content_dir=empty \(/.*empty\) has no pictures"),
        (
            "content_folder",
            {"content_dir": "two"},
            r"no pictures for val under two; .* raise data\.val_fraction",
        ),
        (
            "content_folder",
            {"style": None, "style_dir": "none"},
            r"data\.style_dir=none \(/.*none\) is no folder",
        ),
    ],
)
def test_a_wrong_value_is_explained(
    data: str, changes: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write_paintings(tmp_path / "two", splits={"": 2})
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        build_styled(data, **changes).setup()
