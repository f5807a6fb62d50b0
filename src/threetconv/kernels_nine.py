"""Warping filters of nine taps (3 x 3, nearly all there are) on the CPU, compiled by numba.

A warp is a 9 x 9 matrix, and so are several in a row: slice d is K1 times the product P_d of the
first d warps. Only these small matrices meet one another; the nine taps of every input channel run
past a matrix that stays in registers, once per slice there and twice back. Arguments are those of
`threetconv.kernels`.
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
def _rows(height: int, width: int) -> Any:
    """The square's row for each tap of the grid with margins: the last one outside the kernel."""
    grid = (height + 2 * MARGIN) * (width + 2 * MARGIN)
    rows = np.full(grid, NINE, np.int32)
    inner = inner_taps(height, width)
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
        at, cell, fx, fy = m + tap * new, cells[tap], places[0, tap], places[1, tap]
        square[at + rows[cell] * old] = (one - fx) * (one - fy)
        square[at + rows[cell + 1] * old] = fx * (one - fy)
        square[at + rows[cell + wide] * old] = (one - fx) * fy
        square[at + rows[cell + wide + 1] * old] = fx * fy
        # nothing of the kernel near, or nowhere at all: not-a-number must not get lost
        if np.isnan(fx + fy):
            square[at] = fx + fy


@compiled
def _by_matrix(
    by_square: Any, cells: Any, places: Any, row_of: Any, wide: int, taps: Any, sums: Any
) -> None:
    """Derivatives by the four numbers of a warp's matrix, from those by its weights."""
    one, (xs, ys) = sums.dtype.type(1), taps
    sums[:] = 0
    for tap in range(NINE):
        cell, fx, fy = cells[tap], places[0, tap], places[1, tap]
        p, q = by_square[row_of[cell] * WIDTH + tap], by_square[row_of[cell + 1] * WIDTH + tap]
        cell += wide
        r, s = by_square[row_of[cell] * WIDTH + tap], by_square[row_of[cell + 1] * WIDTH + tap]
        by_x = ((q - p) * (one - fy) + (s - r) * fy) * places[2, tap]
        by_y = ((r - p) * (one - fx) + (s - q) * fx) * places[3, tap]
        x, y = xs[tap], ys[tap]
        sums[0] += by_x * x + by_y * y
        sums[1] += by_y * x - by_x * y
        sums[2] += by_x
        sums[3] += by_y


@compiled
def forward_nine(
    k1: Any,
    transforms: Any,
    taps: Any,
    units: Any,
    border: bool,
    sizes: Any,
    wanted: Any,
    share: Any,
    out: Any,
) -> None:
    """Fill `out`, for kernels of nine taps."""
    (channels, inputs, height, width), (first, last) = sizes, wanted
    step, nothing = (last - first) * NINE, np.zeros(NINE, k1.dtype)
    square, products = np.empty(SQUARE, k1.dtype), np.empty(last * SQUARE, k1.dtype)
    cells, places = np.empty(NINE, np.int32), np.empty((4, NINE), k1.dtype)
    row_of, wide = _rows(height, width), width + 2 * MARGIN
    for o in range(share[0], share[1]):
        for t in range(last - 1):
            read(
                matrix(transforms, t * channels + o),
                taps,
                units,
                border,
                height,
                width,
                cells,
                places,
            )
            if t == 0:
                _square(cells, places, row_of, wide, products, SQUARE, WIDTH, 1)
            else:
                _square(cells, places, row_of, wide, square, 0, WIDTH, 1)
                s, to = (t * SQUARE, WIDTH), ((t + 1) * SQUARE, WIDTH)
                _product(products, s, square, 0, nothing, (0, 0), products, to, NINE)
        for begin in range(o * inputs, (o + 1) * inputs, ROWS):
            rows = min(ROWS, (o + 1) * inputs - begin)
            if first == 0:
                for row in range(begin, begin + rows):
                    store_nine(out, row * step, load_nine(k1, row * NINE))
            for d in range(max(first, 1), last):
                s, to = (begin * NINE, NINE), (begin * step + (d - first) * NINE, step)
                _product(k1, s, products, d * SQUARE, nothing, (0, 0), out, to, rows)


@compiled
def backward_nine(
    k1: Any,
    transforms: Any,
    taps: Any,
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
    (channels, inputs, height, width), (first, last) = sizes, wanted
    step, nothing = (last - first) * NINE, np.zeros(NINE, k1.dtype)
    products, turned_products = np.empty((2, last * SQUARE), k1.dtype)
    turned = np.empty(last * SQUARE, k1.dtype)
    by_product, by_square = np.zeros(last * SQUARE, k1.dtype), np.zeros(SQUARE, k1.dtype)
    cells, places = np.empty((last, NINE), np.int32), np.empty((last, 4, NINE), k1.dtype)
    row_of, wide, sums = _rows(height, width), width + 2 * MARGIN, np.empty(4, k1.dtype)
    for o in range(share[0], share[1]):
        for t in range(last - 1):
            warp, now, after = matrix(transforms, t * channels + o), t * SQUARE, (t + 1) * SQUARE
            read(warp, taps, units, border, height, width, cells[t], places[t])
            if t == 0:
                _square(cells[t], places[t], row_of, wide, products, after, WIDTH, 1)
                _square(cells[t], places[t], row_of, wide, turned_products, after, 1, WIDTH)
            else:
                _square(cells[t], places[t], row_of, wide, by_square, 0, WIDTH, 1)
                _square(cells[t], places[t], row_of, wide, turned, now, 1, WIDTH)
                s, to = (now, WIDTH), (after, WIDTH)
                _product(products, s, by_square, 0, nothing, (0, 0), products, to, NINE)
                _product(
                    turned, s, turned_products, now, nothing, (0, 0), turned_products, to, NINE
                )
        by_product[:] = 0
        for begin in range(o * inputs, (o + 1) * inputs, ROWS):
            rows, s = min(ROWS, (o + 1) * inputs - begin), (begin * NINE, NINE)
            own, a = (gradient, (begin * step, step)) if first == 0 else (nothing, (0, 0))
            for d in range(max(first, 1), last):
                g = (begin * step + (d - first) * NINE, step)
                _outer(k1, s, gradient, g, by_product, d * SQUARE, rows)
                _product(gradient, g, turned_products, d * SQUARE, own, a, dk1, s, rows)
                own, a = dk1, s
        for t in range(last - 2, -1, -1):
            here, behind = (t * SQUARE, WIDTH), ((t + 1) * SQUARE, WIDTH)
            by_warp = by_product[(t + 1) * SQUARE : (t + 2) * SQUARE]
            if t > 0:
                by_square[:] = 0
                _outer(products, here, by_product, behind, by_square, 0, NINE)
                by_warp = by_square
                _product(
                    by_product, behind, turned, t * SQUARE, by_product, here, by_product, here, NINE
                )
            _by_matrix(by_warp, cells[t], places[t], row_of, wide, taps, sums)
            chain(sums, transforms, t * channels + o, dtransforms)
