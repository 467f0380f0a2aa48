"""Siamese networks with a logistic unit on the differences of two embeddings."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_modules.losses.verification import mean_of_pairs
from lightning_modules.models.verification.verifier import Pairs, Verifier, every_pair


class LogisticVerifier(Verifier):
    """A verifier whose distance of a and b is -(Σₖ wₖ |aₖ - bₖ| + bias), with learnt weights.

    That is minus the logit: the probability that both show the same identity is sigmoid(-distance).
    """

    is_euclidean = False

    def __init__(self, network: nn.Module, *, embedding_size: int, normalise: bool) -> None:
        super().__init__(network, embedding_size=embedding_size, normalise=normalise)
        # From the first step on differences tell images apart, and equal ones are the same at 88 %.
        self.weights = nn.Parameter(torch.full((embedding_size,), -(embedding_size**-0.5)))
        self.bias = nn.Parameter(torch.tensor(2.0))

    def distances(self, a: Tensor, b: Tensor) -> Tensor:
        """Distance (N, M) of each embedding of a (N, D) to each of b (M, D); smaller means more alike.

        Weights of one sign can be drawn into the embeddings, so that their part is a plain sum of absolute
        differences, for which nobody needs all (N, M, D) of them at once.
        """
        apart, alike = (
            torch.cdist(a[:, kind] * self.weights[kind], b[:, kind] * self.weights[kind], p=1)
            for kind in (self.weights < 0, self.weights > 0)
        )
        return apart - alike - self.bias

    def pair_distances(self, a: Tensor, b: Tensor) -> Tensor:
        """Distance (P,) of each embedding of a (P, D) to the one of b (P, D) in the same row."""
        return -((a - b).abs() * self.weights).sum(dim=1) - self.bias

    def _losses(self, embeddings: Tensor, labels: Tensor, pairs: Pairs | None) -> dict[str, Tensor]:
        first, second, same = every_pair(labels) if pairs is None else pairs
        logits = -self.pair_distances(embeddings[first], embeddings[second])
        losses = functional.binary_cross_entropy_with_logits(logits, same.to(logits.dtype), reduction="none")
        return {"loss": mean_of_pairs(losses, same, both_kinds_alike=pairs is None)}


def siamese_logistic(
    *, network: nn.Module, embedding_size: int = 128, normalise: bool = False
) -> LogisticVerifier:
    """Siamese network with a logistic unit on |f(x) - f(x')|; 324,001 parameters with a ResNet-8.

    Koch, Zemel, Salakhutdinov: Siamese neural networks for one-shot image recognition, 2015
    (https://www.cs.cmu.edu/~rsalakhu/papers/oneshot1.pdf), and with it the lectures and DeepFace: whether two
    images show the same is a logistic regression on how much each feature differs, learnt together with the
    features by binary cross-entropy. Pairs that were drawn for the batch count the same each; where every
    two images of a batch are a pair, the matching and the others count a half each.

    Shape: (B, channels, H, W) to (B, embedding_size).

    Args:
        network: A classifier that was built with ``num_classes`` of ``embedding_size``.
        embedding_size: Dimensions of an embedding, at least 1.
        normalise: Scale embeddings to length 1.

    Raises:
        ValueError: If an argument is out of its range, or the network gives as many numbers as it would
            scores.
    """
    return LogisticVerifier(network, embedding_size=embedding_size, normalise=normalise)
