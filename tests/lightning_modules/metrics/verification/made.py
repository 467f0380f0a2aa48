"""Made-up embeddings of identities, and their measures, for tests."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lightning_modules.metrics.verification.measured import Measured, measure
from lightning_modules.metrics.verification.records import Ids, Seen, Tally, joined

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


def pair_euclidean(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.vector_norm(a - b, dim=1)


def euclidean(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def embedded(labels: list[int] | Ids, *, noise: float = 0.6, size: int = 8, seed: int = 0) -> Tensor:
    """Embeddings (N, size) of length 1 around a direction for each identity."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.as_tensor(labels)
    centres = torch.randn(int(ids.max()) + 1, size, generator=generator)
    return functional.normalize(centres[ids] + noise * torch.randn(len(ids), size, generator=generator))


def distances(*, matching: int, others: int, seed: int = 0, ties: bool = False) -> tuple[Numbers, Flags]:
    """Distances of pairs in random order that overlap; with ties, of few values."""
    generator = np.random.default_rng(seed)
    same = generator.permutation(np.arange(matching + others) < matching)
    distance = np.where(same, 0.8, 1.2) + generator.normal(scale=0.2, size=len(same))
    return (np.round(distance, 1) if ties else distance), same


def seen_as(embeddings: Tensor, labels: list[int] | Ids, *, pairs: list[list[int]] | None = None) -> Seen:
    """Images in the order of a split; pairs are rows of a, b, same, fold."""
    tally = Tally()
    rows: list[list[list[int]]] = [[] for _ in labels]
    for number, (a, b, same, fold) in enumerate(pairs or []):
        rows[a].append([number, 0, same, fold])
        rows[b].append([number, 1, same, fold])
    tally.add(
        embeddings,
        labels=torch.as_tensor(labels),
        index=torch.arange(len(labels)),
        pairs=[torch.tensor(each, dtype=torch.int64).reshape(-1, 4) for each in rows],
    )
    return joined([tally])


def measured(
    seen: Seen, *, change: Callable[[Tensor], Tensor] = lambda each: each, **options: Any
) -> Measured:
    """Measures by the Euclidean distance, or by what it is changed to."""
    defaults: dict[str, Any] = {"max_pairs": 500_000, "max_queries": 5_000, "threshold": None}
    return measure(
        seen,
        embeddings=torch.from_numpy(seen.embeddings),
        pair_distances=lambda a, b: change(pair_euclidean(a, b)),
        distances=lambda a, b: change(euclidean(a, b)),
        **(defaults | options),
    )
