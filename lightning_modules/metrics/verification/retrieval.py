"""Who is it? Images looked up among those of known identity."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lightning_modules.metrics.verification.pairs import AT_ONCE, SEED, Compare
from lightning_modules.metrics.verification.records import Ids
from lightning_modules.metrics.verification.roc import Numbers

GALLERIES = 10
NAN = float("nan")


@dataclass(frozen=True)
class Retrieval:
    """Shares in [0, 1]; nan where no identity has two images.

    An image of another identity that is as far as the right one counts as nearer: a network to which all
    images are the same finds nobody.

    Attributes:
        rank1: Images whose identity is found from one image of each identity, the mean over galleries.
        rank5: Images whose identity is among the five nearest of these.
        recall_1: Images whose nearest other image is of their identity.
        recall_5: Images with one of their identity among the five nearest others.
        map: Mean over images of the average precision with which all others of their identity come first.
    """

    rank1: float = NAN
    rank5: float = NAN
    recall_1: float = NAN
    recall_5: float = NAN
    map: float = NAN


def retrieve(embeddings: Tensor, labels: Ids, *, distances: Compare, max_queries: int) -> Retrieval:
    """Look images up among all others, and among galleries of one image of each identity.

    Args:
        embeddings: (N, D).
        labels: (N,), identity ids.
        distances: Distances (Q, N) of embeddings (Q, D) to embeddings (N, D).
        max_queries: Look up so many images, evenly spaced, where more have another of their identity.
    """
    identities = np.unique(labels, return_inverse=True)[1]
    queries = _queries(identities, most=max_queries)
    if not len(queries):
        return Retrieval()
    galleries = deal_galleries(identities)
    first, precision, ranks = [], [], []
    for part in np.array_split(queries, -(-len(queries) * len(labels) // AT_ONCE)):
        rows = distances(embeddings[torch.from_numpy(part)], embeddings).cpu().numpy()
        rows[np.arange(len(part)), part] = np.inf  # nobody finds himself
        for number, average in _looked_up(rows, part, identities):
            first.append(number)
            precision.append(average)
        ranks.append(_ranks(rows, part, identities, galleries))
    return _summary(np.array(first), np.array(precision), np.concatenate(ranks, axis=1))


def deal_galleries(identities: Ids) -> Ids:
    """Places (G, C) of one image of each of C identities, for up to ten galleries, always the same.

    The images of an identity take turns, in random order, so that galleries differ as much as they can.

    Args:
        identities: (N,), numbers in [0, C), each there.
    """
    shuffled = np.random.default_rng(SEED).permutation(len(identities))
    shuffled = shuffled[np.argsort(identities[shuffled], kind="stable")]
    counts = np.bincount(identities)
    starts = np.cumsum(counts) - counts
    turns = np.arange(min(GALLERIES, counts.max()))
    places = shuffled[starts + turns[:, None] % counts]
    return np.asarray(places, dtype=np.int64)


def _queries(identities: Ids, *, most: int) -> Ids:
    """Places of images that are not the only one of their identity; of too many, evenly spaced ones."""
    places = np.flatnonzero(np.bincount(identities)[identities] > 1)
    if len(places) <= most:
        return places
    return places[np.arange(most) * len(places) // most]


def _looked_up(rows: Numbers, queries: Ids, identities: Ids) -> list[tuple[int, float]]:
    """For each query the rank of the first image of its identity, at least 1, and its average precision."""
    order = np.argsort(identities, kind="stable")
    stops = np.cumsum(np.bincount(identities))
    found = []
    for row, ascending, query in zip(rows, np.sort(rows, axis=1), queries, strict=True):
        who = identities[query]
        own = order[stops[who - 1] if who else 0 : stops[who]]
        right = np.sort(row[own[own != query]])
        nearer = np.searchsorted(ascending, right, side="right") - np.searchsorted(right, right, side="right")
        place = np.arange(1, len(right) + 1)
        found.append((int(nearer[0]) + 1, float((place / (place + nearer)).mean())))
    return found


def _ranks(rows: Numbers, queries: Ids, identities: Ids, galleries: Ids) -> Ids:
    """Rank (G, Q) of the right identity of each query in each gallery, at least 1; 0 for what is in it."""
    found = np.zeros((len(galleries), len(queries)), dtype=np.int64)
    for number, gallery in enumerate(galleries):
        right = gallery[identities[queries]]
        own = rows[np.arange(len(queries)), right]
        rank = (rows[:, gallery] <= own[:, None]).sum(axis=1)
        found[number] = np.where(right == queries, 0, rank)
    return found


def _summary(first: Ids, precision: Numbers, ranks: Ids) -> Retrieval:
    probes = [row[row > 0] for row in ranks if row.any()]
    return Retrieval(
        rank1=float(np.mean([(row <= 1).mean() for row in probes])),
        rank5=float(np.mean([(row <= 5).mean() for row in probes])),
        recall_1=float((first <= 1).mean()),
        recall_5=float((first <= 5).mean()),
        map=float(precision.mean()),
    )
