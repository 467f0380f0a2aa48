"""Which packages a network needs to answer, with their versions."""

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution

_PROJECT = "vision-pipeline"


def loaded_requirements() -> list[str]:
    """Those packages that the project asks for and this process has loaded, each as `name==version`.

    A process that has built a network and asked it has loaded all that this takes. Packages that only other
    verbs need are left out, as is whether a build is for CUDA.

    Returns:
        Sorted; empty where the project is not installed.
    """
    try:
        wanted = distribution(_PROJECT).requires or []
    except PackageNotFoundError:
        return []
    # Those behind a marker (; extra == "dev") are not for everybody.
    found = [distribution(re.split(r"[^\w.-]", text)[0]) for text in wanted if ";" not in text]
    return sorted(f"{each.name}=={each.version.partition('+')[0]}" for each in found if _is_loaded(each))


def _is_loaded(package: Distribution) -> bool:
    return not _modules(package).isdisjoint(sys.modules)


def _modules(package: Distribution) -> set[str]:
    """What a package is imported as; read as text, since parsing the list of torch's files takes a second."""
    top = package.read_text("top_level.txt")
    if top is not None:
        return set(top.split())
    lines = (package.read_text("RECORD") or "").splitlines()
    return set(re.findall(r"^(\w+)(?:/__init__)?\.py,", "\n".join(lines), re.MULTILINE))
