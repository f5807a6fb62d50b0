"""Kernels for filters of any size on the CPU: the computation of `layer.affine`, much faster.

Input channels are transposed in blocks of 16, so that one SIMD row holds the same tap of 16
channels. All channels of an output filter share the transform, so a new tap is a weighted sum of
four rows. `threetconv.layer.cpu.nine_taps` is faster, for kernels of nine taps only.

Memory is read and written once, in torch's layout. A call computes the output channels `start` to
`stop` without the GIL, so threads can divide the channels among them; results do not depend on the
division.

The entry points take one pointer to an order that holds all arguments: `task`, `filled` and `share`
are what `task_of`, `filled_at` and `next_share` of `threetconv.layer.cpu.work_order` read from it.
Threads take its pieces one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from threetconv.layer.cpu.channel_tiles import (
    BLOCK,
    arrived,
    back,
    clear,
    copy,
    gather,
    layout_of,
    scatter,
    warp,
)
from threetconv.layer.cpu.compile import Callback, compiled
from threetconv.layer.cpu.simd import four_zeros, sixteen_zeros, width_of
from threetconv.layer.cpu.simd_memory import number, put, store
from threetconv.layer.cpu.warp_coordinates import by_transforms, dot_of, read, room
from threetconv.layer.cpu.work_order import filled_at, next_share, order_at, piece_done, task_of

__all__ = ["backward_any", "forward_any"]

# up to so many input channels (a stem's three, or depthwise) use rows of 4: rows of 16 would mostly
# compute zeros
FEW = 4


@compiled
def _forward(nil: Any, task: Any, share: Any) -> None:
    """`forward_any` with rows as wide as `nil`."""
    taps, _, _, (_, inputs, _, height, width), (first, last), k1, _, out = task
    n, lanes = taps[0].shape[0], width_of(nil)
    layout = layout_of(height, width, n, lanes)
    _, size, area, _ = layout
    start, length = max(first, 1), (last - first) * area
    # a warp reads the previous slice only, so two slices take turns; the margins stay zero
    tile = np.zeros(2 * size, k1.dtype)
    # each channel has BLOCK elements of slack: taps are read and written four at a time
    step, one_step = (last - start) * area + BLOCK, area + BLOCK
    built, firsts = np.zeros(lanes * step, k1.dtype), np.zeros(lanes * one_step, k1.dtype)
    warps = room(last, n, k1)
    for o in range(share[0], share[1]):
        read(task, o, warps, False)
        for begin in range(o * inputs, (o + 1) * inputs, lanes):
            count = min(lanes, (o + 1) * inputs - begin)
            copy(k1, begin * area, area, firsts, 0, one_step, count, area)
            if first == 0:  # slice 0 is k1 itself
                copy(k1, begin * area, area, out, begin * length, length, count, area)
            gather(nil, firsts, one_step, layout, tile)
            warp(nil, tile, layout, 2, last, warps, start, built, step)
            to = begin * length + (start - first) * area
            copy(built, 0, step, out, to, length, count, (last - start) * area)


@compiled
def _backward(nil: Any, task: Any, filled: Any, share: Any) -> None:
    """`backward_any` with rows as wide as `nil`."""
    taps, _, _, (_, inputs, _, height, width), wanted, k1, _, gradient = task
    (first, last), (dk1, dtransforms) = wanted, filled
    n, lanes = taps[0].shape[0], width_of(nil)
    layout = layout_of(height, width, n, lanes)
    inner, size, area, _ = layout
    # derivatives by the weights need every slice again, so the tile keeps all of them
    tile, by_tile = np.zeros(last * size, k1.dtype), np.zeros(4 * (size + 16), k1.dtype)
    length, one_step = (last - first) * area, area + BLOCK
    step = area + length + BLOCK  # begins with a slice of zeros, the gradient of slices < first
    outer, firsts = np.zeros(lanes * step, k1.dtype), np.zeros(lanes * one_step, k1.dtype)
    warps, dots = room(last, n, k1), np.empty(last * 4 * n, k1.dtype)
    for o in range(share[0], share[1]):
        clear(dots, 0, last * 4 * n)
        read(task, o, warps, True)
        for begin in range(o * inputs, (o + 1) * inputs, lanes):
            count = min(lanes, (o + 1) * inputs - begin)
            # the last block may have fewer channels: clear the previous block's from the unused
            # lanes, or they would be added to the derivatives by the weights
            if count < lanes < inputs:
                firsts[count * one_step :] = 0
                outer[count * step :] = 0
            copy(k1, begin * area, area, firsts, 0, one_step, count, area)
            copy(gradient, begin * length, length, outer, area, step, count, length)
            gather(nil, firsts, one_step, layout, tile)
            # forward again: between the two passes only k1 and the transforms are kept
            warp(nil, tile, layout, last, last - 1, warps, last, outer, step)
            back(nil, tile, by_tile, layout, wanted, warps, outer, step, dots)
            # gradient of slice 0: from slice 1, in by_tile, and the loss's own, if it was wanted
            at = max(1 - first, 0) * area
            for tap in range(0, area, BLOCK):
                a, b, c, d = arrived(nil, by_tile, 0, inner, tap, outer, at, step)
                store(tile, number(inner, tap), a)
                store(tile, number(inner, tap + 1), b)
                store(tile, number(inner, tap + 2), c)
                store(tile, number(inner, tap + 3), d)
            scatter(nil, tile, 0, layout, firsts, 0, one_step)
            copy(firsts, 0, one_step, dk1, begin * area, area, count, area)
        # the last block of four reaches beyond the kernel; what it collected there must not count
        for t in range(last - 1):
            for tap in range(area, (area + BLOCK - 1) // BLOCK * BLOCK):
                for weight in range(4):
                    put(dots, 4 * t * n + dot_of(tap) + 4 * weight, 0)
        by_transforms(dots, task, o, warps, dtransforms)


@Callback
def forward_any(pointer: Any) -> None:
    """Fill `out`, the order's slices."""
    order, like = order_at(pointer)
    task = task_of(order, like)
    sizes, few, many = task[3], four_zeros(like), sixteen_zeros(like)
    share = next_share(order)
    while share[0] < share[1]:
        if sizes[1] <= FEW:
            _forward(few, task, share)
        else:
            _forward(many, task, share)
        piece_done(order)
        share = next_share(order)


@Callback
def backward_any(pointer: Any) -> None:
    """Fill `dk1` and `dtransforms`; here the order's slices hold `gradient`."""
    order, like = order_at(pointer)
    task = task_of(order, like)
    sizes, few, many = task[3], four_zeros(like), sixteen_zeros(like)
    filled = filled_at(order, sizes, like)
    share = next_share(order)
    while share[0] < share[1]:
        if sizes[1] <= FEW:
            _backward(few, task, filled, share)
        else:
            _backward(many, task, filled, share)
        piece_done(order)
        share = next_share(order)
