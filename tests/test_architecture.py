"""The walls of the project: what stands where, found by looking and never by a list."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = ("pipeline", "datamodules", "lightning_modules", "tests")
LONGEST_FILE = 400


def found(folder: str, pattern: str) -> list[Path]:
    """Files of this repository; none at all is a mistake of the pattern."""
    paths = sorted(path for path in (ROOT / folder).rglob(pattern) if "__pycache__" not in path.parts)
    assert paths, f"no {pattern} below {folder}; is the path still right?"
    return paths


def names(paths: list[Path]) -> list[str]:
    """Readable names for the cases of a test."""
    return [str(path.relative_to(ROOT)) for path in paths]


TASKS = [path.stem for path in found("conf/task", "*.yaml")]
MODULES = [path for folder in CODE for path in found(folder, "*.py")]
PACKAGES = [path for folder in CODE for path in found(folder, "__init__.py")]
CONFIGS = found("conf", "*.yaml")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "place",
    [
        "conf/task/{}.yaml",
        "lightning_modules/{}.py",
        "lightning_modules/models/{}/__init__.py",
        "datamodules/{}.py",
        "tests/lightning_modules/test_{}.py",
        "tests/datamodules/test_{}.py",
    ],
)
def test_task_has_one_name_in_every_folder(task: str, place: str) -> None:
    assert (ROOT / place.format(task)).exists(), f"task {task} has no {place.format(task)}"


@pytest.mark.parametrize("task", TASKS)
def test_task_has_a_batch(task: str) -> None:
    tree = ast.parse((ROOT / "datamodules/batch.py").read_text(encoding="utf-8"))
    batches = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    expected = "".join(part.capitalize() for part in task.split("_")) + "Batch"

    assert expected in batches, f"datamodules/batch.py has no TypedDict {expected}"


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("group", ["model", "data"])
def test_task_has_a_model_and_data(task: str, group: str) -> None:
    home = {"model": f"lightning_modules.models.{task}.", "data": f"datamodules.{task}."}[group]
    texts = [path.read_text(encoding="utf-8") for path in found(f"conf/{group}", "*.yaml")]

    assert any(f"_target_: {home}" in text for text in texts), f"no file in conf/{group} names {home}*"


def test_data_that_name_the_task_by_reference_serve_several() -> None:
    pattern = re.compile(r"^_target_: datamodules\.\$\{choices\.task\}\.(\w+)$", re.MULTILINE)
    named = {path: pattern.search(path.read_text(encoding="utf-8")) for path in found("conf/data", "*.yaml")}
    shared = {path: match[1] for path, match in named.items() if match}

    assert shared, "no file in conf/data names ${choices.task}"
    for path, name in shared.items():
        having = [task for task in TASKS if f"class {name}(" in _text(ROOT / f"datamodules/{task}.py")]
        assert len(having) > 1, f"{path} serves any task with a class {name}, but only {having} have one"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def test_no_folder_or_module_belongs_to_a_task_without_configuration() -> None:
    folders = {
        path.name for path in (ROOT / "lightning_modules/models").iterdir() if (path / "__init__.py").exists()
    }

    assert folders
    assert folders <= set(TASKS), f"no conf/task for {sorted(folders - set(TASKS))}"


@pytest.mark.parametrize("path", PACKAGES, ids=names(PACKAGES))
def test_init_file_holds_a_docstring_only(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))

    assert ast.get_docstring(tree), f"{path} says nothing"
    assert len(tree.body) == 1, f"{path} holds code; a _target_ spells the path of the file"


@pytest.mark.parametrize("folder", [folder for folder in CODE if folder != "tests"])
def test_each_folder_with_code_is_a_package(folder: str) -> None:
    folders = {path.parent for path in found(folder, "*.py")}

    assert not [path for path in sorted(folders) if not (path / "__init__.py").exists()]


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_file_is_not_too_long(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())

    assert lines <= LONGEST_FILE, f"{path} has {lines} lines; split it"


@pytest.mark.parametrize("path", CONFIGS, ids=names(CONFIGS))
def test_configuration_begins_with_a_comment(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    first = lines[1] if lines[0].startswith("# @package") else lines[0]

    assert re.match(r"# \S", first), f"{path} must begin with what it is and the command to use it"


def test_each_dependency_has_a_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    wanted = [
        *project["dependencies"],
        *(word for group in project["optional-dependencies"].values() for word in group),
    ]

    assert wanted
    for requirement in wanted:
        line = next((line for line in text.splitlines() if f'"{requirement}"' in line), "")
        assert re.search(r'",?\s+# \w.{2,}', line), f"{requirement} stands in pyproject.toml without a reason"


def test_albumentations_is_imported_in_one_file() -> None:
    importing = [
        path
        for path in MODULES
        if path.parts[len(ROOT.parts)] != "tests" and _imports(path, "albumentations")
    ]

    assert names(importing) == ["datamodules/transforms.py"]


def _imports(path: Path, package: str) -> bool:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import) and any(alias.name.split(".")[0] == package for alias in node.names):
            return True
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == package:
            return True
    return False


def test_lock_has_exact_versions_and_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    requirements = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]

    assert requirements
    assert all(re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+", line) for line in requirements)
    assert "://" not in text
    assert "--index" not in text
