"""Painters without training, and photographs of every kind, for tests of the verbs."""

import importlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

from pipeline.compose import Composed, compose_plain, problems_of, settings_of
from pipeline.work import inference
from pipeline.work.loading import Trained
from tests.lightning_modules.styled import Filter, picture, task

KINDS = {True: "adain", False: "fast_style"}
"""Model that a painter stands for, by whether it needs a style."""


def a_painter(folder: Path, *, needs_style: bool = False, model: Any = None, **values: Any) -> Trained:
    """A painter as if it had been trained."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["task=style_transfer", f"model={KINDS[needs_style]}", "data.image_size=32"]
    return Trained(
        task=task(model or Filter(needs_style=needs_style), **values).eval(),
        config=compose_plain(verb="train", overrides=words),
        metadata={},
        run_id="a" * 32,
        path=folder / "kept.ckpt",
        folder=folder,
    )


def composed(verb: str, *words: str, root: Path) -> Composed:
    """What a verb is given for these words."""
    config = compose_plain(verb=verb, overrides=list(words))
    assert problems_of(verb=verb, config=config) == []
    settings = settings_of(verb=verb, config=config)
    return Composed(
        verb=verb, config=config, settings=settings, overrides=[*words], root=root, show_traceback=True
    )


def call(verb: str, *words: str, trained: Trained, patch: pytest.MonkeyPatch) -> int:
    """The work of `stylize` or `predict` with a network that is not read from a checkpoint."""
    work = importlib.import_module(f"pipeline.work.{verb}")
    patch.setattr(work, "load_trained", lambda **_: trained)
    patch.setattr(inference, "track", lambda batches, **_: batches)
    whole = composed(verb, *words, root=trained.folder)
    return int(work.run(composed=whole, **whole.settings))


def write_run(root: Path, *, model: str, run_id: str, started: str = "2026-01-01") -> Path:
    """A run's folder as far as it is looked at before torch is imported."""
    folder = root / "outputs" / "style_transfer" / model / run_id
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "kept.ckpt").touch()
    (folder / "run.json").write_text(f'{{"run_id": "{run_id}", "started": "{started}"}}')
    config = compose_plain(verb="train", overrides=["task=style_transfer", f"model={model}"])
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def photograph(seed: int, *, height: int = 20, width: int = 28) -> NDArray[np.uint8]:
    """RGB, with soft spots of colour."""
    return np.ascontiguousarray(picture(seed, height=height, width=width).numpy().transpose(1, 2, 0))


def write_photographs(folder: Path) -> Path:
    """Two of one name, one of the same name in a folder, and a broken one."""
    (folder / "deeper").mkdir(parents=True)
    for seed, name in enumerate(("a.bmp", "a.png", "deeper/a.png"), 1):
        Image.fromarray(photograph(seed)).save(folder / name)
    (folder / "text.jpg").write_text("no picture")
    return folder


def write_unusual(folder: Path) -> list[Path]:
    """CMYK, 16 bit with transparency, a palette, grey, and one that is upright only by its EXIF."""
    folder.mkdir()
    rgb = Image.fromarray(photograph(7))
    rgb.convert("CMYK").save(folder / "cmyk.jpg")
    rgb.quantize(16).save(folder / "palette.png")
    rgb.convert("L").save(folder / "grey.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    rgb.save(folder / "turned.jpg", exif=turned)
    deep = np.dstack([photograph(8), np.full((20, 28), 128, np.uint8)]).astype(np.uint16) * 257
    cv2.imwrite(str(folder / "deep.png"), deep)
    return sorted(folder.iterdir())


def read(path: Path) -> NDArray[np.uint8]:
    """RGB of a written picture."""
    found = cv2.imread(str(path))
    assert found is not None, path
    return np.asarray(found[..., ::-1], np.uint8)
