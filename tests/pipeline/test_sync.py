"""`make sync`: what waits on disk is listed, limited, sent once, and what is left is explained."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from pipeline import tracking_pending
from pipeline.compose import Composed
from pipeline.errors import Mistake
from pipeline.sync import chosen
from pipeline.tracking_file import PENDING_FILE
from pipeline.tracking_identity import public_address
from pipeline.tracking_lock import claim, release
from pipeline.tracking_pending import send_waiting, waiting_runs
from pipeline.tracking_store import tracking_uri
from pipeline.work.sync import run
from tests.commands import AT_ONCE, run_verb
from tests.tracked import attached, points, start

pytestmark = pytest.mark.usefixtures("no_server_of_the_person")

AWAY = "http://127.0.0.1:1"
DATABASE_AWAY = "postgresql+pg8000://ann:pass/word@127.0.0.1:1/runs"


def leave_behind(root: Path, *, server: str = "", numbers: int = 3) -> tuple[str, Path]:
    """A run whose server was away; what it had to tell waits in its folder."""
    tracker = start(root, uri=AWAY, patience=5.0)
    folder = attached(root, tracker)
    for step in range(numbers):
        tracker.log_metrics({"a": float(step)}, step=step)
    tracker.finish("FINISHED")
    identity = json.loads((folder / "tracking.json").read_text())
    (folder / "tracking.json").write_text(json.dumps({**identity, "server": server or tracking_uri(root)}))
    (folder / "run.json").write_text(json.dumps({"run_id": tracker.run_id, "started": 1.0}))
    return tracker.run_id, folder


@pytest.fixture(autouse=True)
def quick_to_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def clean(root: Path) -> Iterator[Path]:
    """The shared database, and no run on disk."""
    yield root
    for path in root.glob("outputs/*/*/*/*"):
        path.unlink()


def sent(root: Path, run_id: str) -> list[tuple[int, float]]:
    client = MlflowClient(tracking_uri(root))
    found = client.search_runs(["1"], f"tags.run_id = '{run_id}'")
    return [point for run in found for point in points(client, run.info.run_id, "a")]


def test_with_nothing_to_send_it_answers_at_once(tmp_path: Path) -> None:
    answer = run_verb("sync", root=tmp_path)
    assert answer.code == 0
    assert answer.out.startswith("nothing waits for MLflow at sqlite:///")
    assert answer.seconds < AT_ONCE


def test_it_lists_and_sends_nothing_in_a_dry_run(clean: Path) -> None:
    mine, folder = leave_behind(clean)
    other, _ = leave_behind(clean, server="http://elsewhere:5000")
    answer = run_verb("sync", "dry_run=true", root=clean)
    assert answer.code == 0
    rows = answer.out.splitlines()[1:]
    assert any(mine[:8] in row and "this server" in row for row in rows)
    assert any(other[:8] in row and "http://elsewhere:5000" in row for row in rows)
    assert (folder / PENDING_FILE).exists()
    assert sent(clean, mine) == []
    assert answer.seconds < AT_ONCE


def test_it_sends_once_what_is_this_servers_and_names_the_rest(
    clean: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, folder = leave_behind(clean)
    other, theirs = leave_behind(clean, server="http://elsewhere:5000")
    assert run(composed=composed(clean)) == 1
    said = capsys.readouterr().out
    assert f"{mine[:8]}  4 sent\n" in said
    assert f"{other[:8]}  0 sent, 4 left: it belongs to http://elsewhere:5000" in said
    assert "4 entries of 1 runs sent; 1 runs still wait" in said
    assert sent(clean, mine) == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert not (folder / PENDING_FILE).exists()
    (theirs / PENDING_FILE).unlink()
    assert run(composed=composed(clean)) == 0
    assert sent(clean, mine) == [(0, 0.0), (1, 1.0), (2, 2.0)]


def composed(root: Path) -> Composed:
    return Composed(verb="sync", config={}, settings={}, overrides=[], root=root, show_traceback=False)


@pytest.mark.slow
def test_a_person_types_it(clean: Path) -> None:
    mine, folder = leave_behind(clean)
    answer = run_verb("sync", f"run={mine[:8]}", root=clean)
    assert (answer.code, answer.err) == (0, "")
    assert f"{mine[:8]}  4 sent" in answer.out
    assert not (folder / PENDING_FILE).exists()


def test_only_the_run_that_is_named(clean: Path) -> None:
    first, _ = leave_behind(clean)
    second, _ = leave_behind(clean)
    assert [each.run_id for each in chosen(root=clean, run=first[:8])] == [first]
    assert {each.run_id for each in chosen(root=clean, run=None)} == {first, second}
    with pytest.raises(Mistake, match="run=zzz: no run has this id"):
        chosen(root=clean, run="zzz")
    uri = tracking_uri(clean)
    assert send_waiting(chosen(root=clean, run=second)[0], uri=uri).sent == 4
    assert chosen(root=clean, run=second) == [], "a run that is there, and has nothing to send"
    assert [each.run_id for each in chosen(root=clean, run=None)] == [first]


def test_what_a_training_is_sending_is_left_to_it(clean: Path) -> None:
    run_id, folder = leave_behind(clean)
    assert claim(folder)
    try:
        delivery = send_waiting(waiting_runs(clean)[0], uri=tracking_uri(clean))
    finally:
        release(folder)
    assert (delivery.sent, delivery.left, delivery.alive) == (0, 4, True)
    assert "another process is at work on it" in delivery.why
    assert send_waiting(waiting_runs(clean)[0], uri=tracking_uri(clean)).sent == 4
    assert len(sent(clean, run_id)) == 3


@pytest.mark.parametrize("uri", [AWAY, DATABASE_AWAY])
def test_after_one_silence_the_other_runs_are_not_tried(
    uri: str, clean: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [leave_behind(clean, server=public_address(uri))[0] for _ in range(2)]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert run(composed=composed(clean)) == 1
    said = capsys.readouterr().out
    assert f"4 left: MLflow at {public_address(uri)} does not answer" in said
    assert said.count("not tried, since the server did not answer") == 1
    assert all(run_id[:8] in said for run_id in ids)


def test_what_is_sent_while_it_is_looked_for_is_no_trouble(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, folder = leave_behind(clean)
    monkeypatch.setattr(tracking_pending, "_folders", lambda _: [folder.with_name("done_12345678"), folder])
    assert [each.run_id for each in waiting_runs(clean)] == [run_id]


def test_a_run_without_its_identity_is_named(clean: Path) -> None:
    run_id, folder = leave_behind(clean)
    (folder / "tracking.json").write_text("{")
    waiting = waiting_runs(clean)[0]
    assert waiting.run_id == run_id[:8]
    assert "tracking.json is missing or broken" in send_waiting(waiting, uri=tracking_uri(clean)).why


def test_a_parent_goes_before_its_children(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child, folder = leave_behind(clean)
    identity = json.loads((folder / "tracking.json").read_text())
    tags = {"mlflow.parentRunId": "0" * 32}
    (folder / "tracking.json").write_text(json.dumps({**identity, "tags": tags}))
    parent, other = leave_behind(clean)
    monkeypatch.setattr(tracking_pending, "_folders", lambda _: [folder, other])
    assert [each.run_id for each in waiting_runs(clean)] == [parent, child]


def test_mistakes_are_one_message(tmp_path: Path) -> None:
    answer = run_verb("sync", "run=abc", root=tmp_path)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: run=abc: there is no run in")
    answer = run_verb("sync", "dry_rnu=true", root=tmp_path)
    assert answer.code == 2
    assert "dry_run" in answer.err
