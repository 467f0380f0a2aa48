"""Fetch PASCAL VOC 2007 and 2012 through torchvision."""

from collections.abc import Iterable
from pathlib import Path

from torchvision.datasets import VOCDetection


def download_voc(data_dir: Path, image_sets: Iterable[str], *, kind: str = "Main") -> None:
    """Fetch and unpack what image sets need, unless it is there.

    Args:
        data_dir: Folder in which ``VOCdevkit`` is or comes to be.
        image_sets: Such as ``VOC2007/trainval``.
        kind: Folder with the image sets: ``Main`` of objects, ``Segmentation`` of masks.

    Raises:
        FileNotFoundError: If something cannot be fetched.
    """
    for image_set in image_sets:
        folder, name = image_set.split("/")
        if (data_dir / "VOCdevkit" / folder / "ImageSets" / kind / f"{name}.txt").is_file():
            continue
        try:
            VOCDetection(root=data_dir, year=folder.removeprefix("VOC"), image_set=name, download=True)
        except (OSError, RuntimeError, ValueError) as error:
            raise FileNotFoundError(
                f"{image_set} could not be fetched into data.data_dir={data_dir} ({error}); try again later, "
                f"or unpack it by hand to {data_dir / 'VOCdevkit' / folder}"
            ) from error
