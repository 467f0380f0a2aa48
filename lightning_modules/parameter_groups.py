"""Which parameters an optimiser treats alike."""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from torch import nn
from torch.optim import LBFGS, Optimizer

ParameterGroup = dict[str, Any]
OptimizerFactory = Callable[[Iterable[ParameterGroup]], Optimizer]


def parameter_groups(
    model: nn.Module,
    *,
    head: Collection[str] = (),
    decay_bias_and_norm: bool = False,
    exempt: Collection[str] | None = None,
) -> list[ParameterGroup]:
    """Divide the trainable parameters into body and head, with and without weight decay.

    Biases, the scales and shifts of norms, and what a model of timm declares itself (position
    embeddings, tokens) are not decayed: pulling them to zero does not make a network simpler.

    Args:
        model: Frozen parameters are left out.
        head: Dotted names of the parameters of the head.
        decay_bias_and_norm: Decay all parameters alike.
        exempt: From `not_decayed`, for a model whose weights are sharded; None looks at the model.

    Returns:
        Non-empty groups with ``name`` (``body``, ``body_no_decay``, ``head``, ``head_no_decay``),
        ``params`` and, where there is to be no decay, ``weight_decay`` of 0.

    Raises:
        ValueError: If nothing is trainable.
    """
    if decay_bias_and_norm:
        exempt = ()
    elif exempt is None:
        exempt = not_decayed(model)
    groups: dict[str, ParameterGroup] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        group = ("head" if name in head else "body") + ("_no_decay" if name in exempt else "")
        if group not in groups:
            groups[group] = {"name": group, "params": []} | ({"weight_decay": 0.0} if name in exempt else {})
        groups[group]["params"].append(parameter)
    if not groups:
        raise ValueError(f"{type(model).__name__} has no trainable parameter; set model.freeze=none")
    return [groups[name] for name in sorted(groups)]


def build_optimizer(
    factory: OptimizerFactory, groups: list[ParameterGroup], *, head_lr_factor: float
) -> Optimizer:
    """Build an optimiser and give the groups of the head a learning rate of their own.

    Args:
        factory: Takes parameter groups; knows the learning rate of the body. L-BFGS, which
            takes one group only and knows no weight decay, gets all in one.
        groups: From ``parameter_groups``.
        head_lr_factor: Learning rate of the head, as a multiple of the body's, above 0.

    Raises:
        ValueError: If the factor is not above 0, or there is no head to apply it to, or the optimiser has one
            rate for all.
    """
    if head_lr_factor <= 0:
        raise ValueError(f"task.head_lr_factor={head_lr_factor} must be above 0")
    kind = getattr(factory, "func", factory)
    if kind is LBFGS and head_lr_factor != 1.0:
        raise ValueError(
            f"task.head_lr_factor={head_lr_factor}, but L-BFGS has one rate for all; set it to 1, or choose "
            "another optimizer"
        )
    optimizer = factory([_all_in_one(groups)] if kind is LBFGS else groups)
    heads = [group for group in optimizer.param_groups if group["name"].startswith("head")]
    if head_lr_factor != 1.0 and not heads:
        raise ValueError(
            f"task.head_lr_factor={head_lr_factor}, but this model has no trainable head; set it to 1"
        )
    for group in heads:
        group["lr"] *= head_lr_factor
    _leave_scaling_to_the_trainer(optimizer)
    return optimizer


def _leave_scaling_to_the_trainer(optimizer: Optimizer) -> None:
    """Let gradients of fused optimisers be clipped in mixed precision.

    They offer to divide gradients by the scale of 16-bit losses themselves. Then there is no moment at which
    gradients could be clipped, so that Lightning refuses to: with bfloat16 too, where there is no scale at
    all. Without the offer gradients are divided before, as for every other optimiser.
    """
    if getattr(optimizer, "_step_supports_amp_scaling", False):
        optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]


def _all_in_one(groups: list[ParameterGroup]) -> ParameterGroup:
    return {"name": "body", "params": [parameter for group in groups for parameter in group["params"]]}


def not_decayed(model: nn.Module) -> frozenset[str]:
    """Dotted names of the parameters that are not decayed; a part of a sharded one has no shape to tell by.

    Args:
        model: With its parameters whole.
    """
    vectors = {name for name, parameter in model.named_parameters() if parameter.ndim <= 1}
    declare = getattr(model, "no_weight_decay", None)
    return frozenset(vectors | set(declare() if callable(declare) else ()))
