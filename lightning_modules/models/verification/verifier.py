"""One face for every verifier: embeddings, how far two are apart, and the losses that train them."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_modules.models.heads import head_names, head_parameter_names


class Pairs(NamedTuple):
    """P pairs of images of a batch.

    Attributes:
        first: int64 (P,), positions in the batch.
        second: int64 (P,), positions in the batch.
        same: bool (P,), whether both show the same identity.
    """

    first: Tensor
    second: Tensor
    same: Tensor


class Verifier(nn.Module):
    """A network that maps images of one identity close together, and those of others far apart.

    Subclasses give the losses and, where theirs is another, the distance.

    Args:
        network: A classifier that was built with as many classes as an embedding has dimensions: the layer
            that would score classes is the embedding layer. Maps normalised images (B, channels, H, W) to
            (B, embedding_size).
        embedding_size: Dimensions of an embedding, D, at least 1.
        normalise: Scale every embedding to length 1.

    Raises:
        ValueError: If the size is below 1, or the network gives as many numbers as it would scores.
    """

    is_euclidean: bool = True
    """Whether ``distances`` are the Euclidean ones."""

    num_identities: int | None = None
    """Training identities that the loss has weights for; None: it has none, and any number will do."""

    def __init__(self, network: nn.Module, *, embedding_size: int, normalise: bool) -> None:
        super().__init__()
        if embedding_size < 1:
            raise ValueError(f"model.embedding_size={embedding_size} must be at least 1")
        _check_last_layers(network, embedding_size=embedding_size)
        self.network = network
        self.embedding_size = embedding_size
        self.normalise = normalise

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (B, D) of normalised images (B, channels, H, W), in 32 bits also in mixed precision."""
        found: Tensor = self.network(images)
        # Not len(images), which would fix the batch of a network that is exported.
        if found.shape != (images.shape[0], self.embedding_size):
            raise ValueError(_wrong_width(found.shape[-1], embedding_size=self.embedding_size))
        embeddings = _at_least_32_bits(found)
        return functional.normalize(embeddings, dim=1) if self.normalise else embeddings

    def distances(self, a: Tensor, b: Tensor) -> Tensor:
        """Distance (N, M) of each embedding of a (N, D) to each of b (M, D); smaller means more alike.

        Equal embeddings are exactly 0 apart: the faster way by a matrix product makes that up to 0.001.
        """
        return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")

    def pair_distances(self, a: Tensor, b: Tensor) -> Tensor:
        """Distance (P,) of each embedding of a (P, D) to the one of b (P, D) in the same row."""
        apart: Tensor = torch.linalg.vector_norm(a - b, dim=1)
        return apart

    def training_losses(
        self, embeddings: Tensor, labels: Tensor, pairs: Pairs | None = None
    ) -> dict[str, Tensor]:
        """Numbers for a batch: what is minimised under ``loss``; everything else is only logged.

        Computed in 32 bits, also in mixed precision. Where a batch has nothing to compare, ``loss`` is 0 and
        has a gradient, which is 0, too.

        Args:
            embeddings: (B, D), from ``forward``.
            labels: int64 (B,), identity ids.
            pairs: The pairs to learn from, for losses of pairs; None: every two images of the batch. The
                other losses choose their own.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            return self._losses(_at_least_32_bits(embeddings), labels, pairs)

    def head_parameters(self) -> frozenset[str]:
        """Dotted names of the parameters of the embedding layer, and of the loss or distance."""
        head = {f"network.{name}" for name in head_parameter_names(self.network)}
        own = {name for name, _ in self.named_parameters() if not name.startswith("network.")}
        return frozenset(head | own)

    def no_weight_decay(self) -> set[str]:
        """Dotted names of what a network of timm declares itself not to be decayed."""
        declare = getattr(self.network, "no_weight_decay", None)
        return {f"network.{name}" for name in declare()} if callable(declare) else set()

    def _losses(self, embeddings: Tensor, labels: Tensor, pairs: Pairs | None) -> dict[str, Tensor]:
        raise NotImplementedError


def every_pair(labels: Tensor) -> Pairs:
    """Every two images of a batch, B(B - 1)/2 pairs, for identity ids (B,)."""
    first, second = torch.triu_indices(len(labels), len(labels), offset=1, device=labels.device)
    return Pairs(first=first, second=second, same=labels[first] == labels[second])


def _at_least_32_bits(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _check_last_layers(network: nn.Module, *, embedding_size: int) -> None:
    """Refuse a network whose last layer has another width; what hides it is seen at the first batch."""
    for name in head_names(network):
        layer = network.get_submodule(name)
        if isinstance(layer, nn.Linear | nn.Conv2d) and len(layer.weight) != embedding_size:
            raise ValueError(_wrong_width(len(layer.weight), embedding_size=embedding_size))


def _wrong_width(found: int, *, embedding_size: int) -> str:
    return (
        f"the network gives {found} numbers for an image, but model.embedding_size={embedding_size}; leave "
        "model.network.num_classes at ${model.embedding_size}: the layer that would score classes is the "
        "embedding layer"
    )
