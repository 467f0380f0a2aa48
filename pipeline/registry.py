"""MLflow's registry of models: `run=models:/digits@champion` as the run that trained it; no torch here."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pipeline.errors import Mistake
from pipeline.problems import way_out
from pipeline.runs import all_runs
from pipeline.tracking_family import LOCAL_ID_TAG
from pipeline.tracking_identity import public_address, without_secrets
from pipeline.tracking_store import SQLITE, prepare_library, prepare_store, tracking_uri

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

SCHEME = "models:/"
"""How MLflow begins the name of a registered model."""

_VARIABLE = "MLFLOW_TRACKING_URI"
_KEYS = ("run", "runs")  # of a verb, where it takes runs
_ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(@(?P<alias>[^/@]+)|/(?P<version>[^/@]+))")
_NEWEST = "latest"
_NAME = re.compile(r"\w[\w .-]*")  # narrower than MLflow's, so that it is one word of an address
_ALIAS = re.compile(r"[\w-]{1,255}")
_NO_ALIAS = re.compile(r"latest|v\d+|\d+", re.IGNORECASE)  # MLflow keeps the first two for versions


@dataclass(frozen=True, kw_only=True)
class Address:
    """A version of a registered model as a person names it.

    Attributes:
        typed: With the key it was typed as, for messages.
        name: Of the model.
        alias: Of the version; None where a version or the newest is meant.
        version: Its number; None for the newest, or where an alias is given.
    """

    typed: str
    name: str
    alias: str | None
    version: str | None


def check_name(name: str) -> None:
    """Raises Mistake where MLflow, or an address, could not hold this name of a model."""
    if not _NAME.fullmatch(name):
        raise Mistake(f"name={name}: a model's name has letters, digits, blanks and _ . - only; name=digits")


def check_alias(alias: str | None) -> None:
    """Raises Mistake where MLflow would refuse this alias of a version."""
    if alias is not None and (not _ALIAS.fullmatch(alias) or _NO_ALIAS.fullmatch(alias)):
        raise Mistake(
            f"alias={alias}: an alias has letters, digits, _ and - only, and is no version such as v1, 1 or "
            "latest; alias=champion"
        )


def with_run_ids(settings: Mapping[str, Any], *, root: Path) -> dict[str, Any]:
    """A verb's settings with the run's whole id in the place of each registered model.

    Args:
        settings: Where `run` and `runs` may hold names such as `models:/digits@champion`.
        root: The project's root folder.

    Raises:
        Mistake: There is no such model, or the server does not answer.
    """
    return {
        key: _replaced(value, key=key, root=root) if key in _KEYS else value
        for key, value in settings.items()
    }


def _replaced(value: Any, *, key: str, root: Path) -> Any:
    if isinstance(value, list):
        return [_replaced(each, key=key, root=root) for each in value]
    is_model = isinstance(value, str) and value.startswith(SCHEME)
    return run_of_model(root=root, name=value, key=key) if is_model else value


def run_of_model(*, root: Path, name: str, key: str = "run") -> str:
    """The whole id of the run that trained a registered model.

    Args:
        root: The project's root folder.
        name: `models:/name@alias`, `models:/name/3` or `models:/name/latest`.
        key: What the person typed it as, for messages.

    Raises:
        Mistake: There is no such model or version, it came from no run, or the server does not answer.
    """
    address = _address(name, key=key)
    uri = tracking_uri(root)
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).exists():
        raise Mistake(f"{address.typed}: no model is registered yet; {_how_to_register(address.name)}")
    with registry(root) as client:
        version = _version(client, address)
        if not version.run_id:
            raise Mistake(
                f"{address.typed}: version {version.version} came from no run; name another version"
            )
        own = client.get_run(version.run_id).data.tags.get(LOCAL_ID_TAG, "")
    # Known by an id of its own where the server was away when it began.
    return own if any(run.run_id == own for run in all_runs(root=root)) else str(version.run_id)


@contextmanager
def registry(root: Path) -> "Iterator[MlflowClient]":
    """MLflow's client for runs and registered models; what it cannot do becomes one message.

    Args:
        root: The project's root folder.

    Raises:
        Mistake: The server does not answer, or refuses.
    """
    prepare_library()
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient
    from sqlalchemy.exc import SQLAlchemyError

    uri = tracking_uri(root)
    try:
        prepare_store(uri)
        with _in_environment(uri):
            yield MlflowClient(uri, registry_uri=uri)
    except (MlflowException, SQLAlchemyError) as problem:
        _refuse(problem, uri=uri)


@contextmanager
def _in_environment(uri: str) -> Iterator[None]:
    """A registry in a database looks for the model of a version by the environment, not by its client."""
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = uri
    try:
        yield
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before


def _refuse(problem: Exception, *, uri: str) -> NoReturn:
    first = without_secrets(str(problem), uri).splitlines()[0][:160]
    raise Mistake(
        f"MLflow at {public_address(uri)} could not be asked: {first}; see that it runs, and what "
        "MLFLOW_TRACKING_URI says"
    ) from problem


def _address(name: str, *, key: str) -> Address:
    found = _ADDRESS.fullmatch(name)
    version = found["version"] if found else None
    if found is None or not (version is None or version == _NEWEST or version.isdecimal()):
        raise Mistake(
            f"{key}={name}: a registered model is named {SCHEME}NAME@ALIAS, {SCHEME}NAME/3 or "
            f"{SCHEME}NAME/{_NEWEST}"
        )
    return Address(
        typed=f"{key}={name}",
        name=found["name"],
        alias=found["alias"],
        version=None if version == _NEWEST else version,
    )


def _version(client: "MlflowClient", address: Address) -> "ModelVersion":
    aliases = _aliases(client, address)
    number = aliases.get(address.alias, "") if address.alias else address.version
    versions = {str(each.version): each for each in versions_of(client, address.name)}
    if number is None and versions:
        return versions[max(versions, key=int)]
    if number in versions:
        return versions[number]
    known = ", ".join([f"@{alias} (version {number})" for alias, number in sorted(aliases.items())])
    numbers = f"its versions are {', '.join(sorted(versions, key=int))}" if versions else "it has no version"
    end = way_out(address.alias, sorted(aliases), otherwise="")[0] if address.alias and aliases else ""
    near = f"; {end.strip()}" if end.startswith("did you mean") else ""
    raise Mistake(
        f"{address.typed}: the registry has no such version of {address.name}; {numbers}, its aliases "
        f"{known or 'none'}{near}"
    )


def _aliases(client: "MlflowClient", address: Address) -> dict[str, str]:
    """Of a model, with the version of each.

    Raises:
        Mistake: There is no such model.
    """
    from mlflow.exceptions import MlflowException

    try:
        model = client.get_registered_model(address.name)
    except MlflowException as problem:
        if problem.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise Mistake(_no_such_model(address, known=_names(client))) from problem
    return {str(alias): str(version) for alias, version in model.aliases.items()}


def _names(client: "MlflowClient") -> list[str]:
    return sorted(model.name for model in client.search_registered_models(max_results=100))


def _no_such_model(address: Address, *, known: Sequence[str]) -> str:
    if not known:
        return f"{address.typed}: no model is registered yet; {_how_to_register(address.name)}"
    end, _ = way_out(address.name, known, otherwise="registered are")
    return f"{address.typed}: no model of the registry is called {address.name}; {end}"


def _how_to_register(name: str) -> str:
    return f"make register run=latest name={name} alias=champion makes one"


def versions_of(client: "MlflowClient", name: str) -> "list[ModelVersion]":
    """Every version of a registered model.

    Args:
        client: MLflow's client.
        name: Of the model.
    """
    return list(client.search_model_versions(f"name = '{name}'", max_results=10_000))
