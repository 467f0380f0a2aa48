"""Signatures read from source agree with those that Python reports once everything is imported."""

import inspect
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from pipeline import signatures, sources
from pipeline.annotations import Fit, check_fit, choices, key_choices
from pipeline.signatures import NOT_LITERAL, Parameter, TargetNotFoundError, find_signature

TARGETS = [
    "albumentations.Affine",
    "albumentations.CenterCrop",
    "albumentations.CoarseDropout",
    "albumentations.ColorJitter",
    "albumentations.Compose",
    "albumentations.HorizontalFlip",
    "albumentations.Normalize",
    "albumentations.OneOf",
    "albumentations.RandomResizedCrop",
    "albumentations.Resize",
    "albumentations.pytorch.ToTensorV2",
    "pytorch_lightning.Trainer",
    "pytorch_lightning.callbacks.EarlyStopping",
    "pytorch_lightning.callbacks.LearningRateMonitor",
    "pytorch_lightning.callbacks.ModelCheckpoint",
    "pytorch_lightning.loggers.CSVLogger",
    "timm.create_model",
    "torch.nn.CrossEntropyLoss",
    "torch.nn.Linear",
    "torch.optim.Adagrad",
    "torch.optim.Adam",
    "torch.optim.AdamW",
    "torch.optim.RMSprop",
    "torch.optim.SGD",
    "torch.optim.lr_scheduler.CosineAnnealingLR",
    "torch.optim.lr_scheduler.OneCycleLR",
    "torchvision.models.resnet18",
]

MODULES = {
    "__init__": """
        from .shapes import *
        from .shapes import Circle as Disc
        from . import shapes as figures
    """,
    "shapes": """
        from typing import Any, Literal, Optional, Union, overload
        from dataclasses import dataclass, field
        try:
            from not_installed import Missing
        except ImportError:
            Missing = None
        from .kinds import Mode

        class Shape:
            def __init__(self, *, colour: str = "red", size: int | float = 1, tags: list[str] | None = None):
                pass
        class Circle(Shape):
            def __init__(self, radius: float, **kwargs: Any):
                super().__init__(size=3, **kwargs)
            @classmethod
            def unit(cls, mode: Mode = "fill"): ...
            @staticmethod
            def of(pair: tuple[int, float], many: "tuple[int, ...]" = ()): ...
        class Ring(Circle): pass
        class Open(Shape):
            def __init__(self, name: str, **kwargs: Any): self.options = kwargs
        class Plain: pass
        class Borrowed(Missing): pass
        @dataclass
        class Point:
            x: int
            y: int = 0
            names: dict[str, int] = field(default_factory=dict)
            hidden: int = field(init=False)
        @overload
        def area(shape: str) -> int: ...
        @overload
        def area(shape: int) -> int: ...
        def area(shape, *, unit: Optional[str] = None, scale=2 ** 3): ...
        if True:
            def nested(first, /, second): ...
        surface = area
        made = Shape()
    """,
    "kinds": """
        from typing import Literal, Union
        Mode = Literal["fill", "outline"]
        Level = Union[Literal[1, 2], Mode]
        def weigh(parts: "dict[Mode, float] | None" = None, names: dict[str, int] = {}): ...
        def draw(level: Level, mode: "Mode | None" = None): ...
    """,
    "dynamic": """
        def __getattr__(name): return int
    """,
}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A package on the path that nobody imports."""
    root = tmp_path_factory.mktemp("packages")
    (root / "shapebox").mkdir()
    for name, text in MODULES.items():
        (root / "shapebox" / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.syspath_prepend(str(root))
        _forget()
        yield "shapebox"
        assert "shapebox" not in sys.modules, "reading a signature imported the package"
    _forget()


def _forget() -> None:
    sources.find_module.cache_clear()
    signatures.find_signature.cache_clear()


def import_target(target: str) -> Any:
    """What Python itself finds under a dotted path."""
    module, _, name = target.rpartition(".")
    return getattr(import_module(module), name)


@pytest.mark.parametrize("target", TARGETS)
def test_agrees_with_inspect(target: str) -> None:
    expected = inspect.signature(import_target(target)).parameters.values()
    named = [word for word in expected if word.kind not in (word.VAR_POSITIONAL, word.VAR_KEYWORD)]

    found = find_signature(target)

    assert found.is_known
    assert list(found.parameters) == [word.name for word in named]
    for word in named:
        parameter = found.parameters[word.name]
        assert parameter.required == (word.default is word.empty), word.name
        assert parameter.keyword_only == (word.kind is word.KEYWORD_ONLY), word.name
        if parameter.default is not NOT_LITERAL:
            assert parameter.default == word.default, word.name
    assert found.has_var_keyword == any(word.kind is word.VAR_KEYWORD for word in expected)


def test_nothing_heavy_is_imported() -> None:
    code = f"""
import sys
from pipeline.signatures import find_signature
assert all(find_signature(target).is_known for target in {TARGETS!r})
heavy = {{"torch", "pytorch_lightning", "mlflow", "albumentations", "timm", "numpy"}} & set(sys.modules)
sys.exit(f"imported: {{heavy}}" if heavy else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Shape", ["colour", "size", "tags"]),
        ("shapes.Shape", ["colour", "size", "tags"]),
        ("figures.Shape", ["colour", "size", "tags"]),
        ("Circle", ["colour", "tags", "radius"]),
        ("Disc", ["colour", "tags", "radius"]),
        ("Ring", ["colour", "tags", "radius"]),
        ("Plain", []),
        ("Point", ["x", "y", "names"]),
        ("area", ["shape", "unit", "scale"]),
        ("surface", ["shape", "unit", "scale"]),
        ("shapes.nested", ["first", "second"]),
        ("Circle.unit", ["mode"]),
        ("Ring.of", ["pair", "many"]),
    ],
)
def test_finds_through_reexports_and_bases(package: str, name: str, expected: list[str]) -> None:
    found = find_signature(f"{package}.{name}")

    assert found.is_known
    assert not found.has_var_keyword
    assert list(found.parameters) == expected


