"""Sampling positions of a warp, their bilinear weights, and the derivatives by the transforms.

These kernels compute what `threetconv.layer.affine` does, 16 taps at a time. Positions, cells and
derivatives at grid nodes are those of `threetconv.layer.affine`. Operations keep their order (no
fastmath): the side of a node on which rounding falls decides the derivative there.

A "place" is a position between taps, in taps; its "cell" is the square of four taps around it. A
kernel is treated as if a margin of two rows and columns of zeros surrounded it: every place,
however far outside, then has a cell in the (H + 4) x (W + 4) grid, and reading needs no branch.

Source: arXiv 2006.15983, equations 3 to 5.
"""

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

__all__ = ["MARGIN", "by_transforms", "dot_of", "four_of", "inner_taps", "read", "room"]

# two, not one: a cell reaches one tap to the right of (below) its first, and a cell that lies
# outside as a whole must contain margin only
MARGIN = 2


@compiled
def inner_taps(height: int, width: int) -> Any:
    """Index of each tap in the grid with margins; both are row by row."""
    numbers = np.empty(height * width, np.int32)
    for tap in range(height * width):
        row, column = tap // width + MARGIN, tap % width + MARGIN
        numbers[tap] = row * (width + 2 * MARGIN) + column
    return numbers


@compiled
def four_of(tap: int) -> Any:
    """Offset of a tap's four weights in `places`.

    Weights are stored by 16 taps in the order in which `transpose` leaves them: taps 0, 4, 8, 12,
    then 1, 5, 9, 13, and so on.
    """
    # strides: 64 per 16 taps, 16 per tap % 4, 4 per (tap % 16) // 4
    return 4 * (tap & -16) + 16 * (tap & 3) + (tap & 12)


@compiled
def dot_of(tap: int) -> Any:
    """Offset of a tap's derivative by its first weight in `dots`; the others follow 4 apart.

    `channel_tiles.back` computes four taps at once, so those of four taps are together.
    """
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
def _along(nil: Any, place: Any, size: int, border: bool) -> Any:
    """Along one axis: index of the tap before each place, distance from it, and whether it moves.

    The index counts from the start of the margin. Places far outside get index 0 or size + MARGIN,
    whose cells lie in the margin; NaN gets 0. What is read follows the place (1) or not (0).

    Args:
        place: 16 places, in taps, 0 the first.
        size: number of taps along the axis.
        border: see `work_order.task_of`.
    """
    one, moves = spread(1, nil), spread(1, nil)
    end, low = spread(size - 1, nil), spread(-MARGIN, nil)
    if border:  # clamp; on and beyond the outermost taps the derivative is 0, as in `F.grid_sample`
        moves = where_less(nil, place, where_less(place, end, moves, nil), nil)
        place = where_less(place, nil, nil, place)
        place = where_less(end, place, end, place)
    before = floor(place)
    behind = minus(place, before)  # NaN for NaN and, unclamped, inf; so are weights and filter
    # the comparison is false for NaN, which so becomes `low` instead of an arbitrary index
    before = where_less(low, before, before, low)
    before = where_less(before, plus(end, one), before, plus(end, one))
    return plus(before, spread(MARGIN, nil)), behind, moves


@compiled
def room(last: int, n: int, like: Any) -> Any:
    """Arrays for what `read` fills: (cells, places, turns), in the dtype of `like`.

    cells: (D - 1, n) flat: index of the upper left of the four taps read, in the grid with margins;
        after the last tap 0, where all four are margin.
    places: (D - 1, 8 n) flat: 4 n weights of the taps read (upper left, upper right, lower left,
        lower right) in the order of `four_of`; then n each of the place's distance from the upper
        left tap along x and y, and of whether what is read follows the place along x and y.
    turns: (D - 1, 2) flat: cosine and sine of each rotation.
    """
    cells, places = np.empty(last * n, np.int32), np.empty(last * 8 * n, like.dtype)
    return cells, places, np.empty(2 * last, like.dtype)


@compiled
def read(task: Any, o: int, warps: Any, derive: bool) -> None:
    """Equations 4 and 5: cells and weights for the wanted slices of output channel `o`.

    Args:
        task: see `threetconv.layer.cpu.work_order.task_of`. Slices before `last` are needed, so the
            first `last` - 1 transforms are read.
        o: the output channel.
        warps: filled; see `room`.
        derive: whether to fill what follows the weights, which only the backward pass needs.
    """
    taps, halves, border, sizes, (_, last), _, transforms, _ = task
    cells, places, turns = warps
    (channels, _, _, height, width), (xs, ys) = sizes, taps
    nil, n = sixteen_zeros(xs), xs.shape[0]
    one, wide, no_end = spread(1, nil), spread(width + 2 * MARGIN, nil), spread(np.inf, nil)
    for t in range(last - 1):
        matrix, turns[2 * t], turns[2 * t + 1] = _matrix(transforms, t * channels + o)
        a, b, shift_x, shift_y = matrix
        across, down = halves[0], halves[1]
        b_x, b_y = -b * _ratio(across, down), b * _ratio(down, across)
        shift_x, shift_y = shift_x * across, shift_y * down
        at = 8 * t * n
        for tap in range(0, n, 16):
            x, y = load(xs, tap, nil), load(ys, tap, nil)
            # equation 4, from the centre, summed term by term from left to right: exact at the
            # identity, where every tap is read from its own node
            at_x = plus(times(x, spread(a, nil)), times(y, spread(b_x, nil)))
            at_y = plus(times(x, spread(b_y, nil)), times(y, spread(a, nil)))
            at_x, at_y = plus(at_x, spread(shift_x, nil)), plus(at_y, spread(shift_y, nil))
            at_x, at_y = plus(at_x, spread(halves[2], nil)), plus(at_y, spread(halves[3], nil))
            column, fx, moves_x = _along(nil, at_x, width, border)
            row, fy, moves_y = _along(nil, at_y, height, border)
            store_whole(cells, t * n + tap, plus(times(row, wide), column))
            # x is NaN after the last tap (x < inf is false): no NaN weights for taps that are none
            fx, fy = where_less(x, no_end, fx, nil), where_less(x, no_end, fy, nil)
            ex, ey = minus(one, fx), minus(one, fy)
            weights = transpose(times(ex, ey), times(fx, ey), times(ex, fy), times(fx, fy))
            for i in range(4):
                store(places, at + 4 * tap + 16 * i, weights[i])
            if not derive:
                continue
            store(places, at + 4 * n + tap, fx)
            store(places, at + 5 * n + tap, fy)
            store(places, at + 6 * n + tap, moves_x)
            store(places, at + 7 * n + tap, moves_y)


