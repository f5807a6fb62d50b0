"""Explicit SIMD vectors ("rows") as numba intrinsics.

LLVM's automatic vectorisation misses the loops that filters need (rows of nine numbers, matrices
that stay in registers) and ran at a third of the speed. These intrinsics emit vector operations
directly. A row is LLVM's <16 x float> or <16 x double> (also 4, 8 or 32 wide), which LLVM compiles
for every processor: 16 floats take one register with AVX-512, two with AVX, four with SSE or NEON.
`threetconv.layer.cpu.simd_memory` loads and stores rows.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

__all__ = [
    "add",
    "constant",
    "floor",
    "fold",
    "four_zeros",
    "join",
    "lower",
    "minus",
    "multiply",
    "multiply_add",
    "plus",
    "quarters",
    "sixteen_zeros",
    "spread",
    "subtract",
    "take",
    "times",
    "total",
    "transpose",
    "twice",
    "upper",
    "where_less",
    "width_of",
]

_FUSED = ("contract",)  # LLVM may fuse a product and a sum into one FMA, with one rounding
_INDEX = ir.IntType(32)
# numba passes the first argument of an intrinsic, the typing context; type checkers would report it
# missing from every call
_intrinsic: Any = intrinsic


class Lanes(types.Type):
    """numba's type of a row of `width` numbers of `dtype`."""

    def __init__(self, dtype: Any, width: int) -> None:
        self.dtype, self.width = dtype, width
        super().__init__(name=f"Lanes({dtype}, {width})")


# a row is passed and stored as one LLVM vector value
@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Any) -> None:
        element = manager.lookup(lanes.dtype).get_value_type()
        super().__init__(manager, lanes, ir.VectorType(element, lanes.width))


@_intrinsic
def sixteen_zeros(typing: Any, array: Any) -> Any:
    """A row of 16 zeros of the array's dtype."""
    return _zeros(array, 16)


@_intrinsic
def four_zeros(typing: Any, array: Any) -> Any:
    """A row of 4 zeros of the array's dtype."""
    return _zeros(array, 4)


def _zeros(array: Any, width: int) -> Any:
    lanes = Lanes(array.dtype, width)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(context.get_value_type(lanes), None)

    return lanes(array), generate


@_intrinsic
def width_of(typing: Any, lanes: Any) -> Any:
    """How many numbers a row holds."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.get_constant(types.intp, lanes.width)

    return types.intp(lanes), generate


@_intrinsic
def multiply_add(typing: Any, sum_: Any, factor: Any, lanes: Any) -> Any:
    """sum + factor * lanes, where the factor is a scalar."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        before, number, row = arguments
        number = context.cast(builder, number, factor, lanes.dtype)
        product = builder.fmul(_spread(builder, number, row.type), row, flags=_FUSED)
        return builder.fadd(before, product, flags=_FUSED)

    return lanes(sum_, factor, lanes), generate


def _each(operation: str, *, fused: bool) -> Any:
    """An elementwise operation; without `fused`, each one is rounded separately (no FMA)."""
    flags = _FUSED if fused else ()

    def of_two(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, operation)(*arguments, flags=flags)

        return a(a, b), generate

    return _intrinsic(of_two)


# sampling coordinates use the unfused three: they must round as torch does, because the side of a
# grid node on which a coordinate falls decides the derivative there
add, subtract, multiply = (_each(name, fused=True) for name in ("fadd", "fsub", "fmul"))
plus, minus, times = (_each(name, fused=False) for name in ("fadd", "fsub", "fmul"))


@_intrinsic
def spread(typing: Any, number: Any, like: Any) -> Any:
    """A row with one number in every element."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = context.cast(builder, arguments[0], number, like.dtype)
        return _spread(builder, value, arguments[1].type)

    return like(number, like), generate


@_intrinsic
def where_less(typing: Any, a: Any, b: Any, then: Any, otherwise: Any) -> Any:
    """`then` where a < b, else `otherwise`; `otherwise` too where a or b is NaN."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # "ordered" comparisons are false for NaN
        less = builder.fcmp_ordered("<", *arguments[:2])
        return builder.select(less, *arguments[2:])

    return then(a, b, then, otherwise), generate


@_intrinsic
def floor(typing: Any, lanes: Any) -> Any:
    """The largest integer not above each element."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (row,) = arguments
        # llvmlite has no method for this LLVM intrinsic
        name = f"llvm.floor.v{lanes.width}f{lanes.dtype.bitwidth}"
        kind = ir.FunctionType(row.type, [row.type])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [row])

    return lanes(lanes), generate


@_intrinsic
def transpose(typing: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Transpose every 4 x 4 block of four rows.

    The first result holds the first elements of every four of a, b, c and d, the second result the
    second elements, and so on.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_tuple(
            builder, signature.return_type, _transpose(builder, arguments, a.width)
        )

    return types.UniTuple(a, 4)(a, b, c, d), generate


@_intrinsic
def twice(typing: Any, lanes: Any) -> Any:
    """A row of double width that holds the row twice."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return join(builder, arguments[0], arguments[0])

    return Lanes(lanes.dtype, 2 * lanes.width)(lanes), generate


