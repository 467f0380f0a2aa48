"""MLflow's registry of models: names that people give, and runs that they mean by them."""

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import LoggedModel
from mlflow.tracking import MlflowClient
from rich.console import Console

from pipeline.errors import Mistake
from pipeline.registry import check_alias, check_name, registry, run_of_model, with_run_ids
from pipeline.runs import Run
from pipeline.tracking import MlflowTracker
from pipeline.tracking_models import model_of
from pipeline.tracking_store import prepare_store, tracking_uri
from pipeline.work.register import Wish, registered, server_run_id
from pipeline.work.register_panel import panel
from tests.commands import AT_ONCE, run_verb
from tests.pipeline.test_tracking_models import packed
from tests.tracked import Server, attached, start

pytestmark = pytest.mark.usefixtures("no_server_of_the_person")


@pytest.fixture(autouse=True)
def no_server_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's own server, where a test runs it in this process, sets these for all of it."""
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
    monkeypatch.setattr("mlflow.tracking._model_registry.utils._registry_uri", None)


@pytest.fixture(scope="module")
def tracker(root: Path) -> MlflowTracker:
    """A run with a model; by its database, whatever a server of an earlier test left in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        prepare_store(tracking_uri(root))
        found = start(root)
    folder = attached(root, found)
    found.log_model(packed(folder))
    found.finish("FINISHED")
    facts = {"run_id": found.run_id, "started": 1, "status": "FINISHED"}
    (folder / "run.json").write_text(json.dumps(facts))
    (folder / "metrics.json").write_text('{"test/top1": 0.875, "val/top1": 0.5, "test/auc": null}')
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "kept.ckpt").touch()
    return found


def run_of(tracker: MlflowTracker) -> Run:
    return Run(folder=Path(str(tracker.save_dir)), run_id=tracker.run_id, facts={})


def wish(name: str, *, alias: str | None = None, description: str | None = None, **tags: str) -> Wish:
    return Wish(name=name, alias=alias, description=description, tags=tags)


def model(tracker: MlflowTracker) -> LoggedModel:
    found = model_of(tracker.client, tracker.run_id)
    assert found is not None
    return found


def register(root: Path, tracker: MlflowTracker, asked: Wish) -> Any:
    with registry(root) as client:
        return registered(client, model=model(tracker), run=run_of(tracker), wish=asked)


def other_version(client: MlflowClient, name: str, *, run_id: str | None) -> str:
    """A version that came from elsewhere."""
    return str(client.create_model_version(name, source="/tmp/elsewhere", run_id=run_id).version)


def test_a_version_has_its_run_and_what_was_said_of_it(root: Path, tracker: MlflowTracker) -> None:
    first = register(root, tracker, wish("digits", alias="champion", description="the first", stage="trial"))
    assert (first.version, first.is_new, first.taken_from) == (1, True, None)
    version = tracker.client.get_model_version_by_alias("digits", "champion")
    assert version.run_id == tracker.run_id
    assert version.source == f"models:/{model(tracker).model_id}"
    assert (version.description, version.tags) == ("the first", {"stage": "trial"})

    again = register(root, tracker, wish("digits", description="still the first", owner="Ada"))
    assert (again.version, again.is_new) == (1, False), "a network is registered once"
    version = tracker.client.get_model_version("digits", "1")
    assert (version.description, version.tags) == ("still the first", {"stage": "trial", "owner": "Ada"})


def test_an_alias_is_taken_from_the_version_that_had_it(root: Path, tracker: MlflowTracker) -> None:
    register(root, tracker, wish("moved"))
    client = tracker.client
    client.set_registered_model_alias("moved", "champion", other_version(client, "moved", run_id=None))
    again = register(root, tracker, wish("moved", alias="champion"))
    assert (again.version, again.taken_from) == (1, 2)
    aliases = client.get_registered_model("moved").aliases
    assert {alias: int(version) for alias, version in aliases.items()} == {"champion": 1}
    assert register(root, tracker, wish("moved", alias="champion")).taken_from is None
    console = Console(width=300, record=True)
    console.print(panel(again, root=root))
    said = console.export_text()
    for words in (
        "moved",
        "champion, until now of version 2",
        "test/top1 0.875",
        "make evaluate run=models:/moved@champion",
        "mlflow models serve -m models:/moved@champion",
    ):
        assert words in said
    assert "test/auc" not in said and "val/top1" not in said


def test_a_registered_model_is_the_run_that_trained_it(root: Path, tracker: MlflowTracker) -> None:
    register(root, tracker, wish("named", alias="champion"))
    client = tracker.client
    other = start(root)
    other.finish("FINISHED")
    assert other_version(client, "named", run_id=other.run_id) == "2"
    meant = {
        "models:/named@champion": tracker.run_id,
        "models:/named/1": tracker.run_id,
        "models:/named/2": other.run_id,
        "models:/named/latest": other.run_id,
    }
    for name, run_id in meant.items():
        assert run_of_model(root=root, name=name) == run_id
    for number in range(3, 12):  # ten is later than nine, whatever the alphabet says
        other_version(client, "named", run_id=tracker.run_id if number == 11 else other.run_id)
    assert run_of_model(root=root, name="models:/named/latest") == tracker.run_id
    settings = {"run": "models:/named/2", "runs": ["models:/named@champion", "1a2b"], "input": "models:/x"}
    assert with_run_ids(settings, root=root) == {
        "run": other.run_id,
        "runs": [tracker.run_id, "1a2b"],
        "input": "models:/x",
    }
    assert with_run_ids({"run": "latest", "runs": None}, root=root) == {"run": "latest", "runs": None}


def test_a_run_that_began_during_an_outage_is_known_by_its_own_id(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.stop()
    tracker = start(root, uri=server.uri)
    folder = attached(root, tracker)
    tracker.log_model(packed(folder, weights=b"of an outage"))
    (folder / "run.json").write_text(json.dumps({"run_id": tracker.run_id, "started": 5}))
    server.start()
    tracker.finish("FINISHED")
    found = server_run_id(run_of(tracker), uri=server.uri)
    assert found != tracker.run_id
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    with registry(root) as client:
        model = model_of(client, found)
        assert model is not None
        assert registered(client, model=model, run=run_of(tracker), wish=wish("after")).version == 1
    assert run_of_model(root=root, name="models:/after/1") == tracker.run_id


def test_what_is_not_registered_is_said_with_what_is(root: Path, tracker: MlflowTracker) -> None:
    register(root, tracker, wish("faces", alias="champion"))
    said = {
        "models:/face@champion": "no model of the registry is called face; did you mean 'faces'",
        "models:/faces@chanpion": "its versions are 1, its aliases @champion (version 1); did you mean 'c",
        "models:/faces/7": "its versions are 1, its aliases @champion (version 1)",
        "models:/faces/Production": "a registered model is named models:/NAME@ALIAS",
        "models:/faces": "a registered model is named models:/NAME@ALIAS",
    }
    for name, words in said.items():
        with pytest.raises(Mistake) as raised:
            run_of_model(root=root, name=name)
        assert words in str(raised.value) and f"run={name}" in str(raised.value)
    other_version(tracker.client, "faces", run_id=None)
    with pytest.raises(Mistake, match="version 2 came from no run"):
        run_of_model(root=root, name="models:/faces/2")


def test_where_nothing_is_registered_it_is_said_how(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=r"make register run=latest name=digits alias=champion"):
        run_of_model(root=tmp_path, name="models:/digits@champion")
    assert not list(tmp_path.iterdir()), "to ask makes no database"


def test_a_server_that_is_gone_is_one_message(server: Server, root: Path) -> None:
    server.stop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", server.uri.replace("//", "//me:secret@"))
        with pytest.raises(Mistake, match="could not be asked.*MLFLOW_TRACKING_URI") as raised:
            run_of_model(root=root, name="models:/digits@champion")
    assert "secret" not in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["digits", "Łukasz 2", "a.b_c-d"])
def test_names_that_are_one_word_of_an_address(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a@b", "../a", " a"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(Mistake, match="name="):
        check_name(name)


@pytest.mark.parametrize("alias", ["latest", "Latest", "v1", "V2", "3", "a b", "a@b", "", "x" * 256])
def test_aliases_that_mlflow_refuses_are_refused_before_it(alias: str) -> None:
    with pytest.raises(Mistake, match="alias="):
        check_alias(alias)


def test_a_mistake_is_told_at_once_and_without_a_traceback(root: Path, tracker: MlflowTracker) -> None:
    told = {
        ("name=a/b",): "name=a/b",
        ("name=digits", "alias=v1"): "alias=v1",
        ("name=digits", "tags=[stage]"): "stage is no tag",
        ("name=digits", "run=zz"): "no run has this id",
        (): "name=???: needs a value",
    }
    for words, said in told.items():
        answer = run_verb("register", *words, root=root)
        assert answer.code == 2 and said in answer.err and answer.seconds < AT_ONCE
        assert "Traceback" not in answer.err and answer.out == ""


def test_a_database_that_is_away_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ann:pass/word@127.0.0.1:1/runs")
    with pytest.raises(Mistake, match=r"127\.0\.0\.1:1/runs could not be asked: .*create a conn") as mistake:
        run_of_model(root=tmp_path, name="models:/digits@champion")
    assert "word" not in str(mistake.value)


def test_a_run_that_mlflow_never_heard_of_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "classification" / "lenet5" / "now"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"run_id": "1234", "started": 1}')
    (folder / "config.yaml").write_text("logger: {save_dir: null}")
    answer = run_verb("register", "run=1234", "name=digits", root=tmp_path)
    assert answer.code == 2 and "trained with another logger" in answer.err