@compiled
def _ratio(half: Any, other: Any) -> Any:
    """half / other; 0 for an axis of one tap, which has no extent, and whose coordinate is 0."""
    return half / other if other > 0 else other


@compiled
def _by_matrix(dots: Any, taps: Any, halves: Any, places: Any, t: int) -> Any:
    """Derivatives by a, b and the two shifts of transform `t`, from those by its weights.

    Args:
        dots: (D - 1, 4 n) flat, of which line `t` is read: the derivatives by the four weights of
            each tap, in the order of `dot_of`; 0 after the last tap.
        taps, halves, places: see `work_order.task_of` and `room`.
    """
    xs, ys = taps
    nil, n = sixteen_zeros(xs), xs.shape[0]
    at, by = 8 * t * n, 4 * t * n
    one, no_end = spread(1, nil), spread(np.inf, nil)
    by_a, y_by_x, x_by_y, by_shift_x, by_shift_y = nil, nil, nil, nil, nil
    for tap in range(0, n, 16):
        p, q = load_fours(dots, by + 4 * tap, 16, nil), load_fours(dots, by + 4 * tap + 4, 16, nil)
        r = load_fours(dots, by + 4 * tap + 8, 16, nil)
        s = load_fours(dots, by + 4 * tap + 12, 16, nil)
        # p, q, r, s: derivatives by the upper left, upper right, lower left and lower right weight.
        # Those weights are (1 - fx)(1 - fy), fx (1 - fy), (1 - fx) fy and fx fy
        fx, fy = load(places, at + 4 * n + tap, nil), load(places, at + 5 * n + tap, nil)
        x = add(multiply(subtract(q, p), subtract(one, fy)), multiply(subtract(s, r), fy))
        y = add(multiply(subtract(r, p), subtract(one, fx)), multiply(subtract(s, q), fx))
        x = multiply(x, load(places, at + 6 * n + tap, nil))
        y = multiply(y, load(places, at + 7 * n + tap, nil))
        by_shift_x, by_shift_y = add(by_shift_x, x), add(by_shift_y, y)
        # in half-extents: x' = a x - b y + shift_x and y' = b x + a y + shift_y
        at_x, at_y = load(xs, tap, nil), load(ys, tap, nil)
        at_x, at_y = where_less(at_x, no_end, at_x, nil), where_less(at_y, no_end, at_y, nil)
        by_a = add(by_a, add(multiply(x, at_x), multiply(y, at_y)))
        y_by_x, x_by_y = add(y_by_x, multiply(y, at_x)), add(x_by_y, multiply(x, at_y))
    across, down = halves[0], halves[1]
    by_b = total(y_by_x) * _ratio(down, across) - total(x_by_y) * _ratio(across, down)
    return total(by_a), by_b, total(by_shift_x) * across, total(by_shift_y) * down


@compiled
def by_transforms(dots: Any, task: Any, o: int, warps: Any, dtransforms: Any) -> None:
    """Derivatives by s, r, tx, ty of channel `o`, from those by the weights; see `_by_matrix`."""
    taps, halves, _, sizes, (_, last), _, transforms, _ = task
    _, places, turns = warps
    scale, _, translate_x, translate_y = transforms
    by_scale, by_rotate, by_translate_x, by_translate_y = dtransforms
    for t in range(last - 1):
        at = t * sizes[0] + o
        by_a, by_b, by_shift_x, by_shift_y = _by_matrix(dots, taps, halves, places, t)
        tx, ty = translate_x[at], translate_y[at]
        cosine, sine = turns[2 * t], turns[2 * t + 1]
        # backward through equation 3: a = s cos r, b = s sin r, shift = (tx a - ty b, tx b + ty a)
        a, b = scale[at] * cosine, scale[at] * sine
        by_a += by_shift_x * tx + by_shift_y * ty
        by_b += by_shift_y * tx - by_shift_x * ty
        by_scale[at] = by_a * cosine + by_b * sine
        by_rotate[at] = by_b * a - by_a * b
        by_translate_x[at] = by_shift_x * a + by_shift_y * b
        by_translate_y[at] = by_shift_y * a - by_shift_x * b
