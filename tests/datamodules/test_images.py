"""Every kind of file a camera or a scanner makes, and broken ones."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from datamodules.images import check_image, read_image, to_grey
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


def test_exif_turns_a_photograph_upright(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.jpg", picture(0, height=16, width=32))
    flat = read_image(path)
    path.write_bytes(with_exif(path.read_bytes(), orientation=6))  # the camera was turned to the right
    assert np.array_equal(read_image(path), np.rot90(flat, k=-1))


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
