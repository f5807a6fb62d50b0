"""Slices as tiles, for `threetconv.layer.cpu.any_size`: a row is one tap of 16 (or 4) channels.

A tile holds slices one behind the other, each with the margin of
`threetconv.layer.cpu.warp_coordinates` and, behind it, a row that takes what belongs nowhere: taps
are done four at a time, also the last ones.

Arguments that many functions have:
    nil: zeros, as wide as a row.
    inner: (n,), where each tap's row is in a slice.
    cells, places: see `threetconv.layer.cpu.warp_coordinates.read`.
    area, wide: number of taps; taps in a line of the grid with margins.
    channels, step: numbers channel by channel, `step` from one to the next.
    by_tile: derivatives by the slice in work and by the one behind it. Each is kept as two parts to
        be added: cells at even and at odd numbers. So two cells of one part are the same or apart,
        and the processor need not wait for what it has just written half of.
"""
# ruff: noqa: PLR0917 (numba takes no keywords)

from __future__ import annotations

from typing import Any

import numpy as np

from threetconv.layer.cpu.compile import compiled
from threetconv.layer.cpu.simd import (
    add,
    fold,
    four_zeros,
    lower,
    multiply,
    quarters,
    sixteen_zeros,
    transpose,
    twice,
    upper,
    width_of,
)
from threetconv.layer.cpu.simd_memory import load, load_fours, number, store, store_fours
from threetconv.layer.cpu.warp_coordinates import MARGIN, four_of, inner_taps

__all__ = [
    "BLOCK",
    "arrived",
    "back",
    "clear",
    "copy",
    "gather",
    "positions",
    "scatter",
    "slice_size",
    "warp",
]

BLOCK = 4  # taps done together, so that they can be turned into numbers of one channel


@compiled
def slice_size(height: int, width: int, lanes: int) -> Any:
    """How many numbers a slice of the tile has: the grid with margins, and a row for nothing."""
    return ((height + 2 * MARGIN) * (width + 2 * MARGIN) * lanes + lanes + 15) // 16 * 16


@compiled
def positions(height: int, width: int, n: int, lanes: int) -> Any:
    """Where each tap's row is in a slice of the tile; after the last tap, behind the margin."""
    inner = inner_taps(height, width)
    positions = np.full(n, (height + 2 * MARGIN) * (width + 2 * MARGIN) * lanes, np.int32)
    for tap in range(inner.shape[0]):
        positions[tap] = inner[tap] * lanes
    return positions


@compiled
def copy(
    source: Any, start: int, step: int, target: Any, to: int, by: int, runs: int, length: int
) -> None:
    """Runs of numbers, `step` apart, to places that are `by` apart."""
    nil, whole = sixteen_zeros(source), length - length % 16
    for run in range(runs):
        old, new = start + run * step, to + run * by
        for i in range(0, whole, 16):
            store(target, new + i, load(source, old + i, nil))
        for i in range(whole, length):
            target[new + i] = number(source, old + i)


@compiled
def clear(array: Any, start: int, length: int) -> None:
    """Zeros; `length` is a multiple of 16."""
    for i in range(start, start + length, 16):
        store(array, i, sixteen_zeros(array))


@compiled
def _clear_taps(by_tile: Any, start: int, inner: Any, area: int, lanes: int) -> None:
    """Zeros at all taps, in both parts; what has gathered in the margin nobody reads."""
    quarter, low = by_tile.shape[0] // 4, number(inner, 0) // 16 * 16
    length = (number(inner, area - 1) + 2 * lanes - low + 15) // 16 * 16
    clear(by_tile, start + low, length)
    clear(by_tile, start + low + quarter, length)


@compiled
def gather(nil: Any, channels: Any, step: int, inner: Any, area: int, tile: Any) -> None:
    """Slice 0 of a row of channels, `step` numbers apart, into the tile's first slice."""
    for tap in range(0, area, BLOCK):
        a = load_fours(channels, tap, BLOCK * step, nil)
        b = load_fours(channels, tap + step, BLOCK * step, nil)
        c = load_fours(channels, tap + 2 * step, BLOCK * step, nil)
        d = load_fours(channels, tap + 3 * step, BLOCK * step, nil)
        a, b, c, d = transpose(a, b, c, d)
        store(tile, number(inner, tap), a)
        store(tile, number(inner, tap + 1), b)
        store(tile, number(inner, tap + 2), c)
        store(tile, number(inner, tap + 3), d)


@compiled
def scatter(
    nil: Any, tile: Any, at: int, inner: Any, area: int, channels: Any, to: int, step: int
) -> None:
    """A slice of the tile to a row of channels, `step` numbers apart."""
    for tap in range(0, area, BLOCK):
        a, b, c, d = transpose(
            load(tile, at + number(inner, tap), nil),
            load(tile, at + number(inner, tap + 1), nil),
            load(tile, at + number(inner, tap + 2), nil),
            load(tile, at + number(inner, tap + 3), nil),
        )
        store_fours(channels, to + tap, BLOCK * step, a)
        store_fours(channels, to + tap + step, BLOCK * step, b)
        store_fours(channels, to + tap + 2 * step, BLOCK * step, c)
        store_fours(channels, to + tap + 3 * step, BLOCK * step, d)


