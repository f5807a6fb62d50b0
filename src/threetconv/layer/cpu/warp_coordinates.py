"""Where a warp reads: places between taps, and derivatives by them; compiled by numba.

The numbers of `threetconv.layer.affine`, one tap at a time; places, cells and derivatives at grid
nodes are those of `F.affine_grid` and `F.grid_sample`. Arithmetic is left in its order (no
fastmath), because the side of a node on which rounding falls decides the derivative there.

A kernel is thought to have a margin of two rows and columns of zeros on each side, so that whatever
is read near or far is one cell of four taps in a row-by-row grid of (H + 4) (W + 4).

Source: arXiv 2006.15983, equations 3 to 5.
"""
# ruff: noqa: PLR0917 (numba takes no keywords)

from __future__ import annotations

from typing import Any

import numpy as np

from threetconv.layer.cpu.compile import compiled
from threetconv.layer.cpu.simd import (
    add,
    floor,
    minus,
    multiply,
    plus,
    sixteen_zeros,
    spread,
    subtract,
    times,
    total,
    transpose,
    where_less,
)
from threetconv.layer.cpu.simd_memory import load, load_fours, store, store_whole

__all__ = ["MARGIN", "by_transforms", "dot_of", "four_of", "inner_taps", "read"]

MARGIN = 2


@compiled
def inner_taps(height: int, width: int) -> Any:
    """For each tap, row by row: its number in the grid with margins."""
    numbers = np.empty(height * width, np.int32)
    for tap in range(height * width):
        row, column = tap // width + MARGIN, tap % width + MARGIN
        numbers[tap] = row * (width + 2 * MARGIN) + column
    return numbers


@compiled
def four_of(tap: int) -> Any:
    """Where the four numbers of a tap begin: 16 taps are kept as a 4 x 4 table, turned over."""
    return 4 * (tap & -16) + 16 * (tap & 3) + (tap & 12)


@compiled
def dot_of(tap: int) -> Any:
    """Where derivatives by a tap's weights begin, four apart: those of four taps are together."""
    return 16 * (tap >> 2) + (tap & 3)


@compiled
def _matrix(transforms: Any, at: int) -> Any:
    """Equation 3: (s cos r, s sin r, shift of x, shift of y) of transform `at`; cos r, sin r.

    transforms: scale, rotate, translate_x, translate_y, flat.
    """
    scale, rotate, translate_x, translate_y = transforms
    tx, ty, cosine, sine = translate_x[at], translate_y[at], np.cos(rotate[at]), np.sin(rotate[at])
    a, b = scale[at] * cosine, scale[at] * sine
    return (a, b, tx * a - ty * b, tx * b + ty * a), cosine, sine


@compiled
def _along(nil: Any, at: Any, unit: Any, half: Any, size: int, border: bool) -> Any:
    """Along one axis: the tap at or before each place, how far behind it the place is, slopes.

    That tap is two before the first or one behind the last tap where nothing is near, and two
    before the first where the place is not a number.

    Args:
        at: normalised coordinates of 16 places.
        unit, half, border: see `read`.
        size: number of taps along the axis.
    """
    one, step = spread(1, nil), spread(unit, nil)
    end, low = spread(size - 1, nil), spread(-MARGIN, nil)
    place = minus(times(plus(at, one), step), spread(half, nil))
    slope = step
    if border:
        slope = where_less(nil, place, where_less(place, end, step, nil), nil)
        place = where_less(place, nil, nil, place)
        place = where_less(end, place, end, place)
    before = floor(place)
    behind = minus(place, before)  # what is not a number stays so, and all made of it
    before = where_less(low, before, before, low)
    before = where_less(before, plus(end, one), before, plus(end, one))
    return plus(before, spread(MARGIN, nil)), behind, slope


