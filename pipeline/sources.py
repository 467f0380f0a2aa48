"""Python modules read as text: where a dotted name is written down, without importing anything.

Importing torch or Lightning takes seconds, so whatever must answer a typing error at once reads the
source files instead. Whoever asks gets an honest "cannot be read" for compiled and dynamic modules.
"""

import ast
import gc
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_SOURCE_ENDINGS = (".py", ".pyi")


@dataclass(frozen=True)
class Reference:
    """A name that an import statement brings in: ``name`` of ``module``, or the module itself."""

    module: str
    name: str | None


Binding = Reference | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.expr


@dataclass(frozen=True)
class Definition:
    """What a dotted name stands for; ``node`` is None where no source can tell."""

    module: str
    node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.expr | None


class Source:
    """One module as text, parsed when it is first asked for a name."""

    def __init__(self, *, name: str, path: Path | None, folders: Sequence[str]) -> None:
        self.name = name
        self.path = path
        self.folders = tuple(folders)

    @property
    def is_readable(self) -> bool:
        """False for compiled and built-in modules; a folder without ``__init__.py`` reads as empty."""
        return self.path.suffix in _SOURCE_ENDINGS if self.path else bool(self.folders)

    @cached_property
    def text(self) -> str:
        """The source, or nothing where there is none."""
        return self.path.read_text(encoding="utf-8") if self.path and self.is_readable else ""

    @cached_property
    def bindings(self) -> dict[str, Binding]:
        """Each name bound at the top level of the module; of alternatives the first."""
        found: dict[str, Binding] = {}
        self._stars: list[str] = []
        for name, binding in self._bindings_of(_parse(self.text).body):
            # A later `def` replaces an earlier one (that is how overloads end), an import does not:
            # in `try: from a import x` / `except ImportError: from b import x` the first is meant.
            if name not in found or not isinstance(binding, Reference):
                found[name] = binding
        return found

    @property
    def stars(self) -> list[str]:
        """Modules of which everything is imported here."""
        assert self.bindings is not None  # parsing fills the list
        return self._stars

    @property
    def is_dynamic(self) -> bool:
        """True where names may appear that no reader of the text can see."""
        return (
            "__getattr__" in self.bindings or "globals()" in self.text or "sys.modules[__name__]" in self.text
        )

    def mentions(self, name: str) -> bool:
        """Whether the text may define or hand on ``name``; spares parsing the modules that cannot."""
        return name in self.text or "import *" in self.text

    def _bindings_of(self, body: Sequence[ast.stmt]) -> Iterator[tuple[str, Binding]]:
        for statement in body:
            match statement:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    yield statement.name, statement
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    yield name, value
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    yield name, value
                case ast.Import() | ast.ImportFrom():
                    yield from self._imported(statement)
                case _:
                    yield from self._bindings_of(list(_nested(statement)))

    def _imported(self, statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Reference]]:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                top = alias.name.partition(".")[0]
                yield (
                    (alias.asname, Reference(alias.name, None))
                    if alias.asname
                    else (top, Reference(top, None))
                )
            return
        module = self._absolute(statement)
        for alias in statement.names:
            if alias.name == "*":
                self._stars.append(module)
            else:
                yield alias.asname or alias.name, Reference(module, alias.name)

    def _absolute(self, statement: ast.ImportFrom) -> str:
        if not statement.level:
            return statement.module or ""
        parts = self.name.split(".")
        up = statement.level - 1 if self.folders else statement.level
        return ".".join([*parts[: len(parts) - up], *([statement.module] if statement.module else [])])


def _parse(text: str) -> ast.Module:
    # Hundreds of thousands of new objects set off the collector for nothing: a third of the time.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):  # written for another Python, or not text at all
        return ast.Module(body=[], type_ignores=[])
    finally:
        if was_enabled:
            gc.enable()


def _nested(statement: ast.stmt) -> Iterator[ast.stmt]:
    """Statements of an if, try or with block, whose names are still the module's."""
    for field in ("body", "handlers", "orelse", "finalbody"):
        for child in getattr(statement, field, ()):
            if isinstance(child, ast.ExceptHandler):
                yield from child.body
            elif isinstance(child, ast.stmt):
                yield child


