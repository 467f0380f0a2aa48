"""Networks as files: written with the shapes that a person asked for, and opened again."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from pipeline.errors import Mistake

Axes = dict[str, dict[int, str]]
Runner = Callable[[Mapping[str, Tensor]], list[Tensor]]
FACTS = "facts.json"
"""Where a file of torch.export keeps what is said of it."""
_OPSET = 18
_SIDES = (65, 97)  # odd ones, so that nothing is taken for a multiple of what a network halves
_NOISY = ("torch.fx", "torch.onnx", "torch.export", "torch._subclasses", "onnxscript", "onnx_ir")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Of what goes in.

    Attributes:
        batch: Images at a time; None for any number.
        size: Height and width; None for any.
        trained_size: As trained.
    """

    batch: int | None
    size: int | None
    trained_size: int

    @classmethod
    def of(
        cls,
        exported: Any,
        *,
        image_size: int | None,
        trained_size: int,
        batch: int | Literal["dynamic"],
        format: str,
    ) -> "Shape":
        """What a person asked for, as far as network and format can.

        Args:
            exported: What the task says of itself.
            image_size: As typed; None: any where network and format take any, else as trained.
            trained_size: As trained.
            batch: As typed.
            format: `onnx` or `torch`, which keeps to the multiples that its example had.

        Raises:
            Mistake: The network takes one image at a time, or there is no such number.
        """
        if batch != "dynamic" and batch < 1:
            raise Mistake(f"batch={batch} must be at least 1, or dynamic for any number")
        if exported.one_image and batch not in ("dynamic", 1):
            raise Mistake(f"batch={batch}: this network takes one image at a time; leave batch= out")
        takes_any = exported.any_size and format == "onnx"
        return cls(
            batch=1 if exported.one_image else None if batch == "dynamic" else batch,
            size=image_size or (None if takes_any else trained_size),
            trained_size=trained_size,
        )

    def axes(self, exported: Any) -> Axes:
        """Names of the lengths that may be any, by input and position."""
        return {
            each.name: {
                **({0: "batch"} if each.is_batch and self.batch is None else {}),
                **({2: _side(each, "height"), 3: _side(each, "width")} if self.size is None else {}),
            }
            for each in exported.inputs
        }

    def words(self, exported: Any) -> dict[str, list[int | str]]:
        """Of each input, lengths or names."""
        axes = self.axes(exported)
        return {
            each.name: [
                axes[each.name].get(place, length) for place, length in enumerate(self._example(each).shape)
            ]
            for each in exported.inputs
        }

    def examples(self, exported: Any) -> tuple[Tensor, ...]:
        """Something of the shape for each input, to record the network by."""
        return tuple(self._example(each) for each in exported.inputs)

    def _example(self, each: Any) -> Tensor:
        # Not one: a length of 1 would be taken for 1 for ever.
        count = (self.batch or 2) if each.is_batch else 1
        sides = _SIDES if self.size is None else (self.size, self.size)
        generator = torch.Generator().manual_seed(0)
        return torch.randint(0, 256, (count, 3, *sides), dtype=torch.uint8, generator=generator)


def write(
    exported: Any, path: Path, *, shape: Shape, format: str, facts: Mapping[str, Any], model: str
) -> None:
    """Write a network.

    Args:
        exported: What the task says of itself.
        path: The file.
        shape: Of what goes in.
        format: `onnx` or `torch`.
        facts: What is said of it, inside the file.
        model: Its name, for messages.

    Raises:
        Mistake: It cannot be written like this.
    """
    network = exported.network.eval().requires_grad_(False)
    try:
        with _quiet(), torch.no_grad():
            if exported.traced:
                _trace(network, exported, path, shape=shape)
            else:
                _read(network, exported, path, shape=shape, format=format, facts=facts)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        raise Mistake(_refusal(error, model=model, format=format, shape=shape)) from error
    if format == "onnx":
        _finish_onnx(path, axes=shape.axes(exported), facts=facts)


def open_file(path: Path, *, format: str) -> Runner:
    """The network of a file, as whoever is given the file runs it."""
    if format == "torch":
        module = torch.export.load(path).module()
        return lambda given: [*_as_tuple(module(*given.values()))]
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda given: [
        torch.as_tensor(found)
        for found in session.run(None, {name: each.numpy() for name, each in given.items()})
    ]


def _read(
    network: torch.nn.Module,
    exported: Any,
    path: Path,
    *,
    shape: Shape,
    format: str,
    facts: Mapping[str, Any],
) -> None:
    """By torch.export, which reads the network and knows what every length depends on."""
    axes = shape.axes(exported).values()
    free = tuple(dict.fromkeys(each, torch.export.Dim.DYNAMIC) for each in axes)
    program = torch.export.export(network, shape.examples(exported), dynamic_shapes=free)
    if format == "torch":
        torch.export.save(program, path, extra_files={FACTS: json.dumps(facts)})
        return
    names = [each.name for each in exported.inputs], [each.name for each in exported.outputs]
    found = torch.onnx.export(
        program, dynamo=True, verbose=False, input_names=names[0], output_names=names[1], opset_version=_OPSET
    )
    assert found is not None
    found.save(path)


def _trace(network: torch.nn.Module, exported: Any, path: Path, *, shape: Shape) -> None:
    """By recording one run: torch.export stops at lists whose length depends on the image."""
    torch.onnx.export(
        network,
        shape.examples(exported),
        str(path),
        dynamo=False,
        input_names=[each.name for each in exported.inputs],
        output_names=[each.name for each in exported.outputs],
        dynamic_axes=shape.axes(exported) | _free(exported),
        opset_version=_OPSET,
    )


def _free(exported: Any) -> Axes:
    return {
        each.name: {place: length for place, length in enumerate(each.shape) if isinstance(length, str)}
        for each in exported.outputs
    }


def _finish_onnx(path: Path, *, axes: Axes, facts: Mapping[str, Any]) -> None:
    """Give the free lengths their names, say what the file is, and check it."""
    import onnx

    model = onnx.load(path)
    names: dict[str, str] = {}
    for graph_input in model.graph.input:
        lengths = graph_input.type.tensor_type.shape.dim
        names |= {lengths[place].dim_param: name for place, name in axes[graph_input.name].items()}
    values = [*model.graph.input, *model.graph.output]
    for length in (each for value in values for each in value.type.tensor_type.shape.dim):
        if length.dim_param in names:
            length.dim_param = names[length.dim_param]
    onnx.helper.set_model_props(
        model, {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}
    )
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _as_tuple(found: Any) -> tuple[Tensor, ...]:
    return (found,) if isinstance(found, Tensor) else tuple(found)


def _side(each: Any, name: str) -> str:
    return name if each.is_batch else f"{each.name}_{name}"


def _refusal(error: Exception, *, model: str, format: str, shape: Shape) -> str:
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    said = f"model={model} cannot be exported as format={format}: {reason}"
    if shape.size not in (None, shape.trained_size):
        return (
            f"{said}; the run was trained at {shape.trained_size} pixels and image_size={shape.size} asks "
            "for others, which not every network takes; leave image_size= out"
        )
    if shape.size is None or shape.batch is None:
        return f"{said}; a fixed shape asks for less, such as image_size={shape.size or 128} batch=1"
    return f"{said}; try the other format, or make predict with the run itself"


@contextmanager
def _quiet() -> Iterator[None]:
    """What the exporters say of their work to those who develop them."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
