"""Keep a part of a network as it is: no gradient, and batch statistics that do not move."""

import re

from torch import nn

from lightning_modules.models.heads import head_names, head_parameter_names

NUMBERED_STAGE = re.compile(r"(layer|stage|s|block)\d+")
STAGE_CONTAINERS = ("features", "stages", "blocks", "encoder.layers", "trunk_output", "layers")


def freeze(model: nn.Module, what: str) -> None:
    """Stop the gradient of a part of a classifier and put that part in evaluation mode.

    Args:
        model: The classifier; changed in place.
        what: ``none``; ``all_but_head``; or ``stage:N``, which keeps everything from the image up to
            the end of the Nth stage (counted from 1) as it is.

    Raises:
        ValueError: If ``what`` is none of these, or the model has fewer than N stages.
    """
    if what == "none":
        return
    frozen = _everything_but_the_head(model) if what == "all_but_head" else _up_to_stage(model, what)
    for name, parameter in model.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    keep_frozen_in_eval(model)


def keep_frozen_in_eval(model: nn.Module) -> None:
    """Put every module without a single trainable parameter in evaluation mode.

    ``model.train()`` undoes it, so a task calls this again after every change of mode: a batch norm
    whose weights are frozen would otherwise still adapt its running statistics to the new data.
    """
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


def stages(model: nn.Module) -> list[list[str]]:
    """Dotted names of the parts of each stage of a classifier, from the image to the head.

    A ResNet has ``layer1`` to ``layer4``; in networks that are one long list of blocks, each block is a
    stage; elsewhere each child is. A normalisation that stands alone belongs to the stage before it.
    """
    children = [name for name, _ in model.named_children()]
    numbered = [name for name in children if NUMBERED_STAGE.fullmatch(name)]
    heads = tuple(f"{name}." for name in head_names(model))
    found: list[list[str]] = []
    for name in numbered or _contained_blocks(model) or children:
        parameters = list(model.get_submodule(name).parameters())
        if any(head.startswith(f"{name}.") for head in heads) or not parameters:
            continue
        if any(parameter.ndim > 1 for parameter in parameters):
            found.append([name])
        elif found:
            found[-1].append(name)
    return found


def _contained_blocks(model: nn.Module) -> list[str]:
    modules = dict(model.named_modules())
    for container in STAGE_CONTAINERS:
        if isinstance(modules.get(container), nn.Sequential | nn.ModuleList):
            return [f"{container}.{name}" for name, _ in modules[container].named_children()]
    return []


def _everything_but_the_head(model: nn.Module) -> frozenset[str]:
    names = frozenset(name for name, _ in model.named_parameters())
    return names - head_parameter_names(model)


def _up_to_stage(model: nn.Module, what: str) -> frozenset[str]:
    match = re.fullmatch(r"stage:([1-9]\d*)", what)
    if match is None:
        raise ValueError(f"model.freeze={what} is not one of none, all_but_head, stage:N (such as stage:2)")
    count, found = int(match[1]), stages(model)
    if count > len(found):
        raise ValueError(
            f"model.freeze={what}, but {type(model).__name__} has {len(found)} stages "
            f"({', '.join(parts[0] for parts in found)}); choose stage:1 to stage:{len(found)}"
        )
    names = [name for name, _ in model.named_parameters()]
    end = f"{found[count - 1][-1]}."
    last = max(index for index, name in enumerate(names) if name.startswith(end))
    return frozenset(names[: last + 1]) - head_parameter_names(model)
