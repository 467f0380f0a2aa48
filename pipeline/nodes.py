"""Checks of one node with a ``_target_``: does it exist, and does it take these arguments?"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.annotations import Fit, check_fit, choices, key_choices
from pipeline.problems import MISSING, Problem, nearest, way_out
from pipeline.ranges import explain
from pipeline.signatures import Parameter, Signature, TargetNotFoundError, find_signature

ALLOWED_PACKAGES = (
    "pipeline",
    "datamodules",
    "lightning_modules",
    "torch",
    "torchvision",
    "timm",
    "albumentations",
    "pytorch_lightning",
    "torchmetrics",
)
"""Packages that a ``_target_`` may come from: a configuration from a stranger runs no code of its own."""

# These packages also hold functions that read, load or run whatever they are told to (torch.hub.load,
# torch.utils.collect_env.run, ...). Only the places below hold nothing but what a run is made of.
_CLASS = r"(\.[a-z]\w*)*\.[A-Z]\w*"
_PLACES = re.compile(
    "|".join(
        (
            rf"datamodules{_CLASS}",
            r"lightning_modules(\.[a-z]\w*)+",
            rf"lightning_modules{_CLASS}",
            rf"pipeline\.(callbacks|tracking){_CLASS}",
            r"pipeline\.baselines\.[a-z]\w*",
            r"pipeline\.work\.[a-z_]+\.run",
            rf"torch\.(optim|nn){_CLASS}",
            rf"torchvision\.(ops|transforms){_CLASS}",
            rf"(albumentations|timm|torchmetrics){_CLASS}",
            r"timm\.(optim|scheduler)(\.[a-z]\w*)+",
            rf"pytorch_lightning\.(callbacks|loggers|plugins|profilers|strategies){_CLASS}",
            r"pytorch_lightning\.Trainer",
        )
    )
)
_OUR_OWN = ("datamodules", "lightning_modules", "pipeline")
# Where a name that is handed on may really be written: not in another module that the place imports.
_HOMES: Mapping[str, tuple[str, ...]] = {
    "torch": ("torch.optim", "torch.nn"),
    "pytorch_lightning": ("pytorch_lightning", "lightning_fabric"),
}

_NO_PLACE = (
    "can run code from elsewhere; name a class or builder that a run is made of, such as torch.optim.SGD"
)

RESERVED = ("_target_", "_partial_", "_args_", "_convert_", "_recursive_")
"""Keys of a node that belong to Hydra."""

_KINDS = {str: "text", int: "an integer", float: "a fraction", bool: "true or false", list: "this list"} | {
    type(None): "null",
    dict: "this group of values",
}

# What build.py gives to a node, so that it may be missing in the configuration.
SUPPLIED: Mapping[str, frozenset[str]] = {"task": frozenset({"model", "optimizer", "scheduler", "metadata"})}
# What build.py fills in where it is null: from the data, or from the run.
FILLED: Mapping[str, frozenset[str]] = {
    "model": frozenset(
        {"num_classes", "in_channels", "image_size", "scale", "num_identities", "content_size"}
    ),
    "model.network": frozenset({"in_channels", "image_size"}),
    "model.features": frozenset({"network", "weights"}),
    "logger": frozenset({"save_dir", "run_name", "uri", "artifact_location", "tags", "run_id"}),
}


# Words that build.py turns into a value of the argument's own kind.
WORDS: Mapping[str, frozenset[str]] = {"trainer.precision": frozenset({"auto"})}


def refusal(target: object) -> str:
    """Say why a ``_target_`` must not be built, wherever its configuration comes from.

    Args:
        target: The dotted path, or whatever stands in its place.

    Returns:
        The reason and the way out; empty where it may be built.
    """
    problem = _refused("", target)
    if problem:
        return problem.message
    try:
        return _out_of_place(str(target), find_signature(str(target)))
    except TargetNotFoundError as error:
        return str(error)


def check_node(path: str, node: Mapping[str, Any]) -> Iterator[Problem]:
    """Check the target of a node and its arguments.

    Args:
        path: Dotted path of the node, such as ``trainer``.
        node: Its content; holds ``_target_``.

    Yields:
        Everything that is wrong with it, values of nodes further down excepted.
    """
    target = node["_target_"]
    if target == MISSING:  # reported with the other missing values
        return
    problem = _refused(path, target)
    if problem:
        yield problem
        return
    try:
        signature = find_signature(target)
    except TargetNotFoundError as error:
        yield _not_found(path, target, error)
        return
    reason = _out_of_place(target, signature)
    if reason:
        yield Problem(f"{path}._target_", target, reason)
    elif signature.is_known:
        yield from check_arguments(path, node, signature)


def _refused(path: str, target: object) -> Problem | None:
    key = f"{path}._target_"
    if not isinstance(target, str) or not all(part.isidentifier() for part in target.split(".")):
        return Problem(key, target, "must be a dotted path such as torch.optim.SGD")
    package = target.partition(".")[0]
    if package not in ALLOWED_PACKAGES:
        suggestion = nearest(package, ALLOWED_PACKAGES)
        right = f"{suggestion}{target[len(package) :]}" if suggestion else ""
        end = f"did you mean {right!r}?" if right else f"allowed are {', '.join(ALLOWED_PACKAGES)}"
        return Problem(
            key, target, f"package {package!r} is not one that a _target_ may come from; {end}", right
        )
    return None


def _out_of_place(target: str, signature: Signature) -> str:
    """Why a target that exists is refused; empty where it is not."""
    package, module = target.partition(".")[0], signature.module
    homes = _HOMES.get(package, (package,))
    if not f"{module}.".startswith(tuple(f"{home}." for home in homes)):
        return f"is really in {module!r}, which is not where a _target_ may come from; {_NO_PLACE}"
    # What is not written in our own files is something that they import.
    is_ours = signature.is_known or package not in _OUR_OWN
    return "" if is_ours and _PLACES.fullmatch(target) else _NO_PLACE


def _not_found(path: str, target: str, error: TargetNotFoundError) -> Problem:
    near = nearest(error.missing, sorted(error.candidates))
    if not near:
        return Problem(f"{path}._target_", target, f"{error}; correct the path or install the package")
    parts = target.split(".")
    at = len(error.where.split("."))
    right = ".".join([*parts[:at], near, *parts[at + 1 :]])
    return Problem(f"{path}._target_", target, f"{error}; did you mean {right!r}?", right)


def check_arguments(path: str, node: Mapping[str, Any], signature: Signature) -> Iterator[Problem]:
    """Hold the arguments of a node against a signature.

    Args:
        path: Dotted path of the node.
        node: Its content.
        signature: Of what is given them.

    Yields:
        Names that it does not take, values of another type or out of range, and arguments that are missing.
    """
    given = {name: value for name, value in node.items() if name not in RESERVED}
    for name, value in given.items():
        parameter = signature.parameters.get(name)
        if parameter is None:
            yield from _unknown_argument(path, name, value, given, signature)
        elif value != MISSING:
            yield from _wrong_value(path, value, parameter, signature)
    if not node.get("_partial_") and "_args_" not in node:
        yield from _missing_arguments(path, given, signature)


def _unknown_argument(
    path: str, name: str, value: Any, given: Mapping[str, Any], signature: Signature
) -> Iterator[Problem]:
    words = [word for word in signature.parameters if word not in SUPPLIED.get(path, ())]
    words += [word for word in RESERVED if name.startswith("_")]
    if signature.has_var_keyword:
        # Any name may be right here; only one that is nearly an argument that is not given is surely wrong.
        words = [word for word in words if word not in given and _differs_by_one_letter(name, word)]
        if not words:
            return
    end, suggestion = way_out(name, words, otherwise="it takes")
    yield Problem(f"{path}.{name}", value, f"{signature.target} has no argument {name!r}; {end}", suggestion)


def _differs_by_one_letter(one: str, other: str) -> bool:
    if abs(len(one) - len(other)) > 1 or min(len(one), len(other)) < 4:
        return False
    shorter, longer = sorted((one, other), key=len)
    start = next((i for i, (a, b) in enumerate(zip(shorter, longer, strict=False)) if a != b), len(shorter))
    skip = 1 if len(shorter) == len(longer) else 0
    swapped = (
        shorter[start + 1 : start + 2] + shorter[start : start + 1] + shorter[start + 2 :] == longer[start:]
    )
    return swapped or shorter[start + skip :] == longer[start + 1 :]


def _missing_arguments(path: str, given: Mapping[str, Any], signature: Signature) -> Iterator[Problem]:
    for name, parameter in signature.parameters.items():
        if parameter.required and name not in given and name not in SUPPLIED.get(path, ()):
            kind = f" ({parameter.annotation_text})" if parameter.annotation else ""
            message = f"{signature.target} needs this argument{kind}; give it with +{path}.{name}=..."
            yield Problem(f"{path}.{name}", MISSING, message)


def _wrong_value(path: str, value: Any, parameter: Parameter, signature: Signature) -> Iterator[Problem]:
    key = f"{path}.{parameter.name}"
    if value is None and parameter.name in FILLED.get(path, ()):
        return
    if value in _words(key):
        return
    if check_fit(value, parameter) is Fit.NO:
        yield _wrong_type(key, value, parameter, signature)
        return
    if isinstance(value, Mapping):
        yield from _wrong_keys(key, value, parameter, signature)
    reason = explain(parameter.name, value)
    if reason:
        yield Problem(key, value, reason)


def _words(key: str) -> list[str]:
    return sorted(WORDS.get(key, ()))


def _wrong_keys(
    key: str, value: Mapping[str, Any], parameter: Parameter, signature: Signature
) -> Iterator[Problem]:
    allowed = key_choices(parameter)
    for name in value if allowed else ():
        if name not in allowed:
            end, suggestion = way_out(str(name), allowed, otherwise="it is one of")
            message = f"{signature.target} has no such {parameter.name}; {end}"
            yield Problem(f"{key}.{name}", value[name], message, suggestion)


def _wrong_type(key: str, value: Any, parameter: Parameter, signature: Signature) -> Problem:
    allowed = [*_words(key), *(str(choice) for choice in choices(parameter))]
    if allowed and isinstance(value, str):
        end, suggestion = way_out(value, allowed, otherwise="it is one of")
        return Problem(
            key, value, f"{signature.target} does not know this {parameter.name}; {end}", suggestion
        )
    hint = f"; it is one of {', '.join(allowed)}" if allowed else ""
    if isinstance(value, int | float) and "str" in parameter.annotation_text:
        hint = f"""; quotes make it text: '"{value}"'"""
    kind = _KINDS.get(type(value), type(value).__name__)
    return Problem(key, value, f"{signature.target} wants {parameter.annotation_text} here, not {kind}{hint}")
