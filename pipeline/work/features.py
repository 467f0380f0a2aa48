"""The network of a run as the features of another one."""

import copy
from pathlib import Path
from typing import Any

from pipeline import build, checkpoints
from pipeline.features import KEY, check_has_classifier, latest_of, named_run
from pipeline.remote_runs import find_or_fetch


def filled_from_run(config: dict[str, Any], *, root: Path) -> dict[str, Any]:
    """Put the network and the checkpoint of `features=run:<id>` where the configuration says null.

    Args:
        config: The resolved configuration.
        root: The project's root folder.

    Returns:
        A copy with `network` and `weights` of the features filled in, and the whole id of the run; the
        configuration itself where its features are no run's.

    Raises:
        Mistake: There is no such run, it kept no checkpoint, or it has no classifier.
    """
    name = named_run(config)
    if not name:
        return config
    run = find_or_fetch(root=root, name=name, task=latest_of(name), key=KEY)
    check_has_classifier(run)
    filled = copy.deepcopy(config)
    filled["model"]["features"].update(
        run=run.run_id,
        network=build.without_weights(run.config["model"]),
        weights=str(checkpoints.kept(run)),
    )
    return filled