@cache
def find_module(name: str) -> Source | None:
    """Find a module by its dotted name without importing it or its parents.

    Args:
        name: Dotted name, such as ``torch.optim.sgd``.

    Returns:
        The module, or None where there is none.
    """
    parent, _, _ = name.rpartition(".")
    if not parent:
        return _top_level(name)
    package = find_module(parent)
    if package is None or not package.folders:
        return None
    try:
        return _of_spec(PathFinder.find_spec(name, list(package.folders)), name=name)
    except KeyError:  # a folder without __init__.py; Python describes it only once its parent is imported
        leaf = name.rpartition(".")[2]
        return Source(name=name, path=None, folders=[str(Path(folder, leaf)) for folder in package.folders])


def _top_level(name: str) -> Source | None:
    # For a name without dots this imports nothing, and unlike PathFinder it knows editable installs.
    try:
        spec = importlib.util.find_spec(name) if name else None
    except ValueError:  # a module in sys.modules without a spec, such as __main__
        return None
    return _of_spec(spec, name=name)


def _of_spec(spec: ModuleSpec | None, *, name: str) -> Source | None:
    if spec is None:
        return None
    path = Path(spec.origin) if spec.has_location and spec.origin else None
    return Source(name=name, path=path, folders=tuple(spec.submodule_search_locations or ()))


def look_up(
    source: Source, name: str, seen: frozenset[tuple[str, str]] = frozenset()
) -> Definition | Source | None:
    """Find what ``name`` stands for in a module, through imports and re-exports.

    Args:
        source: The module in which the name is used.
        name: A name without dots.
        seen: Module and name pairs on the way here, so that circular imports end.

    Returns:
        Its definition or module, or None where the module certainly has no such name.
    """
    if not source.is_readable or source.name.partition(".")[0] in sys.stdlib_module_names:
        return Definition(source.name, None)
    if (source.name, name) not in seen:
        found = _look_up_text(source, name, seen | {(source.name, name)})
        if found is not None:
            return found
    submodule = find_module(f"{source.name}.{name}")
    return submodule or (Definition(source.name, None) if source.is_dynamic else None)


def _look_up_text(source: Source, name: str, seen: frozenset[tuple[str, str]]) -> Definition | Source | None:
    binding = source.bindings.get(name)
    if isinstance(binding, Reference):
        module = find_module(binding.module)
        if module is None:  # an optional dependency that is not installed
            return Definition(binding.module, None)
        return look_up(module, binding.name, seen) if binding.name else module
    if isinstance(binding, ast.Name | ast.Attribute):
        return resolve(source, binding, seen) or Definition(source.name, binding)
    if binding is not None:
        return Definition(source.name, binding)
    for star in reversed(source.stars):
        module = find_module(star)
        if module and module.mentions(name) and (star, name) not in seen:
            found = _look_up_text(module, name, seen | {(star, name)})
            if found is not None:
                return found
    return None


def resolve(
    source: Source, expression: ast.expr, seen: frozenset[tuple[str, str]] = frozenset()
) -> Definition | Source | None:
    """Find what a name or dotted name written in a module stands for.

    Args:
        source: The module in which the expression is written.
        expression: A name such as ``Module``, or ``nn.Module``; anything else is not resolved.
        seen: See ``look_up``.

    Returns:
        Its definition or module, or None where it is not to be found.
    """
    if isinstance(expression, ast.Name):
        return None if (source.name, expression.id) in seen else look_up(source, expression.id, seen)
    if not isinstance(expression, ast.Attribute):
        return None
    owner = resolve(source, expression.value, seen)
    return look_up(owner, expression.attr, seen) if isinstance(owner, Source) else None


def names_in(source: Source, seen: frozenset[str] = frozenset()) -> set[str]:
    """Names that can be reached in a module: its definitions, imports and submodules.

    Args:
        source: The module.
        seen: Modules on the way here, so that circular star imports end.

    Returns:
        Public names, to look for the nearest one.
    """
    found = {name for name in source.bindings if not name.startswith("_")}
    for star in source.stars:
        module = find_module(star)
        if module and star not in seen:
            found |= names_in(module, seen | {source.name, star})
    for folder in source.folders:
        found |= {entry.stem for entry in Path(folder).glob("*") if _is_module(entry)}
    return found


def _is_module(entry: Path) -> bool:
    is_code = entry.suffix == ".py" or (entry / "__init__.py").is_file()
    return is_code and not entry.stem.startswith("_")
