"""What a network is asked and what it answers, as MLflow's signature says it, and an example question."""

from typing import Any

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array, Map, Object, Property
from pytorch_lightning import LightningModule

from pipeline.served.answering import MIN_SCORE
from pipeline.served.exchange import example_text
from pipeline.work.loading import Trained
from pipeline.work.masks import MakesMasks
from pipeline.work.painting import Paints
from pipeline.work.search import Compares

_TEXT, _NUMBER = DataType.string, DataType.double
_LARGEST_EXAMPLE = 128  # pixels a side


def signature_of(task: LightningModule) -> ModelSignature:
    """Columns of the question and of the answer.

    Pictures are base64 texts of whole files (PNG, JPEG, ...). A label's score is a probability; boxes are
    x1 y1 x2 y2 in pixels; masks of objects are COCO's run lengths, a mask of classes is a PNG whose pixels
    are places in `class_names`; a `distance` is as small as two pictures are alike.

    Args:
        task: The task with its network.
    """
    asked = {"image": True, **_beside(task)}
    params = [ParamSpec("min_score", _NUMBER, MIN_SCORE)] if _is_detector(task) else []
    return ModelSignature(
        inputs=Schema([ColSpec(_TEXT, name, required=is_needed) for name, is_needed in asked.items()]),
        outputs=Schema([*_answers(task)]),
        params=ParamSchema(params),
    )


def example_of(trained: Trained) -> pd.DataFrame:
    """A question of one row, about a picture of nothing."""
    picture = example_text(min(int(trained.metadata["image_size"]), _LARGEST_EXAMPLE))
    return pd.DataFrame({name: [picture] for name in ("image", *_beside(trained.task))})


def _beside(task: Any) -> dict[str, bool]:
    """Columns that stand beside the picture, and whether they must."""
    if isinstance(task, Paints):
        return {"style": True} if task.model.needs_style else {}  # type: ignore[attr-defined]
    return {"other": False} if isinstance(task, Compares) else {}


def _answers(task: Any) -> list[ColSpec]:
    if isinstance(task, Paints):
        return [ColSpec(_TEXT, "picture")]
    if isinstance(task, Compares):
        return [
            ColSpec(Array(_NUMBER), "embedding"),
            ColSpec(_NUMBER, "distance", required=False),
            ColSpec(DataType.boolean, "same", required=False),
        ]
    if isinstance(task, MakesMasks):
        return [ColSpec(_TEXT, "mask"), ColSpec(Array(_TEXT), "class_names")]
    if _is_detector(task):
        return _objects(has_masks=task.model.predicts_masks)
    return [ColSpec(_TEXT, "label"), ColSpec(_NUMBER, "score"), ColSpec(Map(_NUMBER), "scores")]


def _objects(*, has_masks: bool) -> list[ColSpec]:
    run_lengths = Object([Property("size", Array(DataType.long)), Property("counts", _TEXT)])
    return [
        ColSpec(Array(Array(_NUMBER)), "boxes"),
        ColSpec(Array(_TEXT), "labels"),
        ColSpec(Array(_NUMBER), "scores"),
        *([ColSpec(Array(run_lengths), "masks")] if has_masks else []),
    ]


def _is_detector(task: Any) -> bool:
    return hasattr(task, "json_records")
