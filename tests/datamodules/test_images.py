"""Every kind of file a camera or a scanner makes, and broken ones."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from datamodules.arrays import ByteArray
from datamodules.images import check_image, read_image, to_grey
from datamodules.orientation import orientation_of_tiff, orientation_of_webp
from datamodules.readers.picture_sizes import picture_size
from tests.datamodules.writers import cut_short, picture, write_image


def with_exif(jpeg: bytes, *, orientation: int, thumbnail: bytes = b"") -> bytes:
    """Put an EXIF segment behind the start mark."""
    entry = struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0)
    tiff = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1) + entry + struct.pack("<I", 0) + thumbnail
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def test_colours_are_in_the_order_red_green_blue(tmp_path: Path) -> None:
    pixels = np.zeros((8, 9, 3), dtype=np.uint8)
    pixels[..., 0], pixels[..., 1] = 200, 50
    assert np.array_equal(read_image(write_image(tmp_path / "a.png", pixels)), pixels)
    assert np.abs(read_image(write_image(tmp_path / "a.jpg", pixels)).astype(int) - pixels).max() <= 3


def save(path: Path, image: Image.Image, *, orientation: int = 1) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(path, exif=exif, lossless=True)
    return path


def as_pillow_turns(pixels: ByteArray, orientation: int) -> ByteArray:
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    return np.asarray(ImageOps.exif_transpose(image))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_exif_turns_a_photograph_upright(ending: str, orientation: int, tmp_path: Path) -> None:
    image = Image.fromarray(picture(0, height=16, width=32))
    flat = read_image(save(tmp_path / f"a.{ending}", image))
    path = save(tmp_path / f"b.{ending}", image, orientation=orientation)
    wanted = as_pillow_turns(flat, orientation)
    assert np.array_equal(read_image(path), wanted)
    assert picture_size(path) == wanted.shape[:2]


@pytest.mark.parametrize("mode", ["RGBA", "L", "I;16"])
def test_exif_turns_a_photograph_of_any_kind(mode: str, tmp_path: Path) -> None:
    grey = picture(0, height=16, width=32)[..., 0]
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    image = deep if mode == "I;16" else Image.fromarray(grey).convert(mode)
    found = read_image(save(tmp_path / "a.png", image, orientation=8))
    assert np.array_equal(found[..., 0], np.rot90(grey))


def test_the_orientation_of_a_png_stands_also_behind_long_headers(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(picture(0, height=16, width=32)), orientation=6)
    content = path.read_bytes()
    start = content.index(b"eXIf") - 4
    chunk = struct.pack(">I", 70_000) + b"prVt" + bytes(70_000)
    chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
    path.write_bytes(content[:start] + chunk + content[start:])
    assert picture_size(path) == read_image(path).shape[:2] == (32, 16)


@pytest.mark.parametrize("before", [b"", b"XTRA" + struct.pack("<I", 3) + b"odd\0"])
@pytest.mark.parametrize("mark", [b"", b"Exif\0\0"])
def test_the_orientation_of_a_webp_stands_behind_other_parts(before: bytes, mark: bytes) -> None:
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 5, 0, 0)
    part = b"EXIF" + struct.pack("<I", len(mark + tiff)) + mark + tiff
    assert orientation_of_webp(b"RIFF" + bytes(4) + b"WEBP" + before + part) == 5


def test_damaged_orientations_are_upright(tmp_path: Path) -> None:
    for orientation in (0, 9, 700):
        path = save(tmp_path / "a.png", Image.fromarray(picture(0)), orientation=orientation)
        assert np.array_equal(read_image(path), picture(0))
    assert [orientation_of_tiff(tiff) for tiff in (b"", b"II*\0", b"MM\0*" + b"\xff" * 40)] == [1, 1, 1]
    assert orientation_of_webp(b"RIFF\xff\xff\xff\xffWEBPEXIF\xff\xff\xff\xffII*\0") == 1


@pytest.mark.parametrize("ending", ["jpg", "tif"])
def test_cmyk_becomes_rgb(ending: str, tmp_path: Path) -> None:
    pixels = np.full((16, 16, 3), (200, 120, 40), dtype=np.uint8)
    path = save(tmp_path / f"a.{ending}", Image.fromarray(pixels).convert("CMYK"))
    with Image.open(path) as stored:
        assert stored.mode == "CMYK"
    assert np.abs(read_image(path).astype(int) - pixels).max() <= 3


def test_palettes_become_rgb(tmp_path: Path) -> None:
    image = Image.fromarray(picture(0)).quantize(8)
    assert np.array_equal(read_image(save(tmp_path / "a.png", image)), np.asarray(image.convert("RGB")))
    indices = np.asarray(image)
    image.save(tmp_path / "b.png", transparency=int(indices[0, 0]))
    found = read_image(tmp_path / "b.png")
    is_clear = indices == indices[0, 0]
    assert (found[is_clear] == 255).all()
    assert np.array_equal(found[~is_clear], np.asarray(image.convert("RGB"))[~is_clear])


def test_grey_becomes_rgb(tmp_path: Path) -> None:
    grey = picture(0)[..., 0]
    cv2.imwrite(str(tmp_path / "a.png"), grey)
    assert np.array_equal(read_image(tmp_path / "a.png"), np.stack([grey] * 3, axis=-1))


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 4), dtype=np.uint8)
    pixels[..., 2] = 100  # BGR: red
    pixels[:2, :, 3] = 255
    pixels[2, :, 3] = 51  # a fifth
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    found = read_image(tmp_path / "a.png")
    assert found[0, 0].tolist() == [100, 0, 0]
    assert found[2, 0].tolist() == [224, 204, 204]
    assert found[3, 0].tolist() == [255, 255, 255]


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.array([[0, 257, 65535]], dtype=np.uint16))
    assert read_image(tmp_path / "a.png")[0, :, 0].tolist() == [0, 1, 255]


def test_fractions_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.tiff"), np.ones((3, 3), dtype=np.float32))
    with pytest.raises(ValueError, match=r"a\.tiff has float32 pixels, and only 8 and 16 bits are read"):
        read_image(tmp_path / "a.tiff")


def test_a_jpeg_cut_short_is_named(tmp_path: Path) -> None:
    path = cut_short(write_image(tmp_path / "a.jpg", picture(0, height=64, width=64)))
    with pytest.raises(ValueError, match=r"a\.jpg is a JPEG that is cut short"):
        read_image(path)
    assert "a.jpg is a JPEG that is cut short" in check_image(path)


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_picture(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.jpg", picture(0, height=64, width=64))
    path.write_bytes(with_exif(path.read_bytes(), orientation=1, thumbnail=b"\xff\xd8\xff\xd9"))
    assert check_image(path) == ""
    path.write_bytes(path.read_bytes()[:-40])
    assert "cut short" in check_image(path)


def test_bytes_after_the_end_do_no_harm(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.jpg", picture(0))
    path.write_bytes(path.read_bytes() + b"\0\0made by a camera")
    assert check_image(path) == ""


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jpg", b"not a picture", "is not a picture"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(40), "is a PNG that is cut short"),
        ("a.jpg", b"", "is empty"),
        ("a.jpg", b"\xff\xd8\xff", "is a JPEG that is cut short"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} {words}"):
        read_image(tmp_path / name)
    assert words in check_image(tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"b\.jpg cannot be opened \(No such file"):
        read_image(tmp_path / "b.jpg")


def test_grey_is_luma_and_keeps_grey() -> None:
    grey = np.full((2, 2, 3), 77, dtype=np.uint8)
    assert to_grey(grey) is grey
    red = np.zeros((2, 2, 3), dtype=np.uint8)
    red[..., 0] = 100
    assert np.unique(to_grey(red)).tolist() == [30]  # 0.299
