"""Scikit-learn's handwritten digits, which every installation has."""

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.arrays import ByteArray, IntArray
from datamodules.readers.labelled import Labelled
from datamodules.sources import ArraySource

DIGITS_SIDE = 32
"""Side in pixels at which the 8x8 scans are shown."""


def read_digits() -> Labelled:
    """Read the 1,797 scans (UCI "Optical Recognition of Handwritten Digits", test part).

    Returns:
        Grey pictures of 32x32, enlarged bicubically from 8x8; classes are the digits.
    """
    scans, labels = read_scans()
    return Labelled(
        title="digits",
        source=ArraySource(to_pictures(scans), title="digits"),
        labels=labels,
        class_names=[str(digit) for digit in range(10)],
        splits=writer_blocks(len(labels)),
    )


def read_scans() -> tuple[npt.NDArray[np.float64], IntArray]:
    """The scans as they are, in order of writers.

    Returns:
        (N, 8, 8) with 17 levels of ink in [0, 16], and (N,) class ids.
    """
    from sklearn.datasets import load_digits  # takes a second, which other data sets need not wait for

    scans, labels = load_digits(return_X_y=True)
    return scans.reshape(-1, 8, 8), labels.astype(np.int64)


def to_pictures(scans: npt.NDArray[np.float64]) -> ByteArray:
    """Scans (N, 8, 8) as pictures, uint8 (N, 32, 32), enlarged bicubically."""
    return np.stack([_enlarge(scan) for scan in scans])


def writer_blocks(size: int) -> dict[str, IntArray]:
    """Cut the scans for training, validation and test.

    The file is in order of writers, so contiguous blocks of 60, 20 and 20 % keep almost every writer
    in one split. A random split is about three points easier for a nearest neighbour.

    Args:
        size: Number of scans.
    """
    positions = np.arange(size)
    ends = [round(0.6 * size), round(0.8 * size)]
    train, val, test = np.split(positions, ends)
    return {"train": train, "val": val, "test": test}


def _enlarge(scan: npt.NDArray[np.float64]) -> ByteArray:
    """From 17 levels in [0, 16] to uint8 in [0, 255]."""
    size = (DIGITS_SIDE, DIGITS_SIDE)
    return (
        cv2.resize(scan * (255 / 16), size, interpolation=cv2.INTER_CUBIC)
        .round()
        .clip(0, 255)
        .astype(np.uint8)
    )
