"""Names of classes, which every format checks alike."""

from collections import Counter
from collections.abc import Sequence


def check_unique(names: Sequence[str], *, where: str) -> None:
    """Refuse a name that stands twice: its objects would be dealt out to one of two classes.

    Args:
        names: Names in the order of the class ids.
        where: What they were found in, for the message.

    Raises:
        ValueError: If a name stands twice.
    """
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(
            f"{where} names the classes {twice} more than once; give each class a name of its own"
        )
