"""The segmentation data by name: embedded digit scenes, and files in the usual formats."""

from pathlib import Path
from typing import Any, Unpack

from datamodules.embedded.digit_scenes import check_sizes, read_digit_scenes
from datamodules.mask_records import FileDataModule, FileOptions, MaskFileDataModule
from datamodules.palettes import bright_palette
from datamodules.readers.cityscapes import CITYSCAPES_MASKS, list_cityscapes
from datamodules.readers.coco_json import list_coco
from datamodules.readers.coco_paths import check_annotations, check_folders, parts_of
from datamodules.readers.drawn_masks import drawn, pixels_of_apart, to_drawn
from datamodules.readers.mask_classes import Said, check_said
from datamodules.readers.mask_folders import folders_below, folders_with_splits, list_mask_folders
from datamodules.readers.mask_pairs import Pairs
from datamodules.readers.object_checks import Care, check_objects
from datamodules.readers.objects import RawObjects
from datamodules.readers.problems import in_order
from datamodules.readers.segmented import Segmented
from datamodules.readers.to_boxed import Published, good_ones, to_boxed
from datamodules.readers.to_segmented import WAY_OUT, check_splits
from datamodules.readers.voc_download import download_voc
from datamodules.readers.voc_masks import IMAGE_SETS, VOC_MASKS, YEAR, list_voc_masks
from datamodules.segmented import SegmentationDataModule, SegmentationOptions
from datamodules.segmented_inspection import segmented_tables

_GET_VOC = "set data.download=true to fetch it, or data.data_dir to the folder that has VOCdevkit/VOC2012"
_GET_CITYSCAPES = (
    "get leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip from https://www.cityscapes-dataset.com "
    "(12 GB, after registering) and unpack them to leftImg8bit/ and gtFine/ there"
)


class DigitScenes(SegmentationDataModule):
    """Handwritten digits on photographs, which every installation has; see `read_digit_scenes`.

    Eleven classes: the background, then the digits.

    Args:
        cache_dir: Folder in which the scenes are kept once they are made.
        num_train: Scenes to train on.
        num_val: Scenes for validation.
        num_test: Scenes for testing.
        scene_seed: Decides the scenes. It is not the seed of the run, so that runs can be compared.
        options: See `SegmentationDataModule`.
    """

    def __init__(
        self,
        *,
        cache_dir: str,
        num_train: int = 1500,
        num_val: int = 200,
        num_test: int = 300,
        scene_seed: int = 0,
        **options: Unpack[SegmentationOptions],
    ) -> None:
        super().__init__(**options)
        self.folder = Path(cache_dir)
        self.sizes = {"train": num_train, "val": num_val, "test": num_test}
        self.scene_seed = scene_seed
        check_sizes(self.sizes)

    @property
    def cache_dir(self) -> Path:
        """The folder with the scenes."""
        return self.folder

    def prepare_data(self) -> None:
        """Make the scenes, so that of several processes only the first does."""
        read_digit_scenes(cache_dir=self.folder, seed=self.scene_seed, sizes=self.sizes)

    def read(self) -> Segmented:
        """Make the scenes, or read them where they have been made."""
        data = read_digit_scenes(cache_dir=self.folder, seed=self.scene_seed, sizes=self.sizes)
        return drawn(data, pixels=pixels_of_apart(data), palette=bright_palette(1 + len(data.class_names)))


