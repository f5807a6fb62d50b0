"""Warping filters on the CPU, compiled by numba: what `layer.affine` computes, much faster.

16 input channels at a time are transposed, so that a row is one tap of 16 channels, and a new tap
is a weighted sum of four rows. `threetconv.layer.cpu.nine_taps` does kernels of nine taps, and
faster.

Memory is read and written once and in torch's own order. A call does the output channels `start`
to `stop` and holds no Python lock, so that threads can share the channels out; the numbers of a
channel do not depend on how.

Arguments, arrays flat and of one dtype:
    k1: (out, in, H W), slice 0.
    transforms: scale, rotate, translate_x, translate_y, (D - 1, out) each.
    taps, units, border: see `threetconv.layer.cpu.warp_coordinates.read`.
    sizes: (number of output channels, number of input channels, D, H, W).
    wanted: (first, last), the slices first <= d < last, 1 < last <= D.
    share: (start, stop).
    out, gradient: (out, in, last - first, H W), the slices; the loss's derivatives by them.
    dk1: like k1, filled. dtransforms: like transforms, filled for those before last - 1.

What is called from outside takes an order that holds all of them
(`threetconv.layer.cpu.work_order`), of which several threads can do one piece after the other.
"""
# ruff: noqa: PLR0917 (numba takes no keywords)

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
    positions,
    scatter,
    slice_size,
    warp,
)
from threetconv.layer.cpu.compile import Callback, compiled
from threetconv.layer.cpu.simd import four_zeros, sixteen_zeros, width_of
from threetconv.layer.cpu.simd_memory import number, put, store
from threetconv.layer.cpu.warp_coordinates import MARGIN, by_transforms, dot_of, read
from threetconv.layer.cpu.work_order import filled_at, next_share, order_at, piece_done, task_of

__all__ = ["backward_any", "forward_any"]

FEW = 4  # so many input channels (a stem's three, or depthwise) are done in rows of four


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
    (_, inputs, _, height, width), (first, last) = sizes, wanted
    n, area, wide, lanes = taps[0].shape[0], height * width, width + 2 * MARGIN, width_of(nil)
    inner, size = positions(height, width, n, lanes), slice_size(height, width, lanes)
    start, length = max(first, 1), (last - first) * area
    tile = np.zeros(2 * size, k1.dtype)
    step, one_step = (last - start) * area + BLOCK, area + BLOCK
    built, firsts = np.zeros(lanes * step, k1.dtype), np.zeros(lanes * one_step, k1.dtype)
    cells, places = np.empty(last * n, np.int32), np.empty(last * 8 * n, k1.dtype)
    turns = np.empty(2 * last, k1.dtype)
    for o in range(share[0], share[1]):
        read(transforms, o, last, taps, units, border, sizes, cells, places, turns, False)
        for begin in range(o * inputs, (o + 1) * inputs, lanes):
            count = min(lanes, (o + 1) * inputs - begin)
            copy(k1, begin * area, area, firsts, 0, one_step, count, area)
            if first == 0:
                copy(k1, begin * area, area, out, begin * length, length, count, area)
            gather(nil, firsts, one_step, inner, area, tile)
            warp(nil, tile, size, 2, last, inner, cells, places, area, wide, start, built, step)
            to = begin * length + (start - first) * area
            copy(built, 0, step, out, to, length, count, (last - start) * area)


@compiled
def _backward(
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
    (_, inputs, _, height, width), (first, last) = sizes, wanted
    n, area, wide, lanes = taps[0].shape[0], height * width, width + 2 * MARGIN, width_of(nil)
    inner, size = positions(height, width, n, lanes), slice_size(height, width, lanes)
    tile, by_tile = np.zeros(last * size, k1.dtype), np.zeros(4 * (size + 16), k1.dtype)
    length, one_step = (last - first) * area, area + BLOCK
    step = area + length + BLOCK  # first a slice of zeros, for those of which nothing is wanted
    outer, firsts = np.zeros(lanes * step, k1.dtype), np.zeros(lanes * one_step, k1.dtype)
    cells, places = np.empty(last * n, np.int32), np.empty(last * 8 * n, k1.dtype)
    turns = np.empty(2 * last, k1.dtype)
    dots = np.empty(last * 4 * n, k1.dtype)
    for o in range(share[0], share[1]):
        clear(dots, 0, last * 4 * n)
        read(transforms, o, last, taps, units, border, sizes, cells, places, turns, True)
        for begin in range(o * inputs, (o + 1) * inputs, lanes):
            count = min(lanes, (o + 1) * inputs - begin)
            if count < lanes < inputs:  # leave nothing in the lanes of channels that do not exist
                firsts[count * one_step :] = 0
                outer[count * step :] = 0
            copy(k1, begin * area, area, firsts, 0, one_step, count, area)
            copy(gradient, begin * length, length, outer, area, step, count, length)
            gather(nil, firsts, one_step, inner, area, tile)
            warp(
                nil,
                tile,
                size,
                last,
                last - 1,
                inner,
                cells,
                places,
                area,
                wide,
                last,
                outer,
                step,
            )
            back(
                nil,
                tile,
                by_tile,
                size,
                wanted,
                inner,
                cells,
                places,
                area,
                wide,
                outer,
                step,
                dots,
            )
            at = max(1 - first, 0) * area
            for tap in range(0, area, BLOCK):
                a, b, c, d = arrived(nil, by_tile, 0, inner, tap, outer, at, step)
                store(tile, number(inner, tap), a)
                store(tile, number(inner, tap + 1), b)
                store(tile, number(inner, tap + 2), c)
                store(tile, number(inner, tap + 3), d)
            scatter(nil, tile, 0, inner, area, firsts, 0, one_step)
            copy(firsts, 0, one_step, dk1, begin * area, area, count, area)
        for t in range(last - 1):
            for tap in range(area, (area + BLOCK - 1) // BLOCK * BLOCK):
                for weight in range(4):
                    put(dots, 4 * t * n + dot_of(tap) + 4 * weight, 0)
        by_transforms(dots, transforms, o, last, taps, sizes, places, turns, dtransforms)


@Callback
def forward_any(pointer: Any) -> None:
    """Fill `out`; the order's slices."""
    order, like = order_at(pointer)
    taps, units, border, sizes, wanted, k1, transforms, out = task_of(order, like)
    few, many = four_zeros(k1), sixteen_zeros(k1)
    share = next_share(order)
    while share[0] < share[1]:
        if sizes[1] <= FEW:
            _forward(few, k1, transforms, taps, units, border, sizes, wanted, share, out)
        else:
            _forward(many, k1, transforms, taps, units, border, sizes, wanted, share, out)
        piece_done(order)
        share = next_share(order)


@Callback
def backward_any(pointer: Any) -> None:
    """Fill `dk1` and `dtransforms`; the order's slices are `gradient`."""
    order, like = order_at(pointer)
    taps, units, border, sizes, wanted, k1, transforms, by = task_of(order, like)
    dk1, dt = filled_at(order, sizes, like)
    few, many = four_zeros(k1), sixteen_zeros(k1)
    share = next_share(order)
    while share[0] < share[1]:
        if sizes[1] <= FEW:
            _backward(few, k1, transforms, taps, units, border, sizes, wanted, share, by, dk1, dt)
        else:
            _backward(many, k1, transforms, taps, units, border, sizes, wanted, share, by, dk1, dt)
        piece_done(order)
        share = next_share(order)
