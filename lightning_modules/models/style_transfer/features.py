"""A frozen network whose maps say what is in a picture and how it is painted."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from torch import Tensor, nn

from lightning_modules.models.style_transfer.features_layers import reach

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Features(nn.Module):
    """A frozen network that answers named layers; subclasses say how.

    It has no gradient of its own, hands that of its maps on to the images, and stays in evaluation mode.

    Attributes:
        layers: Every name it knows, from the image on.
        source: What it is, in words for a person.
    """

    layers: tuple[str, ...]
    source: str

    def forward(self, images: Tensor, *, wanted: Sequence[str]) -> dict[str, Tensor]:
        """Maps of the wanted layers; nothing behind the deepest of them is computed.

        Args:
            images: (B, 3, H, W), normalised with the mean and deviation of ImageNet.
            wanted: Names of layers, in any order.

        Returns:
            For each wanted name (B, C, H', W').

        Raises:
            ValueError: If a name is unknown, or the images are too small for a layer.
        """
        raise NotImplementedError

    def channels(self, name: str) -> int:
        """Channels of a layer's map."""
        raise NotImplementedError

    def receptive_field(self, name: str) -> tuple[int, int]:
        """Side in pixels of what a place of a layer's map sees, and pixels from one place to the next.

        Raises:
            ValueError: If that is not known of these features.
        """
        raise ValueError(
            f"how far the layers of {self.source} see is not known; choose features=random, vgg16, vgg19 "
            "or squeezenet, or set task.tile=null"
        )

    def calibrate(self, images: Sequence[Tensor]) -> None:
        """Fit the features to pictures, where they have not learnt to suit any; most have.

        Args:
            images: (B, 3, H, W) each, normalised; sizes may differ.
        """

    def trim(self, wanted: Sequence[str]) -> None:
        """Forget the layers behind the deepest wanted one, which no checkpoint must carry; in place."""

    def check(self, wanted: Sequence[str], *, key: str) -> None:
        """Refuse names that these features do not know.

        Args:
            wanted: Names of layers.
            key: Where a person wrote them, such as ``task.style_layers``.

        Raises:
            ValueError: If one is unknown; the message holds the right ones.
        """
        for name in wanted:
            if name not in self.layers:
                near = get_close_matches(str(name), self.layers, n=1, cutoff=0.4)  # also for conv4_2
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ValueError(
                    f"{key}: {name} is no layer of {self.source}, which has {', '.join(self.layers)}{hint}"
                )

    def train(self, mode: bool = True) -> "Features":
        """Stays in evaluation mode, so that no batch statistics move."""
        super().train(False)
        return self


class LayeredFeatures(Features):
    """Features whose layers lie in a row.

    Args:
        layers: Names and modules in order.
        answered: Names of the modules whose output may be asked for, with its number of channels.
        source: What it is, in words for a person.
        smallest: Least side of a map that every module can take.
    """

    def __init__(
        self, layers: Mapping[str, nn.Module], *, answered: Mapping[str, int], source: str, smallest: int = 2
    ) -> None:
        super().__init__()
        self.layers = tuple(answered)
        self.source = source
        self.smallest = smallest
        self.widths = dict(answered)
        self.network = nn.ModuleDict(layers)
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor, *, wanted: Sequence[str]) -> dict[str, Tensor]:
        """See ``Features``."""
        self.check(wanted, key="wanted")
        maps = images
        found: dict[str, Tensor] = {}
        for name, layer in self.network.items():
            if len(found) == len(set(wanted)):
                break
            self._check_size(maps, images, name=name)
            maps = layer(maps)
            if name in wanted:
                found[name] = maps
        return found

    def channels(self, name: str) -> int:
        """See ``Features``."""
        return self.widths[name]

    def receptive_field(self, name: str) -> tuple[int, int]:
        """See ``Features``; edges aside."""
        side, step = 1, 1
        for each, layer in self.network.items():
            size, stride = reach(layer)
            side, step = side + (size - 1) * step, step * stride
            if each == name:
                break
        return side, step

    def trim(self, wanted: Sequence[str]) -> None:
        """See ``Features``."""
        names = list(self.network)
        kept = names[: max(names.index(name) for name in wanted) + 1]
        for name in names[len(kept) :]:
            del self.network[name]
        self.layers = tuple(name for name in self.layers if name in kept)

    def _check_size(self, maps: Tensor, images: Tensor, *, name: str) -> None:
        if min(maps.shape[-2:]) < self.smallest:
            height, width = images.shape[-2:]
            raise ValueError(
                f"a picture of {width} x {height} pixels is too small for layer {name} of {self.source}; "
                "choose a larger data.image_size, or layers nearer to the image"
            )
