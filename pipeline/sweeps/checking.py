"""Whether runs can be made of the words of a sweep, found out before any is started."""

from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from rich.progress import track

from pipeline.compose import SWEEPS, explained, is_refusal, valid
from pipeline.console import console
from pipeline.devices import check_compiler
from pipeline.errors import Mistake
from pipeline.features import check_features
from pipeline.sweeps.jobs import Trial

_AT_ONCE = 2.0
"""Seconds for which nobody is shown a bar."""


class JobCheck:
    """Composes and checks a job as its own process will.

    Args:
        hydra_context: Hydra's, of the sweep.
        config: What the sweep was composed to.
        root: The project's root folder.
    """

    def __init__(self, *, hydra_context: Any, config: Any, root: Path) -> None:
        self._loader, self._config, self._root = hydra_context.config_loader, config, root

    def __call__(self, words: Sequence[str]) -> dict[str, Any]:
        """The configuration of a job.

        Args:
            words: All of its words.

        Raises:
            Mistake: It cannot be composed, or something in it is wrong.
        """
        config = valid(verb=SWEEPS, composed=self._composed(list(words)), overrides=list(words))
        check_features(root=self._root, config=config)
        if config.get("compile"):
            check_compiler()
        return config

    def _composed(self, words: list[str]) -> Any:
        from hydra.core.hydra_config import HydraConfig
        from omegaconf import open_dict

        try:
            composed = self._loader.load_sweep_config(self._config, words)
        except Exception as error:
            if not is_refusal(error):
                raise
            raise Mistake(explained(verb=SWEEPS, words=words, error=error)) from error
        HydraConfig.instance().set_config(composed)
        with open_dict(composed):
            del composed["hydra"]
        return composed


def check_all(trials: Sequence[Trial], *, fixed: Sequence[str], check: JobCheck) -> None:
    """Check every trial of a grid.

    Args:
        trials: All but the one that was the example.
        fixed: Words that all share.
        check: Of one.

    Raises:
        Mistake: Of the first one that is wrong.
    """
    started = monotonic()
    for number, trial in enumerate(trials):
        check([*fixed, *trial.overrides])
        if monotonic() - started > _AT_ONCE:
            rest = track(trials[number + 1 :], description="checking", console=console, transient=True)
            for further in rest:
                check([*fixed, *further.overrides])
            return
