"""Losses of a verifier: of pairs of images, of triplets, and of identities."""

import math
from typing import Literal, get_args

import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import ArcFaceLoss, SupConLoss, TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner, TripletMarginMiner
from pytorch_metric_learning.utils.loss_and_miner_utils import get_all_triplets_indices
from torch import Tensor, nn

Mining = Literal["all", "hard", "semi_hard"]
MININGS: tuple[Mining, ...] = get_args(Mining)


def squared_hinge(distances: Tensor, same: Tensor, *, margin: float) -> Tensor:
    """Loss (P,) of each pair: D²/2 where it matches, else max(0, margin - D)²/2.

    Hadsell, Chopra, LeCun: Dimensionality reduction by learning an invariant mapping, 2006
    (https://ieeexplore.ieee.org/document/1640964), equation 4; its Y is 0 where ours is ``same``.

    Args:
        distances: (P,), at least 0.
        same: bool (P,).
        margin: Distance from which on other identities are far enough apart, above 0.
    """
    return torch.where(same, distances, (margin - distances).clamp_min(0)).square() / 2


def mean_of_pairs(losses: Tensor, same: Tensor, *, both_kinds_alike: bool) -> Tensor:
    """Mean of the losses of pairs; 0 with a gradient where there is none.

    Args:
        losses: (P,).
        same: bool (P,).
        both_kinds_alike: The matching and the others weigh a half each, however many there are; a kind that
            is missing adds nothing.
    """
    if not both_kinds_alike:
        return losses.sum() / max(len(losses), 1)
    matching = same.to(losses.dtype)
    halves = [(losses * kind).sum() / kind.sum().clamp_min(1) for kind in (matching, 1 - matching)]
    return torch.stack(halves).sum() / 2


class SquaredDistances(LpDistance):  # type: ignore[misc]  # the library has no types
    """Squared Euclidean distances (N, M), exact also where embeddings are long or nearly equal."""

    def __init__(self) -> None:
        super().__init__(power=2, normalize_embeddings=False)

    def compute_mat(self, query_emb: Tensor, ref_emb: Tensor | None) -> Tensor:
        """Distances before they are squared; the library's are by a matrix product from 26 images on."""
        others = query_emb if ref_emb is None else ref_emb
        return torch.cdist(query_emb, others, compute_mode="donot_use_mm_for_euclid_dist")


class TripletLoss(nn.Module):
    """Mean of max(0, D(a, p)² - D(a, n)² + margin) over the mined triplets where it is above 0.

    Schroff, Kalenichenko, Philbin: FaceNet, 2015 (https://arxiv.org/abs/1503.03832), section 3.1.

    Args:
        margin: How much farther, in squared distance, another identity must be; above 0.
        mining: Which triplets of a batch are used. ``all``: every one. ``hard``: for each anchor the
            farthest image of its identity and the nearest of another (https://arxiv.org/abs/1703.07737).
            ``semi_hard``: every one with D(a, p)² < D(a, n)² <= D(a, p)² + margin.

    Raises:
        ValueError: If the margin is not above 0, or the mining is unknown.
    """

    def __init__(self, *, margin: float, mining: Mining) -> None:
        super().__init__()
        check_positive(margin=margin)
        if mining not in MININGS:
            raise ValueError(f"model.mining={mining} is not one of {', '.join(MININGS)}")
        self.distance = SquaredDistances()
        self.loss = TripletMarginLoss(margin=margin, distance=self.distance)
        self.miner = {
            "all": None,
            "hard": BatchHardMiner(distance=self.distance),
            "semi_hard": TripletMarginMiner(margin, type_of_triplets="semihard", distance=self.distance),
        }[mining]
        self.margin = margin

    def forward(self, embeddings: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """``loss``, and what was mined.

        Args:
            embeddings: (B, D).
            labels: int64 (B,), identity ids.

        Returns:
            ``loss``; ``mined_triplets``: share in [0, 1] of the batch's triplets that are used;
            ``active_triplets``: share of these whose loss is above 0. Both are 0 where there is none.
        """
        mined = self.miner(embeddings, labels) if self.miner else get_all_triplets_indices(labels)
        loss = self.loss(embeddings, labels, mined)
        with torch.no_grad():
            squared = self.distance(embeddings)
            anchors, positives, negatives = mined
            active = squared[anchors, positives] - squared[anchors, negatives] + self.margin > 0
        return {
            "loss": loss,
            "active_triplets": active.sum() / max(len(active), 1),
            "mined_triplets": len(active) / _count_triplets(labels).clamp_min(1),
        }


def additive_angular_margin(
    *, num_identities: int, embedding_size: int, margin: float, scale: float
) -> ArcFaceLoss:
    """Mean cross-entropy of scale · cos(θ), the angle θ to the true identity's weights widened by a margin.

    Deng and others: ArcFace, 2018 (https://arxiv.org/abs/1801.07698), equation 3. Where the widened angle
    would pass 180°, cos(θ) - margin · sin(margin) takes its place, as in the authors' code.

    Args:
        num_identities: C, at least 2.
        embedding_size: D; the weights are (D, C).
        margin: Degrees, above 0 and below 180.
        scale: Above 0.

    Raises:
        ValueError: If an argument is out of its range.
    """
    check_positive(margin=margin, scale=scale)
    if margin >= 180:
        raise ValueError(f"model.margin={margin} must be below 180: degrees, such as 28.6")
    if num_identities < 2:
        raise ValueError(
            f"model.num_identities={num_identities}, but one is told from another: at least 2 are needed in "
            "the training split"
        )
    return ArcFaceLoss(num_classes=num_identities, embedding_size=embedding_size, margin=margin, scale=scale)


def supervised_contrastive(*, temperature: float) -> SupConLoss:
    """Mean over the images i of -1/|P(i)| Σₚ log(exp(zᵢ·zₚ/τ) / Σₐ exp(zᵢ·zₐ/τ)), a being all other images.

    P(i) are the others of the same identity; images without any are left out, and a batch of one identity
    counts 0. Khosla and others: Supervised contrastive learning, 2020 (https://arxiv.org/abs/2004.11362),
    equation 2.

    Args:
        temperature: τ, above 0.

    Raises:
        ValueError: If it is not.
    """
    check_positive(temperature=temperature)
    return SupConLoss(temperature=temperature)


def check_positive(**values: float) -> None:
    """Refuse a value of a model that is not a finite number above 0, by its key.

    Raises:
        ValueError: If there is one.
    """
    for key, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"model.{key}={value} must be above 0, and finite")


def check_reachable(*, margin: float, farthest: float, what: str) -> None:
    """Refuse a margin that embeddings of length 1 can never keep, so that every pair would go on counting.

    Args:
        margin: The model's.
        farthest: How far two such embeddings can be apart.
        what: What the margin is of, in words.

    Raises:
        ValueError: If the margin is larger.
    """
    if margin > farthest:
        raise ValueError(
            f"model.margin={margin} with model.normalise=true: {what} of embeddings of length 1 are at most "
            f"{farthest:g}; set model.margin to at most that, or model.normalise=false"
        )


def _count_triplets(labels: Tensor) -> Tensor:
    alike = (labels[:, None] == labels).sum(dim=1)
    return ((alike - 1) * (len(labels) - alike)).sum()