@compiled
def warp(
    nil: Any,
    tile: Any,
    size: int,
    kept: int,
    last: int,
    inner: Any,
    cells: Any,
    places: Any,
    area: int,
    wide: int,
    start: int,
    channels: Any,
    step: int,
) -> None:
    """The slices before `last`, from the first; the tile has room for `kept`.

    Those from `start` on go to a row of channels, `step` numbers apart.
    """
    n, lanes, pair, four = inner.shape[0], width_of(nil), twice(nil), four_zeros(tile)
    for t in range(last - 1):
        old, new = t % kept * size, (t + 1) % kept * size
        for tap in range(area):
            at = old + number(cells, t * n + tap) * lanes
            weights = load(places, 8 * t * n + four_of(tap), four)
            above = multiply(upper(weights, pair), load(tile, at, pair))
            below = multiply(lower(weights, pair), load(tile, at + wide * lanes, pair))
            store(tile, new + number(inner, tap), fold(add(above, below)))
        if t + 1 >= start:
            scatter(nil, tile, new, inner, area, channels, (t + 1 - start) * area, step)


@compiled
def arrived(
    nil: Any, by_tile: Any, new: int, inner: Any, tap: int, channels: Any, at: int, step: int
) -> Any:
    """What arrives at four taps of a slice: from the slice behind, and from without."""
    half = by_tile.shape[0] // 4 + width_of(nil)
    p, q = new + number(inner, tap), new + number(inner, tap + 1)
    r, s = new + number(inner, tap + 2), new + number(inner, tap + 3)
    a = add(load(by_tile, p, nil), load(by_tile, half + p, nil))
    b = add(load(by_tile, q, nil), load(by_tile, half + q, nil))
    c = add(load(by_tile, r, nil), load(by_tile, half + r, nil))
    d = add(load(by_tile, s, nil), load(by_tile, half + s, nil))
    more = transpose(
        load_fours(channels, at + tap, BLOCK * step, nil),
        load_fours(channels, at + tap + step, BLOCK * step, nil),
        load_fours(channels, at + tap + 2 * step, BLOCK * step, nil),
        load_fours(channels, at + tap + 3 * step, BLOCK * step, nil),
    )
    return add(a, more[0]), add(b, more[1]), add(c, more[2]), add(d, more[3])


@compiled
def _tap_back(
    tile: Any,
    at: int,
    by_tile: Any,
    old: int,
    cell: int,
    wide: int,
    places: Any,
    place: int,
    g: Any,
) -> Any:
    """One tap back: derivatives by the four it is made of; returned, by its weights, quartered."""
    weights, g = load(places, place, four_zeros(places)), twice(g)
    lanes, half = width_of(g) // 2, by_tile.shape[0] // 4 + width_of(g) // 2
    below = cell + wide
    here, there = old + cell * lanes + (cell & 1) * half, old + below * lanes + (below & 1) * half
    store(by_tile, here, add(load(by_tile, here, g), multiply(upper(weights, g), g)))
    store(by_tile, there, add(load(by_tile, there, g), multiply(lower(weights, g), g)))
    above = multiply(load(tile, at + cell * lanes, g), g)
    return quarters(above, multiply(load(tile, at + below * lanes, g), g))


@compiled
def back(
    nil: Any,
    tile: Any,
    by_tile: Any,
    size: int,
    wanted: Any,
    inner: Any,
    cells: Any,
    places: Any,
    area: int,
    wide: int,
    channels: Any,
    step: int,
    dots: Any,
) -> None:
    """The warps back: derivatives by the first slice, into by_tile, and by the weights of taps."""
    (first, last), n, both = wanted, inner.shape[0], by_tile.shape[0] // 2
    _clear_taps(by_tile, (last - 1) % 2 * both, inner, area, width_of(nil))
    for t in range(last - 2, -1, -1):
        old, new, at = t % 2 * both, (t + 1) % 2 * both, t * size
        _clear_taps(by_tile, old, inner, area, width_of(nil))
        begin = max(t + 2 - first, 0) * area
        for tap in range(0, area, BLOCK):
            a, b, c, d = arrived(nil, by_tile, new, inner, tap, channels, begin, step)
            p, place, dot = t * n + tap, 8 * t * n + four_of(tap), 4 * (t * n + tap)
            q, r, s = number(cells, p + 1), number(cells, p + 2), number(cells, p + 3)
            p = number(cells, p)
            i = _tap_back(tile, at, by_tile, old, p, wide, places, place, a)
            j = _tap_back(tile, at, by_tile, old, q, wide, places, place + 16, b)
            k = _tap_back(tile, at, by_tile, old, r, wide, places, place + 32, c)
            m = _tap_back(tile, at, by_tile, old, s, wide, places, place + 48, d)
            i, j, k, m = transpose(i, j, k, m)
            sums = add(add(i, j), add(k, m))
            store(dots, dot, add(load(dots, dot, sums), sums))
