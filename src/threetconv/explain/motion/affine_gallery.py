"""Figure 1: what each temporal parameter does to an image, drawn by the layer's own code.

The image takes the place of a filter's first slice, and the same transform is applied at every
step, as `Conv3T` builds its filters. The paper's Figure 1 shows scale, rotation and the two
translations in this way.

Source: arXiv 2006.15983, Figure 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from threetconv.errors import InputError
from threetconv.explain.motion.filter_pictures import letter_and_dot
from threetconv.layer.build_filters import build_filters

__all__ = ["FIGURE_1", "Gallery", "Transform", "affine_gallery", "example_image"]

GROUND = 0.25
"""Grey level of the example's ground; what lies outside of the image is 0."""


class Transform(NamedTuple):
    """One step in time, as the layer stores it, and what it does in words.

    Attributes:
        label: what a row of the gallery is called.
        scale, rotate, translate_x, translate_y: raw; radians and half-extents of the kernel.
    """

    label: str
    scale: float = 1.0
    rotate: float = 0.0
    translate_x: float = 0.0
    translate_y: float = 0.0


FIGURE_1 = (
    Transform("s = 1.25: zooms out", scale=1.25),
    Transform("s = 0.8: zooms in", scale=0.8),
    Transform("r = 0.3: counter-clockwise", rotate=0.3),
    Transform("r = -0.3: clockwise", rotate=-0.3),
    Transform("tx = 0.25: left", translate_x=0.25),
    Transform("tx = -0.25: right", translate_x=-0.25),
    Transform("ty = 0.25: up", translate_y=0.25),
    Transform("ty = -0.25: down", translate_y=-0.25),
)
"""Each parameter by itself, both ways."""


class Gallery(NamedTuple):
    """A finished gallery.

    Attributes:
        images: (rows, D, H, W) float32, the first of each row the image itself.
        labels: one per row.
    """

    images: NDArray[np.float32]
    labels: tuple[str, ...]


def affine_gallery(
    image: ArrayLike | None = None,
    *,
    transforms: Sequence[Transform] = FIGURE_1,
    depth: int = 5,
    filter_padding: str = "zeros",
    align_corners: bool = True,
) -> Gallery:
    """An image under each of some transforms, repeated from step to step.

    Args:
        image: (H, W); `example_image()` without it.
        transforms: a row each.
        depth: images per row, D.
        filter_padding, align_corners: as for `Conv3T`.

    Returns:
        Images and labels. Every image is resampled from the one before it, as slices are.

    Raises:
        InputError: another shape of image, no transforms, or a depth below 1.
    """
    picture = example_image() if image is None else np.asarray(image, dtype=np.float32)
    for wrong, found, expected in (
        (picture.ndim != 2 or picture.size == 0, f"an image of shape {picture.shape}", "(H, W)"),
        (not transforms, "no transforms", "at least one, a row each"),
        (depth < 1, f"depth={depth}", "at least 1 image per row"),
    ):
        if wrong:
            raise InputError(
                "affine gallery", found=found, expected=expected, remedy="change that argument"
            )
    rows = len(transforms)
    weight = torch.from_numpy(picture.copy()).expand(rows, 1, *picture.shape).contiguous()
    # (rows, 1, H, W): one output channel per row, built together as the filters of one layer.
    raw = np.array([transform[1:] for transform in transforms], dtype=np.float32)  # (rows, 4)
    # (4, D - 1, rows): the same transform at every transition, in the layout of Conv3T's
    # parameters.
    steps = torch.from_numpy(raw.T.copy())[:, None].expand(4, depth - 1, rows)
    with torch.no_grad():
        built = build_filters(
            weight,
            *(parameter.contiguous() for parameter in steps),
            filter_padding=filter_padding,
            align_corners=align_corners,
        )
    return Gallery(built[:, 0].numpy(), tuple(transform.label for transform in transforms))


def example_image(size: int = 96) -> NDArray[np.float32]:
    """A white letter F and a dot on grey ground, (size, size) in [0, 1]; outside of it is black."""
    ground: NDArray[np.float64] = np.full((size, size), GROUND)
    marks = letter_and_dot(size).sum(axis=0)
    return (ground + marks * (1 - GROUND)).astype(np.float32)
