"""Verifiers that learn by supervised contrast: each image against all others of its batch."""

from torch import Tensor, nn

from lightning_modules.losses.verification import supervised_contrastive
from lightning_modules.models.verification.verifier import Pairs, Verifier


class SupConVerifier(Verifier):
    """A verifier that is trained with the supervised contrastive loss; its embeddings have length 1."""

    def __init__(self, network: nn.Module, *, embedding_size: int, temperature: float) -> None:
        super().__init__(network, embedding_size=embedding_size, normalise=True)
        self.loss = supervised_contrastive(temperature=temperature)

    def _losses(self, embeddings: Tensor, labels: Tensor, pairs: Pairs | None) -> dict[str, Tensor]:
        return {"loss": self.loss(embeddings, labels)}


def supcon(*, network: nn.Module, embedding_size: int = 128, temperature: float = 0.1) -> SupConVerifier:
    """Supervised contrastive loss of each image against its batch; 323,872 parameters with a ResNet-8.

    Khosla and others: Supervised contrastive learning, 2020 (https://arxiv.org/abs/2004.11362): the cosine of
    two images of an identity must be larger than those with all others of the batch, by a softmax. Batches
    need several images of an identity. The embeddings are what the loss sees: the paper's further layers,
    which are thrown away after training, are left out.

    Shape: (B, channels, H, W) to (B, embedding_size), of length 1.

    Args:
        network: A classifier that was built with ``num_classes`` of ``embedding_size``.
        embedding_size: Dimensions of an embedding, at least 1.
        temperature: What cosines are divided by before the softmax, above 0; small ones look at the most
            alike only.

    Raises:
        ValueError: If an argument is out of its range, or the network gives as many numbers as it would
            scores.
    """
    return SupConVerifier(network, embedding_size=embedding_size, temperature=temperature)