class ImageMasks(MaskFileDataModule):
    """Folders of pictures and of masks; see `readers.mask_folders` for the layouts.

    Masks are files without losses. Of PNGs with a palette the indices are read, of grey ones the values,
    and they are class ids unless ``values`` says otherwise; of colour ones the colours, which ``palette``
    explains. Without ``values`` it also explains PNGs whose own palettes contradict it.

    Args:
        data_dir: Folder with ``images/`` and ``masks/``; None where the next two are given.
        images_dir: Folder with the pictures.
        masks_dir: Folder with the masks.
        mask_suffix: What the name of a mask has behind that of its picture, such as ``_mask``.
        class_names: Names in the order of the class ids, the background among them; None numbers them.
        palette: Colours of the classes in colour masks, and to draw them in; None draws in PASCAL VOC's.
        values: Values of the classes in index and grey masks; None means 0, 1, 2 and so on.
        ignore_value: Value, or colour, of what does not count; None for none.
        options: See `FileDataModule`.
    """

    def __init__(
        self,
        *,
        data_dir: str | None = None,
        images_dir: str | None = None,
        masks_dir: str | None = None,
        mask_suffix: str = "",
        class_names: list[str] | None = None,
        palette: list[list[int]] | None = None,
        values: list[int] | None = None,
        ignore_value: int | list[int] | None = 255,
        **options: Unpack[FileOptions],
    ) -> None:
        super().__init__(**options)
        if (data_dir is None) == (images_dir is None) or (images_dir is None) != (masks_dir is None):
            raise ValueError(
                f"data.data_dir={data_dir}, data.images_dir={images_dir}, data.masks_dir={masks_dir}: give "
                "either data.data_dir, a folder with images/ and masks/, or both others"
            )
        self.data_dir, self.images_dir, self.masks_dir = data_dir, images_dir, masks_dir
        self.mask_suffix = mask_suffix
        ignored = () if ignore_value is None else (ignore_value,)
        self._said = Said(names=class_names, palette=palette, values=values, ignored=ignored)
        check_said(self._said)

    @property
    def said(self) -> Said:
        """What the configuration says of the classes."""
        return self._said

    @property
    def root(self) -> Path:
        """The folder that paths are relative to."""
        return Path(self.data_dir or self.images_dir or ".")

    @property
    def cache_dir(self) -> Path:
        """A hidden folder beside the pictures."""
        return self.root / ".cache"

    def collect(self) -> Pairs:
        """List pictures and masks."""
        if self.images_dir is not None and self.masks_dir is not None:
            folders = folders_with_splits(Path(self.images_dir), Path(self.masks_dir))
        else:
            folders = folders_below(self.root)
        title = self.root.resolve().name
        return list_mask_folders(folders, root=self.root, title=title, mask_suffix=self.mask_suffix)


class Voc(MaskFileDataModule):
    """PASCAL VOC 2012's segmentation: 20 kinds of objects and background (devkit, section 6).

    The pictures for validation are both validation and test, as the labels for testing are not public.

    Args:
        data_dir: Folder with ``VOCdevkit/VOC2012``.
        train_set: Image set to train on: ``train``, or another one in ``ImageSets/Segmentation``, such as
            ``trainaug`` where somebody has put that of SBD (https://doi.org/10.1109/ICCV.2011.6126343).
        train_masks: Folder with its masks: ``SegmentationClass``, or ``SegmentationClassAug``.
        download: Whether missing files may be fetched.
        options: See `SegmentationDataModule`.
    """

    published = Published(advice=_GET_VOC)
    test_is_val = True

    def __init__(
        self,
        *,
        data_dir: str,
        train_set: str = "train",
        train_masks: str = "SegmentationClass",
        download: bool = False,
        **options: Unpack[SegmentationOptions],
    ) -> None:
        super().__init__(val_fraction=0.0, test_fraction=0.0, **options)
        self.data_dir = Path(data_dir)
        self.sets = {"train": (train_set, train_masks), "val": ("val", "SegmentationClass")}
        self.download = download

    @property
    def said(self) -> Said:
        """VOC's classes."""
        return VOC_MASKS

    @property
    def cache_dir(self) -> Path:
        """A hidden folder beside the pictures."""
        return self.data_dir / ".cache"

    def prepare_data(self) -> None:
        """Fetch missing files where a person asked for it."""
        if self.download:
            download_voc(self.data_dir, [f"{YEAR}/{name}" for name in ("train", "val")], kind=IMAGE_SETS)

    def collect(self) -> Pairs:
        """List the pictures that the image sets name."""
        devkit = self.data_dir / "VOCdevkit"
        if not (devkit / YEAR).is_dir():
            raise FileNotFoundError(
                f"no VOCdevkit/{YEAR} under data.data_dir={self.data_dir} ({self.data_dir.resolve()}); "
                f"{_GET_VOC}"
            )
        return list_voc_masks(devkit, self.sets)


