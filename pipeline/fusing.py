"""How the answers of an ensemble's members may become one; read from the task as text, without torch."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import Mistake
from pipeline.sources import Definition, Source, find_module, resolve

FITTED = "fitted"
"""What is typed as `weights=` where the validation split decides."""

FITTED_FOR = "mean_probability"
"""The fusion whose weights can be fitted."""

_FUSIONS, _FIT = "fusions", "fit_weights"  # of an EnsembleModule


@dataclass(frozen=True, kw_only=True)
class Fusing:
    """What a task says of fusing answers.

    Attributes:
        names: Of its fusions, the one it takes by itself first; empty where its text does not tell.
        fits: Whether it fits the weights of members.
    """

    names: tuple[str, ...]
    fits: bool


def fusing_of(config: Mapping[str, Any]) -> Fusing:
    """Read a task's class.

    Args:
        config: A resolved configuration with a task.
    """
    module, _, name = str(config["task"]["_target_"]).rpartition(".")
    source = find_module(module)
    node = source.bindings.get(name) if source else None
    if source is None or not isinstance(node, ast.ClassDef):
        return Fusing(names=(), fits=False)
    values = [
        statement.value
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and statement.target.id == _FUSIONS
        and statement.value is not None
    ]
    fits = any(isinstance(statement, ast.FunctionDef) and statement.name == _FIT for statement in node.body)
    return Fusing(names=_words(source, values[0]) if values else (), fits=fits)


def check_fusing(config: Mapping[str, Any], *, fusion: str | None, weights: list[float] | str | None) -> None:
    """Refuse what a task cannot do with its members, before they are trained.

    Args:
        config: The resolved configuration of the members.
        fusion: How answers become one; None: the task's own choice.
        weights: Of the members, or `fitted`.

    Raises:
        Mistake: It knows no such fusion, or cannot fit the weights.
    """
    known, task = fusing_of(config), config["choices"]["task"]
    if not known.names:
        return
    if fusion is not None and fusion not in known.names:
        raise Mistake(f"fusion={fusion} is not one of {', '.join(known.names)} for task={task}")
    if weights == FITTED and not known.fits:
        raise Mistake(
            f"weights={FITTED}: task={task} does not fit the weights of members; leave weights= out, or give "
            "numbers"
        )
    if weights == FITTED and (fusion or known.names[0]) != FITTED_FOR:
        raise Mistake(
            f"fusion={fusion} weights={FITTED}: weights are fitted for fusion={FITTED_FOR}; leave one out"
        )


def _words(source: Source, expression: ast.expr) -> tuple[str, ...]:
    """The texts of a tuple, or of `get_args` of a Literal."""
    match expression:
        case ast.Constant(value=str(word)):
            return (word,)
        case ast.Tuple(elts=parts):
            return tuple(word for part in parts for word in _words(source, part))
        case ast.Call(args=[inside]) | ast.Subscript(slice=inside):
            return _words(source, inside)
        case ast.Name():
            found = resolve(source, expression)
            module = find_module(found.module) if isinstance(found, Definition) else None
            node = found.node if isinstance(found, Definition) else None
            return _words(module, node) if module and isinstance(node, ast.expr) else ()
    return ()
