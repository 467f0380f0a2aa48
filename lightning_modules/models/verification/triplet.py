"""Verifiers that learn from triplets: an anchor, one like it, one of another identity."""

from torch import Tensor, nn

from lightning_modules.losses.verification import Mining, TripletLoss, check_reachable
from lightning_modules.models.verification.verifier import Pairs, Verifier


class TripletVerifier(Verifier):
    """A verifier that is trained with the triplet loss; see ``TripletLoss``."""

    def __init__(
        self, network: nn.Module, *, embedding_size: int, normalise: bool, margin: float, mining: Mining
    ) -> None:
        super().__init__(network, embedding_size=embedding_size, normalise=normalise)
        if normalise:
            check_reachable(margin=margin, farthest=4, what="squared distances")
        self.loss = TripletLoss(margin=margin, mining=mining)

    def _losses(self, embeddings: Tensor, labels: Tensor, pairs: Pairs | None) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self.loss(embeddings, labels)
        return losses


def triplet(
    *,
    network: nn.Module,
    embedding_size: int = 128,
    normalise: bool = True,
    margin: float = 0.2,
    mining: Mining = "semi_hard",
) -> TripletVerifier:
    """Triplet loss on squared distances with mining in the batch; 323,872 parameters with a ResNet-8.

    Schroff, Kalenichenko, Philbin: FaceNet: A unified embedding for face recognition and clustering, 2015
    (https://arxiv.org/abs/1503.03832): an image must be nearer to every other one of its identity than to
    any of another, by a margin. Batches need several images of an identity.

    Shape: (B, channels, H, W) to (B, embedding_size).

    Args:
        network: A classifier that was built with ``num_classes`` of ``embedding_size``.
        embedding_size: Dimensions of an embedding, at least 1.
        normalise: Scale embeddings to length 1, as in the paper; squared distances are then at most 4.
        margin: Of squared distances, above 0; with ``normalise`` at most 4.
        mining: Which triplets of a batch are learnt from: ``all``, ``hard`` (of each anchor the farthest like
            it and the nearest of another) or ``semi_hard`` (right, but by less than the margin).

    Raises:
        ValueError: If an argument is out of its range, or the network gives as many numbers as it would
            scores.
    """
    return TripletVerifier(
        network, embedding_size=embedding_size, normalise=normalise, margin=margin, mining=mining
    )
