"""Channel-interleaved tiles for `any_size`: a row is one tap of 16 (or 4) channels.

A tile holds consecutive slices. Each has the zero margin of
`threetconv.layer.cpu.warp_coordinates`, followed by one dummy row: taps are processed four at a
time, and the last block's surplus taps go there.

Arguments that many functions share:
    nil: zeros, as wide as a row.
    layout: of a slice in the tile, see `layout_of`.
    warps: cells, places and turns, see `threetconv.layer.cpu.warp_coordinates.room`.
    channels, step: a channel-major array, with `step` elements from one channel to the next.
    by_tile: derivatives by slice t and by slice t + 1, used alternately. Each is the sum of two
        parts, one for even and one for odd cell numbers. A cell is a pair of rows; within one part
        two pairs are identical or disjoint, never half overlapping, which would stall the
        processor's store-to-load forwarding.
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
    "layout_of",
    "scatter",
    "warp",
]

BLOCK = 4  # taps done together, the size of the blocks that `simd.transpose` turns


@compiled
def layout_of(height: int, width: int, n: int, lanes: int) -> Any:
    """How a slice lies in the tile: its grid with margins, then the dummy row.

    Returns:
        inner: (n,), offset of each tap's row in a slice; after the last tap that of the dummy row.
        size: number of elements of a slice.
        area, wide: number of taps; taps in a line of the grid with margins.
    """
    area, wide = height * width, width + 2 * MARGIN
    dummy, numbers = (height + 2 * MARGIN) * wide * lanes, inner_taps(height, width)
    inner = np.full(n, dummy, np.int32)
    for tap in range(area):
        inner[tap] = numbers[tap] * lanes
    # rounded up to 16, in which `clear` writes
    return inner, (dummy + lanes + 15) // 16 * 16, area, wide


@compiled
def copy(
    source: Any, start: int, step: int, target: Any, to: int, by: int, runs: int, length: int
) -> None:
    """Copy `runs` runs of `length` elements, from `step` apart to `by` apart."""
    nil, whole = sixteen_zeros(source), length - length % 16
    for run in range(runs):
        old, new = start + run * step, to + run * by
        for i in range(0, whole, 16):
            store(target, new + i, load(source, old + i, nil))
        # the rest one by one: a whole row would overwrite what follows the run
        for i in range(whole, length):
            target[new + i] = number(source, old + i)


@compiled
def clear(array: Any, start: int, length: int) -> None:
    """Fill with zeros; `length` is a multiple of 16."""
    for i in range(start, start + length, 16):
        store(array, i, sixteen_zeros(array))


@compiled
def _clear_taps(by_tile: Any, start: int, inner: Any, area: int, lanes: int) -> None:
    """Zeros at all taps, in both parts; derivatives by the margin are never read."""
    # from the first tap to one row after the last, since the odd part is shifted by one row
    quarter, low = by_tile.shape[0] // 4, number(inner, 0) // 16 * 16
    length = (number(inner, area - 1) + 2 * lanes - low + 15) // 16 * 16
    clear(by_tile, start + low, length)
    clear(by_tile, start + low + quarter, length)


@compiled
def gather(nil: Any, channels: Any, step: int, layout: Any, tile: Any) -> None:
    """Slice 0 of a block of channels, `step` elements apart, into the tile's first slice."""
    inner, _, area, _ = layout
    for tap in range(0, area, BLOCK):
        # a holds four taps of channels 0, 4, 8, 12, b of channels 1, 5, 9, 13, ...; transposed, a
        # holds the first of these taps for channels 0 to 15, b the second, ...
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
def scatter(nil: Any, tile: Any, at: int, layout: Any, channels: Any, to: int, step: int) -> None:
    """A slice of the tile to a block of channels, `step` elements apart; inverse of `gather`."""
    inner, _, area, _ = layout
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
    layout: Any,
    kept: int,
    last: int,
    warps: Any,
    start: int,
    channels: Any,
    step: int,
) -> None:
    """Compute slices 1 to last - 1 from slice 0 (equation 5); the tile has room for `kept` slices.

    Slices from `start` on are also written to a block of channels, `step` elements apart.
    """
    (inner, size, area, wide), (cells, places, _) = layout, warps
    n, lanes, pair, four = inner.shape[0], width_of(nil), twice(nil), four_zeros(tile)
    for t in range(last - 1):
        old, new = t % kept * size, (t + 1) % kept * size
        for tap in range(area):
            # upper left and upper right tap are neighbours in memory: one load of a double row,
            # times their two weights; `fold` adds the two halves
            at = old + number(cells, t * n + tap) * lanes
            weights = load(places, 8 * t * n + four_of(tap), four)
            above = multiply(upper(weights, pair), load(tile, at, pair))
            below = multiply(lower(weights, pair), load(tile, at + wide * lanes, pair))
            store(tile, new + number(inner, tap), fold(add(above, below)))
        if t + 1 >= start:
            scatter(nil, tile, new, layout, channels, (t + 1 - start) * area, step)


@compiled
def arrived(
    nil: Any, by_tile: Any, new: int, inner: Any, tap: int, channels: Any, at: int, step: int
) -> Any:
    """Derivatives by four taps of a slice: through the next slice, plus the loss's own."""
    # `half`: offset of a row's odd part from its even part
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
    """Backward of one tap: adds the derivatives by the four taps it read to `by_tile`.

    Returns:
        Its derivatives by its four weights as a row of 16, four partial sums each.
    """
    weights, g = load(places, place, four_zeros(places)), twice(g)
    lanes, half = width_of(g) // 2, by_tile.shape[0] // 4 + width_of(g) // 2
    below = cell + wide
    # even and odd cells go to different parts; see `by_tile` at the top
    here, there = old + cell * lanes + (cell & 1) * half, old + below * lanes + (below & 1) * half
    store(by_tile, here, add(load(by_tile, here, g), multiply(upper(weights, g), g)))
    store(by_tile, there, add(load(by_tile, there, g), multiply(lower(weights, g), g)))
    # a weight's derivative is the product of the tap it reads and g, summed over channels
    above = multiply(load(tile, at + cell * lanes, g), g)
    return quarters(above, multiply(load(tile, at + below * lanes, g), g))


@compiled
def back(
    nil: Any,
    tile: Any,
    by_tile: Any,
    layout: Any,
    wanted: Any,
    warps: Any,
    channels: Any,
    step: int,
    dots: Any,
) -> None:
    """Backward of `warp`: derivatives by slice 0, into by_tile, and by all weights, into dots."""
    (inner, size, area, wide), (cells, places, _) = layout, warps
    (first, last), n, both = wanted, inner.shape[0], by_tile.shape[0] // 2
    # nothing comes through a next slice to the last one
    _clear_taps(by_tile, (last - 1) % 2 * both, inner, area, width_of(nil))
    for t in range(last - 2, -1, -1):
        old, new, at = t % 2 * both, (t + 1) % 2 * both, t * size
        _clear_taps(by_tile, old, inner, area, width_of(nil))
        # slice t + 1 in `channels`, which begin with a slice of zeros for slices before `first`
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
            # transposed, adding the four rows completes the partial sums of four taps at once
            i, j, k, m = transpose(i, j, k, m)
            sums = add(add(i, j), add(k, m))
            store(dots, dot, add(load(dots, dot, sums), sums))
