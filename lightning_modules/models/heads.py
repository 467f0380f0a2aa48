"""Which part of a classifier is its head: the layers that turn features into classes."""

from torch import nn


def head_names(model: nn.Module) -> tuple[str, ...]:
    """Dotted names of the layers that produce the class scores.

    Args:
        model: A classifier of timm, torchvision or this project.

    Returns:
        One name; two for distilled transformers of timm, which have two heads.

    Raises:
        ValueError: If the model has neither a linear nor a convolution layer.
    """
    declared = _declared_by_timm(model)
    if declared:
        return declared
    layers = [name for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    if not layers:
        raise ValueError(f"{type(model).__name__} has no linear or convolution layer, so it has no head")
    return (layers[-1],)


def head_parameter_names(model: nn.Module) -> frozenset[str]:
    """Dotted names of the parameters of the head, as in ``model.named_parameters()``."""
    prefixes = tuple(f"{name}." for name in head_names(model))
    return frozenset(name for name, _ in model.named_parameters() if name.startswith(prefixes))


def _declared_by_timm(model: nn.Module) -> tuple[str, ...]:
    pretrained_cfg = getattr(model, "pretrained_cfg", None)
    classifier = pretrained_cfg.get("classifier") if isinstance(pretrained_cfg, dict) else None
    if classifier is None:
        return ()
    return (classifier,) if isinstance(classifier, str) else tuple(classifier)
