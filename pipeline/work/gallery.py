"""The people that a network knows: encodings of their images, and whom each is of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Encodings = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """N encodings, a row for each image.

    Attributes:
        model: Id of the network that made them; see `verifying.model_id`.
        run_id: The run that trained it.
        identities: N names; one identity may have several images.
        files: N image files, whole paths.
        contents: N digests of the files' bytes, so that a file that was moved is known again.
        encodings: float32 (N, D).
    """

    model: str
    run_id: str
    identities: Sequence[str]
    files: Sequence[str]
    contents: Sequence[str]
    encodings: Encodings

    def __post_init__(self) -> None:
        count = len(self.encodings)
        assert count == len(self.identities) == len(self.files) == len(self.contents)
        assert self.encodings.ndim == 2 and self.encodings.dtype == np.float32

    def __len__(self) -> int:
        """Number of encodings."""
        return len(self.encodings)

    @property
    def names(self) -> list[str]:
        """The identities, each once, sorted."""
        return sorted(set(self.identities))

    def __str__(self) -> str:
        encodings, identities = len(self), len(self.names)
        return (
            f"{encodings} encoding{'' if encodings == 1 else 's'} of "
            f"{identities} identit{'y' if identities == 1 else 'ies'}"
        )

    def codes(self) -> NDArray[np.int64]:
        """The identities as numbers (N,), places in `names`."""
        places = {name: place for place, name in enumerate(self.names)}
        return np.array([places[name] for name in self.identities], dtype=np.int64)

    def only(self, rows: Sequence[int]) -> "Gallery":
        """A gallery of some rows."""
        return replace(
            self,
            identities=[self.identities[row] for row in rows],
            files=[self.files[row] for row in rows],
            contents=[self.contents[row] for row in rows],
            encodings=self.encodings[np.asarray(rows, np.int64)],
        )


def joined(old: Gallery, new: Gallery) -> Gallery:
    """Both galleries of one network; of an identity's image that is there several times, the last is kept.

    Args:
        old: What is there.
        new: What comes to it; its network and run are the result's.
    """
    assert old.model == new.model and old.encodings.shape[1] == new.encodings.shape[1]
    both = replace(
        new,
        identities=[*old.identities, *new.identities],
        files=[*old.files, *new.files],
        contents=[*old.contents, *new.contents],
        encodings=np.concatenate([old.encodings, new.encodings]),
    )
    return both.only(_last_of_each(both))


def _last_of_each(gallery: Gallery) -> list[int]:
    """Rows of which no later one is the same file, or a file of the same bytes, of the same identity."""
    seen: set[tuple[str, str]] = set()
    kept: list[int] = []
    for row in reversed(range(len(gallery))):
        identity = gallery.identities[row]
        known = {(identity, gallery.files[row]), (identity, gallery.contents[row])}
        if not known & seen:
            kept.append(row)
        seen |= known
    return kept[::-1]


def without(gallery: Gallery, identity: str) -> Gallery:
    """The gallery without one of its people."""
    return gallery.only([row for row, name in enumerate(gallery.identities) if name != identity])


def of_several(gallery: Gallery, *, contents: Sequence[str]) -> dict[str, list[str]]:
    """Images that are enrolled as more than one identity, which can only be a mistake.

    Args:
        gallery: The gallery.
        contents: Digests of the images to look for.

    Returns:
        The identities of each such image, by one of its files.
    """
    wanted, found, files = set(contents), dict[str, set[str]](), dict[str, str]()
    for identity, file, content in zip(gallery.identities, gallery.files, gallery.contents, strict=True):
        if content in wanted:
            found.setdefault(content, set()).add(identity)
            files[content] = file
    return {files[content]: sorted(names) for content, names in found.items() if len(names) > 1}
