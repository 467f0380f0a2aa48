"""Images with an identity each: what is wrong with them, and the pairs that a batch lists."""

from collections.abc import Sequence

import torch
from torch import Tensor

from datamodules.batch import VerificationBatch
from lightning_modules.metrics.verification.pairs import join
from lightning_modules.models.verification.verifier import Pairs


def listed_pairs(rows: Sequence[Tensor]) -> Pairs | None:
    """The pairs that a batch lists; None where it lists none.

    Args:
        rows: For each image a tensor (P, 4), see ``VerificationBatch``.
    """
    every = torch.cat(list(rows))
    if not len(every):
        return None
    counts = torch.tensor([len(each) for each in rows], device=every.device)
    places = torch.repeat_interleave(torch.arange(len(rows), device=every.device), counts)
    found = join(every, places)
    return Pairs(first=found.first, second=found.second, same=found.same)


def check_learnt(learnt: int | None, *, known: int) -> None:
    """Refuse a model that would meet identities that it has no weights for.

    Args:
        learnt: Identities that the model tells apart; None: as many as there are.
        known: C, identities of the training split.

    Raises:
        ValueError: If there are more than the model has.
    """
    if learnt is not None and learnt < known:
        raise ValueError(
            f"model.num_identities={learnt}, but training has {known} identities; leave it null, which "
            "takes as many as the data have"
        )


def check_identities(batch: VerificationBatch, *, known: int | None) -> None:
    """Look for identities that cannot be.

    Args:
        batch: On the CPU.
        known: C, where the identities are those of training.

    Raises:
        ValueError: If there is one; it names the position of the image in its data set.
    """
    labels = batch["label"]
    strange = labels < 0 if known is None else (labels < 0) | (labels >= known)
    if strange.any():
        place = int(strange.nonzero()[0])
        image, label = int(batch["index"][place]), int(labels[place])
        most = "at least 0" if known is None else f"0 to {known - 1}, since metadata counts {known}"
        raise ValueError(f"image {image} has the identity {label}, and identities are {most}")
    if len(batch["pairs"]) != len(labels):
        raise ValueError(
            f"a batch of {len(labels)} images has pairs for {len(batch['pairs'])}; each needs a tensor "
            "(P, 4), which is empty where no pairs are listed"
        )
