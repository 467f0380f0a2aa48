"""What is remembered of a split until all of it was seen: embeddings, identities, listed pairs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Seen:
    """The N images of a split, each once, in the order of the split.

    Attributes:
        embeddings: float32 (N, D).
        labels: int64 (N,), identity ids.
        index: int64 (N,), ascending positions in the split.
        pair_rows: int64 (R, 4), a row for each image of each listed pair as ``VerificationBatch`` has it:
            number of the pair, side, whether it matches, fold. Some may be there twice.
        pair_images: int64 (R,), place in the N images of the image that a row belongs to.
    """

    embeddings: NDArray[np.float32]
    labels: Ids
    index: Ids
    pair_rows: Ids
    pair_images: Ids


class Tally:
    """Collects what is seen, batch by batch: their order and grouping do not matter."""

    def __init__(self) -> None:
        self.embeddings: list[NDArray[np.float32]] = []
        self.labels: list[Ids] = []
        self.index: list[Ids] = []
        self.rows: list[Ids] = []

    def add(self, embeddings: Tensor, *, labels: Tensor, index: Tensor, pairs: Sequence[Tensor]) -> None:
        """Remember a batch.

        Args:
            embeddings: (B, D).
            labels: int64 (B,).
            index: int64 (B,), positions in the split.
            pairs: B tensors (P, 4), see ``VerificationBatch``.
        """
        self.embeddings.append(embeddings.detach().float().cpu().numpy())
        self.labels.append(labels.cpu().numpy())
        self.index.append(index.cpu().numpy())
        owners = torch.repeat_interleave(index.cpu(), torch.tensor([len(rows) for rows in pairs]))
        self.rows.append(torch.cat([torch.cat(list(pairs)).cpu(), owners[:, None]], dim=1).numpy())


def joined(tallies: Sequence[Tally]) -> Seen:
    """The images of several tallies, such as those of several processes; what two have counts once."""
    index = np.concatenate([each for tally in tallies for each in tally.index])
    ascending, places = np.unique(index, return_index=True)
    labels = np.concatenate([each for tally in tallies for each in tally.labels])
    embeddings = np.concatenate([each for tally in tallies for each in tally.embeddings])
    rows = np.concatenate([each for tally in tallies for each in tally.rows])
    return Seen(
        embeddings=embeddings[places],
        labels=labels[places],
        index=ascending,
        pair_rows=rows[:, :4],
        pair_images=np.searchsorted(ascending, rows[:, 4]),
    )


def check_finite(seen: Seen, *, split: str) -> None:
    """Look for embeddings that are not numbers.

    Raises:
        ValueError: If there are some; it names the split.
    """
    broken = int((~np.isfinite(seen.embeddings).all(axis=1)).sum())
    if broken:
        raise ValueError(
            f"the embeddings of {broken} of {len(seen.index)} images of {split} are not finite numbers; "
            "where training diverged, a smaller optimizer.lr or trainer.gradient_clip_val=1 helps"
        )
