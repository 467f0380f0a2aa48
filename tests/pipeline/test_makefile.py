"""The real Makefile, in a folder where each verb only writes down what reached it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.forward import UnusableWordError, arguments, assignments, refuse_operators, split_flags

ROOT = Path(__file__).resolve().parents[2]
VERBS = re.findall(r"^override VERBS := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

# A verb, and a Python, that write down how they were called.
FAKE_VERB = """
import json, os, pathlib, sys
pathlib.Path("called.json").write_text(json.dumps({"words": sys.argv[1:], "environment": dict(os.environ)}))
"""
FAKE_PYTHON = """#!/bin/sh
echo "$(basename "$0") $*" >> log
case "$*" in
    "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *"pip install"*uv) cp "$0" .venv/bin/uv ;;
esac
test ! -e "broken" || case "$*" in *--require-hashes*) exit 1 ;; esac
"""

AWKWARD = [
    "optimizer.lr=0.01",
    "data.mean=[0.1, 0.2,0.3]",
    "model={name: x, size: (1, 2)}",
    "optimizer.lr=choice(0.1,0.01)",
    "name=two  words and\ta tab",
    "name=trailing blank ",
    "name='single quotes'",
    'name="double quotes"',
    "name=it's \"both",
    "name=`backticks`",
    "name=$HOME",
    "name=$$",
    "name=${data.name}",
    "name=${name}",
    "name=$(shell touch ran)",
    "name=$(touch ran)",
    "name=$(error stop)",
    "name=$(",
    "data=$(MAKEFLAGS)",
    "+new.key=1",
    "++new.key=1",
    "~transforms.train.flip",
    "~callbacks=early_stopping",
    "optimizer@task.second=adam",
    "hydra/launcher=joblib",
    "name=a;b|c&d!e^f#g%h",
    "name=;",
    "name=<in >out *glob? [ab] ~home {a,b}",
    "name=back\\slash\\\\twice\\ blank",
    "name=ends in\\",
    "name=two\nlines",
    "name=",
    "name==",
    "name=a=b=c",
    "name=x -- y=z",
    "name=größe 画像 🙂",
    "größe=1",
    "name=" + "long" * 4000,
    "data=digits",
    "model=lenet5",
    "run=latest",
    "SHELL=/bin/false",
    "PY=/bin/false",
    "STAMP=none",
    "RUN=echo",
    "VERBS=none",
    "MAKE=none",
    "export=1",
    "a/b@c.d/e=f",
    "transforms.train.0.p=.5",
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the Makefile and the forwarder, as if everything were installed."""
    assert len(VERBS) == 1, "the Makefile no longer lists its verbs; correct this test"
    shutil.copy(ROOT / "Makefile", tmp_path)
    for folder in ("pipeline", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("__init__.py", "forward.py"):
        shutil.copy(ROOT / "pipeline" / name, tmp_path / "pipeline")
    for verb in ("train", "predict"):
        (tmp_path / "pipeline" / f"{verb}.py").write_text(FAKE_VERB, encoding="utf-8")
    for name in ("requirements.lock", "pyproject.toml", ".venv/bin/uv", ".venv/installed"):
        (tmp_path / name).touch()
    (tmp_path / ".venv/bin/python").symlink_to(Path(sys.executable).resolve())
    return tmp_path


def run_make(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make there with nothing of an outer make in the environment."""
    outer = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *words],
        cwd=folder,
        env={**outer, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def reached(folder: Path, *words: str, **environment: str) -> list[str]:
    """The words that a verb receives when make is run with these."""
    done = run_make(folder, *words, **environment)
    assert done.returncode == 0, done.stderr
    called = json.loads((folder / "called.json").read_text(encoding="utf-8"))
    return list(called["words"])


@pytest.mark.parametrize("word", AWKWARD, ids=lambda word: word[:30])
def test_word_reaches_verb_unchanged(project: Path, word: str) -> None:
    assert reached(project, "train", word, "seed=1") == [word, "seed=1"]
    assert not (project / "ran").exists(), "a value was run as a command"


def test_words_arrive_in_the_order_they_were_typed(project: Path) -> None:
    words = ["b=1", "~x.y", "+a=2", "~z=3", "c.d=4"]

    assert reached(project, "train", *words) == words
    assert reached(project, "b=1", "train", "a=2") == ["b=1", "a=2"]


def test_awkward_words_arrive_together(project: Path) -> None:
    words = [f"key{number}.part={word}" for number, word in enumerate(AWKWARD)]

    assert reached(project, "train", *words) == words


@pytest.mark.parametrize(
    "flags",
    [["-s"], ["-j2"], ["-C", "."], ["-k", "--no-print-directory"], ["-e"], ["-I", " -- "]],
    ids=" ".join,
)
def test_options_of_make_are_not_words(project: Path, flags: list[str]) -> None:
    assert reached(project, *flags, "train", "a=x y", "~b") == ["a=x y", "~b"]


def test_options_in_the_environment_are_not_words(project: Path) -> None:
    assert reached(project, "train", "a=1", MAKEFLAGS="-s --no-print-directory") == ["a=1"]
    assert reached(project, "train", MAKEFLAGS="k") == []
    assert reached(project, "train", "a=1", MAKEFLAGS="s -- z=2") == ["z=2", "a=1"]


def test_args_takes_what_make_cannot(project: Path) -> None:
    arguments = "--cfg job 'name=a b' x+=1 \"y='$z'\""
    expected = ["seed=1", "--cfg", "job", "name=a b", "x+=1", "y='$z'"]

    assert reached(project, "train", f"ARGS={arguments}", "seed=1") == expected
    assert reached(project, "train", "seed=1", ARGS=arguments) == expected


def test_open_quote_in_args_is_answered(project: Path) -> None:
    done = run_make(project, "train", "ARGS='name=a b")

    assert done.returncode == 2
    assert "ARGS='name=a b: No closing quotation; close the quotes" in done.stderr


@pytest.mark.parametrize("word", ["x!=touch ran", "x+=1", "x:=1", "x::=1", "x?=1", "trainer.max_epochs+=1"])
def test_words_that_make_changes_are_refused(project: Path, word: str) -> None:
    done = run_make(project, "train", word)

    assert done.returncode == 2
    assert f"{word}: make understands" in done.stderr
    assert "or put the word into ARGS" in done.stderr
    assert not (project / "called.json").exists()


@pytest.mark.parametrize(
    "words", [["trian"], ["train", "lr"], ["train", "optimizer.lr", "0.1"], ["train", "a:b=1"]]
)
def test_words_that_are_no_verb_stop_everything_first(project: Path, words: list[str]) -> None:
    done = run_make(project, *words)

    assert done.returncode == 2
    assert "no verb '" in done.stderr
    assert not (project / "called.json").exists()


def test_environment_of_a_verb(project: Path) -> None:
    reached(project, "train", "seed=1", "run=latest", "ARGS=a=1")
    environment = json.loads((project / "called.json").read_text(encoding="utf-8"))["environment"]

    assert {
        "seed",
        "run",
        "ARGS",
        "MAKEFLAGS",
        "MAKELEVEL",
        "PIPELINE_FLAGS",
        "PIPELINE_DELETIONS",
    }.isdisjoint(environment)
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert environment["NO_ALBUMENTATIONS_UPDATE"] == "1"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_exit_code_of_a_verb_is_an_error_of_make(project: Path) -> None:
    (project / "pipeline/train.py").write_text("raise SystemExit(1)", encoding="utf-8")

    assert run_make(project, "train").returncode == 2


def test_bare_make_lists_each_verb_on_one_line(project: Path) -> None:
    lines = run_make(project).stdout.splitlines()

    assert VERBS
    for verb in VERBS[0].split():
        described = [line for line in lines if line.split()[0] == verb]
        assert len(described) == 1, f"{verb}: {described}"
        assert len(described[0].split()) > 3


def test_each_verb_of_the_pipeline_stands_in_the_makefile() -> None:
    modules = re.findall(r"\$\(RUN\) pipeline\.(\w+)", (ROOT / "Makefile").read_text(encoding="utf-8"))

    assert modules
    assert all((ROOT / "pipeline" / f"{name}.py").exists() for name in modules)
    # A sweep is composed from the files of what it repeats.
    assert all((ROOT / "conf" / f"{name}.yaml").exists() for name in modules if name != "sweep")


@pytest.fixture
def fresh(project: Path) -> Path:
    """The same folder before anything was installed, with an installer that only keeps a log."""
    shutil.rmtree(project / ".venv")
    installer = project / "fake"
    installer.write_text(FAKE_PYTHON, encoding="utf-8")
    installer.chmod(0o755)
    return project


def install_log(folder: Path) -> list[str]:
    """How the installer was called since the last time, emptied by reading."""
    log = folder / "log"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


def test_installs_once(fresh: Path) -> None:
    done = run_make(fresh, "setup", "PYTHON=./fake")
    assert done.returncode == 0, done.stderr
    assert "installing requirements.lock" in done.stdout
    commands = "\n".join(install_log(fresh))
    assert "fake -m venv .venv" in commands
    assert (
        "uv pip install --quiet --python .venv/bin/python --compile-bytecode --require-hashes -r" in commands
    )
    assert "--no-deps -e ." in commands

    again = run_make(fresh, "setup", "PYTHON=./fake")
    assert install_log(fresh) == []
    assert "installing" not in again.stdout


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_installs_again_when_out_of_date(fresh: Path, name: str) -> None:
    run_make(fresh, "setup", "PYTHON=./fake")
    install_log(fresh)
    stamp = (fresh / ".venv/installed").stat().st_mtime
    os.utime(fresh / name, (stamp + 10, stamp + 10))

    run_make(fresh, "setup", "PYTHON=./fake")

    assert any("--require-hashes" in line for line in install_log(fresh))


def test_failed_installation_is_taken_up_again(fresh: Path) -> None:
    (fresh / "broken").touch()
    assert run_make(fresh, "setup", "PYTHON=./fake").returncode == 2
    assert not (fresh / ".venv/installed").exists()
    (fresh / "broken").unlink()
    install_log(fresh)

    assert run_make(fresh, "setup", "PYTHON=./fake").returncode == 0
    assert any("--require-hashes" in line for line in install_log(fresh))


def test_missing_interpreter_is_named(fresh: Path) -> None:
    done = run_make(fresh, "train", "PYTHON=python0.0")

    assert done.returncode == 2
    assert "python0.0 is not there; install Python 3.11 or name another" in done.stderr


def test_clean_keeps_runs(project: Path) -> None:
    kept = ["outputs/run/__pycache__/x", "mlflow.db", ".venv/lib/__pycache__/x", "data/__pycache__/x"]
    removed = ["pipeline/__pycache__/x", ".ruff_cache/x", "build/x", "some.egg-info/x"]
    for name in [*kept, *removed]:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).touch()

    assert run_make(project, "clean").returncode == 0

    assert all((project / name).exists() for name in kept)
    assert not any((project / name).exists() for name in removed)


def test_flags_are_taken_apart() -> None:
    assert split_flags(r"s -I\ --\ x -- a=b\ c\\d\ ") == ["s", "-I -- x", "--", "a=b c\\d "]
    assert assignments("ks") == []
    assert assignments(r" -- last=$$\ x first=") == ["first=", "last=$ x"]


def test_arguments_without_a_known_command_line() -> None:
    environment = {"PIPELINE_FLAGS": " -- b=2 a=1", "PIPELINE_DELETIONS": "~x"}

    assert arguments(environment, []) == ["a=1", "b=2", "~x"]


def test_operators_are_refused_by_name() -> None:
    refuse_operators(["+a=1", "++a=1", "a=b+=c", "ARGS=x+=1", "--eval=x:=1"])
    with pytest.raises(UnusableWordError, match=r"a\.b!=ls: make understands '!=' and runs the value"):
        refuse_operators(["a.b!=ls"])
