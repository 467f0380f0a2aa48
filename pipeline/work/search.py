"""The nearest encodings of a gallery: exact, by a plain matrix or by FAISS, whichever suits its size."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.work.gallery import Encodings, Gallery

Places = NDArray[np.int64]

LARGE = 10_000
"""Encodings from which on FAISS is faster, where distances are Euclidean. Seconds for 100 queries on one core
(AMD EPYC, 128 numbers), matrix and FAISS with its import: 0.04 and 0.05 for a thousand encodings, 0.14 and
0.09 for ten thousand, 1.4 and 0.3 for a hundred thousand, 9.5 and 2.5 for a million. FAISS is given the
encodings as they are: an `IndexFlatL2` would hold them a second time (0.5 GB of a million) for the same
answers."""

_ROWS, _QUERIES = 8192, 32  # at a time; a distance that is no matrix product may need D numbers for each pair
_FEWEST = 16  # neighbours that FAISS is asked for, because it cannot tell very near ones apart
_MOST = 1024  # and no more: among ten thousand that takes as long as the matrix


@runtime_checkable
class Compares(Protocol):
    """A task that says how far apart two images are."""

    def distances(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances (N, M) of embeddings (N, D) and (M, D); smaller means more alike."""

    def pair_distances(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances (P,) of embeddings (P, D) and (P, D)."""

    def probabilities(self, distance: Tensor) -> Tensor:
        """Probability in [0, 1] that two images this far apart show the same identity."""


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Who is nearest to each of Q queries.

    Attributes:
        nearest: int64 (Q,), row of the gallery that is nearest.
        distance: float64 (Q,), how far it is.
        second: int64 (Q,), row of the nearest image of another identity; -1 where there is no other.
        second_distance: float64 (Q,), how far that is; infinite where there is none.
    """

    nearest: Places
    distance: NDArray[np.float64]
    second: Places
    second_distance: NDArray[np.float64]


def find_nearest(
    task: Compares, queries: Encodings, gallery: Gallery, *, is_euclidean: bool, large: int = LARGE
) -> Neighbours:
    """The nearest image of each query, and the nearest one of another identity.

    Of several images of an identity the nearest one decides. Both ways first find candidates; how far these
    are is computed anew for each pair, because products of matrices would set equal images 0.0005 apart.

    Args:
        task: Says how far apart two encodings are; it may be on any device.
        queries: float32 (Q, D).
        gallery: At least one encoding.
        is_euclidean: Whether the task's distance is the Euclidean one, which FAISS computes.
        large: Encodings from which on FAISS searches.
    """
    assert len(gallery)
    codes, rows = gallery.codes(), gallery.encodings
    # Among so many neighbours there is another identity, if there is one at all.
    enough = min(max(int(np.bincount(codes).max()) + 1, _FEWEST), len(rows))
    with torch.inference_mode():
        if is_euclidean and len(rows) >= large and enough <= _MOST:
            candidates = _by_faiss(queries, rows, count=enough)
        else:
            candidates = _by_matrix(task, queries, rows, codes)
        found = [_decide(task, *pair, rows, codes) for pair in zip(queries, candidates, strict=True)]
    nearest, distance, second, second_distance = zip(*found, strict=True)
    return Neighbours(
        nearest=np.array(nearest, np.int64),
        distance=np.array(distance, np.float64),
        second=np.array(second, np.int64),
        second_distance=np.array(second_distance, np.float64),
    )


def _by_matrix(task: Compares, queries: Encodings, rows: Encodings, codes: Places) -> list[Places]:
    """For each query the nearest row of each block, and the nearest one there of another identity."""
    device = _device_of(task)
    found: list[list[Tensor]] = [[] for _ in range(0, len(queries), _QUERIES)]
    for start in range(0, len(rows), _ROWS):
        block = torch.from_numpy(np.array(rows[start : start + _ROWS])).to(device)
        names = torch.from_numpy(codes[start : start + _ROWS]).to(device)
        for part, some in enumerate(torch.split(torch.from_numpy(queries), _QUERIES)):
            found[part].append(start + _two_nearest(task.distances(some.to(device), block), names).cpu())
    return list(torch.cat([torch.cat(parts, dim=1) for parts in found]).numpy())


def _two_nearest(distances: Tensor, names: Tensor) -> Tensor:
    """(Q, 2) places in distances (Q, M): the nearest, and the nearest of another name (M,) or any."""
    nearest = distances.argmin(dim=1)
    is_same = names == names[nearest][:, None]
    others = distances.masked_fill(is_same, torch.inf).argmin(dim=1)
    return torch.stack([nearest, others], dim=1)


def _by_faiss(queries: Encodings, rows: Encodings, *, count: int) -> list[Places]:
    """For each query so many nearest rows."""
    # Here, because it brings an OpenMP and a BLAS of its own, which small galleries need not wait for.
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    _, found = faiss.knn(queries, rows, count)
    return list(found)


def _decide(
    task: Compares, query: Encodings, places: Places, rows: Encodings, codes: Places
) -> tuple[int, float, int, float]:
    """Nearest and second of some rows, of equally near ones the first."""
    ordered = np.unique(places)
    candidates = torch.from_numpy(rows[ordered]).to(_device_of(task))
    repeated = torch.from_numpy(query).to(candidates.device).expand_as(candidates)
    distances = task.pair_distances(repeated, candidates).double().cpu().numpy()
    nearest = int(distances.argmin())
    others = np.where(codes[ordered] == codes[ordered[nearest]], np.inf, distances)
    second = int(others.argmin())
    is_there = bool(np.isfinite(others[second]))
    return int(ordered[nearest]), distances[nearest], int(ordered[second]) if is_there else -1, others[second]


def _device_of(task: Any) -> torch.device:
    return torch.device(getattr(task, "device", "cpu"))
