"""Judges what a model paints by its features, whole or in tiles, and remembers what the styles ask for."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_modules.metrics.style_transfer import gram_distance
from lightning_modules.models.style_transfer.stylizer import Painted, Stylizer, normalised, resized
from lightning_modules.style_transfer_objective import Blend, Gram, Objective, Style
from lightning_modules.style_transfer_pictures import Colour, Part, Remembered, scaled_styles, unit
from lightning_modules.style_transfer_tiles import ContentScale, Tiling, tiled_values

Target = dict[str, Tensor] | ContentScale


class Judge:
    """The objective's numbers for what a model paints.

    Args:
        model: Paints, and has the features.
        objective: Which layers count, and how much.
        blend: Weight of each style, which sum to 1.
        colour: See ``scaled_styles``.
        style_scale: See ``scaled_styles``.
        tile: Side in pixels of what the features see at a time; None: all of a picture.

    Raises:
        ValueError: If a tile is too small for the layers.
    """

    def __init__(
        self,
        model: Stylizer,
        objective: Objective,
        *,
        blend: Sequence[float],
        colour: Colour,
        style_scale: float,
        tile: int | None,
    ) -> None:
        self.model, self.objective, self.blend = model, objective, blend
        self.colour: Colour = colour
        self.style_scale = style_scale
        self.tiling = None if tile is None else Tiling(model.features, layers=objective.layers, side=tile)
        self._styles: Remembered[list[Style]] = Remembered()
        self._contents: Remembered[Target] = Remembered()

    def forget(self) -> None:
        """Compute all targets anew: the features may have changed."""
        self._styles, self._contents = Remembered(), Remembered()

    def calibrate(self, parts: Sequence[Part]) -> None:
        """Fit the features to the contents and styles of some parts."""
        pictures = [part.contents for part in parts] + [
            style for part in parts for style in self.styles(part)
        ]
        self.model.features.calibrate([normalised(picture) for picture in pictures])
        self.forget()

    def styles(self, part: Part) -> list[Tensor]:
        """The styles of a part, as large as they are compared with its contents."""
        return scaled_styles(part, like=part.contents.shape[-2:], scale=self.style_scale, colour=self.colour)

    def painted(self, part: Part) -> dict[str, Tensor]:
        """Paint the contents of a part, and judge that; ``loss`` has a gradient if the model has one."""
        styles = self.styles(part) if self.model.needs_style else None
        return self.judged(
            self.model.paint(part.contents, styles, blend=self.blend if styles else None), part
        )

    def judged(self, painted: Painted, part: Part) -> dict[str, Tensor]:
        """Judge what was painted of a part, in 32 bits."""
        with torch.autocast(painted.pictures.device.type, enabled=False):
            return self._values(painted._replace(pictures=painted.pictures.float()), part)

    def measures(self, part: Part, picture: Tensor, *, painted: Painted | None = None) -> dict[str, float]:
        """All numbers of one content, and how far its picture, uint8 (3, H, W), is from the style.

        Args:
            part: The content.
            picture: As it is shown.
            painted: What was painted of it; None: what the model paints.
        """
        found = self.painted(part) if painted is None else self.judged(painted, part)
        values = {name: float(value) for name, value in found.items()}
        with torch.autocast(picture.device.type, enabled=False):
            pictures = unit(picture)[None]
            grams = self._grams(pictures)
            distances = [
                weight
                * gram_distance(
                    [grams[name].over(1) for name in self.objective.style_layers],
                    [style.grams[name].over(1) for name in self.objective.style_layers],
                )
                for style, weight in zip(self._asked(part, pictures), self.blend, strict=True)
            ]
        return values | {"gram_distance": sum(distances)}

    def _values(self, painted: Painted, part: Part) -> dict[str, Tensor]:
        pictures = painted.pictures
        contents = resized(part.contents, pictures.shape[-2:])
        blend = Blend(self._asked(part, pictures), self.blend)
        if self.tiling is not None:
            return tiled_values(
                pictures,
                content=contents,
                blend=blend,
                objective=self.objective,
                tiling=self.tiling,
                maps=self.model.maps,
                scale=self._content_scale(part, contents, self.tiling),
            )
        maps = self.model.maps(pictures, wanted=self.objective.layers)
        target = painted.content if painted.content is not None else self._content_maps(part, contents)
        if self.model.judged_by == "statistics":
            losses = self.objective.statistics_losses(maps, blend)
        else:
            grams = {name: Gram.of(maps[name]) for name in self.objective.style_layers}
            losses = self.objective.gram_losses(grams, blend)
        return self.objective.total(
            content=self.objective.content(maps, target), style_layers=losses, pictures=pictures
        )

    def _asked(self, part: Part, pictures: Tensor) -> list[Style]:
        """What the styles of a part ask for at the size of the pictures."""
        size = tuple(pictures.shape[-2:])
        own = part.position if self.colour == "histogram" else None
        known = part.key is not None and not self.model.needs_style
        return self._styles.get(
            (part.key, own, size) if known else None,
            lambda: [self._style(each) for each in self._seen(part, size)],
        )

    def _seen(self, part: Part, size: Sequence[int]) -> list[Tensor]:
        return scaled_styles(part, like=size, scale=self.style_scale, colour=self.colour)

    def _style(self, picture: Tensor) -> Style:
        with torch.autocast(picture.device.type, enabled=False):
            if self.model.judged_by == "gram":
                return Style(self._grams(picture), {})
            maps = self.model.maps(picture, wanted=list(self.objective.style_layers))
            return Style({name: Gram.of(each) for name, each in maps.items()}, maps)

    def _grams(self, pictures: Tensor) -> dict[str, Gram]:
        wanted = list(self.objective.style_layers)
        if self.tiling is not None:
            return self.tiling.grams(pictures, maps=self.model.maps, wanted=wanted)
        maps = self.model.maps(pictures, wanted=wanted)
        return {name: Gram.of(each) for name, each in maps.items()}

    def _content_maps(self, part: Part, contents: Tensor) -> dict[str, Tensor]:
        key = (part.position, tuple(contents.shape)) if self.model.is_one_picture else None
        wanted = list(self.objective.content_layers)
        found = self._contents.get(key, lambda: self.model.maps(contents, wanted=wanted))
        assert isinstance(found, dict)
        return found

    def _content_scale(self, part: Part, contents: Tensor, tiling: Tiling) -> ContentScale:
        key = (part.position, tuple(contents.shape))
        found = self._contents.get(
            key, lambda: ContentScale(self.objective, tiling, maps=self.model.maps, content=contents)
        )
        assert isinstance(found, ContentScale)
        return found
