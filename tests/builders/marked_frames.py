"""Frames marked with their number in black and white bars, and the number read back."""

from __future__ import annotations

import numpy as np

BARS = 6  # frames 0..63


def marked(number: int, width: int, height: int) -> np.ndarray:
    """(height, width, 3) picture whose upright bars are the binary digits of `number`."""
    picture = np.zeros((height, width, 3), np.uint8)
    bar = width // BARS
    for k in range(BARS):
        picture[:, k * bar : (k + 1) * bar] = 255 * (number >> k & 1)
    return picture


def number_of(picture: np.ndarray) -> int:
    """The number that a picture, resized or not, is marked with."""
    bar = picture.shape[1] // BARS
    middle = picture[picture.shape[0] // 2, :, 1]
    return sum(int(middle[k * bar + bar // 2] > 127) << k for k in range(BARS))
