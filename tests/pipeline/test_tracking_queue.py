"""The queue between training and the server: order, disk, and who waits for whom."""

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pipeline import tracking_queue
from pipeline.tracking_entries import without_repetitions
from pipeline.tracking_file import PENDING_FILE, Entry, PendingFile
from pipeline.tracking_queue import Outbox


def metric(step: int, *, key: str = "a", time: int = 0) -> Entry:
    return Entry(kind="metric", key=key, value=float(step), step=step, time=time)


def other(kind: str, key: str) -> Entry:
    return Entry(kind=kind, key=key, value="")  # type: ignore[arg-type]


class Recorder:
    """What was sent, in its order; refuses what `fails` says."""

    def __init__(self, fails: Callable[[Entry], bool] = lambda _: False) -> None:
        self.fails = fails
        self.sent: list[str] = []
        self.portions: list[int] = []

    def __call__(self, entries: Sequence[Entry]) -> bool:
        self.portions.append(len(entries))
        if any(self.fails(entry) for entry in entries):
            return False
        self.sent += [f"{entry.kind} {entry.key}{entry.step or ''}" for entry in entries]
        return True


def lines(folder: Path) -> list[str]:
    path = folder / PENDING_FILE
    rows = path.read_text().splitlines() if path.exists() else []
    return ["{kind} {key}".format(**json.loads(row)) + str(json.loads(row)["step"] or "") for row in rows]


def test_put_waits_for_nothing_and_is_on_disk_when_it_returns(tmp_path: Path) -> None:
    waiting = threading.Event()
    outbox = Outbox(send=lambda _: waiting.wait(20), interval=0.01)
    outbox.open(tmp_path)
    outbox.start()
    began = time.thread_time()
    for step in range(1, 2001):
        outbox.put([metric(step), metric(step, key="b")])
    assert time.thread_time() - began < 0.4, "200 µs for each of 2000 is far more than it takes"
    assert len(lines(tmp_path)) == 4000
    waiting.set()
    assert outbox.close(patience=10) == 0
    assert not (tmp_path / PENDING_FILE).exists()


def test_facts_go_first_and_the_status_last(tmp_path: Path) -> None:
    recorder = Recorder()
    outbox = Outbox(send=recorder, interval=1)
    outbox.open(tmp_path)
    outbox.put([other("file", "x"), other("status", "RUNNING"), metric(1), other("status", "FINISHED")])
    outbox.put([other("image", "y"), metric(2)])
    told: list[int] = []
    assert outbox.drain(told.append)
    expected = ["metric a1", "metric a2", "file x", "image y", "status RUNNING", "status FINISHED"]
    assert recorder.sent == expected
    assert told == [2, 1, 1, 1, 1]


def test_one_file_that_always_fails_holds_up_no_other_and_not_the_status(tmp_path: Path) -> None:
    recorder = Recorder(lambda entry: entry.key == "x")
    outbox = Outbox(send=recorder, interval=1)
    outbox.open(tmp_path)
    outbox.put(
        [other("file", "x"), other("file", "y"), other("status", "RUNNING"), other("status", "FINISHED")]
    )
    assert not outbox.drain()
    assert recorder.sent == ["status RUNNING", "status FINISHED"]
    assert lines(tmp_path) == ["file y", "file x"]
    assert not outbox.drain()
    assert recorder.sent[2:] == ["file y"]
    assert lines(tmp_path) == ["file x"]


def test_one_status_does_not_overtake_another(tmp_path: Path) -> None:
    recorder = Recorder(lambda entry: entry.key == "RUNNING")
    outbox = Outbox(send=recorder, interval=1)
    outbox.open(tmp_path)
    outbox.put([other("status", "RUNNING"), other("status", "FINISHED")])
    assert not outbox.drain()
    recorder.fails = lambda _: False
    assert outbox.drain()
    assert recorder.sent == ["status RUNNING", "status FINISHED"]


def test_a_long_queue_goes_in_portions_and_what_was_sent_is_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking_queue, "PORTION", 10)
    recorder = Recorder(lambda entry: entry.step == 25)
    outbox = Outbox(send=recorder, interval=1)
    outbox.open(tmp_path)
    outbox.put([metric(step) for step in range(1, 36)])
    assert not outbox.drain()
    assert recorder.portions == [10, 10, 10]
    assert lines(tmp_path) == [f"metric a{step}" for step in range(21, 36)]
    recorder.fails = lambda _: False
    assert outbox.drain()
    assert recorder.sent == [f"metric a{step}" for step in range(1, 36)]


