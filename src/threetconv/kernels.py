"""Warping filters on the CPU, compiled by numba: the numbers of `threetconv.affine`, much faster.

16 input channels at a time are transposed, so that a row is one tap of 16 channels, and a new tap
is a weighted sum of four rows. `threetconv.kernels_nine` does kernels of nine taps, and faster.

Memory is read and written once and in torch's own order. A call does the output channels `start`
to `stop` and holds no Python lock, so that threads can share the channels out; the numbers of a
channel do not depend on how.

Arguments, arrays flat and of one dtype:
    k1: (out, in, H W), slice 0.
    transforms: scale, rotate, translate_x, translate_y, (D - 1, out) each.
    taps, units, border: see `threetconv.places.read`.
    sizes: (number of output channels, number of input channels, H, W).
    wanted: (first, last), the slices first <= d < last, 1 < last <= D.
    share: (start, stop).
    out, gradient: (out, in, last - first, H W), the slices; the loss's derivatives by them.
    dk1: like k1, filled. dtransforms: (4, D - 1, out), filled for the transforms before last - 1.
"""
# ruff: noqa: PLR0917 (numba takes no keywords)

from __future__ import annotations

from typing import Any

import numpy as np

from threetconv.lanes import (
    add,
    four_zeros,
    load,
    multiply,
    multiply_add,
    sixteen_zeros,
    store,
    subtract,
    total,
    width_of,
)
from threetconv.places import MARGIN, chain, compiled, inner_taps, matrix, read

__all__ = ["backward_any", "forward_any"]

FEW = 4  # so many input channels (a stem's three, or depthwise) are done in rows of four


@compiled
def _gather(nil: Any, k1: Any, begin: int, count: int, inner: Any, tile: Any) -> None:
    """`count` channels' slice 0 into the tile's first slice."""
    taps, lanes = inner.shape[0], width_of(nil)
    for channel in range(count):
        at = (begin + channel) * taps
        for tap in range(taps):
            tile[inner[tap] * lanes + channel] = k1[at + tap]


@compiled
def _warp(
    nil: Any, tile: Any, old: int, size: int, inner: Any, cells: Any, places: Any, wide: int
) -> None:
    """The slice behind the one at `old` in the tile; `size` numbers are a slice of it."""
    one, lanes = tile.dtype.type(1), width_of(nil)
    below_ = wide * lanes
    new = old + size
    for tap in range(inner.shape[0]):
        at, fx, fy = old + cells[tap] * lanes, places[0, tap], places[1, tap]
        above = multiply_add(nil, (one - fx) * (one - fy), load(tile, at, nil))
        above = multiply_add(above, fx * (one - fy), load(tile, at + lanes, nil))
        below = multiply_add(nil, (one - fx) * fy, load(tile, at + below_, nil))
        below = multiply_add(below, fx * fy, load(tile, at + below_ + lanes, nil))
        store(tile, new + inner[tap] * lanes, add(above, below))


@compiled
def _back(
    nil: Any,
    tile: Any,
    by_tile: Any,
    old: int,
    size: int,
    read_from: Any,
    taps: Any,
    wide: int,
    by_matrix: Any,
) -> None:
    """One warp back: derivatives by its old slice and by the four numbers of its matrix."""
    (inner, cells, places), new = read_from, old + size
    one, lanes, (xs, ys) = tile.dtype.type(1), width_of(nil), taps
    below = wide * lanes
    by_a, by_b = load(by_matrix, 0, nil), load(by_matrix, lanes, nil)
    by_shift_x, by_shift_y = load(by_matrix, 2 * lanes, nil), load(by_matrix, 3 * lanes, nil)
    for tap in range(inner.shape[0]):
        g = load(by_tile, new + inner[tap] * lanes, nil)
        p = old + cells[tap] * lanes
        q, r, s = p + lanes, p + below, p + below + lanes
        fx, fy = places[0, tap], places[1, tap]
        slope_x, slope_y = places[2, tap], places[3, tap]
        at_p, at_q = load(tile, p, nil), load(tile, q, nil)
        at_r, at_s = load(tile, r, nil), load(tile, s, nil)
        x = multiply_add(nil, (one - fy) * slope_x, subtract(at_q, at_p))
        x = multiply_add(x, fy * slope_x, subtract(at_s, at_r))
        y = multiply_add(nil, (one - fx) * slope_y, subtract(at_r, at_p))
        y = multiply_add(y, fx * slope_y, subtract(at_s, at_q))
        x, y = multiply(x, g), multiply(y, g)
        by_a = multiply_add(multiply_add(by_a, xs[tap], x), ys[tap], y)
        by_b = multiply_add(multiply_add(by_b, -ys[tap], x), xs[tap], y)
        by_shift_x, by_shift_y = add(by_shift_x, x), add(by_shift_y, y)
        store(by_tile, p, multiply_add(load(by_tile, p, nil), (one - fx) * (one - fy), g))
        store(by_tile, q, multiply_add(load(by_tile, q, nil), fx * (one - fy), g))
        store(by_tile, r, multiply_add(load(by_tile, r, nil), (one - fx) * fy, g))
        store(by_tile, s, multiply_add(load(by_tile, s, nil), fx * fy, g))
    store(by_matrix, 0, by_a)
    store(by_matrix, lanes, by_b)
    store(by_matrix, 2 * lanes, by_shift_x)
    store(by_matrix, 3 * lanes, by_shift_y)


