"""Answer an unknown name with the nearest right ones."""

from collections.abc import Sequence
from difflib import get_close_matches


def require_known(name: str, known: Sequence[str], *, library: str) -> None:
    """Check a name against the names of a library.

    Args:
        name: What a person wrote as ``model.name``.
        known: Every right name.
        library: Where they come from, for the message.

    Raises:
        ValueError: If the name is unknown; the message holds up to three near ones.
    """
    if name in known:
        return
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    advice = f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(known[:3])}, …"
    raise ValueError(f"model.name={name} is not one of the {len(known)} classifiers of {library}; {advice}")
