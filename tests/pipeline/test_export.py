"""Exported networks: every task through onnxruntime and torch, and what is said when something is wrong."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from lightning_modules.exporting import shares
from lightning_modules.exporting_detection import detections_apart
from pipeline import build
from pipeline.compose import Composed, compose_plain, problems_of, settings_of
from pipeline.errors import Mistake
from pipeline.export_paths import check_output
from pipeline.work import export
from pipeline.work.export_check import Checked
from pipeline.work.export_files import Shape
from pipeline.work.loading import Trained
from tests.commands import run_verb

NAMES = [f"class {number}" for number in range(3)]
SCALING: dict[str, Any] = {"image_size": 48, "channels": 3, "mean": [0.2, 0.4, 0.6], "std": [0.3, 0.2, 0.1]}
METADATA: dict[str, dict[str, Any]] = {
    "classification": {"class_names": NAMES, "class_counts": [1] * 3, **SCALING},
    "segmentation": {"class_names": NAMES, "class_counts": [1] * 3, "palette": [[0, 0, 0]] * 3, **SCALING},
    "detection": {"class_names": NAMES, "category_ids": [4, 5, 6], "has_masks": True, **SCALING},
    "verification": {"num_identities": 3, **SCALING},
    "style_transfer": {"num_styles": 1, "content_size": [48, 48], **SCALING},
}
WORDS = {"detection": ["model.pretrained=none"], "segmentation": ["model.scale=light"]}


class Data:
    """What a model asks of data before it is built."""

    def __init__(self, task: str) -> None:
        self.metadata = {**METADATA[task], "scale": "light"}


def a_trained(task: str, model: str, folder: Path) -> Trained:
    """A network with random weights and no data, as if it came from a checkpoint."""
    config = compose_plain(
        verb="train", overrides=[f"task={task}", f"model={model}", *WORDS.get(task, ["data.batch_size=1"])]
    )
    config = build.filled_from_data(config, Data(task))
    torch.manual_seed(0)
    built = build.task(config, METADATA[task]).eval()
    path = folder / "kept.ckpt"
    path.write_bytes(b"weights")
    # Without data the file is compared on noise.
    config["data"] = {"_target_": "datamodules.classification.ImageFolder", "data_dir": "nowhere"}
    return Trained(
        task=built, config=config, metadata=METADATA[task], run_id="a" * 32, path=path, folder=folder
    )


def call(trained: Trained, *words: str, patch: pytest.MonkeyPatch) -> int:
    """The verb with a network that is not read from a checkpoint, in this process."""
    patch.setattr(export, "load_trained", lambda **_: trained)
    patch.setattr("pipeline.work.export_check._items", _noise)
    config = compose_plain(verb="export", overrides=list(words))
    assert problems_of(verb="export", config=config) == []
    settings = settings_of(verb="export", config=config)
    composed = Composed(
        verb="export",
        config=config,
        settings=settings,
        overrides=[],
        root=trained.folder,
        show_traceback=True,
    )
    return export.run(composed=composed, **settings)


def _noise(_: Trained) -> tuple[list[dict[str, Tensor]], str]:
    return [{"image": each, "style": each.flip(1)} for each in pictures(4, (48, 48))], "pictures of noise"


def pictures(count: int, size: tuple[int, int]) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8, generator=generator)


def onnx_answers(path: Path, **given: Tensor) -> list[Tensor]:
    session = onnxruntime.InferenceSession(str(path))
    return [
        torch.as_tensor(each)
        for each in session.run(None, {key: value.numpy() for key, value in given.items()})
    ]


def expected(task: Any, images: Tensor) -> Tensor:
    """What the task says by its own way, not by what is exported."""
    batch = {"image": images, "index": torch.arange(len(images))}
    with torch.no_grad():
        if hasattr(task, "log_probabilities"):
            fused: Tensor = task.log_probabilities(images).exp()
            return fused
        found: dict[str, Any] = task.predict_step(batch, 0)
    if "picture" in found:
        return torch.stack(found["picture"])
    answer: Tensor = found["probabilities" if "probabilities" in found else "embedding"]
    return answer


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "model", "sizes"),
    [
        ("classification", "lenet5", [(48, 48)]),
        ("classification", "resnet8", [(48, 48)]),
        ("verification", "siamese_logistic", [(48, 48)]),
        ("segmentation", "unet", [(48, 48), (37, 90)]),
        ("segmentation", "segnet", [(48, 64), (37, 90)]),
        ("style_transfer", "fast_style", [(48, 48), (45, 70)]),
    ],
)
def test_the_file_answers_as_the_task(
    task: str, model: str, sizes: list[tuple[int, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = a_trained(task, model, tmp_path)
    output = tmp_path / "new folder" / "model.onnx"
    assert call(trained, f"output={output}", patch=monkeypatch) == 0
    for size in sizes:
        for count in (1, 3):
            (found,) = onnx_answers(output, images=pictures(count, size))
            right = expected(trained.task, pictures(count, size))
            assert found.shape == right.shape
            limit = 1 if found.dtype == torch.uint8 else 1e-4
            assert (found.double() - right.double()).abs().max() <= limit
    facts = json.loads(Path(f"{output}.json").read_text())
    said = {entry.key: entry.value for entry in onnx.load(output).metadata_props}
    assert said["run_id"] == facts["run_id"] == "a" * 32 and said["task"] == task
    assert facts["inputs"]["images"]["shape"][:2] == ["batch", 3]
    assert facts["checked"]["largest_difference"] <= facts["checked"]["tolerance"]
    assert not list(output.parent.glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["faster_rcnn", "mask_rcnn", "retinanet", "fcos", "ssd300"])
def test_detectors_answer_as_the_task(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = a_trained("detection", model, tmp_path)
    assert call(trained, patch=monkeypatch) == 0
    # The second one's longer side decides, where 32 bits would make it a pixel too small.
    for size in ((48, 48), (33, 200), (120, 50)):
        (image,) = pictures(1, size)
        found = onnx_answers(tmp_path / "exports" / f"{model}.onnx", images=image[None])
        with torch.no_grad():
            (right,) = trained.task([image])
        keys = [key for key in ("boxes", "scores", "labels", "masks") if key in right]
        assert detections_apart(found, [right[key] for key in keys]) < 1e-4
    with pytest.raises(Mistake, match="format=torch.*as many answers as there are objects.*format=onnx"):
        call(trained, "format=torch", patch=monkeypatch)
    with pytest.raises(Mistake, match="batch=2.*one image at a time"):
        call(trained, "batch=2", "overwrite=true", patch=monkeypatch)


@pytest.mark.slow
def test_a_style_is_an_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = a_trained("style_transfer", "adain", tmp_path)
    assert call(trained, patch=monkeypatch) == 0
    images, style = pictures(2, (45, 70)), pictures(1, (70, 52)).flip(2)  # as large as the task makes it
    (found,) = onnx_answers(tmp_path / "exports" / "adain.onnx", images=images, style=style)
    batch = {"image": list(images), "index": torch.arange(2), "style": [[style[0]]] * 2}
    with torch.no_grad():
        right = torch.stack(trained.task.predict_step(batch, 0)["picture"])
    assert (found.int() - right.int()).abs().max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("batch", ["dynamic", "2"])
def test_torch_runs_it_too(batch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = a_trained("classification", "resnet8", tmp_path)
    assert call(trained, "format=torch", f"batch={batch}", patch=monkeypatch) == 0
    path = tmp_path / "exports" / "resnet8.pt2"
    kept = {"facts.json": ""}
    network = torch.export.load(path, extra_files=kept).module()
    for count in (1, 3) if batch == "dynamic" else (2,):
        images = pictures(count, (48, 48))
        torch.testing.assert_close(network(images), expected(trained.task, images), rtol=0, atol=1e-5)
    assert json.loads(kept["facts.json"])["class_names"] == NAMES
    with pytest.raises(Mistake, match=r"resnet8\.pt2 is there already; overwrite=true"):
        call(trained, "format=torch", patch=monkeypatch)


@pytest.mark.slow
def test_the_example_of_the_documentation_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    text = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    trained = a_trained("classification", "resnet8", tmp_path)
    assert call(trained, f"output={tmp_path / 'model.onnx'}", patch=monkeypatch) == 0
    cv2.imwrite(str(tmp_path / "photo.jpg"), np.full((60, 80, 3), (250, 60, 10), np.uint8))
    monkeypatch.chdir(tmp_path)
    spoken: dict[str, Any] = {}
    exec(compile(example, "docs/export.md", "exec"), spoken)  # noqa: S102
    right = expected(trained.task, torch.as_tensor(spoken["images"]))
    assert spoken["name"] == NAMES[int(right.argmax())]


@pytest.mark.slow
def test_what_cannot_be_exported_says_what_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = a_trained("segmentation", "patch_classifier", tmp_path)
    with pytest.raises(Mistake, match=r"model=patch_classifier cannot.*format=onnx.*image_size=128 batch=1"):
        call(trained, patch=monkeypatch)
    assert call(trained, "image_size=64", "batch=1", patch=monkeypatch) == 0
    path = tmp_path / "exports" / "patch_classifier.onnx"
    assert json.loads(Path(f"{path}.json").read_text())["image_size"] == 64
    (found,) = onnx_answers(path, images=pictures(1, (64, 64)))
    assert (found - expected(trained.task, pictures(1, (64, 64)))).abs().max() < 1e-4


def test_a_size_that_the_network_does_not_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = a_trained("classification", "lenet5", tmp_path)
    with pytest.raises(Mistake, match="model=lenet5 cannot.*trained at 48 pixels and image_size=32.*leave"):
        call(trained, "image_size=32", patch=monkeypatch)
    assert not list((tmp_path / "exports").iterdir())


def test_a_file_that_answers_otherwise_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = a_trained("classification", "resnet8", tmp_path)
    monkeypatch.setattr(export, "write", lambda _, path, **__: path.write_bytes(b"a network"))
    monkeypatch.setattr(
        "pipeline.work.export_check.open_file",
        lambda *_, **__: lambda given: [torch.zeros(len(given["images"]), 3)],
    )
    with pytest.raises(Mistake, match=r"model=resnet8 answers otherwise as format=onnx.*0\.001.*removed"):
        call(trained, patch=monkeypatch)
    assert not list((tmp_path / "exports").iterdir())


def test_no_number_is_near_nothing() -> None:
    for difference in (float("nan"), float("inf"), 0.002):
        with pytest.raises(Mistake):
            Checked(difference=difference, pictures=1, source="x").require(0.001, model="m", format="onnx")
    Checked(difference=0.001, pictures=1, source="x").require(0.001, model="m", format="onnx")
    unit = shares(scale=1.0)
    assert unit([torch.tensor([0.0, torch.nan])], [torch.zeros(2)]) == float("inf")
    assert unit([torch.zeros(2)], [torch.zeros(3)]) == float("inf")
    assert shares(scale=255)(
        [torch.tensor([3], dtype=torch.uint8)], [torch.tensor([5], dtype=torch.uint8)]
    ) == (pytest.approx(2 / 255))


def test_objects_are_compared_whatever_their_order() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [5, 5, 50, 100], [1, 2, 3, 4]])
    found = [boxes, torch.tensor([0.9, 0.9, 0.3]), torch.tensor([1, 2, 1])]
    turned = [each[torch.tensor([1, 0, 2])] for each in found]
    assert detections_apart(found, turned) == 0
    moved = [boxes + torch.tensor([0, 0, 0, 2.0]), *found[1:]]
    assert detections_apart(moved, found) == pytest.approx(2 / 100, rel=0.03)
    assert detections_apart([boxes, found[1], torch.tensor([1, 1, 1])], found) == float("inf")
    assert detections_apart([each[:1] for each in found], found) == float("inf")
    # The least certain one may be there or not.
    assert detections_apart([each[:2] for each in found], found) == 0
    nothing = [each[:0] for each in found]
    assert detections_apart(nothing, nothing) == 0 and detections_apart(nothing, found) == float("inf")


def test_one_picture_is_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = a_trained("style_transfer", "gatys", tmp_path)
    with pytest.raises(ValueError, match="this run is one picture"):
        call(trained, patch=monkeypatch)


def test_no_file_is_written_over_unasked(tmp_path: Path) -> None:
    there = tmp_path / "model.onnx"
    assert check_output(str(there), format="onnx", overwrite=False) == there
    there.write_text("")
    with pytest.raises(Mistake, match=r"model\.onnx is there already; overwrite=true"):
        check_output(there, format="onnx", overwrite=False)
    assert check_output(there, format="onnx", overwrite=True) == there
    with pytest.raises(Mistake, match=r"ends in \.pt2; rename it or format=onnx"):
        check_output(there, format="torch", overwrite=True)
    with pytest.raises(Mistake, match=r"ends in \.onnx; rename it$"):
        check_output("model.bin", format="onnx", overwrite=False)
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(Mistake, match="is a folder"):
        check_output(tmp_path / "folder.onnx", format="onnx", overwrite=True)


def test_lengths_are_free_where_they_can_be() -> None:
    class Anywhere:
        one_image, any_size = False, True

    def shape(**given: Any) -> Shape:
        usual = {"image_size": None, "trained_size": 48, "batch": "dynamic", "format": "onnx"}
        return Shape.of(Anywhere, **{**usual, **given})

    assert shape() == Shape(batch=None, size=None, trained_size=48)
    assert shape(format="torch") == Shape(batch=None, size=48, trained_size=48)
    assert shape(image_size=96, batch=4) == Shape(batch=4, size=96, trained_size=48)
    with pytest.raises(Mistake, match="batch=0 must be at least 1"):
        shape(batch=0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("format=onx",), ("format", "onnx")),
        (("batch=many",), ("batch", "dynamic")),
        (("image_size=0",), ("image_size",)),
        (("run=zzzz",), ("run=zzzz",)),
        (("checkpoint=nothing.ckpt", "output=model.pt2"), ("output=model.pt2", ".onnx", "format=torch")),
    ],
)
def test_what_is_wrong_is_said_at_once(words: tuple[str, ...], said: tuple[str, ...], tmp_path: Path) -> None:
    answer = run_verb("export", *words, root=tmp_path)
    assert answer.code == 2, answer.err
    for word in said:
        assert word in answer.err