def test_what_comes_while_a_batch_is_sent_is_not_chased(tmp_path: Path) -> None:
    outbox: Outbox
    sent: list[int] = []

    def send(entries: Sequence[Entry]) -> bool:
        sent.append(len(entries))
        outbox.put([metric(len(sent) + 10)])  # a training that is quicker than its server
        return len(sent) < 50

    outbox = Outbox(send=send, interval=1)
    outbox.open(tmp_path)
    outbox.put([metric(1)])
    assert outbox.drain()
    assert sent == [1]
    assert lines(tmp_path) == ["metric a11"]


def test_an_outage_does_not_write_the_file_again_and_again(tmp_path: Path) -> None:
    outbox = Outbox(send=lambda _: False, interval=1)
    outbox.open(tmp_path)
    outbox.put([metric(step) for step in range(1, 100)])
    before = (tmp_path / PENDING_FILE).stat()
    assert not outbox.drain()
    after = (tmp_path / PENDING_FILE).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_full_disk_keeps_entries_in_memory_until_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / PENDING_FILE).symlink_to("/dev/full")
    answers = False
    outbox = Outbox(send=lambda _: answers, interval=1)
    outbox._folder = tmp_path  # an empty file can be opened on a full disk, /dev/full cannot be read
    outbox._file = PendingFile(tmp_path / PENDING_FILE)
    for step in (1, 2):
        outbox.put([metric(step)])
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1
    assert "No space left on device" in said[0]
    assert "wait in memory" in said[0]
    monkeypatch.setattr(PendingFile, "draft", lambda *_: False)
    assert not outbox.drain()  # still no room
    outbox.put([metric(3)])
    assert len(caplog.records) == 1, "once is enough"
    monkeypatch.undo()
    assert not outbox.drain()  # the server is away too, but there is room for a new file by now
    assert lines(tmp_path) == ["metric a1", "metric a2", "metric a3"]
    outbox.put([metric(4)])
    assert lines(tmp_path) == ["metric a1", "metric a2", "metric a3", "metric a4"]
    answers = True
    assert outbox.drain()
    assert not (tmp_path / PENDING_FILE).exists()


def test_half_a_line_of_a_killed_process_costs_no_line_of_the_next(tmp_path: Path) -> None:
    first = Outbox(send=lambda _: False, interval=1)
    first.open(tmp_path)
    first.put([metric(1)])
    first.leave()
    with (tmp_path / PENDING_FILE).open("a") as file:
        file.write('{"kind": "metric", "key": "half')
    second = Outbox(send=lambda _: False, interval=1)
    assert second.open(tmp_path)
    second.put([metric(2)])
    assert lines(tmp_path) == ["metric a1", "metric a2"]


def test_two_that_send_for_one_run_lose_nothing(tmp_path: Path) -> None:
    first, recorder = Outbox(send=lambda _: False, interval=1), Recorder()
    second = Outbox(send=recorder, interval=0.01)
    assert first.open(tmp_path)
    first.put([metric(1)])
    assert not second.open(tmp_path)
    second.put([metric(2)])
    assert lines(tmp_path) == ["metric a1"], "the file is the first one's"
    first.leave()
    second.start()
    assert second.close(patience=10) == 0
    assert recorder.sent == ["metric a1", "metric a2"]


def test_a_server_that_hangs_holds_up_the_end_only_so_long(tmp_path: Path) -> None:
    forever = threading.Event()
    outbox = Outbox(send=lambda _: forever.wait(20), interval=0.01)
    outbox.open(tmp_path)
    outbox.start()
    outbox.put([metric(1)])
    began = time.monotonic()
    assert outbox.close(patience=0.3) == 1
    assert time.monotonic() - began < 2
    assert lines(tmp_path) == ["metric a1"]
    assert not Outbox(send=lambda _: True, interval=1).open(tmp_path), "the thread may still be sending"
    forever.set()


def test_only_steps_that_a_resumed_run_does_again_are_left_out() -> None:
    first = [metric(step, time=10 + step) for step in range(5)]
    second = [metric(step, time=100 + step) for step in range(3, 7)]
    measured_again = [metric(6, time=150)]
    third = [metric(step, time=200 + step) for step in range(6, 9)]
    never_said = [metric(2, key="b", time=210)]
    kept, points = without_repetitions(
        [*first[3:], *second, *measured_again, *third, *never_said],
        points={"a": (2, 12)},
        resumes=(100, 200),
    )
    assert [(entry.key, entry.step, entry.time) for entry in kept] == [
        ("a", 3, 13),
        ("a", 4, 14),
        ("a", 5, 105),
        ("a", 6, 106),
        ("a", 6, 150),
        ("a", 7, 207),
        ("a", 8, 208),
        ("b", 2, 210),
    ]
    assert points == {"a": (8, 208), "b": (2, 210)}
