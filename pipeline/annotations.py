"""Does a value from a YAML file fit a type annotation? Answered for simple types, otherwise left open."""

import ast
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any

from pipeline.signatures import Parameter
from pipeline.sources import Definition, Source, find_module, resolve


class Fit(Enum):
    """Whether a value fits; OPEN where the annotation says nothing that can be checked here."""

    YES = "yes"
    NO = "no"
    OPEN = "open"


_SEQUENCES = frozenset(
    {"list", "set", "frozenset", "Sequence", "MutableSequence", "Iterable", "Collection", "Set"}
)
_MAPPINGS = frozenset({"dict", "Mapping", "MutableMapping"})
# Types of which a YAML file can hold no value: what does not fit the rest of a union is wrong.
_OUT_OF_REACH = frozenset({"Tensor", "ndarray", "Callable", "Module", "Generator", "timedelta"})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_LEAVES: Mapping[str, Callable[[object], bool]] = {
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": _is_number,
    "bool": lambda value: isinstance(value, bool),
    "str": lambda value: isinstance(value, str),
    "None": lambda value: value is None,
    "Path": lambda value: isinstance(value, str),
    "PathLike": lambda value: isinstance(value, str),
    "list": lambda value: isinstance(value, list),
    "tuple": lambda value: isinstance(value, list),
    "dict": lambda value: isinstance(value, dict),
    **{name: (lambda value: isinstance(value, list)) for name in _SEQUENCES},
    **{name: (lambda value: isinstance(value, dict)) for name in _MAPPINGS},
    **{name: (lambda _: False) for name in _OUT_OF_REACH},
}


def check_fit(value: Any, parameter: Parameter) -> Fit:
    """Compare a plain value with the annotation of a parameter.

    Args:
        value: Number, string, bool, None, list or dict as YAML gives it.
        parameter: The parameter it is meant for.

    Returns:
        YES or NO where the annotation is made of simple types and literals, OPEN otherwise. A list
        fits a tuple, an int fits a float, a bool fits neither int nor float.
    """
    source = find_module(parameter.module)
    if parameter.annotation is None or source is None:
        return Fit.OPEN
    # Third-party annotations sometimes contradict their own default; the default is always allowed.
    if type(value) is type(parameter.default) and value == parameter.default:
        return Fit.YES
    return _fit(value, parameter.annotation, source)


def _fit(value: Any, annotation: ast.expr, source: Source) -> Fit:
    if isinstance(value, dict) and "_target_" in value:
        return Fit.OPEN  # its type is known once it is built
    match annotation:
        case ast.Constant(value=str() as text):
            return _fit(value, ast.parse(text, mode="eval").body, source)
        case ast.Constant(value=None):
            return _yes_if(value is None)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _any(_fit(value, option, source) for option in (left, right))
        case ast.Subscript(value=container, slice=content):
            return _fit_container(value, _leaf(container), _members(content), source)
        case ast.Name() | ast.Attribute():
            return _fit_name(value, annotation, source)
    return Fit.OPEN


def _fit_name(value: Any, annotation: ast.Name | ast.Attribute, source: Source) -> Fit:
    check = _LEAVES.get(_leaf(annotation))
    if check:
        return _yes_if(check(value))
    found = resolve(source, annotation)
    home = find_module(found.module) if isinstance(found, Definition) else None
    # Only an alias, such as `Mode = Literal["max", "min"]`, can be looked into further.
    if home and isinstance(found, Definition) and isinstance(found.node, ast.Subscript | ast.BinOp):
        return _fit(value, found.node, home)
    return Fit.OPEN


def _fit_container(value: Any, name: str, members: list[ast.expr], source: Source) -> Fit:
    if name == "Optional":
        return Fit.YES if value is None else _fit(value, members[0], source)
    if name == "Union":
        return _any(_fit(value, option, source) for option in members)
    if name == "Annotated":
        return _fit(value, members[0], source)
    if name == "Literal":
        return _yes_if(
            any(type(value) is type(allowed) and value == allowed for allowed in _constants(members))
        )
    if name in ("tuple", "Tuple"):
        return _fit_tuple(value, members, source)
    if name in _SEQUENCES or name == "List":
        return _all(_fit(item, members[0], source) for item in value) if isinstance(value, list) else Fit.NO
    if name in _MAPPINGS or name == "Dict":
        return _fit_mapping(value, members, source)
    return Fit.NO if name in _OUT_OF_REACH else Fit.OPEN


