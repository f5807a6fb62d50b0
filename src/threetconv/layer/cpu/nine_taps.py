"""Kernels for filters of nine taps (3 x 3, by far the most common) on the CPU.

A warp is a 9 x 9 matrix S_t, so slice d is K1 @ P_d with P_d = S_0 ... S_{d-1}. The chain over time
multiplies small matrices only. The many rows, one per input channel, are multiplied once per slice
in the forward and twice in the backward pass, by matrices that stay in registers and two slices at
a time (`threetconv.layer.cpu.matrix9`). Arguments are those of `threetconv.layer.cpu.any_size`.
"""
# ruff: noqa: PLR0917 (numba takes no keywords)

from __future__ import annotations

from typing import Any

import numpy as np

from threetconv.layer.cpu.compile import Callback, compiled
from threetconv.layer.cpu.matrix9 import (
    NINE,
    PAIR,
    SQUARE,
    WIDTH,
    join_squares,
    outer_product,
    product,
    split_squares,
    sum_of_products,
    two_outer_products,
    two_products,
)
from threetconv.layer.cpu.simd import four_zeros, twice
from threetconv.layer.cpu.simd_memory import load, number, put, store
from threetconv.layer.cpu.warp_coordinates import (
    MARGIN,
    by_transforms,
    dot_of,
    four_of,
    inner_taps,
    read,
    room,
)
from threetconv.layer.cpu.work_order import filled_at, next_share, order_at, piece_done, task_of

__all__ = ["backward_nine", "forward_nine"]

ROWS = 64  # input channels done together, so that their rows stay in the L1 cache for all slices


@compiled
def _rows(height: int, width: int) -> Any:
    """The square's row for each tap of the grid with margins; row NINE for those in the margin."""
    grid = (height + 2 * MARGIN) * (width + 2 * MARGIN)
    rows = np.full(grid, NINE, np.int32)
    inner = inner_taps(height, width)
    for tap in range(NINE):
        rows[inner[tap]] = tap
    return rows


@compiled
def _square(
    cells: Any, places: Any, t: int, rows: Any, wide: int, square: Any, m: int, old: int, new: int
) -> None:
    """Equation 5 as a 9 x 9 matrix, S[old tap, new tap].

    Args:
        cells, places, t: of the warp; see `threetconv.layer.cpu.warp_coordinates.room`.
        rows: see `_rows`. wide: taps in a line of the grid with margins.
        old, new: stride per old and per new tap; exchanged, they give the transpose.
    """
    square[m : m + SQUARE] = 0
    for tap in range(NINE):
        at, cell, p = m + tap * new, cells[t * WIDTH + tap], 8 * t * WIDTH + four_of(tap)
        # weights of taps outside the kernel go to row NINE (column NINE of the transpose), which no
        # product reads
        square[at + rows[cell] * old] = places[p]
        square[at + rows[cell + 1] * old] = places[p + 1]
        square[at + rows[cell + wide] * old] = places[p + 2]
        square[at + rows[cell + wide + 1] * old] = places[p + 3]
        # a coordinate that is NaN or inf reads the margin only; its NaN weight must reach the
        # filter, or diverged parameters would look like zeros
        if np.isnan(places[p]):
            square[at] = places[p]


@compiled
def _dots(by_square: Any, cells: Any, t: int, row_of: Any, wide: int, dots: Any) -> None:
    """Derivatives by the four weights of each tap, from those by the 9 x 9 matrix."""
    # the reverse of `_square`; row NINE is zero: weights of taps outside have no effect
    for tap in range(NINE):
        cell, at = cells[t * WIDTH + tap], 4 * t * WIDTH + dot_of(tap)
        dots[at] = by_square[row_of[cell] * WIDTH + tap]
        dots[at + 4] = by_square[row_of[cell + 1] * WIDTH + tap]
        dots[at + 8] = by_square[row_of[cell + wide] * WIDTH + tap]
        dots[at + 12] = by_square[row_of[cell + wide + 1] * WIDTH + tap]


@compiled
def _forward(task: Any, share: Any) -> None:
    """`forward_nine` for one share."""
    _, _, _, (_, inputs, _, height, width), (first, last), k1, _, out = task
    step, nothing = (last - first) * NINE, np.zeros(NINE, k1.dtype)
    square, products = np.empty(SQUARE, k1.dtype), np.empty(last * SQUARE, k1.dtype)
    warps = room(last, WIDTH, k1)
    cells, places, _ = warps
    row_of, wide = _rows(height, width), width + 2 * MARGIN
    eight, start, pairs = twice(four_zeros(k1)), max(first, 1), np.empty(last * PAIR, k1.dtype)
    for o in range(share[0], share[1]):
        read(task, o, warps, False)
        for t in range(last - 1):
            # products[d] = P_d: P_1 = S_0, then P_{t+1} = P_t @ S_t; P_0 would be the identity
            if t == 0:
                _square(cells, places, t, row_of, wide, products, SQUARE, WIDTH, 1)
            else:
                _square(cells, places, t, row_of, wide, square, 0, WIDTH, 1)
                s, to = (t * SQUARE, WIDTH), ((t + 1) * SQUARE, WIDTH)
                product(products, s, square, 0, nothing, (0, 0), products, to, NINE)
        for d in range(start, last - 1, 2):
            join_squares(products, d * SQUARE, pairs, d * PAIR)
        for begin in range(o * inputs, (o + 1) * inputs, ROWS):
            rows = min(ROWS, (o + 1) * inputs - begin)
            if first == 0:  # slice 0 is K1 itself
                for row in range(begin, begin + rows):
                    store(out, row * step, load(k1, row * NINE, eight))
                    put(out, row * step + 8, number(k1, row * NINE + 8))
            for d in range(start, last, 2):
                s, to = (begin * NINE, NINE), (begin * step + (d - first) * NINE, step)
                # slices d and d + 1 are neighbours in memory: one row of 18 per input channel
                if d + 1 < last:
                    two_products(k1, s, pairs, d * PAIR, out, to, rows)
                else:
                    product(k1, s, products, d * SQUARE, nothing, (0, 0), out, to, rows)


