"""The arguments a ``_target_`` takes, read from its source without importing it."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType

from pipeline.sources import Definition, FunctionNode, Source, find_module, look_up, names_in, resolve

NOT_LITERAL = object()
"""Default of a parameter that has none, or one that is not a plain value."""

# Bases that add no constructor of their own, whose source would be slow to read for nothing.
_WITHOUT_CONSTRUCTOR = frozenset({"object", "ABC", "Generic", "Protocol"})


@dataclass(frozen=True)
class Parameter:
    """One argument of a target.

    Attributes:
        name: As it is written in the configuration.
        required: True where there is no default.
        default: The default if it is a plain value, else ``NOT_LITERAL``.
        annotation: Type as it is written, None where there is none.
        keyword_only: False where it could also be given by position.
        module: Dotted name of the module in which the annotation is written.
    """

    name: str
    required: bool
    default: object
    annotation: ast.expr | None
    keyword_only: bool
    module: str

    @property
    def annotation_text(self) -> str:
        """The annotation as source text, empty where there is none."""
        return ast.unparse(self.annotation) if self.annotation else ""


@dataclass(frozen=True)
class Signature:
    """What a target can be given.

    Attributes:
        target: Dotted path as it stands in the configuration.
        module: Where it is written; another module than the path says where it is re-exported.
        parameters: By name, in order.
        has_var_keyword: True where it takes further names that cannot be known (``**kwargs``).
        is_known: False where no source could be read; there are no parameters then.
    """

    target: str
    module: str
    parameters: Mapping[str, Parameter] = field(default_factory=lambda: MappingProxyType({}))
    has_var_keyword: bool = False
    is_known: bool = True


class TargetNotFoundError(LookupError):
    """No such target; carries the part that is missing and what is there instead.

    Args:
        where: Dotted path that does exist, empty where not even the package does.
        missing: The next part, which does not.
        candidates: Names that exist in ``where``.
    """

    def __init__(self, *, where: str, missing: str, candidates: frozenset[str]) -> None:
        super().__init__(f"{where} has no {missing!r}" if where else f"there is no package {missing!r}")
        self.where = where
        self.missing = missing
        self.candidates = candidates


@cache
def find_signature(target: str) -> Signature:
    """Read the signature of a class, function or method.

    Args:
        target: Dotted path, such as ``torch.optim.SGD``.

    Returns:
        Its signature; ``is_known`` is False for compiled or dynamic code.

    Raises:
        TargetNotFoundError: If the path certainly does not exist.
    """
    found = _find(target)
    if isinstance(found, Source):
        return Signature(target=target, module=found.name, is_known=False)
    known = _of_definition(found)
    return replace(known or _unknown(found.module), target=target)


def _unknown(module: str) -> Signature:
    return Signature(target="", module=module, has_var_keyword=True, is_known=False)


def _find(target: str) -> Definition | Source:
    parts = target.split(".")
    current: Definition | Source | None = find_module(parts[0])
    if current is None:
        raise TargetNotFoundError(where="", missing=parts[0], candidates=frozenset())
    for position, part in enumerate(parts[1:], start=1):
        found = _step(current, part, is_last=position == len(parts) - 1)
        if found is None:
            candidates = frozenset(names_in(current) if isinstance(current, Source) else ())
            raise TargetNotFoundError(where=".".join(parts[:position]), missing=part, candidates=candidates)
        current = found
    return current


def _step(owner: Definition | Source, part: str, *, is_last: bool) -> Definition | Source | None:
    if isinstance(owner, Source):
        # A package's own text says last what a name is; before that a submodule is meant, and asking
        # for it first spares reading the large __init__ files.
        if is_last:
            return look_up(owner, part)
        found = find_module(f"{owner.name}.{part}") or look_up(owner, part)
        # On the way there must be a module or a class; a package that makes up names as it goes
        # (torch does) is no excuse for torch.optm.SGD.
        return None if isinstance(found, Definition) and not found.node and owner.is_readable else found
    if not isinstance(owner.node, ast.ClassDef):
        return Definition(owner.module, None)
    for class_ in _ancestry(owner):
        if class_.node is None:
            return Definition(class_.module, None)
        method = _method(class_, part)
        if method:
            return Definition(class_.module, method)
    return None


def _of_definition(found: Definition) -> Signature | None:
    if isinstance(found.node, ast.ClassDef):
        return _of_class(_ancestry(found), home=found.module)
    if isinstance(found.node, FunctionNode):
        return _of_function(found.node, module=found.module, skip=_is_bound(found.node))
    return None


def _is_bound(node: FunctionNode) -> bool:
    """Whether the first argument is filled in by Python: class methods of ``Class.method`` targets."""
    return any(
        isinstance(decorator, ast.Name) and decorator.id == "classmethod" for decorator in node.decorator_list
    )


def _ancestry(class_: Definition) -> Iterator[Definition]:
    """The class and its bases, nearest first; a definition without node stands for an unreadable base."""
    yield class_
    source = find_module(class_.module)
    assert source is not None and isinstance(class_.node, ast.ClassDef)
    for expression in class_.node.bases:
        base = expression.value if isinstance(expression, ast.Subscript) else expression
        if ast.unparse(base).rpartition(".")[2] in _WITHOUT_CONSTRUCTOR:
            continue
        found = resolve(source, base)
        if isinstance(found, Definition) and isinstance(found.node, ast.ClassDef):
            yield from _ancestry(found)
        else:
            yield Definition(class_.module, None)


def _of_class(ancestry: Iterator[Definition], *, home: str) -> Signature | None:
    for class_ in ancestry:
        if class_.node is None:
            return None
        own = _own_constructor(class_, ancestry)
        if own:
            return replace(own, module=home)
    return Signature(target="", module=home)


def _own_constructor(class_: Definition, rest: Iterator[Definition]) -> Signature | None:
    assert isinstance(class_.node, ast.ClassDef)
    if _is_dataclass(class_.node):
        return _of_dataclass(class_.node, module=class_.module)
    method = _method(class_, "__init__") or _method(class_, "__new__")
    if not method:
        return None
    own = _of_function(method, module=class_.module, skip=True)
    return _with_base(own, method, rest) if own.has_var_keyword else own


def _method(class_: Definition, name: str) -> FunctionNode | None:
    assert isinstance(class_.node, ast.ClassDef)
    found = [node for node in class_.node.body if isinstance(node, FunctionNode) and node.name == name]
    return found[-1] if found else None  # the last: overloads come before their implementation


def _with_base(own: Signature, method: FunctionNode, rest: Iterator[Definition]) -> Signature:
    """Add the base's arguments where ``**kwargs`` is handed to ``super().__init__`` and nowhere else."""
    call = _call_of_super(method)
    base = _of_class(rest, home=own.module) if call else None
    if base is None or call is None:
        return own
    given = {*list(base.parameters)[: len(call.args)], *(word.arg for word in call.keywords)}
    inherited = {name: parameter for name, parameter in base.parameters.items() if name not in given}
    return replace(own, parameters={**inherited, **own.parameters}, has_var_keyword=base.has_var_keyword)


