"""Augmentation: recipes of named albumentations steps, our own steps, and their randomness.

The only file that imports albumentations. Its version 2.0.8 repeats itself between workers and
epochs and, with a seed, makes all steps of one recipe draw the same numbers; `Pipeline` therefore
hands every picture a pair of generators of its own.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import cv2
import numpy as np

from datamodules.arrays import ByteArray
from datamodules.batch import IGNORED
from datamodules.box_pipeline import MIN_SIDE, BoxPipeline
from datamodules.mask_pipeline import MaskPipeline
from datamodules.picture_pipeline import Pipeline

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network at import

import albumentations as A
from albumentations.augmentations.crops.transforms import CropSizeError
from albumentations.core.type_definitions import Targets

Step: TypeAlias = A.BasicTransform | A.BaseCompose
Recipe: TypeAlias = Mapping[str, Step | None]

# Torch's published principal components of ImageNet's colours (facebook fb.resnet.torch, imagenet.lua),
# as AlexNet uses them: RGB in [0, 1], one eigenvector in each column.
EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])
EIGENVECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])

INTERPOLATIONS = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA, cv2.INTER_LANCZOS4)

NEAREST = (cv2.INTER_NEAREST, cv2.INTER_NEAREST_EXACT)

REFUSALS = (ValueError, CropSizeError, cv2.error)
"""What steps raise when a picture does not suit them."""


def compose(steps: Recipe, *, image_size: int | None, channels: int, name: str) -> Pipeline:
    """Make a pipeline for pictures without targets of a recipe's steps; see `Pipeline`.

    Args:
        steps: Named steps in order; None leaves a step out.
        image_size: Side in pixels that the recipe must end with; None for any size.
        channels: 1 makes the result grey, in all three channels.
        name: Where the recipe stands in the configuration, for messages.
    """
    composed = A.Compose(_chosen(steps))
    return Pipeline(composed, image_size=image_size, channels=channels, name=name)


def compose_boxes(steps: Recipe, *, channels: int, min_visibility: float, name: str) -> BoxPipeline:
    """Make a pipeline for pictures with objects of a recipe's steps; see `BoxPipeline`.

    Args:
        steps: Named steps in order; None leaves a step out, and without steps every object stays as it is.
        channels: 1 makes the result grey, in all three channels.
        min_visibility: Share of a box, in [0, 1], that must stay in the picture at every single step; boxes
            of which less is left are dropped.
        name: Where the recipe stands in the configuration, for messages.

    Raises:
        ValueError: If the share is out of range, or a step would leave boxes or masks behind.
    """
    if not 0 <= min_visibility <= 1:
        raise ValueError(f"data.min_visibility={min_visibility} must be in [0, 1]")
    chosen = _chosen(steps)
    for step in _single(chosen):
        _check_takes_boxes(step, name=name)
    moves = any("bboxes" in step.available_keys for step in chosen)
    # Without a smallest side, albumentations keeps boxes that are wholly outside and then refuses them.
    objects = A.BboxParams(
        format="pascal_voc",
        clip=True,
        filter_invalid_bboxes=True,
        min_visibility=min_visibility,
        min_width=MIN_SIDE,
        min_height=MIN_SIDE,
    )
    composed = A.Compose(chosen, bbox_params=objects if moves else None) if chosen else None
    return BoxPipeline(composed, channels=channels, moves=moves, refusals=REFUSALS, name=name)


def compose_masks(steps: Recipe, *, image_size: int | None, channels: int, name: str) -> MaskPipeline:
    """Make a pipeline for pictures with a class for each pixel of a recipe's steps; see `MaskPipeline`.

    Args:
        steps: Named steps in order; None leaves a step out.
        image_size: Side in pixels that the recipe must end with; None for any size.
        channels: 1 makes the result grey, in all three channels.
        name: Where the recipe stands in the configuration, for messages.

    Raises:
        ValueError: If a step would leave masks behind, mix class ids, or give the border a class.
    """
    chosen = _chosen(steps)
    for step in _single(chosen):
        _check_takes_masks(step, name=name)
    moves = any("mask" in step.available_keys for step in chosen)
    composed = A.Compose(chosen) if chosen else None
    return MaskPipeline(
        composed, image_size=image_size, channels=channels, moves=moves, refusals=REFUSALS, name=name
    )


def _chosen(steps: Recipe) -> list[Step]:
    return [step for step in steps.values() if step is not None]


def _single(steps: Iterable[Step]) -> Iterator[A.BasicTransform]:
    """The steps themselves, also those inside of groups such as OneOf."""
    for step in steps:
        if isinstance(step, A.BaseCompose):
            yield from _single(step.transforms)
        else:
            yield step


def _check_takes_boxes(step: A.BasicTransform, *, name: str) -> None:
    if isinstance(step, A.DualTransform) and not {Targets.BBOXES, Targets.MASK} <= set(step._targets):
        raise ValueError(f"{name} has the step {type(step).__name__}, which does not move boxes and masks")


def _check_takes_masks(step: A.BasicTransform, *, name: str) -> None:
    if not isinstance(step, A.DualTransform):
        return
    says = f"{name} has the step {type(step).__name__}"
    if Targets.MASK not in step._targets:
        raise ValueError(f"{says}, which does not move masks")
    if isinstance(step, BoxStep):
        raise ValueError(f"{says}, which is for pictures with boxes: it gives class 0 to what lies outside")
    if getattr(step, "mask_interpolation", cv2.INTER_NEAREST) not in NEAREST:
        raise ValueError(
            f"{says} with mask_interpolation={step.mask_interpolation}, which makes class ids that are no "
            f"pixel's; set it to {cv2.INTER_NEAREST} (nearest)"
        )
    fills = getattr(step, "border_mode", cv2.BORDER_CONSTANT) == cv2.BORDER_CONSTANT
    fills = fills and getattr(step, "pad_if_needed", True)
    # None leaves the mask alone; only steps that fill holes take it.
    if fills and getattr(step, "fill_mask", IGNORED) not in (IGNORED, None):
        raise ValueError(
            f"{says} with fill_mask={step.fill_mask}, which gives a class to what comes in at the border; "
            f"set fill_mask: {IGNORED}, which neither trains nor counts"
        )


class ScaleJitter(A.SmallestMaxSize):  # type: ignore[misc]
    """Resize so that the short side is drawn uniformly from a range; the shape is kept.

    VGG draws it from [256, 512] for crops of 224 (https://arxiv.org/abs/1409.1556, section 3.1), so
    from 1.142857 to 2.285714 times the crop. Equal ends resize without chance. Downscaling averages
    over areas, upscaling is bicubic.

    Args:
        crop_size: Side in pixels of the crop that follows.
        low: Smallest short side in multiples of ``crop_size``, at least 1.
        high: Largest, at least ``low``.
        p: Probability of the step.
    """

    class InitSchema(A.BasicTransform.InitSchema):  # type: ignore[misc]
        """Types for albumentations, which replaces refused arguments by defaults without this."""

        crop_size: int
        low: float
        high: float

    def __init__(self, *, crop_size: int, low: float = 1.0, high: float = 1.0, p: float = 1.0) -> None:
        if crop_size < 1 or not 1 <= low <= high:
            raise ValueError(
                f"ScaleJitter takes 1 <= low <= high and crop_size >= 1, not low={low}, high={high}, "
                f"crop_size={crop_size}"
            )
        super().__init__(max_size=crop_size, interpolation=cv2.INTER_CUBIC, area_for_downscale="image", p=p)
        self.crop_size = crop_size
        self.low = low
        self.high = high

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the short side; called by albumentations."""
        short_side = round(self.crop_size * self.py_random.uniform(self.low, self.high))
        return {"scale": short_side / min(params["shape"][:2])}


class RandomInterpolationResizedCrop(A.RandomResizedCrop):  # type: ignore[misc]
    """Cut out 8 to 100 % of the area at an aspect of 3/4 to 4/3 and resize it in a random way.

    Inception's training crop (https://arxiv.org/abs/1409.4842, section 6): a network should not learn
    the traces of one interpolation.

    Args:
        size: Side in pixels of the result.
        min_area: Smallest share of the area, in (0, 1].
        max_area: Largest share, at most 1.
        max_aspect: Widest width / height, at least 1; the narrowest is its inverse.
        p: Probability of the step.
    """

    class InitSchema(A.BasicTransform.InitSchema):  # type: ignore[misc]
        """Types for albumentations, which replaces refused arguments by defaults without this."""

        size: int
        min_area: float
        max_area: float
        max_aspect: float

    def __init__(
        self,
        *,
        size: int,
        min_area: float = 0.08,
        max_area: float = 1.0,
        max_aspect: float = 4 / 3,
        p: float = 1.0,
    ) -> None:
        if size < 1 or not 0 < min_area <= max_area <= 1 or max_aspect < 1:
            raise ValueError(
                "RandomInterpolationResizedCrop takes 0 < min_area <= max_area <= 1, max_aspect >= 1 and "
                f"size >= 1, not {min_area=}, {max_area=}, {max_aspect=}, {size=}"
            )
        super().__init__(
            size=(size, size), scale=(min_area, max_area), ratio=(1 / max_aspect, max_aspect), p=p
        )

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the crop and its interpolation; called by albumentations."""
        drawn: dict[str, Any] = super().get_params_dependent_on_data(params, data)
        self.interpolation = self.py_random.choice(INTERPOLATIONS)
        return drawn


class PcaLighting(A.ImageOnlyTransform):  # type: ignore[misc]
    """Shift all pixels along the principal components of ImageNet's colours.

    AlexNet's colour augmentation (Krizhevsky et al., 2012, section 4.1): each component is scaled by
    its eigenvalue and by a draw from a normal distribution. albumentations' FancyPCA takes the
    components of each single picture instead.

    Args:
        std: Standard deviation of the draws; 0.1 in the paper.
        p: Probability of the step.
    """

    class InitSchema(A.BasicTransform.InitSchema):  # type: ignore[misc]
        """Types for albumentations, which replaces refused arguments by defaults without this."""

        std: float

    def __init__(self, *, std: float = 0.1, p: float = 1.0) -> None:
        if std < 0:
            raise ValueError(f"PcaLighting takes std >= 0, not std={std}")
        super().__init__(p=p)
        self.std = std

    def get_params(self) -> dict[str, Any]:
        """Draw the weight of each component; called by albumentations."""
        return {"alpha": self.random_generator.normal(0.0, self.std, size=3)}

    def apply(self, img: ByteArray, alpha: Any, **params: Any) -> ByteArray:
        """Add the shift; called by albumentations.

        Args:
            img: uint8 (H, W, 3), RGB.
            alpha: (3,) weights of the components.
            params: What albumentations hands to every step; not used.
        """
        shift = EIGENVECTORS @ (alpha * EIGENVALUES) * 255
        table = (np.arange(256)[:, None] + shift).round().clip(0, 255).astype(np.uint8)
        return np.asarray(cv2.LUT(img, table[None]), dtype=np.uint8)


class BoxStep(A.DualTransform):  # type: ignore[misc]
    """Base of own steps that move pixels, boxes and masks, in files that must not import albumentations."""

    _targets = (Targets.IMAGE, Targets.MASK, Targets.BBOXES)


class MaskStep(A.DualTransform):  # type: ignore[misc]
    """The same for own steps that move pixels and masks only."""

    _targets = (Targets.IMAGE, Targets.MASK)


class StepSchema(A.BasicTransform.InitSchema):  # type: ignore[misc]
    """Base of the types of such a step's arguments, which each step declares as ``InitSchema``."""