class Cityscapes(MaskFileDataModule):
    """5,000 pictures of streets with 19 classes that are measured (https://arxiv.org/abs/1604.01685).

    The pictures for validation are both validation and test, as the labels for testing are not public.

    Args:
        data_dir: Folder with ``leftImg8bit/`` and ``gtFine/``.
        options: See `SegmentationDataModule`.
    """

    published = Published(advice=_GET_CITYSCAPES)
    test_is_val = True

    def __init__(self, *, data_dir: str, **options: Unpack[SegmentationOptions]) -> None:
        super().__init__(val_fraction=0.0, test_fraction=0.0, **options)
        self.data_dir = Path(data_dir)

    @property
    def said(self) -> Said:
        """Cityscapes' classes."""
        return CITYSCAPES_MASKS

    @property
    def cache_dir(self) -> Path:
        """A hidden folder beside the pictures."""
        return self.data_dir / ".cache"

    def collect(self) -> Pairs:
        """List the pictures for training and validation."""
        pairs = list_cityscapes(self.data_dir, ("train", "val"))
        missing = [split for split in ("train", "val") if split not in pairs.groups]
        if missing:
            raise FileNotFoundError(
                f"no Cityscapes under data.data_dir={self.data_dir} ({self.data_dir.resolve()}): no picture "
                f"with mask for {missing[0]}; {_GET_CITYSCAPES}"
            )
        return pairs


class CocoMasks(FileDataModule):
    """Objects in COCO's JSON as classes of pixels; see `readers.drawn_masks.DrawnMasks`.

    Class 0 is the background, then come the categories in the order of their ids. Objects that stand for
    a crowd are drawn as the others are; one without a segmentation counts with its whole box.

    Args:
        images_dir: Folder the file names in the annotations are relative to.
        annotations: JSON file of the pictures for training, or of all.
        val_annotations: That of validation; None cuts it from training.
        test_annotations: That of testing; None cuts it from training.
        val_images_dir: Where the pictures for validation lie elsewhere; None means in ``images_dir``.
        test_images_dir: Where the pictures for testing lie elsewhere; None means in ``images_dir``.
        options: See `FileDataModule`.
    """

    def __init__(
        self,
        *,
        images_dir: str,
        annotations: str,
        val_annotations: str | None = None,
        test_annotations: str | None = None,
        val_images_dir: str | None = None,
        test_images_dir: str | None = None,
        **options: Unpack[FileOptions],
    ) -> None:
        super().__init__(**options)
        self.images_dir = Path(images_dir)
        self.parts = parts_of(
            images_dir,
            {"train": annotations, "val": val_annotations, "test": test_annotations},
            val_images_dir=val_images_dir,
            test_images_dir=test_images_dir,
        )

    @property
    def cache_dir(self) -> Path:
        """A hidden folder beside the pictures."""
        return self.images_dir / ".cache"

    def collect(self) -> RawObjects:
        """Read the annotations.

        Raises:
            FileNotFoundError: If an annotation file is missing, or no picture of one is there.
        """
        check_annotations(self.parts)
        raw = list_coco(self.parts, root=self.images_dir, title=self.parts[0].annotations.stem)
        check_folders(self.parts, raw)
        return raw

    def read(self) -> Segmented:
        """Read and check the annotations, and count what they draw.

        Raises:
            ValueError: If there are broken records (`BrokenRecords`), or a split is empty.
        """
        boxed = to_boxed(
            self.collect(), cut=self.cut, on_error=self.on_error, cache_dir=self.cache_dir, way_out=WAY_OUT
        )
        found = to_drawn(boxed, cache_dir=self.cache_dir)
        check_splits(found, self.images_dir)
        return found

    def inspect(self) -> dict[str, Any]:
        """Tables of what is right, and everything that is wrong; every picture is decoded once.

        Returns:
            See `DataModule.inspect`.
        """
        raw = self.collect()
        findings = check_objects(raw, care=Care(sizes=True, decoding=True), cache_dir=self.cache_dir)
        data = to_drawn(good_ones(raw, findings, cut=self.cut), cache_dir=self.cache_dir)
        problems = [found.plain() for found in in_order(findings.problems)]
        return {"title": raw.title, "tables": segmented_tables(data), "problems": problems}
