"""Scikit-learn's handwritten digits as identities: all ten classes, or classes that training never sees."""

from collections.abc import Mapping

import numpy as np

from datamodules.arrays import ByteArray, IntArray
from datamodules.embedded.digits import read_digits, read_scans, to_pictures, writer_blocks
from datamodules.readers.identified import NO_PAIRS, Identified, finished
from datamodules.sources import ArraySource

HELD_OUT = ((7, 8, 9), (1, 4, 7), (0, 3, 5), (2, 6, 9))
"""Classes of digits that training and validation never see, for each rotation."""

Orientation = tuple[int, bool]
"""Quarter turns to the left, after a mirroring of left and right or none."""

ORIENTATIONS: tuple[Orientation, ...] = tuple(
    (turns, mirrored) for mirrored in (False, True) for turns in range(4)
)
"""All ways to lay a square upon itself; the first leaves it as it is."""

_AS_IT_IS, _HALF_TURN, _LEFT_RIGHT, _UP_DOWN = (0, False), (2, False), (0, True), (2, True)
_BOTH_MIRRORS = (_AS_IT_IS, _HALF_TURN, _LEFT_RIGHT, _UP_DOWN)
LOOKS_THE_SAME: Mapping[int, tuple[Orientation, ...]] = {
    0: _BOTH_MIRRORS,  # an oval
    1: _BOTH_MIRRORS,  # a stroke; its slant and serif vary more between writers than a mirror changes
    8: _BOTH_MIRRORS,  # two ovals
    3: (_AS_IT_IS, _UP_DOWN),  # two bows, one over the other
}
"""Orientations in which a digit looks like itself; the others look like themselves in the first one only."""

NINE_IS_SIX = (6, _HALF_TURN)
"""A nine is a six turned by half: where both are trained on they share their identities."""

_NO_MORE = "choose another data.rotation"


def read_digit_pairs() -> Identified:
    """The digits as `read_digits` has them: ten identities, writers that training never sees."""
    data = read_digits()
    return Identified(
        title="digits_pairs",
        source=data.source,
        labels=data.labels,
        identity_names=data.class_names,
        splits=data.splits,
        pairs=NO_PAIRS,
    )


def read_unseen_digits(*, rotation: int, orientations: bool) -> Identified:
    """Digits of seven classes to train on; every scan of the other three tests, whoever wrote it.

    Validation are scans of the seven classes by writers that training never sees. Trained on seven plain
    classes, a network learns to throw away what tells others apart; with ``orientations`` each rotation and
    mirror image of a training scan is an identity of its own, except where a digit looks the same.

    Args:
        rotation: Which classes test, in [0, 4); see `HELD_OUT`.
        orientations: Whether training has turned and mirrored scans, too.

    Raises:
        ValueError: If there is no such rotation.
    """
    if rotation not in range(len(HELD_OUT)):
        raise ValueError(
            f"data.rotation={rotation} must be in [0, {len(HELD_OUT)}): it chooses from {HELD_OUT}"
        )
    scans, digits = read_scans()
    pictures, is_held_out = to_pictures(scans), np.isin(digits, HELD_OUT[rotation])
    blocks = writer_blocks(len(digits))
    seen = {split: blocks[split][~is_held_out[blocks[split]]] for split in ("train", "val")}
    added = ORIENTATIONS[1:] if orientations else ()
    turned = [turn(pictures[seen["train"]], orientation) for orientation in added]
    # Identities are numbered 8 x digit + orientation; of those that look the same the first number counts.
    own = _turned_labels(digits, 0) if orientations else 8 * digits
    labels = [
        np.where(is_held_out, 8 * digits, own),
        *(_turned_labels(digits[seen["train"]], number + 1) for number in range(len(added))),
    ]
    extra = np.arange(len(digits), len(digits) + len(added) * len(seen["train"]))
    data = Identified(
        title="digits_unseen",
        source=ArraySource(np.concatenate([pictures, *turned]), title="digits_unseen"),
        labels=np.concatenate(labels),
        identity_names=[_name(digit, orientation) for digit in range(10) for orientation in ORIENTATIONS],
        splits={
            "train": np.concatenate([seen["train"], extra]),
            "val": seen["val"],
            "test": np.flatnonzero(is_held_out),
        },
        pairs=NO_PAIRS,
    )
    return finished(data, where=data.title, way_out=_NO_MORE)


def turn(pictures: ByteArray, orientation: Orientation) -> ByteArray:
    """Mirror and turn square pictures.

    Args:
        pictures: (N, S, S).
        orientation: How.
    """
    turns, mirrored = orientation
    found = pictures[:, :, ::-1] if mirrored else pictures
    return np.ascontiguousarray(np.rot90(found, turns, axes=(1, 2)))


def identity_of(digit: int, number: int) -> int:
    """Identity of a digit in an orientation: 8 x digit + the first orientation in which it looks the same.

    A nine has those of a six: no rotation trains on nines without sixes.

    Args:
        digit: The digit.
        number: Number of the orientation in `ORIENTATIONS`.
    """
    cards = np.arange(4, dtype=np.uint8).reshape(1, 2, 2)  # what is where tells all orientations apart
    looks = {turn(cards, orientation).tobytes(): place for place, orientation in enumerate(ORIENTATIONS)}
    base, half_turn = NINE_IS_SIX
    digit, alike = (base, (half_turn,)) if digit == 9 else (digit, LOOKS_THE_SAME.get(digit, (_AS_IT_IS,)))
    return 8 * digit + min(looks[turn(turn(cards, own), ORIENTATIONS[number]).tobytes()] for own in alike)


def _turned_labels(digits: IntArray, number: int) -> IntArray:
    identities = np.array([identity_of(digit, number) for digit in range(10)], dtype=np.int64)
    return identities[digits]


def _name(digit: int, orientation: Orientation) -> str:
    turns, mirrored = orientation
    words = [str(digit), *(["mirrored"] if mirrored else []), *([f"turned {90 * turns}"] if turns else [])]
    return " ".join(words)
