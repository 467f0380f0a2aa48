"""Putting several pictures together, before the other steps of a recipe."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from datamodules.arrays import ByteArray
from datamodules.box_pipeline import MIN_SIDE, tight_boxes
from datamodules.boxed_picture import BoxedPicture, FloatArray
from datamodules.windows import Array, Window, seen_through


class Combination(Protocol):
    """A way to make one picture of several.

    Attributes:
        num_others: How many pictures it needs besides the first.
    """

    num_others: int

    def applies(self, *, epoch: int, generator: np.random.Generator) -> bool:
        """Decide by chance, and by how far the training is, whether to combine this time."""

    def __call__(self, pictures: Sequence[BoxedPicture], *, generator: np.random.Generator) -> BoxedPicture:
        """Combine ``1 + num_others`` pictures; their arrays are not changed."""


class Scheduled:
    """Base of the combinations: a probability that falls to 0 for the last epochs.

    Combined pictures look unlike real ones, so training ends without them
    (YOLOX, https://arxiv.org/abs/2107.08430, section 2.1, closes the last 15 of 300 epochs).

    Args:
        p: Probability in [0, 1].
        close_epochs: Number of last epochs without; 0 never closes.
        epochs: Number of epochs of the whole training; None or -1 where it has no end.
    """

    def __init__(self, *, p: float, close_epochs: int, epochs: int | None) -> None:
        name = type(self).__name__
        if not 0 <= p <= 1:
            raise ValueError(f"{name} takes p in [0, 1], not {p=}")
        if close_epochs < 0:
            raise ValueError(f"{name} takes close_epochs >= 0, not {close_epochs=}")
        if close_epochs and (epochs is None or epochs < 1):
            raise ValueError(
                f"{name} closes for the last {close_epochs} epochs, but {epochs=} names no end of training; "
                "set trainer.max_epochs, or close_epochs: 0 in the recipe"
            )
        self.p = p
        self.close_epochs, self.epochs = close_epochs, epochs
        self._closes = epochs - close_epochs if close_epochs and epochs else None

    @property
    def is_never_open(self) -> bool:
        """Whether the last epochs, those without, are all that there are."""
        return self.p > 0 and self._closes is not None and self._closes <= 0

    def applies(self, *, epoch: int, generator: np.random.Generator) -> bool:
        """Whether to combine this time.

        Args:
            epoch: Number of the epoch, from 0.
            generator: Decides by chance.
        """
        is_open = self._closes is None or epoch < self._closes
        return is_open and bool(generator.random() < self.p)


class Mosaic(Scheduled):
    """Four pictures around a random point (YOLOv4, https://arxiv.org/abs/2004.10934, section 3.3).

    Each picture is resized and a random part of it fills one corner of the result.

    Args:
        size: Side in pixels of the square result.
        low: Smallest long side of a resized picture in multiples of ``size``; a picture is always made large
            enough to fill its corner.
        high: Largest, at least ``low``.
        margin: Smallest share of the side, in (0, 0.5], between the point and the edges.
        min_visibility: Share of a box, in [0, 1], that must be shown for its object to be kept.
        p: Probability in [0, 1].
        close_epochs: Number of last epochs without; see `Scheduled`.
        epochs: Number of epochs of the whole training.
    """

    num_others = 3

    def __init__(
        self,
        *,
        size: int,
        low: float = 0.5,
        high: float = 1.0,
        margin: float = 0.25,
        min_visibility: float = 0.25,
        p: float = 1.0,
        close_epochs: int = 0,
        epochs: int | None = None,
    ) -> None:
        super().__init__(p=p, close_epochs=close_epochs, epochs=epochs)
        _check_scales("Mosaic", low=low, high=high, min_visibility=min_visibility)
        if size < 2 or not 0 < margin <= 0.5:
            raise ValueError(f"Mosaic takes size >= 2 and 0 < margin <= 0.5, not {size=}, {margin=}")
        self.size = size
        self.low, self.high = low, high
        self.margin = margin
        self.min_visibility = min_visibility

    def __call__(self, pictures: Sequence[BoxedPicture], *, generator: np.random.Generator) -> BoxedPicture:
        """Combine four pictures, in the order upper left, upper right, lower left, lower right."""
        assert len(pictures) == 4
        canvas = np.empty((self.size, self.size, 3), dtype=np.uint8)
        parts = []
        for picture, (top, left, bottom, right) in zip(pictures, self._corners(generator), strict=True):
            window = self._window(picture, (bottom - top, right - left), generator)
            shown = seen_through(window, picture, min_visibility=self.min_visibility)
            canvas[top:bottom, left:right] = shown.picture
            parts.append(_laid_on(canvas, shown, top=top, left=left))
        return _with_objects_of(parts, picture=canvas)

    def _corners(self, generator: np.random.Generator) -> Iterator[tuple[int, int, int, int]]:
        """Draw the point and give the four parts of the result as top, left, bottom, right."""
        shares = generator.uniform(self.margin, 1 - self.margin, size=2)
        y, x = (int(at) for at in np.clip(np.round(shares * self.size), 1, self.size - 1))
        for top, bottom in ((0, y), (y, self.size)):
            for left, right in ((0, x), (x, self.size)):
                yield top, left, bottom, right

    def _window(self, picture: BoxedPicture, size: tuple[int, int], generator: np.random.Generator) -> Window:
        height, width = picture.picture.shape[:2]
        wanted = generator.uniform(self.low, self.high) * self.size / max(height, width)
        scale = max(wanted, size[0] / height, size[1] / width)
        return _random_window((height, width), scale=scale, size=size, generator=generator)


class CopyPaste(Scheduled):
    """Paste objects of another picture (Ghiasi et al., 2021, https://arxiv.org/abs/2012.07177).

    The other picture is resized within a wide range and perhaps mirrored; some of its objects are pasted by
    their masks, or, where the data has no masks, as the rectangles of their boxes. What they cover is taken
    out of the masks, boxes and areas of the objects below; nearly hidden ones are dropped.

    Args:
        low: Smallest size of the other picture, in multiples of the size at which it fits into the first.
        high: Largest, at least ``low``.
        horizontal_flip: Probability in [0, 1] that the other picture is mirrored; ${data.horizontal_flip}.
        min_visibility: Share of an object, in [0, 1], that must stay in sight for it to be kept.
        p: Probability in [0, 1].
        close_epochs: Number of last epochs without; see `Scheduled`.
        epochs: Number of epochs of the whole training.
    """

    num_others = 1

    def __init__(
        self,
        *,
        low: float = 0.1,
        high: float = 2.0,
        horizontal_flip: float = 0.0,
        min_visibility: float = 0.25,
        p: float = 0.5,
        close_epochs: int = 0,
        epochs: int | None = None,
    ) -> None:
        super().__init__(p=p, close_epochs=close_epochs, epochs=epochs)
        _check_scales("CopyPaste", low=low, high=high, min_visibility=min_visibility)
        if not 0 <= horizontal_flip <= 1:
            raise ValueError(f"CopyPaste takes horizontal_flip in [0, 1], not {horizontal_flip=}")
        self.low, self.high = low, high
        self.horizontal_flip = horizontal_flip
        self.min_visibility = min_visibility

    def __call__(self, pictures: Sequence[BoxedPicture], *, generator: np.random.Generator) -> BoxedPicture:
        """Paste objects of the second picture onto the first."""
        below, other = pictures
        pasted = _some_objects(self._jittered(other, below.picture.shape[:2], generator), generator)
        covered: Array = np.any(_regions(pasted), axis=0)
        mixed = np.where(covered[..., None], pasted.picture, below.picture)
        kept = _uncovered(below, covered, min_visibility=self.min_visibility)
        return _with_objects_of([kept, pasted], picture=mixed)

    def _jittered(
        self, picture: BoxedPicture, size: tuple[int, ...], generator: np.random.Generator
    ) -> BoxedPicture:
        height, width = picture.picture.shape[:2]
        fits = min(size[0] / height, size[1] / width)
        scale = generator.uniform(self.low, self.high) * fits
        window = _random_window((height, width), scale=scale, size=(size[0], size[1]), generator=generator)
        shown = seen_through(window, picture, min_visibility=self.min_visibility)
        return _mirrored(shown) if generator.random() < self.horizontal_flip else shown


def _some_objects(picture: BoxedPicture, generator: np.random.Generator) -> BoxedPicture:
    """Objects by chance, at least one where there is any; a crowd is no object."""
    single = np.flatnonzero(~picture.is_crowd)
    count = int(generator.integers(1, len(single) + 1)) if len(single) else 0
    return picture.chosen(np.sort(generator.permutation(single)[:count]))


def _uncovered(picture: BoxedPicture, covered: Array, *, min_visibility: float) -> BoxedPicture:
    """The objects of a picture that are still in sight.

    Args:
        picture: The objects below.
        covered: bool (H, W), what lies above them.
        min_visibility: Share of an object's pixels that must be left.
    """
    regions = _regions(picture)
    left = regions & ~covered
    before, after = (region.sum(axis=(1, 2), dtype=np.int64) for region in (regions, left))
    boxes = np.where((after == before)[:, None], picture.boxes, _inside(picture.boxes, left))
    areas = picture.areas * (after / np.maximum(before, 1))
    masks = None if picture.masks is None else left.astype(np.uint8)
    changed = replace(picture, boxes=boxes, areas=areas.astype(np.float32), masks=masks)
    large = (boxes[:, 2:] - boxes[:, :2] >= MIN_SIDE).all(axis=1)
    return changed.chosen((after > 0) & (after >= min_visibility * before) & large)


def _inside(boxes: FloatArray, regions: Array) -> FloatArray:
    """The part of each box around what is left of its object."""
    tight = tight_boxes(regions.astype(np.uint8))
    near, far = np.maximum(boxes[:, :2], tight[:, :2]), np.minimum(boxes[:, 2:], tight[:, 2:])
    return np.concatenate([near, far], axis=1)


def _regions(picture: BoxedPicture) -> Array:
    """Pixels of each object, bool (N, H, W): those of its mask, else those of its box."""
    if picture.masks is not None:
        return picture.masks > 0
    height, width = picture.picture.shape[:2]
    regions = np.zeros((len(picture), height, width), dtype=bool)
    for region, (left, top, right, bottom) in zip(regions, np.round(picture.boxes).astype(int), strict=True):
        region[top : max(bottom, top + 1), left : max(right, left + 1)] = True
    return regions


def _mirrored(picture: BoxedPicture) -> BoxedPicture:
    width = picture.picture.shape[1]
    boxes = picture.boxes.copy()
    boxes[:, [0, 2]] = width - picture.boxes[:, [2, 0]]
    masks = None if picture.masks is None else picture.masks[:, :, ::-1]
    return replace(picture, picture=picture.picture[:, ::-1], boxes=boxes, masks=masks)


def _laid_on(canvas: ByteArray, picture: BoxedPicture, *, top: int, left: int) -> BoxedPicture:
    """The objects of a picture where they are on a canvas that shows it from a given row and column on."""
    height, width = picture.picture.shape[:2]
    masks = None
    if picture.masks is not None:
        masks = np.zeros((len(picture), *canvas.shape[:2]), dtype=np.uint8)
        masks[:, top : top + height, left : left + width] = picture.masks
    offset = np.array([left, top, left, top], dtype=np.float32)
    return replace(picture, picture=canvas, boxes=picture.boxes + offset, masks=masks)


def _with_objects_of(parts: Sequence[BoxedPicture], *, picture: ByteArray) -> BoxedPicture:
    masks = [part.masks for part in parts if part.masks is not None]
    assert len(masks) in (0, len(parts))
    return BoxedPicture(
        picture=picture,
        boxes=np.concatenate([part.boxes for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        areas=np.concatenate([part.areas for part in parts]),
        is_crowd=np.concatenate([part.is_crowd for part in parts]),
        is_difficult=np.concatenate([part.is_difficult for part in parts]),
        masks=np.concatenate(masks) if masks else None,
    )


def _random_window(
    shape: tuple[int, int], *, scale: float, size: tuple[int, int], generator: np.random.Generator
) -> Window:
    """A window of a resized picture, anywhere inside it or, along sides that are shorter, around it."""
    rows, columns = (max(round(side * scale), 1) for side in shape)
    top, left = (
        int(generator.integers(min(0, spare), max(0, spare), endpoint=True))
        for spare in (rows - size[0], columns - size[1])
    )
    return Window(resized=(rows, columns), left=left, top=top, size=size)


def _check_scales(name: str, *, low: float, high: float, min_visibility: float) -> None:
    if not 0 < low <= high:
        raise ValueError(f"{name} takes 0 < low <= high, not {low=}, {high=}")
    if not 0 <= min_visibility <= 1:
        raise ValueError(f"{name} takes min_visibility in [0, 1], not {min_visibility=}")