@compiled
def read(
    transforms: Any,
    o: int,
    last: int,
    taps: Any,
    units: Any,
    border: bool,
    sizes: Any,
    cells: Any,
    places: Any,
    turns: Any,
    slopes: bool,
) -> None:
    """Equation 4 for all taps of the slices that channel `o` has before `last`.

    Args:
        transforms: see `_matrix`.
        taps: (xs, ys), normalised coordinates of all taps, row by row, (n,) each: `n` is the next
            multiple of 16 after H W, and what follows the taps is not a number.
        units: taps per unit of x and of y, and the half tap between border and first tap of x and
            of y (0 with `align_corners`).
        border: whether a place outside reads the nearest tap (else zero).
        sizes: (output channels, input channels, D, height, width).
        cells: (D - 1, n) flat, filled: the upper left of the four taps read, in the grid with
            margins; after the last tap 0, where all four are margin.
        places: (D - 1, 8 n) flat, filled: the weights of the four taps read (upper left,
            upper right, lower left, lower right), where `four_of` says; then for all taps how far
            behind the first the place is, along x and y, and the place's derivatives by its
            normalised coordinates.
        turns: (D - 1, 2) flat, filled: cosine and sine of each rotation.
        slopes: whether what `by_matrix` needs is filled too: what is behind the weights.
    """
    (channels, _, _, height, width), (xs, ys) = sizes, taps
    nil, n = sixteen_zeros(xs), xs.shape[0]
    one, wide, no_end = spread(1, nil), spread(width + 2 * MARGIN, nil), spread(np.inf, nil)
    for t in range(last - 1):
        matrix, turns[2 * t], turns[2 * t + 1] = _matrix(transforms, t * channels + o)
        a, b, shift_x, shift_y = matrix
        at = 8 * t * n
        for tap in range(0, n, 16):
            x, y = load(xs, tap, nil), load(ys, tap, nil)
            at_x = plus(times(x, spread(a, nil)), times(y, spread(-b, nil)))
            at_y = plus(times(x, spread(b, nil)), times(y, spread(a, nil)))
            at_x, at_y = plus(at_x, spread(shift_x, nil)), plus(at_y, spread(shift_y, nil))
            column, fx, slope_x = _along(nil, at_x, units[0], units[2], width, border)
            row, fy, slope_y = _along(nil, at_y, units[1], units[3], height, border)
            store_whole(cells, t * n + tap, plus(times(row, wide), column))
            fx, fy = where_less(x, no_end, fx, nil), where_less(x, no_end, fy, nil)  # a tap's only
            ex, ey = minus(one, fx), minus(one, fy)
            weights = transpose(times(ex, ey), times(fx, ey), times(ex, fy), times(fx, fy))
            for i in range(4):
                store(places, at + 4 * tap + 16 * i, weights[i])
            if not slopes:
                continue
            store(places, at + 4 * n + tap, fx)
            store(places, at + 5 * n + tap, fy)
            store(places, at + 6 * n + tap, slope_x)
            store(places, at + 7 * n + tap, slope_y)


@compiled
def _by_matrix(dots: Any, taps: Any, places: Any, t: int) -> Any:
    """Derivatives by the four numbers of a warp's matrix, from those by its weights.

    Args:
        dots: (D - 1, 4 n) flat, of which line `t` is read: the derivatives by the four weights of
            each tap, where `dot_of` says; 0 after the last tap.
        taps, places: see `read`.
    """
    xs, ys = taps
    nil, n = sixteen_zeros(xs), xs.shape[0]
    at, by = 8 * t * n, 4 * t * n
    one, no_end = spread(1, nil), spread(np.inf, nil)
    by_a, by_b, by_shift_x, by_shift_y = nil, nil, nil, nil
    for tap in range(0, n, 16):
        p, q = load_fours(dots, by + 4 * tap, 16, nil), load_fours(dots, by + 4 * tap + 4, 16, nil)
        r = load_fours(dots, by + 4 * tap + 8, 16, nil)
        s = load_fours(dots, by + 4 * tap + 12, 16, nil)
        fx, fy = load(places, at + 4 * n + tap, nil), load(places, at + 5 * n + tap, nil)
        x = add(multiply(subtract(q, p), subtract(one, fy)), multiply(subtract(s, r), fy))
        y = add(multiply(subtract(r, p), subtract(one, fx)), multiply(subtract(s, q), fx))
        x = multiply(x, load(places, at + 6 * n + tap, nil))
        y = multiply(y, load(places, at + 7 * n + tap, nil))
        by_shift_x, by_shift_y = add(by_shift_x, x), add(by_shift_y, y)
        at_x, at_y = load(xs, tap, nil), load(ys, tap, nil)
        at_x, at_y = where_less(at_x, no_end, at_x, nil), where_less(at_y, no_end, at_y, nil)
        by_a = add(by_a, add(multiply(x, at_x), multiply(y, at_y)))
        by_b = add(by_b, subtract(multiply(y, at_x), multiply(x, at_y)))
    return total(by_a), total(by_b), total(by_shift_x), total(by_shift_y)


@compiled
def by_transforms(
    dots: Any,
    transforms: Any,
    o: int,
    last: int,
    taps: Any,
    sizes: Any,
    places: Any,
    turns: Any,
    dtransforms: Any,
) -> None:
    """Derivatives by s, r, tx, ty of channel `o`, from those by the weights; see `_by_matrix`."""
    scale, _, translate_x, translate_y = transforms
    by_scale, by_rotate, by_translate_x, by_translate_y = dtransforms
    for t in range(last - 1):
        at = t * sizes[0] + o
        by_a, by_b, by_shift_x, by_shift_y = _by_matrix(dots, taps, places, t)
        tx, ty = translate_x[at], translate_y[at]
        cosine, sine = turns[2 * t], turns[2 * t + 1]
        a, b = scale[at] * cosine, scale[at] * sine
        by_a += by_shift_x * tx + by_shift_y * ty
        by_b += by_shift_y * tx - by_shift_x * ty
        by_scale[at] = by_a * cosine + by_b * sine
        by_rotate[at] = by_b * a - by_a * b
        by_translate_x[at] = by_shift_x * a + by_shift_y * b
        by_translate_y[at] = by_shift_y * a - by_shift_x * b