@_intrinsic
def fold(typing: Any, pair: Any) -> Any:
    """The sum of a row's two halves."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _fold(builder, arguments[0])

    return Lanes(pair.dtype, pair.width // 2)(pair), generate


def _spread_two(first: int) -> Any:
    def of_four(typing: Any, four: Any, like: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            half = like.width // 2
            return take(builder, arguments[0], [first] * half + [first + 1] * half)

        return like(four, like), generate

    return _intrinsic(of_four)


# A row as wide as `like` from the four weights of a tap: `upper` has the upper left weight in its
# first half and the upper right one in its second half, `lower` has the lower two.
upper, lower = _spread_two(0), _spread_two(2)


@_intrinsic
def quarters(typing: Any, ab: Any, cd: Any) -> Any:
    """A row of 16: four partial sums of each half of `ab`, then of each half of `cd`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # pairwise summation of four half rows down to four elements each; two are joined for every
        # addition, to fill the registers
        half = ab.width // 2
        parts = [take(builder, row, range(i, i + half)) for row in arguments for i in (0, half)]
        while half > 4:
            half //= 2
            pairs = [join(builder, *parts[i : i + 2]) for i in (0, 2)]
            low, high = [*range(half), *range(2 * half, 3 * half)], half
            sums = [
                builder.fadd(take(builder, pair, low), take(builder, pair, [i + high for i in low]))
                for pair in pairs
            ]
            parts = [take(builder, row, range(i, i + half)) for row in sums for i in (0, half)]
        return join(builder, join(builder, *parts[:2]), join(builder, *parts[2:]))

    return Lanes(ab.dtype, 16)(ab, cd), generate


@_intrinsic
def total(typing: Any, lanes: Any) -> Any:
    """The sum of a row's elements, by pairwise summation."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (row,) = arguments
        while row.type.count > 1:
            row = _fold(builder, row)
        return builder.extract_element(row, constant(0))

    return lanes.dtype(lanes), generate


def constant(value: int) -> Any:
    return ir.Constant(_INDEX, value)


def take(builder: Any, row: Any, indices: Any) -> Any:
    """The elements at `indices`; an index past the row's end gives zero."""
    picked = [constant(i) for i in indices]
    mask = ir.Constant(ir.VectorType(_INDEX, len(picked)), picked)
    return builder.shuffle_vector(row, ir.Constant(row.type, None), mask)


def _spread(builder: Any, number: Any, kind: Any) -> Any:
    # LLVM's idiom for a broadcast: insert into element 0, then shuffle with indices of zero
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), number, constant(0))
    return take(builder, first, [0] * kind.count)


def _pick(builder: Any, a: Any, b: Any, indices: Any) -> Any:
    """Elements of two rows; the second's indices follow the first's."""
    picked = [constant(i) for i in indices]
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_INDEX, len(picked)), picked))


def join(builder: Any, a: Any, b: Any) -> Any:
    return _pick(builder, a, b, range(2 * a.type.count))


def _fold(builder: Any, row: Any) -> Any:
    half = row.type.count // 2
    return builder.fadd(*(take(builder, row, range(i, i + half)) for i in (0, half)))


def _transpose(builder: Any, rows: Any, width: int) -> list[Any]:
    """Transpose each 4 x 4 block of four rows, in two rounds of shuffles."""

    def both(a: Any, b: Any, pattern: tuple[int, ...]) -> Any:
        """Shuffle within every four: pattern indices 0 to 3 mean a's elements, 4 to 7 b's."""
        indices = [four + i % 4 + width * (i // 4) for four in range(0, width, 4) for i in pattern]
        return _pick(builder, a, b, indices)

    a, b, c, d = rows
    # first round: ab = a0 b0 a1 b1, ab_ = a2 b2 a3 b3, the same for c and d
    low, high = (0, 4, 1, 5), (2, 6, 3, 7)
    ab, cd, ab_, cd_ = both(a, b, low), both(c, d, low), both(a, b, high), both(c, d, high)
    # second round: a0 b0 c0 d0, then a1 b1 c1 d1, ...
    first, second = (0, 1, 4, 5), (2, 3, 6, 7)
    return [
        both(ab, cd, first),
        both(ab, cd, second),
        both(ab_, cd_, first),
        both(ab_, cd_, second),
    ]
