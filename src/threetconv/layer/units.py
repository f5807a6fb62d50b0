"""Temporal parameters in interpretable units; one small function per formula.

A 3T layer stores (s, r, tx, ty) of the *inverse* map on the kernel's normalised grid, x right and y
down, from -1 to 1 (`threetconv.layer.affine`). Content therefore moves the other way: it grows by
1/s, turns by -r clockwise as seen, and shifts by -tx/2 of the kernel's width to the right and +ty/2
of its height up. `threetconv.records.parameters.derive` and its SQL twin use these formulas;
`threetconv.layer.motion` composes them over time. This module does not import torch.

Every function takes numbers or arrays of any shape and returns float64 arrays of the broadcast
shape.

Source: arXiv 2006.15983, section 4; `align_corners=True` gives the kernel k - 1 steps between taps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "IDENTITY",
    "clockwise",
    "clockwise_degrees",
    "input_pixels",
    "kernel_pixels",
    "log_zoom",
    "right",
    "up",
    "zoom",
]

IDENTITY = {"scale": 1.0, "rotate": 0.0, "translate_x": 0.0, "translate_y": 0.0}
"""Temporal parameter -> its value where a transform changes nothing."""

Array = NDArray[np.float64]


def zoom(scale: ArrayLike) -> Array:
    """1/s: above 1 the content grows. A negative value is a zoom by 1/|s| and a half turn.

    Raises:
        ValueError: for a scale of exactly zero: the whole slice then reads one point, and the zoom
            is undefined.
    """
    return 1 / _nonzero(scale)


def log_zoom(scale: ArrayLike) -> Array:
    """-ln|s|: 0 at the identity, equal steps for equal ratios; ignores the sign of s.

    Raises:
        ValueError: for a scale of exactly zero.
    """
    return -np.log(np.abs(_nonzero(scale)))


def clockwise(rotate: ArrayLike) -> Array:
    """-r: radians clockwise, as seen with y down."""
    # the paper negates r for its plots too (section 3.4)
    return -np.asarray(rotate, dtype=np.float64)


def clockwise_degrees(rotate: ArrayLike) -> Array:
    """-r in degrees, clockwise as seen."""
    return np.degrees(clockwise(rotate))


def right(translate_x: ArrayLike) -> Array:
    """-tx/2: shift to the right, as a fraction of the kernel's width."""
    # the normalised grid is 2 wide, from -1 to 1: half of tx is a fraction of the width
    return -0.5 * np.asarray(translate_x, dtype=np.float64)


def up(translate_y: ArrayLike) -> Array:
    """+ty/2: shift upwards, as a fraction of the kernel's height."""
    return 0.5 * np.asarray(translate_y, dtype=np.float64)


def kernel_pixels(fraction: ArrayLike, size: ArrayLike) -> Array:
    """A fraction of the kernel's extent in steps between taps: times (k - 1).

    Args:
        fraction: of the width or of the height.
        size: number of taps k along that axis; with one tap the result is 0.
    """
    return np.asarray(fraction, dtype=np.float64) * (np.asarray(size, dtype=np.float64) - 1)


def input_pixels(pixels: ArrayLike, jump: ArrayLike, dilation: ArrayLike = 1) -> Array:
    """Kernel pixels in pixels of the network's input.

    Args:
        pixels: steps between taps.
        jump: input pixels per feature pixel before the layer (product of the strides before it).
        dilation: the layer's, along that axis: feature pixels between neighbouring taps.
    """
    # one step between taps is `dilation` feature pixels, each `jump` input pixels
    jump, dilation = np.asarray(jump, dtype=np.float64), np.asarray(dilation, dtype=np.float64)
    return np.asarray(pixels, dtype=np.float64) * jump * dilation


def _nonzero(scale: ArrayLike) -> Array:
    values = np.asarray(scale, dtype=np.float64)
    zero = np.argwhere(values == 0)
    if len(zero):
        where = ", ".join(str(i) for i in zero[0])
        raise ValueError(f"scale[{where}] is 0: the zoom 1/scale is undefined there")
    return values
