"""Arrays for the compiled kernels, from the addresses of their numbers.

An address costs Python a tenth of a microsecond, an array more than ten times that, and a call for
a stem's filters has a dozen. Whoever passes addresses keeps the memory alive until the call is over
and answers for its size, order and dtype: here nothing can be checked.

Arguments that the functions have in common:
    grid: the coordinates of all taps and what follows them, see `grid_of`; of the dtype of all.
    sizes: (number of output channels, number of input channels, D, H, W).
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic
from numba.np.numpy_support import carray

from threetconv.places import compiled

__all__ = ["array_at", "grid_of", "parameters_at", "slices_at"]

_intrinsic: Any = intrinsic  # numba passes the first argument, which a type checker would miss


@_intrinsic
def _pointer(typing: Any, address: Any, like: Any) -> Any:
    """A pointer to numbers of the dtype of the array `like`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(signature.return_type)
        return builder.inttoptr(arguments[0], kind)

    return types.CPointer(like.dtype)(types.uintp, like), generate


@compiled
def array_at(address: int, count: int, like: Any) -> Any:
    """A flat array of `count` numbers; its dtype is that of the array `like`."""
    return carray(_pointer(address, like), (count,))


@compiled
def grid_of(grid: Any) -> Any:
    """`taps` and `units` of `threetconv.places.read`, which lie one behind the other."""
    n = (grid.shape[0] - 4) // 2
    return (grid[:n], grid[n : 2 * n]), grid[2 * n :]


@compiled
def parameters_at(addresses: Any, sizes: Any, grid: Any) -> Any:
    """The first slice and (scale, rotate, translate_x, translate_y), at five addresses."""
    out_channels, in_channels, depth, height, width = sizes
    k1, scale, rotate, translate_x, translate_y = addresses
    count = (depth - 1) * out_channels
    transforms = (
        array_at(scale, count, grid),
        array_at(rotate, count, grid),
        array_at(translate_x, count, grid),
        array_at(translate_y, count, grid),
    )
    return array_at(k1, out_channels * in_channels * height * width, grid), transforms


@compiled
def slices_at(address: int, sizes: Any, wanted: Any, grid: Any) -> Any:
    """The slices that are `wanted`, or the derivatives by them."""
    out_channels, in_channels, _, height, width = sizes
    first, last = wanted
    return array_at(address, out_channels * in_channels * (last - first) * height * width, grid)
