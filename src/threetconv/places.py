"""Where a warp reads: places between taps, and derivatives by them; compiled by numba.

The numbers of `threetconv.affine`, one tap at a time; places, cells and derivatives at grid nodes
are those of `F.affine_grid` and `F.grid_sample`. Arithmetic is left in its order (no fastmath),
because the side of a node on which rounding falls decides the derivative there.

A kernel is thought to have a margin of two rows and columns of zeros on each side, so that whatever
is read near or far is one cell of four taps in a row-by-row grid of (H + 4) (W + 4).

Source: arXiv 2006.15983, equations 3 to 5.
"""
# ruff: noqa: PLR0917 (numba takes no keywords)

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["MARGIN", "chain", "compiled", "inner_taps", "matrix", "read"]

MARGIN = 2


def compiled(function: Any) -> Any:
    """Compile when first called; keep the machine code on disk where a folder for it can be found.

    numba notices edits in the function's own file only: after an edit of this module or of
    `threetconv.lanes`, remove the ``*.nbi`` files (or the folder NUMBA_CACHE_DIR).
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # nowhere to write
        return njit(**options)(function)


@compiled
def inner_taps(xs: Any, ys: Any) -> Any:
    """For each tap, row by row: its place in the grid with margins."""
    width, wide = xs.shape[0], xs.shape[0] + 2 * MARGIN
    places = np.empty(width * ys.shape[0], np.int32)
    for tap in range(places.shape[0]):
        places[tap] = (tap // width + MARGIN) * wide + tap % width + MARGIN
    return places


@compiled
def matrix(transforms: Any, at: int) -> Any:
    """Equation 3: (s cos r, s sin r, shift of x, shift of y) of transform `at`.

    transforms: scale, rotate, translate_x, translate_y, flat.
    """
    scale, rotate, translate_x, translate_y = transforms
    tx, ty = translate_x[at], translate_y[at]
    a, b = scale[at] * np.cos(rotate[at]), scale[at] * np.sin(rotate[at])
    return a, b, tx * a - ty * b, tx * b + ty * a


@compiled
def _along(coordinate: Any, units: Any, axis: int, size: int, border: bool) -> Any:
    """(tap, fraction, slope) on one axis.

    The tap at or before the place, two before the first or one behind the last where nothing is
    near; how far behind it the place is; the derivative of the place by the coordinate.
    """
    zero, one = units.dtype.type(0), units.dtype.type(1)
    low, end = units.dtype.type(-MARGIN), units.dtype.type(size - 1)
    slope = units[axis]
    place = (coordinate + one) * slope - units[2 + axis]
    if border:
        slope = slope if place > zero and place < end else zero
        place = zero if place <= zero else place
        place = end if place >= end else place
    tap = np.floor(place)
    fraction = place - tap  # what is not a number stays so, and all that is made of it
    tap = tap if tap > low else low
    tap = tap if tap < end + one else end + one
    return np.int32(tap), fraction, slope


@compiled
def read(warp: Any, xs: Any, ys: Any, units: Any, border: bool, cells: Any, places: Any) -> None:
    """Equation 4 for all taps of a slice, row by row.

    Args:
        warp: from `matrix`.
        xs, ys: normalised coordinates of the taps, (W,) and (H,).
        units: taps per unit of x and of y, and the half tap between border and first tap of x and
            of y (0 with `align_corners`).
        border: whether a place outside reads the nearest tap (else zero).
        cells: (H W,), filled: the upper left of the four taps read, in the grid with margins.
        places: (H W, 4), filled: fractions of x and y, slopes of x and y (see `_along`).
    """
    a, b, shift_x, shift_y = warp
    width, height, wide = xs.shape[0], ys.shape[0], xs.shape[0] + 2 * MARGIN
    tap = 0
    for row in range(height):
        for column in range(width):
            x = xs[column] * a - ys[row] * b + shift_x
            y = xs[column] * b + ys[row] * a + shift_y
            i, fx, slope_x = _along(x, units, 0, width, border)
            j, fy, slope_y = _along(y, units, 1, height, border)
            cells[tap] = (j + MARGIN) * wide + i + MARGIN
            places[tap, 0], places[tap, 1] = fx, fy
            places[tap, 2], places[tap, 3] = slope_x, slope_y
            tap += 1


@compiled
def chain(sums: Any, transforms: Any, at: int, dtransforms: Any) -> None:
    """Derivatives by s, r, tx, ty of transform `at`, from those by the four numbers of `matrix`."""
    scale, rotate, translate_x, translate_y = transforms
    tx, ty, count = translate_x[at], translate_y[at], scale.shape[0]
    cosine, sine = np.cos(rotate[at]), np.sin(rotate[at])
    a, b = scale[at] * cosine, scale[at] * sine
    by_a = sums[0] + sums[2] * tx + sums[3] * ty
    by_b = sums[1] - sums[2] * ty + sums[3] * tx
    dtransforms[at] = by_a * cosine + by_b * sine
    dtransforms[count + at] = by_b * a - by_a * b
    dtransforms[2 * count + at] = sums[2] * a + sums[3] * b
    dtransforms[3 * count + at] = sums[3] * a - sums[2] * b