def _call_of_super(method: FunctionNode) -> ast.Call | None:
    """The call ``super().__init__(..., **kwargs)`` if that is the only place where ``kwargs`` goes."""
    assert method.args.kwarg is not None
    catch_all = method.args.kwarg.arg
    if sum(isinstance(node, ast.Name) and node.id == catch_all for node in ast.walk(method)) != 1:
        return None
    calls = [node for node in ast.walk(method) if isinstance(node, ast.Call)]
    for call in calls:
        hands_on = any(word.arg is None and ast.unparse(word.value) == catch_all for word in call.keywords)
        if hands_on and ast.unparse(call.func) == "super().__init__":
            return None if any(isinstance(word, ast.Starred) for word in call.args) else call
    return None


def _of_function(node: FunctionNode, *, module: str, skip: bool) -> Signature:
    arguments = node.args
    by_position = [*arguments.posonlyargs, *arguments.args]
    without = len(by_position) - len(arguments.defaults)
    defaults: list[ast.expr | None] = [*([None] * without), *arguments.defaults]
    plain = list(zip(by_position, defaults, strict=True))[1 if skip else 0 :]
    only = list(zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))
    parameters = [_parameter(word, default, keyword_only=False, module=module) for word, default in plain]
    parameters += [_parameter(word, default, keyword_only=True, module=module) for word, default in only]
    return Signature(
        target="",
        module=module,
        parameters={parameter.name: parameter for parameter in parameters},
        has_var_keyword=arguments.kwarg is not None,
    )


def _parameter(word: ast.arg, default: ast.expr | None, *, keyword_only: bool, module: str) -> Parameter:
    return Parameter(
        name=word.arg,
        required=default is None,
        default=_literal(default),
        annotation=word.annotation,
        keyword_only=keyword_only,
        module=module,
    )


def _literal(expression: ast.expr | None) -> object:
    try:
        return ast.literal_eval(expression) if expression else NOT_LITERAL
    except (ValueError, TypeError):
        return NOT_LITERAL


def _is_dataclass(node: ast.ClassDef) -> bool:
    calls = [
        decorator.func if isinstance(decorator, ast.Call) else decorator for decorator in node.decorator_list
    ]
    return any(ast.unparse(call).rpartition(".")[2] == "dataclass" for call in calls)


def _of_dataclass(node: ast.ClassDef, *, module: str) -> Signature:
    """Fields of a dataclass; one that inherits fields is honestly not known."""
    if node.bases:
        return _unknown(module)
    fields = [_field(item, module=module) for item in node.body if isinstance(item, ast.AnnAssign)]
    return Signature(target="", module=module, parameters={word.name: word for word in fields if word})


def _field(item: ast.AnnAssign, *, module: str) -> Parameter | None:
    name = ast.unparse(item.target)
    call = (
        item.value
        if isinstance(item.value, ast.Call) and ast.unparse(item.value.func).endswith("field")
        else None
    )
    options = {word.arg: word.value for word in call.keywords} if call else {}
    if name == "_" or "ClassVar" in ast.unparse(item.annotation) or _literal(options.get("init")) is False:
        return None
    has_default = bool(options.keys() & {"default", "default_factory"}) if call else item.value is not None
    default = options.get("default") if call else item.value
    return Parameter(
        name=name,
        required=not has_default,
        default=_literal(default),
        annotation=item.annotation,
        keyword_only=False,
        module=module,
    )
