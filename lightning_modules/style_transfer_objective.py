"""What a painted picture is judged by: which layers, with which weights, against which targets."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_modules.losses.style import (
    Normalisation,
    check_normalisation,
    content_loss,
    gram_loss,
    gram_matrix,
    statistics_loss,
    total_variation,
)
from lightning_modules.models.style_transfer.features import Features
from lightning_modules.models.style_transfer.features_random import RandomFeatures
from lightning_modules.models.style_transfer.stylizer import Stylizer

Layers = Mapping[str, float]


class Gram(NamedTuple):
    """Gram matrices (B, C, C) of one layer, and the places H·W that they were summed over."""

    matrix: Tensor
    places: int

    @classmethod
    def of(cls, maps: Tensor) -> "Gram":
        """That of maps (B, C, H, W)."""
        return cls(gram_matrix(maps), maps.shape[-2] * maps.shape[-1])

    def over(self, places: int) -> Tensor:
        """The matrix of the same picture, had it so many places."""
        return self.matrix * (places / self.places)


class Style(NamedTuple):
    """What one style picture asks of each layer.

    Attributes:
        grams: By name of layer.
        maps: (B or 1, C, h, w) by name of layer; only where means and deviations are compared.
    """

    grams: dict[str, Gram]
    maps: dict[str, Tensor]


class Blend(NamedTuple):
    """Several styles, with weights that sum to 1."""

    styles: Sequence[Style]
    weights: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A weighted sum of losses.

    Attributes:
        content_layers: Weight of each layer in the content loss, by name.
        style_layers: Weight λ of each layer in the style loss, by name.
        content_weight: α, at least 0.
        style_weight: β, at least 0.
        tv_weight: Of the total variation of the picture in [0, 1], at least 0.
        normalisation: See ``gram_loss`` and ``content_loss``.

    Raises:
        ValueError: If a value is out of its range, or nothing is left to minimise.
    """

    content_layers: Layers
    style_layers: Layers
    content_weight: float
    style_weight: float
    tv_weight: float
    normalisation: Normalisation

    def __post_init__(self) -> None:
        check_normalisation(self.normalisation)
        for name in ("content_weight", "style_weight", "tv_weight"):
            _check_weight(f"task.{name}", getattr(self, name))
        for name in ("content_layers", "style_layers"):
            if not getattr(self, name):
                raise ValueError(f"task.{name} names no layer; leave it null to let the features choose")
            for layer, weight in getattr(self, name).items():
                _check_weight(f"task.{name}.{layer}", weight)
        weighed = self.content_weight * sum(self.content_layers.values())
        weighed += self.style_weight * sum(self.style_layers.values())
        if weighed + self.tv_weight == 0:
            raise ValueError("task.content_weight, style_weight and tv_weight leave nothing to minimise")

    @property
    def layers(self) -> list[str]:
        """Names of all the layers that are looked at."""
        return list(dict.fromkeys([*self.content_layers, *self.style_layers]))

    def check(self, features: Features) -> None:
        """Refuse layers that the features do not have.

        Raises:
            ValueError: If there is one; it lists those that they have.
        """
        features.check(list(self.content_layers), key="task.content_layers")
        features.check(list(self.style_layers), key="task.style_layers")

    def check_content(self, model: Stylizer) -> None:
        """Refuse content layers other than the one whose maps a model paints from, if it says so.

        Raises:
            ValueError: If there is one.
        """
        if model.own_layers and set(self.content_layers) != set(model.own_layers):
            raise ValueError(
                f"task.content_layers={dict(self.content_layers)} must be null: the content of this model "
                f"is what it decodes, at {' and '.join(model.own_layers)}; model.layer chooses another"
            )

    def content(self, maps: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """Content loss of maps by name of layer, each (B, C, H, W) like its target."""
        losses = [
            weight * content_loss(maps[name], target[name], normalisation=self.normalisation)
            for name, weight in self.content_layers.items()
        ]
        return torch.stack(losses).sum()

    def gram_losses(self, grams: Mapping[str, Gram], blend: Blend) -> dict[str, Tensor]:
        """Style loss of each layer, which is the blend of those of the styles."""
        found = {}
        for name in self.style_layers:
            own = grams[name]
            losses = [
                weight
                * gram_loss(
                    own.matrix,
                    style.grams[name].over(own.places),
                    places=own.places,
                    normalisation=self.normalisation,
                )
                for style, weight in zip(blend.styles, blend.weights, strict=True)
            ]
            found[name] = torch.stack(losses).sum()
        return found

    def statistics_losses(self, maps: Mapping[str, Tensor], blend: Blend) -> dict[str, Tensor]:
        """As ``gram_losses``, of the channels' means and deviations."""
        return {
            name: torch.stack(
                [
                    weight * statistics_loss(maps[name], style.maps[name])
                    for style, weight in zip(blend.styles, blend.weights, strict=True)
                ]
            ).sum()
            for name in self.style_layers
        }

    def total(
        self, *, content: Tensor, style_layers: Mapping[str, Tensor], pictures: Tensor
    ) -> dict[str, Tensor]:
        """Numbers by name; ``loss`` is what is minimised, the others are its parts before their weights."""
        style = torch.stack([weight * style_layers[name] for name, weight in self.style_layers.items()]).sum()
        variation = total_variation(pictures)
        loss = self.content_weight * content + self.style_weight * style + self.tv_weight * variation
        parts = {"loss": loss, "content": content, "style": style, "total_variation": variation}
        return parts | {f"style_{name}": value for name, value in style_layers.items()}


def suggested_layers(features: Features) -> tuple[Layers, Layers]:
    """Layers for the content and for the style that suit features, with weights.

    Random features lose the content in deep layers; of VGG's those of Gatys' paper are taken; elsewhere
    the layers at the ends of the first to fourth fifth, and the middle one.
    """
    known = features.layers
    if isinstance(features, RandomFeatures):
        content, style = ["relu2_1"], ["relu1_1", "relu2_1", "relu3_1"]
    elif "relu5_1" in known:
        content, style = ["relu4_2"], [f"relu{block}_1" for block in range(1, 6)]
    else:
        content = [known[len(known) // 2]]
        style = list(dict.fromkeys(known[round(part * (len(known) - 1) / 5)] for part in range(5)))
    return dict.fromkeys(content, 1.0), dict.fromkeys(style, 1.0)


def layers_for(model: Stylizer) -> tuple[Layers, Layers]:
    """Layers for the content and for the style that suit a model: its own, else those of its features."""
    if model.suggested is None:
        return suggested_layers(model.features)
    content, style = model.suggested
    return dict.fromkeys(content, 1.0), dict.fromkeys(style, 1.0)


def _check_weight(key: str, weight: float) -> None:
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"{key}={weight} must be at least 0")
