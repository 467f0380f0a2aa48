"""Packs a trained network as an MLflow model: weights, code, signature, example, versions of packages."""

import logging
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch
from mlflow.exceptions import MlflowException

from pipeline import checkpoints
from pipeline.compose import PROJECT
from pipeline.served import vision_pipeline_model as loader
from pipeline.served.answering import Network
from pipeline.served.folder import DATA, write_description
from pipeline.served.requirements import loaded_requirements
from pipeline.served.schema import example_of, signature_of
from pipeline.tracking_store import prepare_library
from pipeline.work.loading import Trained, load_trained

_PACKAGES = ("pipeline", "lightning_modules", "datamodules", "conf")
_CODE = (".py", ".yaml")
# Of a checkpoint what answering needs; the optimiser's numbers would make it two to three times as large.
_NEEDED = ("state_dict", "pipeline", "epoch", "global_step", "pytorch-lightning_version")

log = logging.getLogger(__name__)


def pack(checkpoint: Path, folder: Path) -> bool:
    """Make a folder that `mlflow.pyfunc.load_model` and `mlflow models serve` take, without this project.

    The packed network is asked once, on a CPU: what does not answer is not kept.

    Args:
        checkpoint: The kept checkpoint of a run.
        folder: A folder that is not there, or an older one, which is replaced.

    Returns:
        Whether there is a network to pack; a run that is one picture has none.

    Raises:
        OSError: If it cannot be written.
        MlflowException: If the network does not answer.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / DATA).mkdir(parents=True)
    path = folder / DATA / loader.NETWORK
    _write_network(checkpoint, path)
    trained = load_trained(root=folder, run="", checkpoint=str(path), task=None)
    if getattr(trained.task.model, "is_one_picture", False):
        shutil.rmtree(folder)
        return False
    _write_code(folder / DATA / loader.CODE)
    _describe(trained, folder=folder)
    return True


def try_to_pack(checkpoint: Path, folder: Path) -> bool:
    """As `pack`; a network that cannot be packed is no reason for a finished run to fail."""
    try:
        return pack(checkpoint, folder)
    except (OSError, RuntimeError, ValueError, MlflowException) as problem:
        log.warning("the network is not packed for MLflow: %s", problem)
        shutil.rmtree(folder, ignore_errors=True)
        return False


def _write_network(checkpoint: Path, path: Path) -> None:
    content = checkpoints.read(checkpoint)
    torch.save({key: content[key] for key in _NEEDED if key in content}, path)


def _write_code(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for package in _PACKAGES:
            for file in sorted((PROJECT / package).rglob("*")):
                if file.suffix in _CODE:
                    packed.write(file, file.relative_to(PROJECT))


def _describe(trained: Trained, *, folder: Path) -> None:
    prepare_library()
    example = example_of(trained)
    Network(trained, accelerator="cpu").predict(example)
    write_description(
        folder,
        loader=Path(loader.__file__),
        signature=signature_of(trained.task),
        example=example,
        requirements=loaded_requirements(),  # after it has answered, when all that it takes is loaded
        facts=_facts(trained),
    )


def _facts(trained: Trained) -> dict[str, Any]:
    choices = trained.config["choices"]
    return {"run_id": trained.run_id, **{key: str(choices[key]) for key in ("task", "model", "data")}}
