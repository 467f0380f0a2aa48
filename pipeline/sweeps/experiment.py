"""The choice of values of a trial as a file of conf/experiment: ready to be trained again."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.compose import CONF
from pipeline.typed_words import in_full

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

FOLDER = "experiment"
"""Below the sweep's folder, which is handed to Hydra as ``--config-dir``."""

_SELF = "_self_"
_NOT_OF_A_RUN = re.compile(r"(hydra\b|resume$|from$)")


@dataclass(kw_only=True)
class _Draft:
    """An experiment file that is being put together; what comes later wins.

    Attributes:
        folders: Where files of conf/sweep are looked for, the first one first.
        included: Other experiments that it starts from.
        choices: Files of groups by the group's name.
        values: Everything else.
        left: Words that no file can say.
    """

    folders: Sequence[Path]
    included: list[str] = field(default_factory=list)
    choices: dict[str, Any] = field(default_factory=dict)
    values: Any
    left: list[str] = field(default_factory=list)

    def take_file(self, name: str) -> None:
        """Take over what a file of conf/sweep says of its runs, without what it says of the sweep.

        One that is not found is left to whoever trains again.
        """
        from omegaconf import OmegaConf

        paths = [folder / "sweep" / f"{name}.yaml" for folder in self.folders]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:  # in a package, say
            self.left += [f"sweep={name}", "hydra.mode=RUN"]
            return
        self._take_content(OmegaConf.load(path))

    def _take_content(self, content: Any) -> None:
        """Other files of conf/sweep that it starts from, its own values, and the files of groups it names."""
        from omegaconf import OmegaConf

        entries = list(OmegaConf.to_container(content.get("defaults") or OmegaConf.create([])) or [])
        own = {key: content._get_node(key) for key in content if key not in ("defaults", "hydra")}
        # Hydra takes a file's own values last, unless it says where.
        for entry in [*entries, *([] if _SELF in entries else [_SELF])]:
            if entry == _SELF:
                self.values = OmegaConf.merge(self.values, own)
            elif isinstance(entry, str):
                self.take_file(entry.removeprefix("/sweep/"))
        for entry in entries:
            if isinstance(entry, dict):
                self._choose(*next(iter(entry.items())))

    def _choose(self, entry: Any, name: Any) -> None:
        """An entry of a list of defaults such as ``override /model: lenet5``."""
        group = str(entry).split()[-1].lstrip("/")
        if not group.startswith("hydra/"):
            self.choices[group] = name

    def take_word(self, override: "Override") -> None:
        """Take over one word as typed for make train."""
        from omegaconf import OmegaConf

        key, value = override.get_key_element().lstrip("+~"), override.value()
        if key == FOLDER:
            self.included.append(str(value))
        elif (override.is_delete() and not _is_group(key)) or "[" in key:
            self.left.append(str(override.input_line))
        elif _is_group(key):
            self.choices[key] = None if override.is_delete() else value
        else:
            OmegaConf.update(self.values, key, value, merge=True, force_add=True)

    def text(self, header: Sequence[str]) -> str:
        """The file's content."""
        from omegaconf import OmegaConf

        overrides = [{f"override /{group}": name} for group, name in self.choices.items()]
        defaults = [*self.included, *overrides, *(["_self_"] if self.included else [])]
        head = ["# @package _global_", *(f"# {line}" for line in header)]
        if self.left:
            head.append(f"# What no file can say; type it too: {' '.join(self.left)}")
        parts = [{"defaults": defaults}] if defaults else []
        body = [OmegaConf.to_yaml(OmegaConf.create(part)) for part in parts]
        body += [OmegaConf.to_yaml(self.values)] if len(self.values) else []
        return "\n".join([*head, *(part.rstrip() for part in body)]) + "\n"


def _is_group(key: str) -> bool:
    return "@" in key or (CONF / key).is_dir()


def experiment_text(
    *, fixed: Sequence[str], chosen: Sequence[str], header: Sequence[str], folders: Sequence[str] = ()
) -> str:
    """A file that composes to what these words compose to.

    Args:
        fixed: The words of the whole sweep; those with several values, flags, and what is said of the sweep
            itself are left out.
        chosen: The words of one trial.
        header: Lines of its comment.
        folders: A person's own folders of configuration files.

    Returns:
        YAML with ``# @package _global_``.
    """
    from omegaconf import OmegaConf

    draft = _Draft(folders=[*map(Path, folders), CONF], values=OmegaConf.create())
    for override in [*_parsed(fixed), *_parsed(chosen)]:
        if override.key_or_group == "sweep" and override.value() is not None:
            draft.take_file(str(override.value()))
    for override in [*_parsed(fixed), *_parsed(chosen)]:
        if override.key_or_group != "sweep":
            draft.take_word(override)
    return draft.text(header)


def _parsed(words: Iterable[str]) -> "list[Override]":
    from hydra.core.override_parser.overrides_parser import OverridesParser

    typed = [word for word in words if re.match(r"~|[^-].*=", word)]  # neither flags nor what follows them
    overrides = OverridesParser.create().parse_overrides(in_full(typed))
    return [
        override
        for override in overrides
        if not override.is_sweep_override() and not _NOT_OF_A_RUN.match(override.key_or_group)
    ]


def write_experiment(path: Path, text: str) -> Path:
    """Write the file; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
