"""Layout of an order to the compiled kernels, declared once for its writer and its readers.

An order is an array of 64-bit integers: the counts of `threetconv.layer.cpu.openmp`, then the
fields of `Task`. Arrays are passed by address: getting one takes Python a tenth of a microsecond,
wrapping an array for numba more than ten times that, and a call has a dozen. The caller must keep
the memory alive until the order is carried out, and answers for sizes, layout and dtype, which
kernels cannot check.
"""

from __future__ import annotations

from typing import NamedTuple

from threetconv.layer.cpu.openmp import ARGUMENTS

__all__ = ["DERIVATIVES", "INDEX", "LENGTH", "Task"]


class Task(NamedTuple):
    """What to compute, and the addresses of its flat arrays, all of one dtype.

    Attributes:
        grid, grid_length: coordinates of the taps, then the units; see
            `threetconv.layer.cpu.work_order.task_of`.
        border: whether a warp reads the nearest tap outside the kernel; else it reads zeros.
        out_channels, in_channels, depth, height, width: of the whole filters.
        first, last: the slices first <= d < last are wanted.
        weight, scale, rotate, translate_x, translate_y: the first slice and the transforms.
        slices: forward: the wanted slices, to be filled; backward: the loss's derivatives by them.
        d_weight, d_scale, d_rotate, d_translate_x, d_translate_y: backward only, to be filled: the
            derivatives by the first slice and the transforms.
    """

    # the five addresses of parameters stay together, in this order: kernels index from the first
    grid: int
    grid_length: int
    border: int
    out_channels: int
    in_channels: int
    depth: int
    height: int
    width: int
    first: int
    last: int
    weight: int
    scale: int
    rotate: int
    translate_x: int
    translate_y: int
    slices: int
    d_weight: int = 0
    d_scale: int = 0
    d_rotate: int = 0
    d_translate_x: int = 0
    d_translate_y: int = 0


INDEX = {name: ARGUMENTS + i for i, name in enumerate(Task._fields)}
"""Field of `Task` -> its index in an order; compiled into the kernels as constants."""
LENGTH = ARGUMENTS + len(Task._fields)
# derivatives in the order of `build_filters`'s parameters, as autograd wants them
DERIVATIVES = tuple(name for name in Task._fields if name.startswith("d_"))
