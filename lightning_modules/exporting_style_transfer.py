"""A network that paints, from uint8 pictures to uint8 pictures."""

from torch import Tensor, nn

from lightning_modules.exporting import Exported, Given, Input, Output, shares
from lightning_modules.models.style_transfer.stylizer import Stylizer
from lightning_modules.style_transfer_pictures import Colour, shown, to_bytes, unit

LEVELS = 255
_ROUNDED = 1.5 / LEVELS
"""A value between two bytes may be rounded to either."""


class Painter(nn.Module):
    """Paints contents in the learnt style, or like the one that is given.

    Args:
        model: What paints.
        colour: See ``style_transfer_pictures.shown``.
    """

    def __init__(self, model: Stylizer, *, colour: Colour) -> None:
        super().__init__()
        self.model = model
        self.colour: Colour = colour

    def forward(self, images: Tensor, style: Tensor | None = None) -> Tensor:
        """uint8 pictures (B, 3, H, W) of contents (B, 3, H, W) and perhaps a style (1, 3, h, w)."""
        contents = unit(images)
        painted = self.model.stylise(contents, None if style is None else [unit(style)])
        return to_bytes(shown(painted, contents, colour=self.colour))


def exported_painter(model: Stylizer, *, colour: Colour) -> Exported:
    """What is exported of a network that paints.

    The style is seen in the size in which it is given; elsewhere it is resized to that of the content first.

    Args:
        model: What paints.
        colour: Of the pictures.

    Raises:
        ValueError: If the colour changes the style for each content.
    """
    if colour == "histogram":
        raise ValueError(
            "task.colour=histogram gives the style the colours of each content before anything is painted, "
            "which an exported network cannot; train again with task.colour=none or luminance"
        )
    painter = Painter(model, colour=colour)
    styles = (Input(name="style", key="style", is_batch=False),) if model.needs_style else ()

    def answer(given: Given) -> tuple[Tensor]:
        return (painter(given["images"], given.get("style")),)

    return Exported(
        network=painter,
        answer=answer,
        inputs=(Input(name="images", key="image"), *styles),
        outputs=(Output(name="pictures", shape=("batch", 3, "height", "width")),),
        any_size=True,
        difference=shares(scale=LEVELS),
        tolerance=_ROUNDED,
    )
