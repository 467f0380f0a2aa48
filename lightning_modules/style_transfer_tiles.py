"""Losses of a picture that is too large to be seen at once: the same value and gradient, tile by tile.

A Gram matrix is a sum over places, and so is the content loss. A first pass adds both up, without a graph;
they give the losses, and how these change with each Gram matrix. A second pass hands that on to the pixels
of each tile. Tiles divide the places among them; each is seen with as much around it as its places see, so
that nothing differs from the whole picture but the order of sums, at its edges neither.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_modules.models.style_transfer.features import Features
from lightning_modules.style_transfer_objective import Blend, Gram, Objective

Maps = Callable[..., dict[str, Tensor]]


class Span(NamedTuple):
    """A part of a side of a picture, in pixels; ends are exclusive.

    Attributes:
        start: Where its own places begin.
        stop: Where they end; at or beyond the end of the picture for the last part.
        seen_from: Where what is shown to the features begins.
        seen_to: Where that ends.
    """

    start: int
    stop: int
    seen_from: int
    seen_to: int

    def places(self, stride: int) -> slice:
        """Its own places in the map of what is seen, of which one lies every ``stride`` pixels."""
        offset = self.seen_from // stride
        return slice(self.start // stride - offset, self.stop // stride - offset)


class Tiling:
    """How a picture is cut so that some layers come out as if it had been seen whole.

    Args:
        features: Whose layers are looked at.
        layers: Names of them.
        side: Of what is seen at a time, in pixels.

    Raises:
        ValueError: If a tile shows nothing but what its places see beside it, or it is not known how far
            the features see.
    """

    def __init__(self, features: Features, *, layers: Sequence[str], side: int) -> None:
        fields = {name: features.receptive_field(name) for name in layers}
        self.strides = {name: stride for name, (_, stride) in fields.items()}
        self.step = max(self.strides.values())
        sees = max(field for field, _ in fields.values())
        self.margin = -(-sees // self.step) * self.step
        self.core = (side - 2 * self.margin) // self.step * self.step
        if self.core < self.step:
            deepest = max(fields, key=lambda name: fields[name][0])
            raise ValueError(
                f"task.tile={side} pixels is too small: a place of {deepest} sees {sees}; take at least "
                f"{2 * self.margin + self.step}, choose layers nearer to the image, or set null"
            )

    def spans(self, length: int) -> list[Span]:
        """Parts of a side of so many pixels."""
        starts = range(0, length, self.core)
        return [
            Span(
                start=start,
                stop=start + self.core,
                seen_from=max(0, start - self.margin),
                seen_to=min(length, start + self.core + self.margin),
            )
            for start in starts
        ]

    def tiles(self, picture: Tensor) -> Iterator["Tile"]:
        """All parts of a picture (B, 3, H, W), row by row."""
        height, width = picture.shape[-2:]
        for rows, columns in product(self.spans(height), self.spans(width)):
            yield Tile(rows, columns, self.strides)

    @torch.no_grad()
    def grams(self, picture: Tensor, *, maps: Maps, wanted: Sequence[str]) -> dict[str, Gram]:
        """Gram matrices of layers of a whole picture (B, 3, H, W)."""
        totals: dict[str, Gram] = {}
        for tile in self.tiles(picture):
            _add(totals, tile.maps(tile.seen(picture), maps=maps, wanted=wanted))
        return totals


class Tile(NamedTuple):
    """One part of a picture."""

    rows: Span
    columns: Span
    strides: Mapping[str, int]

    def seen(self, picture: Tensor) -> Tensor:
        """What of the picture is shown to the features; a view."""
        rows, columns = self.rows, self.columns
        return picture[..., rows.seen_from : rows.seen_to, columns.seen_from : columns.seen_to]

    def maps(self, seen: Tensor, *, maps: Maps, wanted: Sequence[str]) -> dict[str, Tensor]:
        """The tile's own places of the maps of what is seen."""
        found = maps(seen, wanted=wanted)
        return {
            name: found[name][..., self.rows.places(stride), self.columns.places(stride)]
            for name, stride in self.strides.items()
            if name in found
        }


