"""Rows of numbers in vector registers, for the kernels that numba compiles.

numba leaves it to LLVM to find vectors in loops, and it does not find those that filters need (rows
of nine numbers, nine-row matrices that stay in registers): it ran at a third of the speed. Here the
kernel says what it means. A row is LLVM's <16 x float> or <16 x double> (or 4 instead of 16), which
every processor can run: one register with AVX-512, two with AVX, four with SSE or NEON.

Arrays are flat, offsets count elements, and nothing is checked: that is the caller's task.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

__all__ = [
    "add",
    "four_zeros",
    "load",
    "load_nine",
    "multiply",
    "multiply_add",
    "sixteen_zeros",
    "store",
    "store_nine",
    "subtract",
    "total",
    "width_of",
]

_FUSED = ("contract",)  # a product and the sum with it may be rounded once instead of twice
_INDEX = ir.IntType(32)
_intrinsic: Any = intrinsic  # numba passes the first argument, which a type checker would miss


class Lanes(types.Type):
    """numba's type of a row of `width` numbers of `dtype`."""

    def __init__(self, dtype: Any, width: int) -> None:
        self.dtype, self.width = dtype, width
        super().__init__(name=f"Lanes({dtype}, {width})")


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
def load(typing: Any, array: Any, offset: Any, like: Any) -> Any:
    """As many numbers of `array` from `offset` on as the row `like` has."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(builder, _pointer(context, builder, signature, arguments), like.width)

    return like(array, offset, like), generate


@_intrinsic
def store(typing: Any, array: Any, offset: Any, lanes: Any) -> Any:
    """Write a row to `array` from `offset` on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _store(builder, _pointer(context, builder, signature, arguments), arguments[2])
        return context.get_dummy_value()

    return types.void(array, offset, lanes), generate


@_intrinsic
def load_nine(typing: Any, array: Any, offset: Any) -> Any:
    """The nine numbers of `array` from `offset` on, then seven zeros; reads no further."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature, arguments)
        row = _take(builder, _load(builder, pointer, 8), [*range(8), *[8] * 8])
        ninth = builder.load(builder.gep(pointer, [_number(8)]))
        return builder.insert_element(row, ninth, _number(8))

    return Lanes(array.dtype, 16)(array, offset), generate


@_intrinsic
def store_nine(typing: Any, array: Any, offset: Any, lanes: Any) -> Any:
    """Write the first nine numbers of a row."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, row = _pointer(context, builder, signature, arguments), arguments[2]
        _store(builder, pointer, _take(builder, row, range(8)))
        ninth = builder.extract_element(row, _number(8))
        builder.store(ninth, builder.gep(pointer, [_number(8)]))
        return context.get_dummy_value()

    return types.void(array, offset, lanes), generate


@_intrinsic
def multiply_add(typing: Any, sum_: Any, factor: Any, lanes: Any) -> Any:
    """sum + factor * lanes, the factor being one number."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        before, number, row = arguments
        number = context.cast(builder, number, factor, lanes.dtype)
        first = builder.insert_element(ir.Constant(row.type, ir.Undefined), number, _number(0))
        product = builder.fmul(_take(builder, first, [0] * lanes.width), row, flags=_FUSED)
        return builder.fadd(before, product, flags=_FUSED)

    return lanes(sum_, factor, lanes), generate


@_intrinsic
def add(typing: Any, a: Any, b: Any) -> Any:
    """a + b."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fadd(*arguments, flags=_FUSED)

    return a(a, b), generate


@_intrinsic
def subtract(typing: Any, a: Any, b: Any) -> Any:
    """a - b."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fsub(*arguments, flags=_FUSED)

    return a(a, b), generate


@_intrinsic
def multiply(typing: Any, a: Any, b: Any) -> Any:
    """a * b, number by number."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fmul(*arguments, flags=_FUSED)

    return a(a, b), generate


@_intrinsic
def total(typing: Any, lanes: Any) -> Any:
    """The sum of a row's numbers, by halves."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (row,) = arguments
        half = lanes.width
        while half > 1:
            half //= 2
            low, high = (_take(builder, row, range(i, i + half)) for i in (0, half))
            row = builder.fadd(low, high)
        return builder.extract_element(row, _number(0))

    return lanes.dtype(lanes), generate


def _number(value: int) -> Any:
    return ir.Constant(_INDEX, value)


def _take(builder: Any, row: Any, indices: Any) -> Any:
    """The numbers at `indices`; an index past the row's end gives a zero."""
    picked = [_number(i) for i in indices]
    mask = ir.Constant(ir.VectorType(_INDEX, len(picked)), picked)
    return builder.shuffle_vector(row, ir.Constant(row.type, None), mask)


def _pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Pointer to element `arguments[1]` of array `arguments[0]`."""
    array_type, offset_type = signature.args[:2]
    offset = context.cast(builder, arguments[1], offset_type, types.intp)
    data = context.make_array(array_type)(context, builder, arguments[0]).data
    return builder.gep(data, [offset])


def _load(builder: Any, pointer: Any, count: int) -> Any:
    kind = ir.VectorType(pointer.type.pointee, count)
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=4)


def _store(builder: Any, pointer: Any, row: Any) -> None:
    builder.store(row, builder.bitcast(pointer, row.type.as_pointer()), align=4)