def _fit_tuple(value: Any, members: list[ast.expr], source: Source) -> Fit:
    if not isinstance(value, list):
        return Fit.NO
    if len(members) == 2 and isinstance(members[1], ast.Constant) and members[1].value is ...:
        return _all(_fit(item, members[0], source) for item in value)
    if len(value) != len(members):
        return Fit.NO
    return _all(_fit(item, member, source) for item, member in zip(value, members, strict=True))


def _fit_mapping(value: Any, members: list[ast.expr], source: Source) -> Fit:
    if not isinstance(value, dict):
        return Fit.NO
    return _all(_fit(item, members[1], source) for item in value.values()) if len(members) == 2 else Fit.OPEN


def choices(parameter: Parameter) -> list[Any]:
    """The literal values that a parameter allows, also those behind an alias or in a union.

    Args:
        parameter: The parameter.

    Returns:
        The values in the order they are written, empty where any value will do.
    """
    source = find_module(parameter.module)
    return list(_choices(parameter.annotation, source)) if parameter.annotation and source else []


def key_choices(parameter: Parameter) -> list[Any]:
    """The literal keys that a parameter of type ``dict[Literal[...], ...]`` allows.

    Args:
        parameter: The parameter.

    Returns:
        The keys in the order they are written, empty where any key will do.
    """
    source = find_module(parameter.module)
    return list(_key_choices(parameter.annotation, source)) if parameter.annotation and source else []


def _key_choices(annotation: ast.expr, source: Source) -> Iterator[Any]:
    match annotation:
        case ast.Constant(value=str() as text):
            yield from _key_choices(ast.parse(text, mode="eval").body, source)
        case ast.BinOp(left=left, right=right):
            yield from _key_choices(left, source)
            yield from _key_choices(right, source)
        case ast.Subscript(value=container, slice=ast.Tuple(elts=[keys, _])) if _leaf(container) in _MAPPINGS:
            yield from _choices(keys, source)


def _choices(annotation: ast.expr, source: Source) -> Iterator[Any]:
    match annotation:
        case ast.Constant(value=str() as text):
            yield from _choices(ast.parse(text, mode="eval").body, source)
        case ast.BinOp(left=left, right=right):
            yield from _choices(left, source)
            yield from _choices(right, source)
        case ast.Subscript(value=container, slice=content) if _leaf(container) == "Literal":
            yield from _constants(_members(content))
        case ast.Subscript(value=container, slice=content) if _leaf(container) in ("Union", "Optional"):
            for option in _members(content):
                yield from _choices(option, source)
        case ast.Name(id=name) if name not in _LEAVES:
            found = resolve(source, annotation)
            home = find_module(found.module) if isinstance(found, Definition) else None
            if home and isinstance(found, Definition) and isinstance(found.node, ast.Subscript | ast.BinOp):
                yield from _choices(found.node, home)


def _leaf(annotation: ast.expr) -> str:
    return ast.unparse(annotation).rpartition(".")[2]


def _members(content: ast.expr) -> list[ast.expr]:
    return content.elts if isinstance(content, ast.Tuple) else [content]


def _constants(members: list[ast.expr]) -> Iterator[Any]:
    for member in members:
        try:
            yield ast.literal_eval(member)
        except ValueError:  # Literal[Enum.MEMBER]
            continue


def _yes_if(condition: bool) -> Fit:
    return Fit.YES if condition else Fit.NO


def _any(fits: Iterator[Fit]) -> Fit:
    found = set(fits)
    return Fit.YES if Fit.YES in found else Fit.OPEN if Fit.OPEN in found else Fit.NO


def _all(fits: Iterator[Fit]) -> Fit:
    found = set(fits)
    return Fit.NO if Fit.NO in found else Fit.OPEN if Fit.OPEN in found else Fit.YES
