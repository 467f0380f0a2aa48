"""The detection data by name: embedded digit scenes, and files in the usual formats."""

from pathlib import Path
from typing import Any, Unpack

from datamodules.boxed import DetectionDataModule, DetectionOptions
from datamodules.embedded.digit_scenes import check_sizes, read_digit_scenes
from datamodules.inspection import boxed_tables
from datamodules.readers.boxed import Boxed
from datamodules.readers.boxes_csv import list_boxes_csv
from datamodules.readers.coco_json import CocoPart, list_coco
from datamodules.readers.coco_paths import check_annotations, check_folders, parts_of
from datamodules.readers.listing import OnError
from datamodules.readers.objects import RawObjects
from datamodules.readers.to_boxed import Published
from datamodules.readers.voc_download import download_voc
from datamodules.readers.voc_folders import devkit_files, folder_files
from datamodules.readers.voc_xml import VOC_CLASSES, list_voc
from datamodules.readers.yolo_txt import list_yolo
from datamodules.records import RecordDataModule, RecordOptions

_GET_COCO = (
    "get train2017.zip, val2017.zip and annotations_trainval2017.zip from https://cocodataset.org/#download "
    "(20 GB) and unpack them to train2017/, val2017/ and annotations/ there"
)
_GET_VOC = "set data.download=true to fetch it, or data.data_dir to the folder that has VOCdevkit/"


class DigitScenes(DetectionDataModule):
    """Handwritten digits on photographs, which every installation has; see `read_digit_scenes`.

    Args:
        cache_dir: Folder in which the scenes are kept once they are made.
        num_train: Scenes to train on.
        num_val: Scenes for validation.
        num_test: Scenes for testing.
        scene_seed: Decides the scenes. It is not the seed of the run, so that runs can be compared.
        options: See `DetectionDataModule`.
    """

    def __init__(
        self,
        *,
        cache_dir: str,
        num_train: int = 1500,
        num_val: int = 200,
        num_test: int = 300,
        scene_seed: int = 0,
        **options: Unpack[DetectionOptions],
    ) -> None:
        super().__init__(**options)
        self.cache_dir = Path(cache_dir)
        self.sizes = {"train": num_train, "val": num_val, "test": num_test}
        self.scene_seed = scene_seed
        check_sizes(self.sizes)

    def prepare_data(self) -> None:
        """Make the scenes, so that of several processes only the first does."""
        self.read()

    def read(self) -> Boxed:
        """Make the scenes, or read them where they have been made."""
        return read_digit_scenes(cache_dir=self.cache_dir, seed=self.scene_seed, sizes=self.sizes)

    def inspect(self) -> dict[str, Any]:
        """Tables of the scenes; none is broken."""
        data = self.read()
        return {"title": data.title, "tables": boxed_tables(data), "problems": []}


class Coco(RecordDataModule):
    """118,287 photographs of 80 kinds of objects (https://arxiv.org/abs/1405.0312), as of 2017.

    The 5,000 published validation pictures are both validation and test, as everywhere in print. The
    published files have a few boxes without width or height; ``on_error=skip`` leaves them out.

    Args:
        data_dir: Folder with ``train2017/``, ``val2017/`` and ``annotations/``.
        keep_category_ids: 90 classes with the 10 gaps of the published ids, which published weights
            fit; else 80 without gaps.
        on_error: ``raise`` refuses boxes that cannot be used, too.
        options: See `DetectionDataModule`.
    """

    published = Published(advice=_GET_COCO)
    test_is_val = True

    def __init__(
        self,
        *,
        data_dir: str,
        keep_category_ids: bool = True,
        on_error: OnError = "skip",
        **options: Unpack[DetectionOptions],
    ) -> None:
        super().__init__(on_error=on_error, val_fraction=0.0, test_fraction=0.0, **options)
        self.data_dir = Path(data_dir)
        self.keep_category_ids = keep_category_ids

    @property
    def cache_dir(self) -> Path:
        """A hidden folder beside the pictures."""
        return self.data_dir / ".cache"

    def collect(self) -> RawObjects:
        """Read the annotations of both parts."""
        parts = [
            CocoPart(
                annotations=self.data_dir / "annotations" / f"instances_{split}2017.json",
                images_dir=self.data_dir / f"{split}2017",
                group=split,
            )
            for split in ("train", "val")
        ]
        missing = [part.annotations for part in parts if not part.annotations.is_file()]
        if missing:
            raise FileNotFoundError(
                f"no COCO under data.data_dir={self.data_dir} ({self.data_dir.resolve()}): "
                f"{missing[0].name} is missing; {_GET_COCO}"
            )
        return list_coco(parts, root=self.data_dir, title="coco", keep_category_ids=self.keep_category_ids)


