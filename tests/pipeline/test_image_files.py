"""Image files that a person names: what is missing is said before torch is imported."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from pipeline.compose import Composed, compose_plain, settings_of
from pipeline.errors import Mistake
from pipeline.image_files import check_images, find_images
from tests.commands import AT_ONCE, run_verb


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.PNG", "deep/a.jpg", "notes.txt", "empty/notes.txt", "odd.name"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def test_files_folders_and_globs_are_found_sorted(folder: Path) -> None:
    assert find_images(str(folder)) == [folder / "b.PNG", folder / "deep" / "a.jpg"]
    assert find_images(f"{folder}/**/a.*") == [folder / "deep" / "a.jpg"]
    assert find_images(str(folder / "odd.name")) == [folder / "odd.name"], "whoever names a file means it"
    for pattern in (folder / "empty", folder / "nowhere", folder / "*.txt"):
        for look in (find_images, check_images):
            with pytest.raises(Mistake, match=r"input=.*: no images here; give a file, a folder or a glob"):
                look(str(pattern))


@pytest.mark.parametrize(
    ("verb", "words", "said"),
    [
        ("verify", ("a={}/nowhere.png", "b={}/b.PNG"), "a=.*nowhere.png is not there; give an image file"),
        ("verify", ("a={}/b.PNG", "b={}/deep"), "b=.*deep is a folder; give an image file"),
        ("verify", ("a={}/b.PNG", "b={}/b.PNG"), None),
        ("identify", ("input={}/nowhere",), "input=.*nowhere: no images here"),
        ("identify", ("input={}",), None),
        ("enroll", ("input={}/nowhere",), "input=.*nowhere: no images here"),
        ("enroll", ("input={}/deep",), None),
        ("enroll", ("remove=Ada", "gallery=people.parquet"), None),
    ],
)
def test_the_light_half_misses_files(
    verb: str, words: tuple[str, ...], said: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Composed] = []
    light: Any = importlib.import_module(f"pipeline.{verb}")
    monkeypatch.setattr(light, "launch", lambda composed: started.append(composed) or 0)
    overrides = [*(word.format(folder) for word in words), "checkpoint=some.ckpt"]
    config = compose_plain(verb=verb, overrides=overrides)
    composed = Composed(
        verb=verb,
        config=config,
        settings=settings_of(verb=verb, config=config),
        overrides=overrides,
        root=folder,
        show_traceback=True,
    )
    if said is None:
        assert light._start(composed) == 0
    else:
        with pytest.raises(Mistake, match=said):
            light._start(composed)
    assert len(started) == (said is None)


def test_a_missing_file_ends_with_the_code_of_a_mistake(tmp_path: Path) -> None:
    answer = run_verb("verify", "a=nowhere.png", "b=two.png", "checkpoint=some.ckpt", root=tmp_path)
    assert answer.code == 2 and "a=nowhere.png is not there" in answer.err
    assert answer.seconds < AT_ONCE