def test_details_of_parameters(package: str) -> None:
    unit = find_signature(f"{package}.area").parameters["unit"]
    seen = (unit.required, unit.default, unit.annotation_text, unit.keyword_only)
    assert seen == (
        False,
        None,
        "Optional[str]",
        True,
    )
    assert find_signature(f"{package}.area").parameters["scale"].default is NOT_LITERAL
    assert find_signature(f"{package}.Circle").parameters["radius"].required
    assert find_signature(f"{package}.Disc").module == f"{package}.shapes"


def test_open_arguments_are_said_to_be_open(package: str) -> None:
    assert find_signature(f"{package}.Open").has_var_keyword
    assert list(find_signature(f"{package}.Open").parameters) == ["name"]


@pytest.mark.parametrize("name", ["Borrowed", "made", "dynamic.anything", "shapes"])
def test_what_cannot_be_read_is_unknown(package: str, name: str) -> None:
    assert not find_signature(f"{package}.{name}").is_known


@pytest.mark.parametrize("target", ["torch.Tensor.add_", "torch.device", "numpy.ndarray", "math.sqrt"])
def test_compiled_code_is_unknown(target: str) -> None:
    assert not find_signature(target).is_known


@pytest.mark.parametrize(
    ("target", "where", "missing", "candidate"),
    [
        ("torch.optim.Adamm", "torch.optim", "Adamm", "Adam"),
        ("torch.optm.Adam", "torch", "optm", "optim"),
        ("albumentations.HorizontlFlip", "albumentations", "HorizontlFlip", "HorizontalFlip"),
        ("pytorch_lightning.callback.EarlyStopping", "pytorch_lightning", "callback", "callbacks"),
    ],
)
def test_missing_names_come_with_candidates(target: str, where: str, missing: str, candidate: str) -> None:
    with pytest.raises(TargetNotFoundError, match=missing) as caught:
        find_signature(target)

    assert (caught.value.where, caught.value.missing) == (where, missing)
    assert candidate in caught.value.candidates


def test_missing_package_is_named() -> None:
    with pytest.raises(TargetNotFoundError, match="there is no package 'albumentation'"):
        find_signature("albumentation.Flip")


def parameter_of(target: str, name: str) -> Parameter:
    """One parameter, which must exist."""
    return find_signature(target).parameters[name]


@pytest.mark.parametrize(
    ("target", "name", "good", "bad"),
    [
        ("Shape", "colour", ["blue"], [3, None, True, ["blue"]]),
        ("Shape", "size", [2, 2.5], ["2", True, None]),
        ("Shape", "tags", [None, [], ["a"]], ["a", [1], {"a": 1}]),
        ("Circle", "radius", [1, 1.5], ["1", None]),
        ("Point", "x", [3], [3.0, "3", True]),
        ("Point", "names", [{"a": 1}], [[1], {"a": "b"}]),
        ("Circle.of", "pair", [[1, 2.5], [1, 2]], [[1], [1, 2, 3], [1.5, 2], 1]),
        ("Circle.of", "many", [[], [1, 2]], [[1.5], 1]),
        ("Circle.unit", "mode", ["fill"], ["fil", 1, None]),
        ("kinds.draw", "level", [1, "outline"], [3, "1", True]),
        ("kinds.draw", "mode", [None, "fill"], ["none", 0]),
        ("area", "unit", [None, "cm"], [1]),
    ],
)
def test_values_are_compared_with_annotations(
    package: str, target: str, name: str, good: list[Any], bad: list[Any]
) -> None:
    parameter = parameter_of(f"{package}.{target}", name)

    assert [check_fit(value, parameter) for value in good] == [Fit.YES] * len(good)
    assert [check_fit(value, parameter) for value in bad] == [Fit.NO] * len(bad)


def test_values_are_left_open_where_annotations_say_nothing(package: str) -> None:
    assert check_fit("anything", parameter_of(f"{package}.area", "shape")) is Fit.OPEN
    assert check_fit({"_target_": "x.y"}, parameter_of(f"{package}.Point", "x")) is Fit.OPEN
    assert check_fit("x", parameter_of("pytorch_lightning.Trainer", "strategy")) is Fit.YES
    assert check_fit(3, parameter_of("pytorch_lightning.Trainer", "strategy")) is Fit.OPEN


def test_choices_are_found_behind_aliases(package: str) -> None:
    assert choices(parameter_of(f"{package}.kinds.draw", "level")) == [1, 2, "fill", "outline"]
    assert choices(parameter_of(f"{package}.Shape", "colour")) == []
    assert "bf16-mixed" in choices(parameter_of("pytorch_lightning.Trainer", "precision"))


def test_keys_are_found_behind_aliases(package: str) -> None:
    assert key_choices(parameter_of(f"{package}.kinds.weigh", "parts")) == ["fill", "outline"]
    assert key_choices(parameter_of(f"{package}.kinds.weigh", "names")) == []
    assert key_choices(parameter_of(f"{package}.kinds.draw", "level")) == []