@compiled
def _forward(
    nil: Any,
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
    """`forward_any` with rows as wide as `nil`."""
    (channels, inputs, height, width), (first, last) = sizes, wanted
    inner, wide, lanes = inner_taps(height, width), width + 2 * MARGIN, width_of(nil)
    area, size = inner.shape[0], wide * (height + 2 * MARGIN) * lanes
    tile = np.zeros(last * size, k1.dtype)
    cells, places = np.empty((last, area), np.int32), np.empty((last, 4, area), k1.dtype)
    for o in range(share[0], share[1]):
        for t in range(last - 1):
            warp = matrix(transforms, t * channels + o)
            read(warp, taps, units, border, height, width, cells[t], places[t])
        for begin in range(o * inputs, (o + 1) * inputs, lanes):
            count = min(lanes, (o + 1) * inputs - begin)
            _gather(nil, k1, begin, count, inner, tile)
            for t in range(last - 1):
                _warp(nil, tile, t * size, size, inner, cells[t], places[t], wide)
            for channel in range(count):
                at = (begin + channel) * (last - first) * area
                for t in range(first, last):
                    for tap in range(area):
                        out[at] = tile[t * size + inner[tap] * lanes + channel]
                        at += 1


@compiled
def _backward(  # noqa: PLR0912
    nil: Any,
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
    """`backward_any` with rows as wide as `nil`."""
    (channels, inputs, height, width), (first, last) = sizes, wanted
    inner, wide, lanes = inner_taps(height, width), width + 2 * MARGIN, width_of(nil)
    area, size = inner.shape[0], wide * (height + 2 * MARGIN) * lanes
    tile, by_tile = np.zeros(last * size, k1.dtype), np.zeros(last * size, k1.dtype)
    cells, places = np.empty((last, area), np.int32), np.empty((last, 4, area), k1.dtype)
    by_matrix, sums = np.empty((last, 4 * lanes), k1.dtype), np.empty(4, k1.dtype)
    for o in range(share[0], share[1]):
        by_matrix[:] = 0
        for t in range(last - 1):
            warp = matrix(transforms, t * channels + o)
            read(warp, taps, units, border, height, width, cells[t], places[t])
        for begin in range(o * inputs, (o + 1) * inputs, lanes):
            count = min(lanes, (o + 1) * inputs - begin)
            by_tile[: first * size] = 0
            if count < lanes:  # leave nothing in the lanes of channels that do not exist
                tile[:] = 0
                by_tile[:] = 0
            _gather(nil, k1, begin, count, inner, tile)
            for t in range(last - 2):
                _warp(nil, tile, t * size, size, inner, cells[t], places[t], wide)
            for channel in range(count):
                at = (begin + channel) * (last - first) * area
                for t in range(first, last):
                    for tap in range(area):
                        by_tile[t * size + inner[tap] * lanes + channel] = gradient[at]
                        at += 1
            for t in range(last - 2, -1, -1):
                read_from = inner, cells[t], places[t]
                _back(nil, tile, by_tile, t * size, size, read_from, taps, wide, by_matrix[t])
            for channel in range(count):
                at = (begin + channel) * area
                for tap in range(area):
                    dk1[at + tap] = by_tile[inner[tap] * lanes + channel]
        for t in range(last - 1):
            for number in range(4):
                sums[number] = total(load(by_matrix[t], number * lanes, nil))
            chain(sums, transforms, t * channels + o, dtransforms)


@compiled
def forward_any(
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
    """Fill `out`."""
    if sizes[1] <= FEW:
        _forward(four_zeros(k1), k1, transforms, taps, units, border, sizes, wanted, share, out)
    else:
        _forward(sixteen_zeros(k1), k1, transforms, taps, units, border, sizes, wanted, share, out)


@compiled
def backward_any(
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
    """Fill `dk1` and `dtransforms`."""
    if sizes[1] <= FEW:
        _backward(
            four_zeros(k1),
            k1,
            transforms,
            taps,
            units,
            border,
            sizes,
            wanted,
            share,
            gradient,
            dk1,
            dtransforms,
        )
    else:
        _backward(
            sixteen_zeros(k1),
            k1,
            transforms,
            taps,
            units,
            border,
            sizes,
            wanted,
            share,
            gradient,
            dk1,
            dtransforms,
        )
