"""Content and style pictures of a batch, as they are painted and judged; and what painting costs."""

import resource
import sys
from collections.abc import Callable, Sequence
from typing import Generic, Literal, NamedTuple, TypeVar, get_args

import torch
from torch import Tensor

from datamodules.batch import StyleTransferBatch
from lightning_modules.colour import keep_chroma, match_histogram
from lightning_modules.models.style_transfer.stylizer import resized, with_longer_side

Value = TypeVar("Value")
Colour = Literal["none", "luminance", "histogram"]
COLOURS: tuple[Colour, ...] = get_args(Colour)
REMEMBERED = 4
"""Styles, at one size each, whose Gram matrices are not computed again."""


class Part(NamedTuple):
    """Contents that are painted together.

    Attributes:
        contents: (B, 3, H, W), RGB in [0, 1].
        styles: For each blended style (B, 3, h, w), or (1, 3, h, w) for all contents.
        key: Number of the styles, by which they may be remembered; None where that makes no sense.
        position: Of the first content in its data set.
    """

    contents: Tensor
    styles: list[Tensor]
    key: int | None
    position: int


def together(batch: StyleTransferBatch, *, style_is_input: bool) -> list[Part]:
    """Contents of a batch that is trained on; apart only where each has a style of another size.

    Raises:
        ValueError: If contents differ in size, or styles where one is to be learnt.
    """
    sizes = sorted({(image.shape[-2], image.shape[-1]) for image in batch["image"]})
    if len(sizes) > 1:
        raise ValueError(
            f"images of {sizes[0]} and {sizes[-1]} pixels in one batch; let transforms.train end with a crop "
            "to data.image_size"
        )
    contents, position = unit(torch.stack(list(batch["image"]))), int(batch["index"][0])
    numbers = set(batch["style_index"].tolist())
    if len(numbers) == 1:
        styles = [unit(style)[None] for style in batch["style"][0]]
        return [Part(contents, styles, numbers.pop(), position)]
    if not style_is_input:
        raise ValueError(
            "this model learns one style, and this data has several; set data.style to one and "
            "data.style_dir=null"
        )
    if len({tuple(style.shape for style in styles) for styles in batch["style"]}) > 1:
        return apart(batch)
    stacked = [unit(torch.stack(each)) for each in zip(*batch["style"], strict=True)]
    return [Part(contents, stacked, None, position)]


def apart(batch: StyleTransferBatch) -> list[Part]:
    """Contents of a batch one by one, whatever their sizes."""
    rows = zip(
        batch["image"],
        batch["style"],
        batch["style_index"].tolist(),
        batch["index"].tolist(),
        strict=True,
    )
    return [
        Part(unit(image)[None], [unit(style)[None] for style in styles], key, position)
        for image, styles, key, position in rows
    ]


def scaled_styles(part: Part, *, like: Sequence[int], scale: float, colour: Colour) -> list[Tensor]:
    """The styles of a part as they are compared with pictures.

    Args:
        part: Contents and styles.
        like: Height and width of the pictures.
        scale: Longer side of the styles, as a multiple of that of the pictures.
        colour: ``histogram`` gives the styles the colours of the contents.
    """
    side = scale * max(like)
    styles = [resized(style, with_longer_side(style.shape[-2:], side)) for style in part.styles]
    if colour != "histogram":
        return styles
    return [match_histogram(style.expand(len(part.contents), -1, -1, -1), part.contents) for style in styles]


def shown(pictures: Tensor, contents: Tensor, *, colour: Colour) -> Tensor:
    """Pictures (B, 3, H, W) as a person sees them: in [0, 1], with the content's chroma if asked for."""
    visible = pictures.detach().clamp(0, 1)
    return keep_chroma(visible, contents).clamp(0, 1) if colour == "luminance" else visible


def unit(images: Tensor) -> Tensor:
    """Images in [0, 1] of uint8 ones."""
    return images.float() / 255


def to_bytes(pictures: Tensor) -> Tensor:
    """uint8 pictures of those in [0, 1], to the nearest value."""
    return (pictures * 255).round().to(torch.uint8)


class Remembered(Generic[Value]):
    """The last few values by key, outside of any checkpoint."""

    def __init__(self) -> None:
        self.values: dict[object, Value] = {}

    def get(self, key: object, compute: Callable[[], Value]) -> Value:
        """The value of a key; computed without a graph where it is not known, and never kept for None."""
        if key is None or key not in self.values:
            # Also in validation: what is computed in inference mode could not be trained with afterwards.
            with torch.inference_mode(False), torch.no_grad():
                value = compute()
            if key is None:
                return value
            self.values[key] = value
            for oldest in list(self.values)[:-REMEMBERED]:
                del self.values[oldest]
        return self.values[key]


def peak_memory(device: torch.device) -> float:
    """Most memory so far in MiB: of tensors on a GPU, else of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes / 2**20
