"""Precision, memory format and compiler: one switch each, and nothing changes without them."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from pipeline import devices
from pipeline.compose import Composed, compose_plain, problems_of, settings_of
from pipeline.errors import Mistake
from pipeline.resume import resumed


class Task(nn.Module):
    """The little of a task that is arranged."""

    def __init__(self) -> None:
        super().__init__()
        convolution = nn.Conv2d(3, 8, 3)
        self.model = nn.Sequential(convolution, nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 4, 3))
        self.model.register_parameter("picture", nn.Parameter(torch.rand(1, 3, 5, 5)))

    def compiled_part(self) -> nn.Module:
        """All of it."""
        return self.model


def is_channels_last(tensor: torch.Tensor) -> bool:
    return tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous()


@pytest.mark.parametrize(
    ("capabilities", "accelerator", "expected"),
    [
        ([(8, 0)], "auto", "bf16-mixed"),
        ([(9, 0), (8, 6)], "gpu", "bf16-mixed"),
        ([(7, 5)], "auto", "32-true"),
        ([(9, 0), (7, 5)], "cuda", "32-true"),  # ranks must not differ
        ([(9, 0)], "cpu", "32-true"),
        ([], "auto", "32-true"),
    ],
)
def test_precision_follows_the_hardware(
    capabilities: list[tuple[int, int]], accelerator: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(capabilities))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(capabilities))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: capabilities[index])
    assert devices.precision_of({"precision": "auto", "accelerator": accelerator}) == expected
    for word in (None, "16-mixed"):
        assert devices.precision_of({"precision": word, "accelerator": accelerator}) == word


def test_auto_is_a_word_and_what_is_nearly_one_is_told_so() -> None:
    words = ["trainer.precision=auto", "channels_last=true", "compile=true", "optimizer.fused=true"]
    assert problems_of(verb="train", config=compose_plain(verb="train", overrides=words)) == []
    wrong = compose_plain(verb="train", overrides=["trainer.precision=atuo", "channels_last=maybe"])
    messages = {problem.key: problem.message for problem in problems_of(verb="train", config=wrong)}
    assert "'auto'" in messages["trainer.precision"]
    assert "auto, True, False" in messages["channels_last"]


@pytest.mark.parametrize("channels_last", [True, False])
def test_weights_of_convolutions_are_reordered_and_nothing_else(channels_last: bool) -> None:
    task = Task()
    devices.order_weights(task.model, channels_last=not channels_last)
    before = copy.deepcopy(task.state_dict())
    devices.order_weights(task.model, channels_last=channels_last)
    assert is_channels_last(task.model[0].weight) is channels_last
    assert is_channels_last(task.model[3].weight) is channels_last
    assert not is_channels_last(task.model.get_parameter("picture"))
    assert list(task.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in task.state_dict().items())


@pytest.mark.parametrize(
    ("on_gpu", "precision", "asked", "becomes"),
    [
        (True, "bf16-mixed", "auto", True),
        (True, "32-true", "auto", None),
        (False, "bf16-mixed", "auto", None),
        (True, "bf16-mixed", False, False),
        (False, "32-true", True, True),
    ],
)
@pytest.mark.parametrize("built", [True, False])
def test_auto_leaves_a_network_as_it_was_built_unless_it_helps(
    on_gpu: bool, precision: str, asked: Any, becomes: bool | None, built: bool
) -> None:
    task = Task()
    devices.order_weights(task.model, channels_last=built)
    devices.arrange(task, channels_last=asked, compiles=False, precision=precision, on_gpu=on_gpu)
    assert is_channels_last(task.model[0].weight) is (built if becomes is None else becomes)


def test_a_compiled_network_keeps_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self, *_, **__: compiled.append(self))
    task = Task()
    names = list(task.state_dict())
    devices.arrange(task, channels_last="auto", compiles=False, precision="32-true", on_gpu=False)
    assert compiled == []
    devices.arrange(task, channels_last="auto", compiles=True, precision="32-true", on_gpu=False)
    assert compiled == [task.model]
    assert list(task.state_dict()) == names


def test_what_a_compiler_needs_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(devices.shutil, "which", lambda name: name)
    monkeypatch.setattr(devices.sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    with pytest.raises(Mistake, match=r"compile=true needs Python\.h"):
        devices.check_compiler()
    (tmp_path / "Python.h").touch()
    devices.check_compiler()
    monkeypatch.setattr(devices.shutil, "which", lambda name: None)
    with pytest.raises(Mistake, match=r"compile=true needs a C\+\+ compiler"):
        devices.check_compiler()
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    with pytest.raises(Mistake, match="needs the package triton"):
        devices.arrange(Task(), channels_last="auto", compiles=True, precision="32-true", on_gpu=True)


@pytest.mark.slow
def test_a_compiled_network_computes_the_same() -> None:
    devices.check_compiler()
    task = Task().eval()
    images = torch.rand(2, 3, 12, 12)
    plain = task.model(images)
    devices.arrange(task, channels_last=True, compiles=True, precision="32-true", on_gpu=False)
    assert task.model._compiled_call_impl is not None
    torch.testing.assert_close(task.model(images), plain)


def _run(root: Path, *words: str) -> None:
    folder = root / "outputs" / "classification" / "lenet5" / "now_1a2b3c4d"
    folder.mkdir(parents=True)
    config = compose_plain(verb="train", overrides=["model=lenet5", *words])
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "run.json").write_text(json.dumps({"run_id": "1a2b3c4d" * 4, "started": 1.0}))


def _resumed(root: Path, *words: str) -> dict[str, Any]:
    typed = ["resume=1a2b3c4d", *words]
    config = compose_plain(verb="train", overrides=typed)
    settings = settings_of(verb="train", config=config)
    composed = Composed(
        verb="train", config=config, settings=settings, overrides=typed, root=root, show_traceback=True
    )
    return resumed(composed).settings


def test_a_run_goes_on_with_its_own_switches(tmp_path: Path) -> None:
    _run(tmp_path, "seed=7", "channels_last=true", "compile=true", "batch_size_finder=true")
    settings = _resumed(tmp_path)
    assert (settings["seed"], settings["resume"]) == (7, "1a2b3c4d" * 4)
    assert (settings["channels_last"], settings["compile"]) == (True, True)
    assert _resumed(tmp_path, "compile=false")["compile"] is False
    with pytest.raises(Mistake, match=r"channels_last=False: a resumed run goes on with its own"):
        _resumed(tmp_path, "channels_last=false")
