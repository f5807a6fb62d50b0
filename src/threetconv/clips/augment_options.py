"""The options of augmentation, apart from the code: planning a study has no NumPy.

See `threetconv.clips.augment` for what each option does.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["OPTIONS", "Option"]


class Option(NamedTuple):
    """A number that a study may set: its default, its range (both ends belong), its meaning."""

    default: float
    least: float
    greatest: float
    meaning: str


OPTIONS: dict[str, Option] = {
    "horizontal_flip": Option(0, 0, 1, "probability of a mirror image, which swaps left and right"),
    "crop": Option(1, 0.05, 1, "least share of the area that a random crop keeps; 1: no crop"),
    # torchvision's default ratio, 3/4 to 4/3, about the clip's own instead of 1
    "crop_ratio": Option(4 / 3, 1, 4, "greatest factor between aspect ratios of crop and clip"),
    "rotation": Option(0, 0, 180, "greatest angle of a random rotation, in degrees"),
    "brightness": Option(0, 0, 1, "brightness times a factor from [1 - x, 1 + x]"),
    "contrast": Option(0, 0, 1, "contrast, about a frame's mean, times one from [1 - x, 1 + x]"),
    "saturation": Option(0, 0, 1, "saturation times a factor from [1 - x, 1 + x]"),
}
