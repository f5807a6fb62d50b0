"""Read orders (`threetconv.layer.cpu.order_layout`) in compiled kernels."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic
from numba.np.numpy_support import carray

from threetconv.layer.cpu.compile import compiled
from threetconv.layer.cpu.openmp import DONE, NEXT, PIECES
from threetconv.layer.cpu.order_layout import INDEX, LENGTH
from threetconv.layer.cpu.simd_memory import count_up

__all__ = ["array_at", "filled_at", "next_share", "order_at", "piece_done", "task_of"]

_GRID, _GRID_LENGTH, _BORDER = INDEX["grid"], INDEX["grid_length"], INDEX["border"]
_OUT, _IN, _DEPTH = INDEX["out_channels"], INDEX["in_channels"], INDEX["depth"]
_HEIGHT, _WIDTH = INDEX["height"], INDEX["width"]
_FIRST, _LAST, _SLICES = INDEX["first"], INDEX["last"], INDEX["slices"]
# each is the first of five addresses: of the first slice, then of the four temporal parameters
_GIVEN, _DERIVATIVES = INDEX["weight"], INDEX["d_weight"]

_intrinsic: Any = intrinsic  # for type checkers; see `threetconv.layer.cpu.simd`


@_intrinsic
def _pointer(typing: Any, address: Any, like: Any) -> Any:
    """An address as a pointer to the dtype of the array `like`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(signature.return_type)
        return builder.inttoptr(arguments[0], kind)

    return types.CPointer(like.dtype)(types.uintp, like), generate


@_intrinsic
def _integers(typing: Any, pointer: Any) -> Any:
    """A pointer recast to 64-bit integers."""
    to = types.CPointer(types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(to))

    return to(pointer), generate


@compiled
def array_at(address: int, count: int, like: Any) -> Any:
    """A flat array over `count` elements at an address, with the dtype of the array `like`."""
    return carray(_pointer(address, like), (count,))


@compiled
def order_at(pointer: Any) -> Any:
    """The order at a pointer, and an empty array of the pointer's dtype, as `like` elsewhere."""
    return carray(_integers(pointer), (LENGTH,)), carray(pointer, (0,))


@compiled
def next_share(order: Any) -> Any:
    """(start, stop), the output channels of the next piece; equal if none is left."""
    # threads take pieces by an atomic counter: no piece is taken twice
    piece, pieces, count = count_up(order, NEXT), order[PIECES], order[_OUT]
    if piece >= pieces:
        return count, count
    return count * piece // pieces, count * (piece + 1) // pieces


@compiled
def piece_done(order: Any) -> None:
    """Count a piece as done; `openmp.carry_out` checks the count."""
    count_up(order, DONE)


@compiled
def task_of(order: Any, like: Any) -> Any:
    """What is to be done, as the kernels take it. Arrays are flat and have one dtype.

    Returns:
        taps: (xs, ys), distances of all taps from the centre, in taps, row by row, (n,) each; `n`
            is H W rounded up to a multiple of 16, and NaN follows the last tap.
        halves: half the kernel's extent along x and y, then the index of the centre along x and y,
            in taps; see `threetconv.layer.affine`.
        border: whether a place outside reads the nearest tap; else it reads zero.
        sizes: (output channels, input channels, D, H, W).
        wanted: (first, last), the slices first <= d < last, 1 < last <= D.
        k1: (out, in, H W), slice 0.
        transforms: scale, rotate, translate_x, translate_y, (D - 1, out) each.
        slices: (out, in, last - first, H W), to be filled, or the loss's derivatives by them.
    """
    length, border = order[_GRID_LENGTH], order[_BORDER] != 0
    grid, n = array_at(order[_GRID], length, like), (length - 4) // 2
    sizes = (order[_OUT], order[_IN], order[_DEPTH], order[_HEIGHT], order[_WIDTH])
    wanted = (order[_FIRST], order[_LAST])
    k1, transforms = _parameters_at(order, _GIVEN, sizes, like)
    count = sizes[0] * sizes[1] * (wanted[1] - wanted[0]) * sizes[3] * sizes[4]
    slices = array_at(order[_SLICES], count, like)
    return (grid[:n], grid[n : 2 * n]), grid[2 * n :], border, sizes, wanted, k1, transforms, slices


@compiled
def filled_at(order: Any, sizes: Any, like: Any) -> Any:
    """dk1, like k1, filled; dtransforms, like transforms, filled for those before last - 1."""
    return _parameters_at(order, _DERIVATIVES, sizes, like)


@compiled
def _parameters_at(order: Any, at: int, sizes: Any, like: Any) -> Any:
    """The first slice and (scale, rotate, translate_x, translate_y), or the derivatives by them.

    Their five addresses begin at index `at` of the order.
    """
    out_channels, in_channels, depth, height, width = sizes
    count = (depth - 1) * out_channels
    transforms = (
        array_at(order[at + 1], count, like),
        array_at(order[at + 2], count, like),
        array_at(order[at + 3], count, like),
        array_at(order[at + 4], count, like),
    )
    return array_at(order[at], out_channels * in_channels * height * width, like), transforms
