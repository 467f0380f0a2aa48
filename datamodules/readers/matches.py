"""Identities out of pairs: what is linked by matching pairs is one identity."""

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from datamodules.arrays import IntArray
from datamodules.readers.pair_lists import ListedPair
from datamodules.readers.problems import Problem


def identities_of(pairs: Sequence[ListedPair], paths: Sequence[str]) -> IntArray:
    """Number the connected components of the matching pairs.

    Pictures that nothing links are taken for different identities, also where no line says so.

    Args:
        pairs: All pairs.
        paths: N pictures.

    Returns:
        int64 (N,), identity ids.
    """
    number = {path: position for position, path in enumerate(paths)}
    links = [[number[path] for path in pair.paths] for pair in pairs if pair.same]
    first, second = np.array(links, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(paths), len(paths)))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def contradictions(
    pairs: Sequence[ListedPair], paths: Sequence[str], identities: IntArray
) -> Iterator[Problem]:
    """Pairs that are said to differ although others make both pictures one identity.

    Args:
        pairs: All pairs.
        paths: N pictures.
        identities: (N,), see `identities_of`.
    """
    identity = dict(zip(paths, identities.tolist(), strict=True))
    wrong = [pair for pair in pairs if not pair.same and identity[pair.first] == identity[pair.second]]
    links: dict[str, list[tuple[str, int | None]]] = {}
    for pair in pairs if wrong else ():
        if pair.same:
            links.setdefault(pair.first, []).append((pair.second, pair.place.line))
            links.setdefault(pair.second, []).append((pair.first, pair.place.line))
    for pair in wrong:
        if pair.first != pair.second:
            lines = _lines_between(pair.first, pair.second, links)
            word = "line" if len(lines) == 1 else "lines"
            text = (
                f"{pair.first} and {pair.second} are not the same here, but {word} "
                f"{', '.join(map(str, lines))} make them the same"
            )
            yield Problem(pair.place, text)


def _lines_between(start: str, end: str, links: dict[str, list[tuple[str, int | None]]]) -> list[int | None]:
    """Lines of a shortest chain of matching pairs between two pictures."""
    came: dict[str, tuple[str, int | None]] = {start: ("", None)}
    waiting = deque([start])
    while end not in came:
        path = waiting.popleft()
        for neighbour, line in links[path]:
            if neighbour not in came:
                came[neighbour] = (path, line)
                waiting.append(neighbour)
    chain, path = [], end
    while path != start:
        path, line = came[path]
        chain.append(line)
    return chain[::-1]
