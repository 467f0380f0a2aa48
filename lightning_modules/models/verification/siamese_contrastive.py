"""Siamese networks that learn from pairs by Hadsell's contrastive loss."""

from torch import Tensor, nn

from lightning_modules.losses.verification import (
    check_positive,
    check_reachable,
    mean_of_pairs,
    squared_hinge,
)
from lightning_modules.models.verification.verifier import Pairs, Verifier, every_pair


class ContrastiveVerifier(Verifier):
    """A verifier that is trained with the contrastive loss; see ``squared_hinge``."""

    def __init__(self, network: nn.Module, *, embedding_size: int, normalise: bool, margin: float) -> None:
        super().__init__(network, embedding_size=embedding_size, normalise=normalise)
        check_positive(margin=margin)
        if normalise:
            check_reachable(margin=margin, farthest=2, what="distances")
        self.margin = margin

    def _losses(self, embeddings: Tensor, labels: Tensor, pairs: Pairs | None) -> dict[str, Tensor]:
        first, second, same = every_pair(labels) if pairs is None else pairs
        distances = self.pair_distances(embeddings[first], embeddings[second])
        losses = squared_hinge(distances, same, margin=self.margin)
        return {"loss": mean_of_pairs(losses, same, both_kinds_alike=pairs is None)}


def siamese_contrastive(
    *, network: nn.Module, embedding_size: int = 128, normalise: bool = True, margin: float = 1.0
) -> ContrastiveVerifier:
    """Siamese network with Hadsell's contrastive loss; 323,872 parameters with a ResNet-8.

    Hadsell, Chopra, LeCun: Dimensionality reduction by learning an invariant mapping, 2006
    (https://ieeexplore.ieee.org/document/1640964): matching pairs are drawn together by the square of their
    distance, others pushed apart up to a margin by the square of what is missing. Pairs that were drawn
    for the batch count the same each; where every two images of a batch are a pair, the matching and the
    others count a half each.

    Shape: (B, channels, H, W) to (B, embedding_size).

    Args:
        network: A classifier that was built with ``num_classes`` of ``embedding_size``.
        embedding_size: Dimensions of an embedding, at least 1.
        normalise: Scale embeddings to length 1; distances are then at most 2.
        margin: Distance from which on other identities are far enough apart, above 0; with ``normalise`` at
            most 2.

    Raises:
        ValueError: If an argument is out of its range, or the network gives as many numbers as it would
            scores.
    """
    return ContrastiveVerifier(network, embedding_size=embedding_size, normalise=normalise, margin=margin)
