"""Warping filters of nine taps (3 x 3, nearly all there are) on the CPU, compiled by numba.

A warp is a 9 x 9 matrix that stays in registers while the nine taps of every input channel run
past. Slices needed on the way back are built again, which costs less than to read them. Arguments
are those of `threetconv.kernels`.
"""
# ruff: noqa: PLR0917 (numba takes no keywords)

from __future__ import annotations

from typing import Any

import numpy as np

from threetconv.lanes import (
    add,
    load,
    load_nine,
    multiply_add,
    sixteen_zeros,
    store,
    store_nine,
)
from threetconv.places import MARGIN, chain, compiled, inner_taps, matrix, read

__all__ = ["NINE", "backward_nine", "forward_nine"]

NINE = 9
WIDTH = 16
SQUARE = (NINE + 1) * WIDTH  # a 9 x 9 matrix in rows of 16, and a row for taps outside the kernel
ROWS = 64  # input channels done together, so that their rows stay in the nearest cache


@compiled
def _product(
    source: Any,
    s: Any,
    square: Any,
    m: int,
    addend: Any,
    a: Any,
    target: Any,
    t: Any,
    rows: int,
) -> None:
    """target = addend + source @ square, rows of nine; s, a, t: (first row's offset, step)."""
    nil = sixteen_zeros(square)
    m0, m1, m2 = load(square, m, nil), load(square, m + 16, nil), load(square, m + 32, nil)
    m3, m4, m5 = load(square, m + 48, nil), load(square, m + 64, nil), load(square, m + 80, nil)
    m6, m7, m8 = load(square, m + 96, nil), load(square, m + 112, nil), load(square, m + 128, nil)
    for row in range(rows):
        p = s[0] + row * s[1]
        even = multiply_add(load_nine(addend, a[0] + row * a[1]), source[p], m0)
        odd = multiply_add(nil, source[p + 1], m1)
        even, odd = multiply_add(even, source[p + 2], m2), multiply_add(odd, source[p + 3], m3)
        even, odd = multiply_add(even, source[p + 4], m4), multiply_add(odd, source[p + 5], m5)
        even, odd = multiply_add(even, source[p + 6], m6), multiply_add(odd, source[p + 7], m7)
        even = multiply_add(even, source[p + 8], m8)
        store_nine(target, t[0] + row * t[1], add(even, odd))


@compiled
def _outer(source: Any, s: Any, other: Any, o: Any, square: Any, m: int, rows: int) -> None:
    """square += source^T @ other, summed over rows of nine; s, o: (first row's offset, step)."""
    nil = sixteen_zeros(square)
    m0, m1, m2 = load(square, m, nil), load(square, m + 16, nil), load(square, m + 32, nil)
    m3, m4, m5 = load(square, m + 48, nil), load(square, m + 64, nil), load(square, m + 80, nil)
    m6, m7, m8 = load(square, m + 96, nil), load(square, m + 112, nil), load(square, m + 128, nil)
    for row in range(rows):
        p, g = s[0] + row * s[1], load_nine(other, o[0] + row * o[1])
        m0, m1 = multiply_add(m0, source[p], g), multiply_add(m1, source[p + 1], g)
        m2, m3 = multiply_add(m2, source[p + 2], g), multiply_add(m3, source[p + 3], g)
        m4, m5 = multiply_add(m4, source[p + 4], g), multiply_add(m5, source[p + 5], g)
        m6, m7 = multiply_add(m6, source[p + 6], g), multiply_add(m7, source[p + 7], g)
        m8 = multiply_add(m8, source[p + 8], g)
    store(square, m, m0)
    store(square, m + 16, m1)
    store(square, m + 32, m2)
    store(square, m + 48, m3)
    store(square, m + 64, m4)
    store(square, m + 80, m5)
    store(square, m + 96, m6)
    store(square, m + 112, m7)
    store(square, m + 128, m8)


@compiled
def _rows(xs: Any, ys: Any) -> Any:
    """The square's row for each tap of the grid with margins: the last one outside the kernel."""
    grid = (xs.shape[0] + 2 * MARGIN) * (ys.shape[0] + 2 * MARGIN)
    rows = np.full(grid, NINE, np.int32)
    inner = inner_taps(xs, ys)
    for tap in range(NINE):
        rows[inner[tap]] = tap
    return rows


@compiled
def _square(
    cells: Any, places: Any, rows: Any, wide: int, square: Any, m: int, old: int, new: int
) -> None:
    """Equation 5 as a matrix of nine by nine taps; `old`, `new`: step per old and per new tap."""
    one = square.dtype.type(1)
    square[m : m + SQUARE] = 0
    for tap in range(NINE):
        at, cell, fx, fy = m + tap * new, cells[tap], places[tap, 0], places[tap, 1]
        square[at + rows[cell] * old] = (one - fx) * (one - fy)
        square[at + rows[cell + 1] * old] = fx * (one - fy)
        square[at + rows[cell + wide] * old] = (one - fx) * fy
        square[at + rows[cell + wide + 1] * old] = fx * fy
        # nothing of the kernel near, or nowhere at all: not-a-number must not get lost
        if np.isnan(fx + fy):
            square[at] = fx + fy


