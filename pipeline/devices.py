"""What a network is run with on the device there is: precision, order of its weights in memory, compiler."""

import os
import shutil
import sysconfig
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import Mistake

ChannelsLast = Literal["auto", True, False]

AUTO = "auto"
_HALF = ("bf16-mixed", "16-mixed", "bf16-true", "16-true")
_FIRST_WITH_BF16 = (8, 0)  # compute capability of Ampere; before it bfloat16 is emulated, and slow


def precision_of(trainer: Mapping[str, Any]) -> Any:
    """The precision that Lightning is given: `auto` is bf16-mixed where the hardware has it, else 32-true.

    Args:
        trainer: The node of the trainer, with ``precision`` and ``accelerator``.
    """
    asked = trainer.get("precision")
    if asked != AUTO:
        return asked
    return "bf16-mixed" if _has_bfloat16(trainer.get("accelerator", AUTO)) else "32-true"


def _has_bfloat16(accelerator: object) -> bool:
    """Whether every GPU that this process sees multiplies bfloat16: ranks must not differ in precision."""
    import torch

    if accelerator not in (AUTO, "gpu", "cuda") or not torch.cuda.is_available():
        return False
    found = [torch.cuda.get_device_capability(index) for index in range(torch.cuda.device_count())]
    return all(capability >= _FIRST_WITH_BF16 for capability in found)


def arrange(task: Any, *, channels_last: ChannelsLast, compiles: bool, precision: str, on_gpu: bool) -> None:
    """Prepare a task's network for speed, in place; its weights keep their names and their values.

    Args:
        task: Has ``model``, and ``compiled_part()`` for what a compiler is good for.
        channels_last: Whether the weights of convolutions lie in memory with the channels last. `auto` is yes
            for half precision on a GPU, whose tensor cores want it, and else what the builder of the network
            chose.
        compiles: Whether torch.compile turns the network into kernels of its own at the first step.
        precision: Lightning's word.
        on_gpu: Whether a GPU trains.

    Raises:
        Mistake: On a GPU the compiler needs a package that is missing.
    """
    chosen = (on_gpu and precision in _HALF) or None if channels_last == AUTO else channels_last
    if chosen is not None:
        order_weights(task.model, channels_last=bool(chosen))
    if not compiles:
        return
    if on_gpu and find_spec("triton") is None:
        raise Mistake("compile=true needs the package triton on a GPU; install it, or set compile=false")
    # In place, and not torch.compile(model): a wrapper would change the names in the checkpoint.
    task.compiled_part().compile()


def order_weights(network: Any, *, channels_last: bool) -> None:
    """Lay the weights of all two-dimensional convolutions in memory one way or the other.

    Nothing else is touched: pictures and position embeddings have four dimensions, too, and no use for it.
    Layers hand the order of their weights on to what they compute, so that images need not be reordered.

    Args:
        network: A module.
        channels_last: Channels last, else first.
    """
    import torch

    order = torch.channels_last if channels_last else torch.contiguous_format
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            module.to(memory_format=order)


def check_compiler() -> None:
    """Refuse to compile where nothing can: torch writes C++ that a compiler of the system must take.

    Raises:
        Mistake: There is no compiler, or Python came without its header files.
    """
    compilers = [os.environ.get("CXX", ""), "g++", "clang++", "c++"]
    if not any(shutil.which(name) for name in compilers if name):
        raise Mistake(
            "compile=true needs a C++ compiler, and there is none (CXX, g++, clang++); install g++, or set "
            "compile=false"
        )
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if not header.is_file():
        raise Mistake(
            "compile=true needs Python.h, which this Python came without; install its headers "
            "(python3-dev or python3-devel), or set compile=false"
        )
