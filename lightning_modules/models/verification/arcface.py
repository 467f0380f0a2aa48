"""Verifiers that learn to classify the training identities, by angles with a margin."""

from torch import Tensor, nn

from lightning_modules.losses.verification import additive_angular_margin
from lightning_modules.models.verification.verifier import Pairs, Verifier


class ArcFaceVerifier(Verifier):
    """A verifier that is trained with ArcFace, see ``additive_angular_margin``."""

    def __init__(
        self, network: nn.Module, *, embedding_size: int, num_identities: int, margin: float, scale: float
    ) -> None:
        super().__init__(network, embedding_size=embedding_size, normalise=True)
        self.num_identities = num_identities
        self.loss = additive_angular_margin(
            num_identities=num_identities, embedding_size=embedding_size, margin=margin, scale=scale
        )

    def _losses(self, embeddings: Tensor, labels: Tensor, pairs: Pairs | None) -> dict[str, Tensor]:
        return {"loss": self.loss(embeddings, labels)}


def arcface(
    *,
    network: nn.Module,
    num_identities: int,
    embedding_size: int = 128,
    margin: float = 28.6,
    scale: float = 64.0,
) -> ArcFaceVerifier:
    """ArcFace: classify the training identities by angle, with a margin; 325,152 parameters with a ResNet-8.

    Deng, Guo, Xue, Zafeiriou: ArcFace: Additive angular margin loss for deep face recognition, 2018
    (https://arxiv.org/abs/1801.07698). Every identity has weights of length 1, which the loss learns and
    nothing else uses; they are of the head, and counted here for ten identities. Any batch will do: it
    needs no two images of an identity.

    Shape: (B, channels, H, W) to (B, embedding_size), of length 1.

    Args:
        network: A classifier that was built with ``num_classes`` of ``embedding_size``.
        num_identities: Identities of the training split, at least 2; their ids are from 0 on.
        embedding_size: Dimensions of an embedding, at least 1.
        margin: Degrees added to the angle of the true identity, above 0 and below 180; the paper's 0.5
            radians are 28.6.
        scale: What cosines are multiplied by before the softmax, above 0.

    Raises:
        ValueError: If an argument is out of its range, or the network gives as many numbers as it would
            scores.
    """
    return ArcFaceVerifier(
        network, embedding_size=embedding_size, num_identities=num_identities, margin=margin, scale=scale
    )