@compiled
def forward_nine(
    k1: Any,
    transforms: Any,
    xs: Any,
    ys: Any,
    units: Any,
    border: bool,
    sizes: Any,
    wanted: Any,
    share: Any,
    out: Any,
) -> None:
    """Fill `out`, for kernels of nine taps."""
    (channels, inputs), (first, last) = sizes, wanted
    step = (last - first) * NINE
    squares = np.empty((last - 1) * SQUARE, k1.dtype)
    hidden = np.empty(
        max(first, 1) * ROWS * NINE, k1.dtype
    )  # slices on the way to the first wanted
    nothing = np.zeros(NINE, k1.dtype)
    cells, places = np.empty(NINE, np.int32), np.empty((NINE, 4), k1.dtype)
    row_of, wide = _rows(xs, ys), xs.shape[0] + 2 * MARGIN
    for o in range(share[0], share[1]):
        for t in range(last - 1):
            read(matrix(transforms, t * channels + o), xs, ys, units, border, cells, places)
            _square(cells, places, row_of, wide, squares, t * SQUARE, WIDTH, 1)
        for begin in range(o * inputs, (o + 1) * inputs, ROWS):
            rows = min(ROWS, (o + 1) * inputs - begin)
            if first == 0:
                for row in range(begin, begin + rows):
                    store_nine(out, row * step, load_nine(k1, row * NINE))
            source, s = k1, (begin * NINE, NINE)
            for t in range(1, last):
                if t < first:
                    target, to = hidden, (t * ROWS * NINE, NINE)
                else:
                    target, to = out, (begin * step + (t - first) * NINE, step)
                _product(source, s, squares, (t - 1) * SQUARE, nothing, (0, 0), target, to, rows)
                source, s = target, to


@compiled
def backward_nine(
    k1: Any,
    transforms: Any,
    xs: Any,
    ys: Any,
    units: Any,
    border: bool,
    sizes: Any,
    wanted: Any,
    share: Any,
    gradient: Any,
    dk1: Any,
    dtransforms: Any,
) -> None:
    """Fill `dk1` and `dtransforms`, for kernels of nine taps."""
    (channels, inputs), (first, last) = sizes, wanted
    step, block = (last - first) * NINE, ROWS * NINE
    squares = np.empty((last - 1) * SQUARE, k1.dtype)
    turned = np.empty((last - 1) * SQUARE, k1.dtype)
    by_square = np.empty((last - 1) * SQUARE, k1.dtype)
    slices, by_slice = np.empty(last * block, k1.dtype), np.empty(last * block, k1.dtype)
    nothing = np.zeros(NINE, k1.dtype)
    sums = np.empty(4, k1.dtype)
    cells, places = np.empty((last, NINE), np.int32), np.empty((last, NINE, 4), k1.dtype)
    row_of, width, one = _rows(xs, ys), xs.shape[0], units.dtype.type(1)
    wide = width + 2 * MARGIN
    for o in range(share[0], share[1]):
        by_square[:] = 0
        for t in range(last - 1):
            warp = matrix(transforms, t * channels + o)
            read(warp, xs, ys, units, border, cells[t], places[t])
            _square(cells[t], places[t], row_of, wide, turned, t * SQUARE, 1, WIDTH)
            if t < last - 2:
                _square(cells[t], places[t], row_of, wide, squares, t * SQUARE, WIDTH, 1)
        for begin in range(o * inputs, (o + 1) * inputs, ROWS):
            rows = min(ROWS, (o + 1) * inputs - begin)
            source, s = k1, (begin * NINE, NINE)
            for t in range(1, last - 1):
                to = (t * block, NINE)
                _product(source, s, squares, (t - 1) * SQUARE, nothing, (0, 0), slices, to, rows)
                source, s = slices, to
            later, g = gradient, (begin * step + (last - 1 - first) * NINE, step)
            for t in range(last - 2, -1, -1):
                source, s = (slices, (t * block, NINE)) if t else (k1, (begin * NINE, NINE))
                _outer(source, s, later, g, by_square, t * SQUARE, rows)
                own, a = nothing, (0, 0)
                if t >= first:
                    own, a = gradient, (begin * step + (t - first) * NINE, step)
                target, to = by_slice, (t * block, NINE)
                if t == 0:
                    target, to = dk1, (begin * NINE, NINE)
                _product(later, g, turned, t * SQUARE, own, a, target, to, rows)
                later, g = target, to
        for t in range(last - 1):
            sums[:] = 0
            for tap in range(NINE):
                at, cell = t * SQUARE + tap, cells[t, tap]
                p = by_square[at + row_of[cell] * WIDTH]
                q = by_square[at + row_of[cell + 1] * WIDTH]
                r = by_square[at + row_of[cell + wide] * WIDTH]
                s4 = by_square[at + row_of[cell + wide + 1] * WIDTH]
                fx, fy = places[t, tap, 0], places[t, tap, 1]
                slope_x, slope_y = places[t, tap, 2], places[t, tap, 3]
                by_x = ((q - p) * (one - fy) + (s4 - r) * fy) * slope_x
                by_y = ((r - p) * (one - fx) + (s4 - q) * fx) * slope_y
                x, y = xs[tap % width], ys[tap // width]
                sums[0] += by_x * x + by_y * y
                sums[1] += by_y * x - by_x * y
                sums[2] += by_x
                sums[3] += by_y
            chain(sums, transforms, t * channels + o, dtransforms)