@compiled
def _backward(task: Any, filled: Any, share: Any) -> None:
    """`backward_nine` for one share."""
    _, _, _, (_, inputs, _, height, width), (first, last), k1, _, gradient = task
    dk1, dtransforms = filled
    step, nothing = (last - first) * NINE, np.zeros(NINE, k1.dtype)
    # "turned" is transposed: backward through slice_d = K1 @ P_d needs P_d^T, and backward through
    # P_{t+1} = P_t @ S_t needs P_t and S_t^T
    products, turned_products = np.empty((2, last * SQUARE), k1.dtype)
    turned = np.empty(last * SQUARE, k1.dtype)
    by_product, by_square = np.zeros(last * SQUARE, k1.dtype), np.zeros(SQUARE, k1.dtype)
    warps = room(last, WIDTH, k1)
    cells, places, _ = warps
    row_of, wide = _rows(height, width), width + 2 * MARGIN
    dots = np.zeros(last * 4 * WIDTH, k1.dtype)
    start, by_pair = max(first, 1), np.empty(last * PAIR, k1.dtype)
    for o in range(share[0], share[1]):
        read(task, o, warps, True)
        for t in range(last - 1):
            now, after = t * SQUARE, (t + 1) * SQUARE
            if t == 0:
                _square(cells, places, t, row_of, wide, products, after, WIDTH, 1)
                _square(cells, places, t, row_of, wide, turned_products, after, 1, WIDTH)
            else:
                _square(cells, places, t, row_of, wide, by_square, 0, WIDTH, 1)
                _square(cells, places, t, row_of, wide, turned, now, 1, WIDTH)
                s, to = (now, WIDTH), (after, WIDTH)
                # P_{t+1} = P_t @ S_t, and its transpose S_t^T @ P_t^T
                product(products, s, by_square, 0, nothing, (0, 0), products, to, NINE)
                product(turned, s, turned_products, now, nothing, (0, 0), turned_products, to, NINE)
        by_product[:] = 0
        by_pair[:] = 0
        for begin in range(o * inputs, (o + 1) * inputs, ROWS):
            rows, s = min(ROWS, (o + 1) * inputs - begin), (begin * NINE, NINE)
            # dk1 = sum over d of gradient_d @ P_d^T, where P_0 is the identity
            own, a = (gradient, (begin * step, step)) if first == 0 else (nothing, (0, 0))
            for d in range(start, last, 2):
                g = (begin * step + (d - first) * NINE, step)
                # by_product_d += K1^T @ gradient_d, and the term of dk1
                if d + 1 < last:
                    two_outer_products(k1, s, gradient, g, by_pair, d * PAIR, rows)
                    sum_of_products(gradient, g, turned_products, d * SQUARE, own, a, dk1, s, rows)
                else:
                    outer_product(k1, s, gradient, g, by_product, d * SQUARE, rows)
                    product(gradient, g, turned_products, d * SQUARE, own, a, dk1, s, rows)
                own, a = dk1, s  # the next slices add to what is there
        for d in range(start, last - 1, 2):
            split_squares(by_pair, d * PAIR, by_product, d * SQUARE)
        for t in range(last - 2, -1, -1):
            here, behind = (t * SQUARE, WIDTH), ((t + 1) * SQUARE, WIDTH)
            # backward through P_{t+1} = P_t @ S_t, last transition first. For t = 0, P_1 = S_0
            by_warp = by_product[(t + 1) * SQUARE : (t + 2) * SQUARE]
            if t > 0:
                by_square[:] = 0
                # dS_t = P_t^T @ dP_{t+1}
                outer_product(products, here, by_product, behind, by_square, 0, NINE)
                by_warp = by_square
                # dP_t += dP_{t+1} @ S_t^T
                product(
                    by_product, behind, turned, t * SQUARE, by_product, here, by_product, here, NINE
                )
            _dots(by_warp, cells, t, row_of, wide, dots)
        by_transforms(dots, task, o, warps, dtransforms)


@Callback
def forward_nine(pointer: Any) -> None:
    """Fill `out`, the order's slices, for kernels of nine taps."""
    order, like = order_at(pointer)
    task = task_of(order, like)
    share = next_share(order)
    while share[0] < share[1]:
        _forward(task, share)
        piece_done(order)
        share = next_share(order)


@Callback
def backward_nine(pointer: Any) -> None:
    """Fill `dk1` and `dtransforms`, for kernels of nine taps; the slices hold `gradient`."""
    order, like = order_at(pointer)
    task = task_of(order, like)
    filled = filled_at(order, task[3], like)
    share = next_share(order)
    while share[0] < share[1]:
        _backward(task, filled, share)
        piece_done(order)
        share = next_share(order)
