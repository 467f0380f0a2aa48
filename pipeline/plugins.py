"""How Hydra comes to know our launcher and our sweeper."""

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType


def register_plugins(*, ended: Callable[[int], None]) -> None:
    """Tell Hydra of `hydra/launcher=processes` and `hydra/sweeper=search`.

    Hydra takes them from the package `hydra_plugins` only, in which we lay no files: it is shared with the
    plugins of others. The module in it is made here, in memory.

    Args:
        ended: Is told the exit code of a sweep.
    """
    from hydra.core.plugins import Plugins

    from pipeline.sweeps.launcher import HOME, ProcessLauncher
    from pipeline.sweeps.sweeper import SearchSweeper

    module = ModuleType(HOME)
    own = {"ended": staticmethod(ended)}
    for base in (ProcessLauncher, SearchSweeper):
        body = {"__module__": HOME, "__doc__": base.__doc__}
        setattr(module, base.__name__, type(base.__name__, (base,), {**body, **own}))
        # What is registered is a twin. It is not what the module holds, hence cloudpickle takes all of it
        # along when joblib or submitit send Hydra's state to a process that knows no such module.
        Plugins.instance().register(type(base.__name__, (base,), body))
    sys.modules[HOME] = module
    package, _, name = HOME.rpartition(".")
    setattr(_package(package), name, module)


def _package(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError:  # no plugin is installed
        package = ModuleType(name)
        package.__path__ = []
        sys.modules[name] = package
        return package
