"""The largest batch: found by few trials, and without a trace in the run that follows."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

from pipeline.compose import Composed, compose_plain, settings_of
from pipeline.errors import Mistake
from pipeline.work import batch_size, memory, train
from pipeline.work.batch_size import largest
from pipeline.work.preparing import Speed
from tests.commands import run_verb

WORDS = (
    "model=lenet5",
    "data.batch_size=32",
    "trainer=cpu",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=3",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "logger=none",
    "baselines=null",
)


def composed(root: Path, *words: str) -> Composed:
    config = compose_plain(verb="train", overrides=[*WORDS, *words])
    settings = settings_of(verb="train", config=config)
    return Composed(
        verb="train", config=config, settings=settings, overrides=[*words], root=root, show_traceback=True
    )


@pytest.mark.parametrize("start", [1, 3, 8, 64])
@pytest.mark.parametrize("limit", [0, 1, 7, 8, 63, 64, 65, 191, 192, 300, 1000, 4097])
@pytest.mark.parametrize("most", [64, 100, 1078, 100_000])
def test_search_ends_just_below_the_limit(start: int, limit: int, most: int) -> None:
    asked: list[int] = []

    def fits(size: int) -> bool:
        asked.append(size)
        return size <= limit

    found = largest(fits, start=start, most=most)
    bound = min(limit, most)
    assert found == 0 or fits(found)
    assert len(asked) <= 26
    if limit == 0:
        assert found == 0
    elif limit < start:
        assert found == max(start >> halved for halved in range(10) if 0 < start >> halved <= limit)
    else:
        assert found % start == 0
        assert found <= max(bound, start)
        assert bound - found < max(start, found / 8 + start)


def test_a_run_is_told_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory.HostMemory, "has_room", lambda self, size: size <= 70)
    monkeypatch.delenv("PIPELINE_TOLD_BATCH_SIZE", raising=False)
    whole = composed(tmp_path)
    speed = Speed(channels_last="auto", compiles=False)
    found = batch_size.with_largest_batch(whole, seed=0, speed=speed)
    assert found["data"] == {**whole.config["data"], "batch_size": 64}
    assert whole.config["data"]["batch_size"] == 32
    said = capsys.readouterr().out
    assert "data.batch_size=64 is the largest that fits" in said
    assert "optimizer.lr=0.005 was chosen for 32 and stays; in proportion it would be 0.01" in said
    assert not any(tmp_path.iterdir()), "trials leave nothing behind"


@pytest.mark.slow
def test_run_is_the_one_that_the_number_by_itself_would_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory.HostMemory, "has_room", lambda self, size: size <= 150)
    looked = composed(tmp_path / "looked", "batch_size_finder=true")
    assert train.run(composed=looked, **looked.settings) == 0
    given = composed(tmp_path / "given", "data.batch_size=128")
    assert train.run(composed=given, **given.settings) == 0
    found, expected = (state(tmp_path / name) for name in ("looked", "given"))
    assert found.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
    assert metrics(tmp_path / "looked") == metrics(tmp_path / "given")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_take_the_same_size(tmp_path: Path) -> None:
    two = ("trainer.devices=2", "trainer.strategy=ddp", "data.num_workers=0", "batch_size_finder=true")
    answer = run_verb("train", *WORDS, *two, root=tmp_path)
    assert answer.code == 0, answer.err
    # Half of 1,078 images is the most for each; 512 the last multiple of 32 before the next is beyond it.
    assert answer.out.count("data.batch_size=512 is the largest that fits") == 1
    (path,) = tmp_path.glob("outputs/*/*/*/config.yaml")
    assert yaml.safe_load(path.read_text())["data"]["batch_size"] == 512


def state(root: Path) -> dict[str, torch.Tensor]:
    (path,) = root.glob("outputs/*/*/*/checkpoints/last.ckpt")
    content = torch.load(path, weights_only=True)
    assert content["pipeline"]["config"]["data"]["batch_size"] == 128
    return dict(content["state_dict"])


def metrics(root: Path) -> dict[str, float]:
    (path,) = root.glob("outputs/*/*/*/metrics.json")
    return dict(json.loads(path.read_text()))


class Failing(batch_size._Trials):
    """Trials that end in an error above a size."""

    def __init__(self, error: Exception, *, above: int) -> None:
        self.error, self.above, self.start, self.processes = error, above, 32, 1
        self.device, self.task = torch.device("cpu"), torch.nn.Identity()  # type: ignore[assignment]
        self.memory = memory.HostMemory(processes=1)

    def _run(self, size: int) -> None:
        if size > self.above:
            raise self.error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        MemoryError(),
        ValueError("data.batch_size=64 and data.images_per_identity=4 ask for 16 identities"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_only_a_lack_of_memory_or_of_images_is_an_answer(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_size, "let_go", lambda *_, **__: None)
    assert Failing(error, above=32).fits(32)
    assert not Failing(error, above=32).fits(64)
    with pytest.raises(RuntimeError, match="shapes"):
        Failing(RuntimeError("shapes do not match"), above=32).fits(64)
    with pytest.raises(ValueError, match="of no use"):
        Failing(ValueError("of no use"), above=0).fits(32)


def test_memory_of_the_machine_is_foretold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 1000 * 2**20)
    host = memory.HostMemory(processes=2)  # 350 MiB each
    assert host.has_room(10**6)
    monkeypatch.setattr(memory, "peak_of_process", lambda: host.before + 100 * 2**20)
    host.ran(32)
    assert host.has_room(112)
    assert not host.has_room(113)


def test_a_picture_has_no_batches() -> None:
    painting: Any = SimpleNamespace(metadata={"content_size": [10, 10]})
    with pytest.raises(Mistake, match="is one picture, without batches"):
        batch_size._refuse_one_picture(painting)


def test_nothing_is_looked_for_when_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = composed(tmp_path, "batch_size_finder=true")
    going_on = replace(whole, settings={**whole.settings, "resume": "1a2b"})
    asked: list[bool] = []
    monkeypatch.setattr(train, "with_largest_batch", lambda *_, **__: asked.append(True))
    monkeypatch.setattr(train, "prepared", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        train.run(composed=going_on, **going_on.settings)
    assert asked == []
