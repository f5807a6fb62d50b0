"""Orders for the compiled kernels: what to build and where its numbers are, as 64-bit integers.

An address costs Python a tenth of a microsecond, an array more than ten times that, and a call for
a stem's filters has a dozen. Whoever gives an order keeps the memory alive until it is carried out
and answers for its size, order and dtype: here nothing can be checked.

After the numbers that `threetconv.layer.cpu.openmp` counts pieces with, an order holds, in this
sequence (all numbers it points to are of one dtype, all arrays flat):
    grid: address and length of the coordinates of all taps and what follows them, see `task_of`.
    border: see `threetconv.layer.cpu.warp_coordinates.read`.
    sizes: number of output channels, number of input channels, D, H, W.
    wanted: (first, last), the slices first <= d < last.
    given: addresses of the first slice and of scale, rotate, translate_x, translate_y.
    slices: address of the slices that are wanted, to be filled, or of the derivatives by them.
    filled: backward only: addresses of the derivatives by what is given.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic
from numba.np.numpy_support import carray

from threetconv.layer.cpu.compile import compiled
from threetconv.layer.cpu.openmp import ARGUMENTS, DONE, NEXT, PIECES
from threetconv.layer.cpu.simd_memory import count_up

__all__ = ["array_at", "filled_at", "next_share", "order_at", "piece_done", "task_of"]

_SLICES, _FILLED = ARGUMENTS + 15, ARGUMENTS + 16
_LENGTH = ARGUMENTS + 21

_intrinsic: Any = intrinsic  # numba passes the first argument, which a type checker would miss


@_intrinsic
def _pointer(typing: Any, address: Any, like: Any) -> Any:
    """A pointer to numbers of the dtype of the array `like`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(signature.return_type)
        return builder.inttoptr(arguments[0], kind)

    return types.CPointer(like.dtype)(types.uintp, like), generate


@_intrinsic
def _integers(typing: Any, pointer: Any) -> Any:
    """The same address, of 64-bit integers."""
    to = types.CPointer(types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(to))

    return to(pointer), generate


@compiled
def array_at(address: int, count: int, like: Any) -> Any:
    """A flat array of `count` numbers; its dtype is that of the array `like`."""
    return carray(_pointer(address, like), (count,))


@compiled
def order_at(pointer: Any) -> Any:
    """The order at a pointer, and no numbers of the dtype that the pointer promises."""
    return carray(_integers(pointer), (_LENGTH,)), carray(pointer, (0,))


@compiled
def next_share(order: Any) -> Any:
    """(start, stop), the output channels of the next piece; nothing is left if they are equal."""
    piece, pieces, count = count_up(order, NEXT), order[PIECES], order[ARGUMENTS + 3]
    if piece >= pieces:
        return count, count
    return count * piece // pieces, count * (piece + 1) // pieces


@compiled
def piece_done(order: Any) -> None:
    """Say that a piece is done."""
    count_up(order, DONE)


@compiled
def task_of(order: Any, like: Any) -> Any:
    """taps, units, border, sizes, wanted, k1, transforms and the slices: see `any_size`.

    `taps` and `units` (`threetconv.layer.cpu.warp_coordinates.read`) lie one behind the other.
    """
    a = ARGUMENTS
    length, border = order[a + 1], order[a + 2] != 0
    grid, n = array_at(order[a], length, like), (length - 4) // 2
    sizes = (order[a + 3], order[a + 4], order[a + 5], order[a + 6], order[a + 7])
    wanted = (order[a + 8], order[a + 9])
    k1, transforms = _parameters_at(order, a + 10, sizes, like)
    count = sizes[0] * sizes[1] * (wanted[1] - wanted[0]) * sizes[3] * sizes[4]
    slices = array_at(order[_SLICES], count, like)
    return (grid[:n], grid[n : 2 * n]), grid[2 * n :], border, sizes, wanted, k1, transforms, slices


@compiled
def filled_at(order: Any, sizes: Any, like: Any) -> Any:
    """dk1 and dtransforms: see `any_size`."""
    return _parameters_at(order, _FILLED, sizes, like)


@compiled
def _parameters_at(order: Any, at: int, sizes: Any, like: Any) -> Any:
    """The first slice and (scale, rotate, translate_x, translate_y); five addresses are at `at`."""
    out_channels, in_channels, depth, height, width = sizes
    count = (depth - 1) * out_channels
    transforms = (
        array_at(order[at + 1], count, like),
        array_at(order[at + 2], count, like),
        array_at(order[at + 3], count, like),
        array_at(order[at + 4], count, like),
    )
    return array_at(order[at], out_channels * in_channels * height * width, like), transforms
