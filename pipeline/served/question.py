"""A table of pictures that a network is asked about."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.served.exchange import write_pictures
from pipeline.work.loading import Trained

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Question:
    """One call of `predict`.

    Attributes:
        trained: The network.
        table: Columns of base64 texts of picture files.
        folder: For files that nobody needs afterwards.
        accelerator: Lightning's name of the device; `cpu`, `gpu` or `auto`.
        min_score: Objects that a detector is less sure of are left out, in [0, 1].
    """

    trained: Trained
    table: pd.DataFrame
    folder: Path
    accelerator: str
    min_score: float

    def texts(self, column: str) -> Mapping[int, str]:
        """What a column holds, by row; none where it is not there or a row of it is empty."""
        cells = list(self.table[column]) if column in self.table else []
        return {row: cell for row, cell in enumerate(cells) if isinstance(cell, str) and cell}

    def pictures(self, column: str) -> dict[int, Path]:
        """The pictures of a column as files, by row."""
        return write_pictures(self.texts(column), folder=self.folder, column=column)
