"""Arguments that the builders of segmenters share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

Scale = Literal["light", "published"]
SCALES = ("light", "published")


def is_light(scale: str) -> bool:
    """Whether the light form of a segmenter is asked for.

    Raises:
        ValueError: If the scale is unknown.
    """
    if scale not in SCALES:
        raise ValueError(f"model.scale={scale} is not one of {', '.join(SCALES)}")
    return scale == "light"


def check_pretrained(
    pretrained: str, *, words: Sequence[str], light: bool, load_weights: bool, instead: str
) -> None:
    """Check where weights are to come from, before anything is built.

    Args:
        pretrained: A word, or the path of a state-dict file.
        words: Those that this network knows, ``none`` first.
        light: Whether the light network is asked for, of which nobody published weights.
        load_weights: False leaves the file alone: it may be on another machine.
        instead: What to set for a network with published weights, for the message.

    Raises:
        ValueError: If there are no such weights.
    """
    if light and pretrained in words[1:]:
        raise ValueError(
            f"model.pretrained={pretrained}, but nobody published weights of the light network; set "
            f"{instead} or model.pretrained=none"
        )
    if load_weights and pretrained not in words and not Path(pretrained).is_file():
        raise ValueError(
            f"model.pretrained={pretrained} is none of {', '.join(words)}, and there is no such file; give "
            "one of them, or the path of a state-dict file"
        )
