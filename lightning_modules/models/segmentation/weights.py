"""Trained weights for a whole segmenter: the published ones, or those of a file."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from lightning_modules.models.weights import read_weights

log = logging.getLogger(__name__)


def load_file(
    network: nn.Module, path: str, *, last_layers: Sequence[str], optional: Sequence[str] = ()
) -> None:
    """Load a state-dict file, or a checkpoint of this project, into a network; in place.

    Args:
        network: What is inside a ``Segmenter``.
        path: Of the file, as a person wrote it.
        last_layers: See ``load_state``.
        optional: See ``load_state``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds something else, or the weights do not fit.
    """
    state = {key.removeprefix("network."): value for key, value in read_weights(Path(path)).items()}
    load_state(network, state, origin=path, last_layers=last_layers, optional=optional)


def load_state(
    network: nn.Module,
    state: Mapping[str, Tensor],
    *,
    origin: str,
    last_layers: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> None:
    """Load a state dict into a network, in place; what stays random is told in the log.

    Args:
        network: Of the same architecture.
        state: Its weights.
        origin: What a person wrote as ``model.pretrained``, for messages.
        last_layers: Starts of the names of layers whose shape depends on the number of classes; they stay
            random where it differs.
        optional: Starts of the names of parts that only one of the two may have, such as auxiliary heads.

    Raises:
        ValueError: If anything else differs.
    """
    own = network.state_dict()
    random = _to_stay_random(own, state, last_layers=tuple(last_layers), optional=tuple(optional))
    fitting = {
        key: value for key, value in state.items() if key in own or not key.startswith(tuple(optional))
    }
    # Batch norms of old files do not count their batches.
    counters = {key: value for key, value in own.items() if key.endswith("num_batches_tracked")}
    wanted = {**counters, **fitting, **{key: own[key] for key in random}}
    _check_fit(own, wanted, origin=origin)
    network.load_state_dict(wanted)
    if random:
        layers = sorted({key.rpartition(".")[0] for key in random})
        log.warning(
            "model.pretrained=%s has another number of classes or lacks some parts; these layers start from "
            "random weights: %s",
            origin,
            ", ".join(layers),
        )


def _to_stay_random(
    own: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    *,
    last_layers: tuple[str, ...],
    optional: tuple[str, ...],
) -> list[str]:
    lacking = [key for key in own if key not in state and key.startswith(optional)]
    differing = [
        key
        for key in own
        if key in state and key.startswith(last_layers) and state[key].shape != own[key].shape
    ]
    return lacking + differing


def _check_fit(own: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, origin: str) -> None:
    problems = [f"{key} is missing" for key in own if key not in wanted]
    problems += [f"{key} is unknown" for key in wanted if key not in own]
    problems += [
        f"{key} is {tuple(wanted[key].shape)} there and {tuple(own[key].shape)} in the model"
        for key in own
        if key in wanted and wanted[key].shape != own[key].shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError(
            f"the weights (model.pretrained={origin}) do not fit the model: {'; '.join(problems[:3])}{more}; "
            "choose the model, model.scale and the backbone or encoder that they were trained with"
        )
