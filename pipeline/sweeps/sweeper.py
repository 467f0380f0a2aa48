"""Hydra's sweeper `search`: checks what is asked, then runs it to its end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.plugins.sweeper import Sweeper

from pipeline import requeue
from pipeline.compose import project_root
from pipeline.ranks import refuse_sweep
from pipeline.sweeps.checking import JobCheck
from pipeline.sweeps.launcher import HOME, ProcessLauncher
from pipeline.sweeps.opening import wanted
from pipeline.sweeps.sweeping import Sweeping
from pipeline.sweeps.typed_settings import read_settings
from pipeline.sweeps.words import taken_apart


class SearchSweeper(Sweeper):
    """Trains once for each choice of values.

    Args:
        **said: Values of conf/hydra/sweeper/search.yaml; see `SearchSettings`. They are checked later, so
            that all that is wrong with them is said in one message.
    """

    ended: Callable[[int], None]
    """Is told the exit code; `pipeline.plugins` sets it."""

    def __init__(self, **said: Any) -> None:
        self._said = said

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        """Hydra's first call."""
        self._context, self._task_function, self._config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> None:
        """Hydra's second call: do all of it.

        Args:
            arguments: What was typed, without Hydra's own settings.

        Raises:
            Mistake: Something in it is wrong; nothing was started.
        """
        from hydra.core.override_parser.overrides_parser import OverridesParser
        from omegaconf import OmegaConf

        root = project_root()
        refuse_sweep()
        said = OmegaConf.to_container(self._config.hydra.sweeper, resolve=True)
        assert isinstance(said, dict)
        settings = read_settings({str(key): value for key, value in said.items()})
        parser = OverridesParser.create(config_loader=self._context.config_loader)
        check = JobCheck(hydra_context=self._context, config=self._config, root=root)
        asked = wanted(
            settings=settings,
            typed=taken_apart(arguments, params=settings.params, parser=parser),
            config=self._config,
            check=check,
            parser=parser,
            root=root,
        )
        is_ours = self._config.hydra.launcher._target_ == f"{HOME}.{ProcessLauncher.__name__}"
        ours = self._launcher_in(root) if is_ours else None
        code = Sweeping(asked, ours=ours, launcher_in=self._launcher_in, check=check).run()
        self.ended(code)
        if code == requeue.EXIT_REQUEUE:
            requeue.put_back()

    def _launcher_in(self, folder: Path) -> Any:
        """Hydra's launcher, which may write into a folder."""
        from hydra.core.plugins import Plugins
        from omegaconf import open_dict

        with open_dict(self._config):
            # All jobs share one folder of Hydra's, since each has one as a run.
            self._config.hydra.sweep.update({"dir": str(folder), "subdir": "jobs"})
        return Plugins.instance().instantiate_launcher(
            hydra_context=self._context, task_function=self._task_function, config=self._config
        )