class ContentScale:
    """Factor of the squares of each content layer, such that their sum over all tiles is the content loss."""

    def __init__(self, objective: Objective, tiling: Tiling, *, maps: Maps, content: Tensor) -> None:
        names = list(objective.content_layers)
        sums = torch.zeros(len(names), 3, dtype=torch.float64)  # of values, squares, ones
        for tile in tiling.tiles(content):
            with torch.no_grad():
                found = tile.maps(tile.seen(content), maps=maps, wanted=names)
            for row, name in zip(sums, names, strict=True):
                each = found[name].double()
                row += torch.stack([each.sum(), each.square().sum(), each.new_tensor(each.numel())]).cpu()
        mean, square, count = sums[:, 0] / sums[:, 2], sums[:, 1] / sums[:, 2], sums[:, 2]
        variance = (square - mean**2).clamp_min(torch.finfo(torch.float32).tiny)
        factors = (
            1 / (count * variance) if objective.normalisation == "relative" else torch.full_like(mean, 0.5)
        )
        weights = objective.content_layers
        self.factors = {
            name: weights[name] * float(factor) for name, factor in zip(names, factors, strict=True)
        }

    def __call__(self, maps: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """The content loss of a tile's own places."""
        losses = [
            factor * (maps[name] - target[name]).square().sum() for name, factor in self.factors.items()
        ]
        return torch.stack(losses).sum()


def tiled_values(
    picture: Tensor,
    *,
    content: Tensor,
    blend: Blend,
    objective: Objective,
    tiling: Tiling,
    maps: Maps,
    scale: ContentScale,
) -> dict[str, Tensor]:
    """The objective's numbers for one picture; ``loss`` has a gradient where the picture has one.

    The content's maps are computed anew for each tile: of a large picture they would fill the memory that
    tiles are to save.

    Args:
        picture: (1, 3, H, W).
        content: (1, 3, H, W).
        blend: The styles.
        objective: What the picture is judged by.
        tiling: How it is cut.
        maps: The features.
        scale: Of this content.
    """
    # Only the picture as it is now; what it was made from gets its gradient at the end.
    still = picture.detach()
    totals: dict[str, Gram] = {}
    content_sum = still.new_zeros(())
    wanted = objective.layers
    with torch.no_grad():
        for tile in tiling.tiles(still):
            found = tile.maps(tile.seen(still), maps=maps, wanted=wanted)
            _add(totals, {name: found[name] for name in objective.style_layers})
            content_sum += scale(found, tile.maps(tile.seen(content), maps=maps, wanted=list(scale.factors)))
    if not picture.requires_grad:
        losses = objective.gram_losses(totals, blend)
        return objective.total(content=content_sum, style_layers=losses, pictures=still)
    with torch.enable_grad():
        whole = still.clone().requires_grad_()
        leaves = {name: gram._replace(matrix=gram.matrix.requires_grad_()) for name, gram in totals.items()}
        values = objective.total(
            content=content_sum, style_layers=objective.gram_losses(leaves, blend), pictures=whole
        )
        slopes = torch.autograd.grad(values["loss"], [whole, *(gram.matrix for gram in leaves.values())])
        gradient = slopes[0]
        by_layer = dict(zip(leaves, slopes[1:], strict=True))
        for tile in tiling.tiles(still):
            tile.seen(gradient).add_(
                _pixel_gradient(tile, still, content, by_layer, objective=objective, maps=maps, scale=scale)
            )
    values = {name: value.detach() for name, value in values.items()}
    # The value as it is, and as its slope at the picture what was just computed.
    return values | {"loss": values["loss"] + torch.sum((picture - still) * gradient)}


def _pixel_gradient(
    tile: Tile,
    picture: Tensor,
    content: Tensor,
    slopes: Mapping[str, Tensor],
    *,
    objective: Objective,
    maps: Maps,
    scale: ContentScale,
) -> Tensor:
    """Gradient of the loss, by way of the places of one tile, with respect to the pixels that it sees."""
    seen = tile.seen(picture).clone().requires_grad_()
    found = tile.maps(seen, maps=maps, wanted=objective.layers)
    with torch.no_grad():
        target = tile.maps(tile.seen(content), maps=maps, wanted=list(scale.factors))
    loss = objective.content_weight * scale(found, target)
    for name, slope in slopes.items():
        loss = loss + (Gram.of(found[name]).matrix * slope).sum()
    (gradient,) = torch.autograd.grad(loss, [seen])
    return gradient


def _add(totals: dict[str, Gram], maps: Mapping[str, Tensor]) -> None:
    for name, each in maps.items():
        found = Gram.of(each)
        before = totals.get(name, Gram(torch.zeros_like(found.matrix), 0))
        totals[name] = Gram(before.matrix + found.matrix, before.places + found.places)
