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

from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

__all__ = ["MARGIN", "chain", "compiled", "inner_taps", "matrix", "read"]

MARGIN = 2

_SOURCES = ("kernels", "kernels_nine", "lanes", "places")


def compiled(function: Any) -> Any:
    """Compile when first called; keep the machine code on disk where there is a folder for it."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}
    try:
        kernel: Any = njit(cache=True, **options)(function)
    except RuntimeError:  # nowhere to write
        return njit(**options)(function)
    # numba would notice edits in the function's own file only, not in those it calls into
    index: Any = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
    if hasattr(index, "_source_stamp"):
        index._source_stamp = (index._source_stamp, _sources())
    return kernel


def _sources() -> tuple[tuple[float, int], ...]:
    """When the files that make up the kernels were written, and their sizes."""
    here = Path(__file__).parent
    stats = [(here / f"{name}.py").stat() for name in _SOURCES]
    return tuple((stat.st_mtime, stat.st_size) for stat in stats)


@compiled
def inner_taps(height: int, width: int) -> Any:
    """For each tap, row by row: its number in the grid with margins."""
    numbers = np.empty(height * width, np.int32)
    for tap in range(height * width):
        row, column = tap // width + MARGIN, tap % width + MARGIN
        numbers[tap] = row * (width + 2 * MARGIN) + column
    return numbers


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
def _along(
    warp: Any, taps: Any, unit: Any, half: Any, size: int, border: bool, step: int, result: Any
) -> None:
    """Equation 4 along one axis, for all taps.

    Args:
        warp: (factor of x, factor of y, shift).
        taps, unit, half, border: see `read`.
        size: number of taps along the axis.
        step: how far apart neighbours along the axis are in the grid with margins.
        result: (cells, fractions, slopes); to cells is added the tap at or before the place, which
            is two before the first or one behind the last tap where nothing is near.
    """
    (p, q, shift), (xs, ys), (cells, fractions, slopes) = warp, taps, result
    zero, one, low = unit * xs.dtype.type(0), xs.dtype.type(1), xs.dtype.type(-MARGIN)
    end = xs.dtype.type(size - 1)
    for tap in range(xs.shape[0]):
        place = (xs[tap] * p + ys[tap] * q + shift + one) * unit - half
        if border:
            slopes[tap] = unit if place > zero and place < end else zero
            place = zero if place <= zero else place
            place = end if place >= end else place
        before = np.floor(place)
        fractions[tap] = place - before  # what is not a number stays so, and all made of it
        before = before if before > low else low
        before = before if before < end + one else end + one
        cells[tap] += (np.int32(before) + MARGIN) * step
    if not border:
        slopes[:] = unit


@compiled
def read(
    warp: Any, taps: Any, units: Any, border: bool, height: int, width: int, cells: Any, places: Any
) -> None:
    """Equation 4 for all taps of a slice.

    Args:
        warp: from `matrix`.
        taps: (xs, ys), normalised coordinates of all taps, row by row, (H W,) each.
        units: taps per unit of x and of y, and the half tap between border and first tap of x and
            of y (0 with `align_corners`).
        border: whether a place outside reads the nearest tap (else zero).
        height, width: of the kernel.
        cells: (H W,), filled: the upper left of the four taps read, in the grid with margins.
        places: (4, H W), filled: how far behind that tap the place is, along x and y, and the
            place's derivatives by its normalised coordinates.
    """
    a, b, shift_x, shift_y = warp
    cells[:] = 0
    result = cells, places[0], places[2]
    _along((a, -b, shift_x), taps, units[0], units[2], width, border, 1, result)
    wide, result = width + 2 * MARGIN, (cells, places[1], places[3])
    _along((b, a, shift_y), taps, units[1], units[3], height, border, wide, result)


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
