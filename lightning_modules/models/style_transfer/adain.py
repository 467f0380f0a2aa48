"""AdaIN: a decoder that learns to paint any picture in any style that it is shown."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_modules.losses.style import adain as normalised_like
from lightning_modules.models.style_transfer.decoder import (
    Layer,
    decoder_for,
    first_of_each_size,
    layers_of,
    suitable_layer,
)
from lightning_modules.models.style_transfer.features import Features
from lightning_modules.models.style_transfer.features_random import RandomFeatures
from lightning_modules.models.style_transfer.padding import cropped, padded
from lightning_modules.models.style_transfer.stylizer import (
    Painted,
    Stylizer,
    blend_weights,
    check_alpha,
    resized,
)

SUITS_RANDOM = "relu2_1"
"""Deeper random features hardly say any more where things are."""


class Adain(Stylizer):
    """The features up to one layer, AdaIN there, and a decoder, which alone is learnt.

    Args:
        features: See ``Stylizer``.
        layers: Those up to the one where contents are given the styles' means and deviations.
    """

    needs_style = True
    judged_by = "statistics"

    def __init__(self, features: Features, *, layers: Sequence[Layer]) -> None:
        super().__init__(features)
        self.layer = layers[-1]
        self.own_layers = (self.layer.name,)
        self.suggested = ([self.layer.name], first_of_each_size(layers))
        self.decoder = decoder_for(layers)

    def paint(
        self, contents: Tensor, styles: Sequence[Tensor] | None, *, blend: Sequence[float] | None = None
    ) -> Painted:
        """See ``Stylizer``; what the pictures are to contain is what was decoded, as in the paper."""
        known = self._encoded_styles(styles)
        shares = blend_weights(blend, count=len(known))
        wanted = mixed(self.encode(contents), known, alpha=1.0, blend=shares)
        whole = padded(contents, multiple=self.layer.stride)
        # Of a picture that is no multiple, the maps of what is continued have more places.
        inner = wanted if whole is contents else mixed(self.encode(whole), known, alpha=1.0, blend=shares)
        return Painted(self._decoded(inner, like=whole, size=contents.shape[-2:]), {self.layer.name: wanted})

    def stylise(
        self,
        images: Tensor,
        styles: Sequence[Tensor] | None,
        *,
        alpha: float = 1.0,
        blend: Sequence[float] | None = None,
    ) -> Tensor:
        """See ``Stylizer``; ``alpha`` and ``blend`` mix maps before they are decoded (equations 14 and 15).

        At ``alpha`` 0 this is the decoded content, which differs from ``images`` by what the decoder loses.

        Raises:
            ValueError: If there are no ``styles``, or ``alpha`` or ``blend`` is out of its range.
        """
        known = self._encoded_styles(styles)
        shares = blend_weights(blend, count=len(known), key="blend")
        whole = padded(images, multiple=self.layer.stride)
        inner = mixed(self.encode(whole), known, alpha=check_alpha(alpha), blend=shares)
        return self._decoded(inner, like=whole, size=images.shape[-2:]).to(images.dtype).clamp(0, 1)

    def dense_forward(self, images: Tensor) -> Tensor:
        """What a picture costs once the style is known: normalised images encoded and decoded."""
        found: dict[str, Tensor] = self.features(images, wanted=self.own_layers)
        decoded: Tensor = self.decoder(found[self.layer.name])
        return decoded

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Maps (B, C, H', W') of pictures (B, 3, H, W) in [0, 1]; they have no gradient."""
        return self.maps(pictures, wanted=self.own_layers)[self.layer.name]

    def _encoded_styles(self, styles: Sequence[Tensor] | None) -> list[Tensor]:
        if not styles:
            raise ValueError("model=adain paints in any style, and was shown none; give it at least one")
        return [self.encode(padded(style, multiple=self.layer.stride)) for style in styles]

    def _decoded(self, maps: Tensor, *, like: Tensor, size: Sequence[int]) -> Tensor:
        """Pictures of a size; where features do not continue edges, they come out smaller and are resized."""
        return cropped(resized(self.decoder(maps), like.shape[-2:]), size)


def mixed(content: Tensor, styles: Sequence[Tensor], *, alpha: float, blend: Sequence[float]) -> Tensor:
    """Maps of the content with the means and deviations of styles; equations 8, 14 and 15 of AdaIN's paper.

    Args:
        content: (B, C, H, W).
        styles: (B, C, h, w) or (1, C, h, w) each.
        alpha: From 0, the content as it is, to 1, all of the styles.
        blend: Weight of each style, which sum to 1.
    """
    each = zip(styles, blend, strict=True)
    blended = torch.stack([weight * normalised_like(content, style) for style, weight in each]).sum(dim=0)
    return torch.lerp(content, blended, alpha)


def adain(*, features: Features, layer: str | None = None) -> Adain:
    """AdaIN, which paints any picture in any style in one pass; 3,505,219 learnt parameters behind relu4_1.

    Huang, Belongie: Arbitrary style transfer in real-time with adaptive instance normalization, 2017
    (https://arxiv.org/abs/1703.06868). The decoder mirrors the layers before the chosen one.

    Args:
        features: What encodes and judges pictures.
        layer: Where the content is given the style's means and deviations; None: relu4_1 of VGG, relu2_1 of
            random features, elsewhere the first layer behind three halvings, or the deepest.

    Raises:
        ValueError: If the features have no such layer.
    """
    known = layers_of(features)
    if layer is None:
        layer = SUITS_RANDOM if isinstance(features, RandomFeatures) else suitable_layer(known)
    features.check([layer], key="model.layer")
    names = [each.name for each in known]
    return Adain(features, layers=known[: names.index(layer) + 1])
