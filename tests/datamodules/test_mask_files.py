"""Masks in files: every way to write them gives the same class ids."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules.arrays import ByteArray
from datamodules.batch import IGNORED
from datamodules.readers.mask_files import Legend, colour_code, read_codes, spelt
from datamodules.readers.problems import BrokenRecords
from tests.datamodules import mask_writers
from tests.datamodules.box_writers import write_image
from tests.datamodules.mask_writers import PALETTE, MaskScene, mask_scenes, write_image_masks
from tests.datamodules.writers import build_segmented, cut_short

FORMS: dict[str, tuple[mask_writers.Writer, dict[str, Any]]] = {
    "palette": (mask_writers.write_index, {}),
    "grey": (mask_writers.write_grey, {}),
    "grey in three channels": (mask_writers.write_three_channels, {}),
    "16 bits": (mask_writers.write_16_bits, {}),
    "colours": (mask_writers.write_colours, {"palette": PALETTE, "ignore_value": [224, 224, 192]}),
    "indices beside a palette": (mask_writers.write_index, {"palette": PALETTE}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_masks_gives_the_same_classes(form: str, tmp_path: Path) -> None:
    write, given = FORMS[form]
    write_image_masks(tmp_path, write=write)
    module = build_segmented("image_masks", data_dir=str(tmp_path), **given)
    module.setup()
    assert module.metadata["class_names"] == ["0", "1", "2"]
    found = {Path(module.data.masks.name(position)).stem: position for position in range(12)}
    for scene in mask_scenes():
        assert np.array_equal(module.data.masks.read(found[scene.name]), scene.mask())
    if "palette" in given:
        assert module.metadata["palette"] == PALETTE


ORDERS = {"one": [0, 2, 1], "another": [2, 0, 1], "as said": [0, 1, 2]}
"""Where a tool that chooses a palette for each file puts the colours of the classes."""


def test_colours_in_palettes_count_where_they_contradict_the_indices(tmp_path: Path) -> None:
    orders = iter(list(ORDERS.values()) * 4)
    write_image_masks(tmp_path, write=lambda path, mask: write_reordered(path, mask, order=next(orders)))
    module = build_segmented("image_masks", data_dir=str(tmp_path), palette=PALETTE)
    module.setup()
    found = {Path(module.data.masks.name(position)).stem: position for position in range(12)}
    for scene in mask_scenes():
        assert np.array_equal(module.data.masks.read(found[scene.name]), scene.mask())
        assert module.data.pixels[found[scene.name]].tolist() == np.bincount(scene.mask().flat)[:3].tolist()
    indices = build_segmented("image_masks", data_dir=str(tmp_path), palette=PALETTE, values=[0, 1, 2])
    indices.setup()
    assert indices.data.pixels.tolist() != module.data.pixels.tolist()
    assert indices.data.masks.digest() != module.data.masks.digest()


def write_reordered(path: Path, mask: ByteArray, *, order: list[int]) -> Path:
    """A PNG whose palette has the colours of the classes at other indices; 255 stays, and is black there."""
    table = np.full(256, 255, dtype=np.uint8)
    table[:3] = order
    picture = Image.fromarray(table[mask])
    colours = [PALETTE[order.index(index)] for index in range(3)]
    picture.putpalette([*np.ravel(colours).tolist(), *[0] * 759])
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return path


def test_a_colour_that_does_not_count_is_found_in_palettes(tmp_path: Path) -> None:
    meanings = {
        0: 0,
        1: 1,
        colour_code((0, 0, 0)): 0,
        colour_code((9, 9, 9)): 1,
        colour_code((5, 5, 5)): IGNORED,
    }
    picture = Image.fromarray(np.array([[0, 1]], dtype=np.uint8))
    picture.putpalette([0, 0, 0, 5, 5, 5, 9, 9, 9])
    picture.save(tmp_path / "a.png")
    codes = read_codes(tmp_path / "a.png", meanings=meanings)
    assert Legend(meanings).ids(codes).tolist() == [[0, IGNORED]]
    assert read_codes(tmp_path / "a.png").tolist() == [[0, 1]]


@pytest.mark.parametrize(("mode", "wanted"), [("L", [0, 255]), ("1", [0, 1]), ("LA", [0, 255])])
def test_values_of_other_kinds_of_pictures(mode: str, wanted: list[int], tmp_path: Path) -> None:
    pixels = np.zeros((6, 8), dtype=np.uint8)
    pixels[2:4] = 255
    Image.fromarray(pixels).convert(mode).save(tmp_path / "mask.png")
    codes = read_codes(tmp_path / "mask.png")
    assert codes.dtype == np.uint8
    assert codes.shape == (6, 8)
    assert np.unique(codes).tolist() == wanted


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_keep_their_values(bits: int, tmp_path: Path) -> None:
    mask = np.arange(64, dtype=np.uint8).reshape(8, 8) % (2**bits)
    for form in ("grey", "palette"):
        write_few_bits(tmp_path / f"{form}.png", mask, bits=bits, kind=0 if form == "grey" else 3)
        assert np.array_equal(read_codes(tmp_path / f"{form}.png"), mask)


def write_few_bits(path: Path, mask: ByteArray, *, bits: int, kind: int) -> None:
    """A PNG written by hand, as Pillow writes grey values of 8 bits only."""
    import struct
    import zlib

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    rows = np.unpackbits(mask[..., None], axis=-1)[..., 8 - bits :].reshape(len(mask), -1)
    packed = np.packbits(rows, axis=1)
    lines = b"".join(b"\0" + row.tobytes() for row in packed)
    head = struct.pack(">IIBBBBB", mask.shape[1], mask.shape[0], bits, kind, 0, 0, 0)
    colours = chunk(b"PLTE", bytes(range(3 * 2**bits))) if kind == 3 else b""
    body = chunk(b"IHDR", head) + colours + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def test_a_legend_leaves_what_it_does_not_know_uncounted() -> None:
    red = colour_code((255, 0, 0))
    legend = Legend({0: 0, 7: 1, red: 1, 200: IGNORED})
    assert legend.ids(np.array([[0, 7], [8, 200]], dtype=np.uint8)).tolist() == [[0, 1], [255, 255]]
    assert legend.ids(np.array([red, red + 1, 7, 90_000], dtype=np.int32)).tolist() == [1, 255, 1, 255]
    assert legend.knows(np.array([0, 8, 200, red])).tolist() == [True, False, True, True]
    assert spelt(red) == "the colour (255, 0, 0)"
    assert spelt(9) == "the value 9"


# broken files


BROKEN: dict[str, tuple[Any, str]] = {
    "cut short": (cut_short, "train_2.png is broken ("),
    "no picture": (lambda path: path.write_text("no picture"), "is not a picture in a format that Pillow"),
    "empty": (lambda path: path.write_bytes(b""), "is not a picture in a format that Pillow reads"),
    "smooth": (
        lambda path: Image.fromarray(noise()).save(path),
        "different values or colours, and a mask at most 256",
    ),
    "other size": (
        lambda path: mask_writers.write_index(path, MaskScene(0, "").mask()[:40, :60]),
        "has 60x40 pixels, but its picture images/train/train_2.png has 64x56",
    ),
    "on its side": (
        lambda path: mask_writers.write_index(path, MaskScene(0, "").mask().T.copy()),
        "has 56x64 pixels, but its picture images/train/train_2.png has 64x56 (the picture is turned "
        "upright by its EXIF orientation: turn its mask as well, or save the picture without",
    ),
    "no class": (
        lambda path: mask_writers.write_grey(path, np.full((56, 64), 37, dtype=np.uint8)),
        "has the value 37 in 3584 pixels, which is none of the 3 classes",
    ),
    "a colour": (
        lambda path: mask_writers.write_colours(path, MaskScene(2, "").mask()),
        "has the colour (0, 0, 255) in 480 pixels, the colour (224, 224, 192) in 64 pixels, the colour (255",
    ),
    "other kind": (
        lambda path: Image.fromarray(noise()).convert("CMYK").save(path, format="TIFF"),
        "has pixels of the kind CMYK",
    ),
}


def noise() -> ByteArray:
    return np.random.default_rng(0).integers(256, size=(56, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_masks_are_refused_or_left_out(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_image_masks(tmp_path)
    spoil, message = BROKEN[kind]
    mask = tmp_path / "masks/train/train_2.png"
    spoil(mask)
    given: dict[str, Any] = {"data_dir": str(tmp_path), "class_names": ["ground", "cat", "dog"]}
    [problem] = build_segmented("image_masks", **given).inspect()["problems"]
    assert problem["file"] == str(mask)
    assert message in problem["problem"]
    with pytest.raises(BrokenRecords, match=r"has 1 broken record:\n[\s\S]*data\.on_error=skip") as caught:
        build_segmented("image_masks", **given).setup()
    assert str(mask) in str(caught.value) and message in str(caught.value)
    module = build_segmented("image_masks", on_error="skip", **given)
    module.setup()
    assert module.summary()["skipped"] == 1
    assert module.summary()["sizes"] == {"train": 5, "val": 3, "test": 3}
    assert "1 broken records of" in caplog.text
    names = [module.data.masks.name(position) for position in range(len(module.data.masks))]
    assert str(mask) not in names and len(names) == 11
    for split in ("train", "val", "test"):
        for item in module.dataset(split, augment=False):  # type: ignore[attr-defined]
            assert item["mask"].shape == item["image"].shape[1:]


PICTURES: dict[str, tuple[Any, str]] = {
    "cut short": (cut_short, "is a PNG that is cut short"),
    "no picture": (lambda path: path.write_text("no picture"), "is not a picture"),
    "elongated": (
        lambda path: write_image(path, np.zeros((2, 300, 3), dtype=np.uint8)),
        "has 300x2 pixels, and no network can see",
    ),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_broken_pictures_are_refused_or_left_out(kind: str, tmp_path: Path) -> None:
    write_image_masks(tmp_path)
    spoil, message = PICTURES[kind]
    path = tmp_path / "images/val/val_1.png"
    spoil(path)
    found = build_segmented("image_masks", data_dir=str(tmp_path)).inspect()["problems"]
    assert message in next(one["problem"] for one in found if one["file"] == str(path))
    with pytest.raises(BrokenRecords, match="val_1.png"):
        build_segmented("image_masks", data_dir=str(tmp_path)).setup()
    module = build_segmented("image_masks", data_dir=str(tmp_path), on_error="skip")
    module.setup()
    assert module.summary()["sizes"]["val"] == 2
