"""The configuration files that tests build; found by looking, and never none."""

from pathlib import Path
from typing import Any

import yaml
from hydra.utils import instantiate

CONF = Path(__file__).parents[2] / "conf"


def names(group: str) -> list[str]:
    """Names of all files of a group."""
    found = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    assert found, f"no file in conf/{group}; is the path still right?"
    return found


def models_of(task: str) -> list[str]:
    """Names of the models of a task; never none."""
    home = f"_target_: lightning_modules.models.{task}."
    found = [name for name in names("model") if home in (CONF / "model" / f"{name}.yaml").read_text("utf-8")]
    assert found, f"no file in conf/model names {home}*"
    return found


def build(group: str, file: str, /, **values: Any) -> Any:
    """Build one file by itself, with the values that it leaves to the run."""
    node = yaml.safe_load((CONF / group / f"{file}.yaml").read_text(encoding="utf-8"))
    known = {key: value for key, value in values.items() if key in node}
    return instantiate({**node, **known}, _convert_="all")
