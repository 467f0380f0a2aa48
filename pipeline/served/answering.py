"""A network that MLflow asks: rows of pictures in, rows of answers out."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException

from pipeline.console import console
from pipeline.served.compared import compared
from pipeline.served.painted import painted
from pipeline.served.predicted import predicted
from pipeline.served.question import Question, Row
from pipeline.work.loading import Trained, load_trained
from pipeline.work.painting import Paints
from pipeline.work.search import Compares

MIN_SCORE = 0.3
"""What a detector is less sure of is left out, unless a question says otherwise; as by `make predict`."""


class Network:
    """A trained network in the shape that MLflow asks for.

    Args:
        trained: The network.
        accelerator: Lightning's name of the device; `cpu`, `gpu` or `auto`.
    """

    def __init__(self, trained: Trained, *, accelerator: str = "auto") -> None:
        self._trained = trained
        self._accelerator = accelerator
        # What is painted like is kept in the task, and a server asks from several threads.
        self._lock = threading.Lock()

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """A row of answers for each row of pictures; `pipeline.served.schema` has the columns.

        Args:
            model_input: Columns of base64 texts of picture files.
            params: `min_score` of a detector, in [0, 1].

        Raises:
            MlflowException: If a row holds no picture; the message says which.
        """
        try:
            with self._lock, _quiet(), tempfile.TemporaryDirectory(prefix="pipeline_") as folder:
                rows = self._rows(model_input, folder=Path(folder), params=params or {})
        except ValueError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
        return pd.DataFrame(rows, dtype=object)  # numbers by themselves would turn None into NaN: no JSON

    def _rows(self, table: pd.DataFrame, *, folder: Path, params: dict[str, Any]) -> list[Row]:
        question = Question(
            trained=self._trained,
            table=table,
            folder=folder,
            accelerator=self._accelerator,
            min_score=params.get("min_score", MIN_SCORE),
        )
        empty = sorted(set(range(len(table))) - question.texts("image").keys())
        if empty:
            raise ValueError(f"row {empty[0]}, column image: no text; give base64 of a picture file")
        if not len(table):
            return []
        if isinstance(self._trained.task, Paints):
            return painted(question)
        return compared(question) if isinstance(self._trained.task, Compares) else predicted(question)


def load(checkpoint: Path, *, accelerator: str = "auto") -> Network:
    """The network of a checkpoint file.

    Args:
        checkpoint: Weights and configuration.
        accelerator: See `Network`.
    """
    trained = load_trained(root=checkpoint.parent, run="", checkpoint=str(checkpoint), task=None)
    return Network(trained, accelerator=accelerator)


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars: a server has nobody to show them to."""
    before, console.quiet = console.quiet, True
    try:
        yield
    finally:
        console.quiet = before
