"""Small pictures, features of a few channels, and tasks around them."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from pytorch_lightning import Trainer
from torch import Tensor, nn
from torch.optim import LBFGS
from torch.utils.data import DataLoader

from datamodules.batch import StyleTransferBatch, StyleTransferMetadata
from lightning_modules.models.style_transfer.features import IMAGENET_MEAN, IMAGENET_STD, LayeredFeatures
from lightning_modules.models.style_transfer.gatys import Gatys, gatys
from lightning_modules.models.style_transfer.stylizer import Painted, Stylizer
from lightning_modules.style_transfer import StyleTransferTask
from tests.lightning_modules.training import quiet_trainer

SIDE = 32
LAYERS: dict[str, Any] = {
    "content_layers": {"relu2_1": 1.0},
    "style_layers": {"relu1_1": 1.0, "relu2_1": 0.5},
}


def features(*, padding_mode: Any = "reflect", pooling: nn.Module | None = None) -> LayeredFeatures:
    """Two layers: a place of relu2_1 sees 8 pixels, and one lies every 2 pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = {
            "conv1_1": nn.Conv2d(3, 4, 3, padding=1, padding_mode=padding_mode),
            "relu1_1": nn.ReLU(),
            "pool1": pooling or nn.AvgPool2d(2),
            "conv2_1": nn.Conv2d(4, 6, 3, padding=1, padding_mode=padding_mode),
            "relu2_1": nn.ReLU(),
        }
    return LayeredFeatures(layers, answered={"relu1_1": 4, "relu2_1": 6}, source="tiny features")


def picture(seed: int, *, height: int = SIDE, width: int = SIDE) -> Tensor:
    """uint8 (3, height, width) with soft spots of colour."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 6, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)[0]
    return (smooth * 255).to(torch.uint8)


def batch_of(
    contents: Sequence[Tensor], styles: Sequence[Sequence[Tensor]], *, numbers: Sequence[int] | None = None
) -> StyleTransferBatch:
    """A batch; all contents have one number of styles unless others are given."""
    return {
        "image": list(contents),
        "index": torch.arange(len(contents)),
        "style": [list(each) for each in styles],
        "style_index": torch.tensor(list(numbers or [0] * len(contents))),
    }


ONE = batch_of([picture(1)], [[picture(2, height=40, width=28)]])


def metadata(*, num_styles: int = 1) -> StyleTransferMetadata:
    """Of pictures of 32 x 32."""
    return {
        "image_size": SIDE,
        "content_size": [SIDE, SIDE],
        "num_styles": num_styles,
        "channels": 3,
        "mean": list(IMAGENET_MEAN),
        "std": list(IMAGENET_STD),
    }


def one_picture(**values: Any) -> Gatys:
    """A picture of 32 x 32."""
    return gatys(features=values.pop("features", None) or features(), content_size=[SIDE, SIDE], **values)


def task(model: Stylizer | None = None, *, num_styles: int = 1, **values: Any) -> StyleTransferTask:
    """One picture that is painted with L-BFGS, in steps of three iterations."""
    optimizer = partial(LBFGS, max_iter=3, history_size=5, line_search_fn="strong_wolfe")
    return StyleTransferTask(
        model=model or one_picture(),
        metadata=metadata(num_styles=num_styles),
        **({"optimizer": optimizer, "scheduler": None, "tv_weight": 0.1} | LAYERS | values),
    )


def fitted(
    learner: StyleTransferTask,
    *,
    batch: StyleTransferBatch = ONE,
    epochs: int = 1,
    steps: int = 1,
    callbacks: Sequence[Any] = (),
    checkpoint: Any = None,
) -> Trainer:
    """The trainer that has trained so many epochs of so many steps."""
    trainer = quiet_trainer(max_epochs=epochs, callbacks=list(callbacks), num_sanity_val_steps=0)
    trainer.fit(learner, *loaders(batch, steps=steps), ckpt_path=checkpoint, weights_only=True)
    return trainer


def loaders(batch: StyleTransferBatch, *, steps: int) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """For training and for validation."""
    several: Any = [batch] * steps
    return DataLoader(several, batch_size=None), DataLoader(several[:1], batch_size=None)


class Filter(Stylizer):
    """Paints by one convolution; where it needs a style, it moves the picture to the style's mean colour."""

    def __init__(self, *, needs_style: bool = False) -> None:
        super().__init__(features())
        self.needs_style = needs_style
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.network = nn.Conv2d(3, 3, 3, padding=1)

    def paint(
        self, contents: Tensor, styles: Sequence[Tensor] | None, *, blend: Sequence[float] | None = None
    ) -> Painted:
        """See ``Stylizer``."""
        painted = contents + 0.1 * self.network(contents)
        for style, weight in zip(styles or [], blend or [], strict=True):
            painted = painted + weight * (style.mean(dim=(2, 3), keepdim=True) - 0.5)
        return Painted(painted)

    def stylise(
        self,
        images: Tensor,
        styles: Sequence[Tensor] | None,
        *,
        alpha: float = 1.0,
        blend: Sequence[float] | None = None,
    ) -> Tensor:
        """See ``Stylizer``."""
        shares = blend or [1 / len(styles or [1])] * len(styles or [])
        return torch.lerp(images, self.paint(images, styles, blend=shares).pictures, alpha).clamp(0, 1)
