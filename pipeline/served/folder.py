"""The files of an MLflow model that say what it is: https://mlflow.org/docs/latest/ml/model/ has the format.

By hand and not by `mlflow.pyfunc.save_model`, which looks through all installed packages for a second to warn
of versions that were read from them a moment before.
"""

import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from mlflow.models import Model, ModelSignature

DATA = "data/network"
"""What the loader is handed, in the model's folder."""

_CODE = "code"
_CONDA, _PYTHON, _PACKAGES = "conda.yaml", "python_env.yaml", "requirements.txt"
_EXAMPLE, _SERVED_EXAMPLE = "input_example.json", "serving_input_example.json"


def write_description(
    folder: Path,
    *,
    loader: Path,
    signature: ModelSignature,
    example: pd.DataFrame,
    requirements: Sequence[str],
    facts: Mapping[str, Any],
) -> None:
    """Make a model of a folder that holds `DATA` already.

    Args:
        folder: The model's.
        loader: Python file with `_load_pyfunc`.
        signature: What is asked and answered.
        example: A question.
        requirements: Packages as `name==version`.
        facts: For people and for MLflow's tables.
    """
    (folder / _CODE).mkdir()
    shutil.copy(loader, folder / _CODE)
    _write_environment(folder, requirements=requirements)
    model = Model(metadata=dict(facts), saved_input_example_info=_write_example(folder, example))
    model.signature = signature
    model.model_size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    model.add_flavor(
        "python_function",
        loader_module=loader.stem,
        data=DATA,
        code=_CODE,
        env={"conda": _CONDA, "virtualenv": _PYTHON},
        python_version=platform.python_version(),
        streamable=False,
    )
    model.save(str(folder / "MLmodel"))


def _write_environment(folder: Path, *, requirements: Sequence[str]) -> None:
    """The same three times: for pip, for conda, and for MLflow's own virtual environments."""
    python = platform.python_version()
    (folder / _PACKAGES).write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": list(requirements)}],
    }
    own = {
        "python": python,
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": [f"-r {_PACKAGES}"],
    }
    for name, content in ((_CONDA, conda), (_PYTHON, own)):
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _write_example(folder: Path, example: pd.DataFrame) -> dict[str, str]:
    """The question as pandas and as POST /invocations take it; what MLmodel says of it."""
    table = example.to_dict("split", index=False)
    (folder / _EXAMPLE).write_text(json.dumps(table), encoding="utf-8")
    (folder / _SERVED_EXAMPLE).write_text(json.dumps({"dataframe_split": table}), encoding="utf-8")
    return {
        "artifact_path": _EXAMPLE,
        "type": "dataframe",
        "pandas_orient": "split",
        "serving_input_path": _SERVED_EXAMPLE,
    }
