"""Facts of the machine and the code that go with a run."""

import json
import subprocess
from pathlib import Path

import pytest

from pipeline.environment import environment_facts


def test_facts_name_versions_and_machine_but_no_person() -> None:
    facts = environment_facts()
    assert facts["version.python"].startswith("3.")
    assert facts["host"]
    assert facts["device"]
    assert str(Path.home()) not in json.dumps(facts)
    assert all(isinstance(value, str) for value in facts.values())


def test_facts_name_commit_and_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.environment.__file__", str(tmp_path / "environment.py"))
    assert "git.commit" not in environment_facts(), "outside a repository"
    (tmp_path / "environment.py").write_text("one")
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    assert environment_facts()["git.dirty"] == "false"
    assert len(environment_facts()["git.commit"]) == 40
    (tmp_path / "environment.py").write_text("two")
    assert environment_facts()["git.dirty"] == "true"
