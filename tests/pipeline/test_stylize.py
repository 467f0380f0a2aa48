"""Photographs that a network paints: what is written, what is kept, what is said and refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from datamodules.images import read_image
from lightning_modules.colour import keep_chroma
from pipeline.errors import Mistake
from pipeline.work.loading import Trained
from tests.lightning_modules.styled import Filter, one_picture
from tests.pipeline.painters import (
    a_painter,
    call,
    photograph,
    read,
    write_photographs,
    write_unusual,
)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    return write_photographs(tmp_path / "photographs")


@pytest.fixture
def stylize(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The verb with some words and a network; one that learnt its style unless another is given."""

    def run(*words: str, using: Trained | None = None, verb: str = "stylize") -> int:
        trained = using or a_painter(tmp_path / "run")
        return call(verb, *words, trained=trained, patch=monkeypatch)

    return run


def unit(rgb: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None].float() / 255


def to_bytes(picture: Tensor) -> Any:
    return (picture[0] * 255).round().byte().permute(1, 2, 0).numpy()


def test_each_photograph_becomes_a_picture_of_its_name(
    stylize: Any, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "painted"
    assert stylize(f"input={photographs}", f"output={output}") == 1, "one is broken"
    written = {path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()}
    assert written == {"a.png", "a_2.png", "deeper/a.png", "contact_sheet.png", "table.csv"}
    table = pd.read_csv(output / "table.csv")
    assert list(table) == ["file", "picture", "width", "height", "seconds", "ssim"]
    assert [Path(file).name for file in table["file"]] == ["a.bmp", "a.png", "a.png"]
    assert (table["width"] == 28).all() and (table["height"] == 20).all()
    assert (table["seconds"] > 0).all() and table["ssim"].between(0.2, 0.9999).all()
    for row in table.itertuples():
        with torch.no_grad():
            expected = Filter().stylise(unit(read_image(Path(str(row.file)))), None)
        assert np.array_equal(read(Path(str(row.picture))), to_bytes(expected))
    said = " ".join(capsys.readouterr().out.split())
    assert "3 of 4 photographs painted with run aaaaaaaa" in said
    for words in ("contact_sheet.png", "table.csv", "style flower", "could not be read", "text.jpg"):
        assert words in said
    assert "smaller than" not in said


def test_nothing_is_overwritten_and_nothing_painted_twice(
    stylize: Any, photographs: Path, tmp_path: Path
) -> None:
    output = photographs / "painted"
    for _ in range(2):
        stylize(f"input={photographs}", f"output={output}", "alpha=1.0")
    first = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    names = {path.relative_to(output).as_posix() for path in first}
    assert {"a.png", "a_2.png", "a_3.png", "a_4.png", "deeper/a_2.png"} <= names
    assert {"table_2.csv", "contact_sheet_2.png"} <= names
    assert len(names) == 2 * (3 + 2), "what the first call painted is no photograph for the second"
    stylize(f"input='{photographs}/*.png'", f"output={output}", "alpha=0.5", "pictures=0")
    assert all(path.read_bytes() == content for path, content in first.items())
    added = {path.name for path in output.rglob("*") if path.is_file() and path not in first}
    assert added == {"a_5.png", "table_3.csv"}
    with pytest.raises(Mistake, match="nothing else"):
        stylize(f"input={output}", f"output={output}")


def test_without_a_folder_pictures_go_to_the_run(stylize: Any, photographs: Path, tmp_path: Path) -> None:
    for _ in range(2):
        stylize(f"input={photographs}/a.bmp", "format=jpg")
    folders = sorted((tmp_path / "run" / "stylized").iterdir())
    assert len(folders) == 2
    for folder in folders:
        assert sorted(path.name for path in folder.iterdir()) == ["a.jpg", "contact_sheet.png", "table.csv"]
        assert (folder / "a.jpg").read_bytes().startswith(b"\xff\xd8")


def test_styles_are_blended_as_a_person_says(stylize: Any, photographs: Path, tmp_path: Path) -> None:
    painter = a_painter(tmp_path / "run", needs_style=True)
    content = unit(read_image(photographs / "a.bmp"))
    styles = [unit(photograph(seed, height=40, width=40)) for seed in (11, 12)]
    for number, style in enumerate(styles):
        from PIL import Image

        Image.fromarray(to_bytes(style)).save(tmp_path / f"style{number}.png")
    both = f"style=[{tmp_path}/style0.png,{tmp_path}/style1.png]"
    for name, words, blend in (("even", (), (0.5, 0.5)), ("odd", ("style_blend=[3,1]",), (0.75, 0.25))):
        output = tmp_path / name
        assert stylize(f"input={photographs}/a.bmp", f"output={output}", both, *words, using=painter) == 0
        with torch.no_grad():
            expected = Filter(needs_style=True).stylise(content, styles, blend=list(blend))
        painted = read(output / "a.png").astype(int)
        assert np.abs(painted - to_bytes(expected)).max() <= 1, "styles are resized before they are averaged"
    assert np.abs(read(tmp_path / "odd/a.png").astype(int) - read(tmp_path / "even/a.png")).max() > 3


def test_alpha_and_colour_arrive(stylize: Any, photographs: Path, tmp_path: Path) -> None:
    content = read_image(photographs / "a.bmp")
    stylize(f"input={photographs}/a.bmp", f"output={tmp_path}/none", "alpha=0.0")
    assert np.array_equal(read(tmp_path / "none/a.png"), content)
    stylize(f"input={photographs}/a.bmp", f"output={tmp_path}/grey", "colour=luminance")
    with torch.no_grad():
        expected = keep_chroma(Filter().stylise(unit(content), None), unit(content)).clamp(0, 1)
    assert np.array_equal(read(tmp_path / "grey/a.png"), to_bytes(expected))
    with pytest.raises(ValueError, match="^colour=histogram makes another style"):
        stylize(f"input={photographs}/a.bmp", f"output={tmp_path}/grey", "colour=histogram")


def test_pictures_are_as_large_as_they_shall_be(
    stylize: Any, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, words, size, is_told in (
        ("as_it_is", ("max_size=28",), (20, 28), False),
        ("limited", ("max_size=14",), (10, 14), True),
        ("smaller", ("image_size=7", "max_size=14"), (5, 7), False),
        ("larger", ("image_size=56", "max_size=14"), (40, 56), False),
    ):
        stylize(f"input={photographs}/a.bmp", f"output={tmp_path / name}", *words)
        assert read(tmp_path / name / "a.png").shape[:2] == size
        said = " ".join(capsys.readouterr().out.split())
        assert ("1 painted smaller than the photograph, 14 pixels long" in said) == is_told, name


def test_unusual_files_are_read_as_in_training(stylize: Any, tmp_path: Path) -> None:
    files = write_unusual(tmp_path / "unusual")
    assert stylize(f"input={tmp_path}/unusual", f"output={tmp_path}/out", "alpha=0.0", "pictures=2") == 0
    for file in files:
        assert np.array_equal(read(tmp_path / "out" / f"{file.stem}.png"), read_image(file)), file
    assert read(tmp_path / "out" / "turned.png").shape == (28, 20, 3)
    assert len(files) == 5


def test_a_blend_of_members_says_that_it_is_one(
    stylize: Any, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    painters = [a_painter(tmp_path / "run", model=Filter()) for _ in range(3)]
    painters[0].task.join([painter.task for painter in painters[1:]])  # type: ignore[operator]
    stylize(f"input={photographs}/a.bmp", f"output={tmp_path}/out", using=painters[0])
    assert "flower, and what 2 other members learnt" in capsys.readouterr().out


def test_style_and_network_must_go_together(stylize: Any, photographs: Path, tmp_path: Path) -> None:
    words = (f"input={photographs}/a.bmp", f"output={tmp_path}/out")
    any_style = a_painter(tmp_path / "any", needs_style=True)
    one = a_painter(tmp_path / "one", model=one_picture())
    with pytest.raises(ValueError, match=r"learnt its style, and takes no other: leave style= out"):
        stylize(*words, "style=coffee")
    with pytest.raises(ValueError, match=r"was shown none; give one with style=PICTURE"):
        stylize(*words, using=any_style)
    with pytest.raises(ValueError, match=r"style=cofee .*did you mean coffee"):
        stylize(*words, "style=cofee", using=any_style)
    for style in ((), ("style=coffee",)):
        with pytest.raises(ValueError, match=r"one picture.*data.content="):
            stylize(*words, *style, using=one)
    assert not list((tmp_path / "out").iterdir()), "nothing is written where nothing is painted"


def test_a_network_that_does_not_paint_is_refused(stylize: Any, photographs: Path, tmp_path: Path) -> None:
    from pytorch_lightning import LightningModule

    painter = a_painter(tmp_path / "run")
    other = Trained(**{**vars(painter), "task": LightningModule()})
    with pytest.raises(Mistake, match="does not paint; take a run of task=style_transfer"):
        stylize(f"input={photographs}", using=other)


def test_what_was_painted_before_memory_ended_is_kept(
    stylize: Any, photographs: Path, tmp_path: Path
) -> None:
    class Greedy(Filter):
        painted = 0

        def stylise(self, images: Tensor, styles: Any, **values: Any) -> Tensor:
            self.painted += 1
            if self.painted == 2:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")
            return super().stylise(images, styles, **values)

    painter = a_painter(tmp_path / "run", model=Greedy())
    with pytest.raises(Mistake, match="too large for the memory.*max_size="):
        stylize(f"input={photographs}", f"output={tmp_path}/out", using=painter)
    assert len(pd.read_csv(tmp_path / "out/table.csv")) == 1
    assert (tmp_path / "out/a.png").is_file()


def test_nothing_that_can_be_read_paints_nothing(stylize: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_text("no picture")
    assert stylize(f"input={tmp_path}/broken.png", f"output={tmp_path}/out") == 1
    assert list(pd.read_csv(tmp_path / "out/table.csv")) == [
        "file", "picture", "width", "height", "seconds", "ssim"
    ]  # fmt: skip
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["table.csv"]


def test_prediction_is_the_same_picture(
    stylize: Any, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for ending in ("csv", "json"):
        table = tmp_path / f"{ending}_found.{ending}"
        assert stylize(f"input={photographs}", f"output={table}", verb="predict") == 1
        rows = pd.read_csv(table) if ending == "csv" else pd.read_json(table)
        assert len(rows) == 3
        assert {Path(file).parent for file in rows["picture"]} == {
            table.with_suffix(""),
            table.with_suffix("") / "deeper",
        }
    assert "photographs painted" in capsys.readouterr().out
    stylize(f"input={photographs}/a.png", f"output={tmp_path}/out")
    assert np.array_equal(read(tmp_path / "out/a.png"), read(tmp_path / "csv_found/a_2.png"))
    any_style = a_painter(tmp_path / "any", needs_style=True)
    with pytest.raises(ValueError, match=r"give one with style=PICTURE \(make stylize\)"):
        stylize(f"input={photographs}", f"output={tmp_path}/x.csv", using=any_style, verb="predict")