class CocoJson(RecordDataModule):
    """Pictures with annotations in COCO's JSON; see `readers.coco_json.list_coco`.

    Args:
        images_dir: Folder the file names in the annotations are relative to.
        annotations: JSON file of the pictures for training, or of all.
        val_annotations: That of validation; None cuts it from training.
        test_annotations: That of testing; None cuts it from training.
        val_images_dir: Where the pictures for validation lie elsewhere; None means in ``images_dir``.
        test_images_dir: Where the pictures for testing lie elsewhere; None means in ``images_dir``.
        keep_category_ids: The class id is the category id - 1, with classes for the gaps, as published
            weights need it for COCO's own categories; else class ids count the categories.
        options: See `RecordDataModule`.
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
        keep_category_ids: bool = False,
        **options: Unpack[RecordOptions],
    ) -> None:
        super().__init__(**options)
        self.images_dir = Path(images_dir)
        self.parts = parts_of(
            images_dir,
            {"train": annotations, "val": val_annotations, "test": test_annotations},
            val_images_dir=val_images_dir,
            test_images_dir=test_images_dir,
        )
        self.keep_category_ids = keep_category_ids

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
        raw = list_coco(
            self.parts,
            root=self.images_dir,
            title=self.parts[0].annotations.stem,
            keep_category_ids=self.keep_category_ids,
        )
        check_folders(self.parts, raw)
        return raw


class Voc(RecordDataModule):
    """PASCAL VOC 2007 and 2012: 20 kinds of objects (https://doi.org/10.1007/s11263-009-0275-4).

    By default VOC 2007's validation pictures validate, so that nothing is chosen on its test pictures;
    in print they are trained on as well: ``data.train_sets=[VOC2007/trainval,VOC2012/trainval]``.

    Args:
        data_dir: Folder with ``VOCdevkit/VOC2007`` and ``VOCdevkit/VOC2012``.
        train_sets: Image sets to train on.
        val_sets: Image sets for validation.
        test_sets: Image sets for testing; may be the same as for validation.
        download: Whether missing files may be fetched.
        on_error: ``raise`` refuses boxes that cannot be used, ``skip`` leaves them out.
        options: See `DetectionDataModule`.
    """

    published = Published(advice=_GET_VOC)

    def __init__(
        self,
        *,
        data_dir: str,
        train_sets: list[str],
        val_sets: list[str],
        test_sets: list[str],
        download: bool = False,
        on_error: OnError = "skip",
        **options: Unpack[DetectionOptions],
    ) -> None:
        super().__init__(on_error=on_error, val_fraction=0.0, test_fraction=0.0, **options)
        self.data_dir = Path(data_dir)
        self.sets = {"train": train_sets, "val": val_sets, "test": test_sets}
        self.download = download
        for split, names in self.sets.items():
            wrong = [name for name in names if name.count("/") != 1]
            if wrong or not names:
                raise ValueError(f"data.{split}_sets={names} must name image sets such as VOC2007/trainval")
        self.test_is_val = list(val_sets) == list(test_sets)
        if self.test_is_val:
            del self.sets["test"]

    @property
    def cache_dir(self) -> Path:
        """A hidden folder beside the pictures."""
        return self.data_dir / ".cache"

    def prepare_data(self) -> None:
        """Fetch missing files where a person asked for it."""
        if self.download:
            download_voc(self.data_dir, [name for names in self.sets.values() for name in names])

    def collect(self) -> RawObjects:
        """Read the annotations that the image sets name."""
        devkit = self.data_dir / "VOCdevkit"
        if not devkit.is_dir():
            raise FileNotFoundError(
                f"no VOCdevkit/ under data.data_dir={self.data_dir} ({self.data_dir.resolve()}); {_GET_VOC}"
            )
        files = devkit_files(devkit, self.sets)
        return list_voc(devkit, files, title="voc", class_names=VOC_CLASSES)


class VocXml(RecordDataModule):
    """A folder with annotations in PASCAL VOC's XML; see `readers.voc_folders.folder_files`.

    Args:
        data_dir: The folder.
        class_names: Names in the order of the class ids; None takes those that are found, sorted.
        options: See `RecordDataModule`.
    """

    def __init__(
        self, *, data_dir: str, class_names: list[str] | None = None, **options: Unpack[RecordOptions]
    ) -> None:
        super().__init__(**options)
        self.data_dir = Path(data_dir)
        self.class_names = class_names

    @property
    def cache_dir(self) -> Path:
        """A hidden folder beside the pictures."""
        return self.data_dir / ".cache"

    def collect(self) -> RawObjects:
        """Read the annotations."""
        title = self.data_dir.resolve().name
        return list_voc(self.data_dir, folder_files(self.data_dir), title=title, class_names=self.class_names)


class YoloTxt(RecordDataModule):
    """A folder with YOLO's text files; see `readers.yolo_txt.list_yolo`.

    Args:
        data_dir: The folder.
        options: See `RecordDataModule`.
    """

    def __init__(self, *, data_dir: str, **options: Unpack[RecordOptions]) -> None:
        super().__init__(**options)
        self.data_dir = Path(data_dir)

    @property
    def cache_dir(self) -> Path:
        """A hidden folder beside the pictures."""
        return self.data_dir / ".cache"

    def collect(self) -> RawObjects:
        """Read the text files."""
        return list_yolo(self.data_dir)


class BoxesCsv(RecordDataModule):
    """Boxes in a CSV file; see `readers.boxes_csv.list_boxes_csv` for its columns.

    Args:
        manifest: The CSV file.
        data_dir: Folder its paths are relative to; None means that of the manifest.
        class_names: Labels in the order of the class ids; None takes what is found, sorted.
        options: See `RecordDataModule`.
    """

    def __init__(
        self,
        *,
        manifest: str,
        data_dir: str | None = None,
        class_names: list[str] | None = None,
        **options: Unpack[RecordOptions],
    ) -> None:
        super().__init__(**options)
        self.manifest = Path(manifest)
        self.data_dir = None if data_dir is None else Path(data_dir)
        self.class_names = class_names

    @property
    def cache_dir(self) -> Path:
        """A hidden folder beside the pictures."""
        return (self.data_dir or self.manifest.parent) / ".cache"

    def collect(self) -> RawObjects:
        """Read the manifest."""
        return list_boxes_csv(self.manifest, data_dir=self.data_dir, class_names=self.class_names)
