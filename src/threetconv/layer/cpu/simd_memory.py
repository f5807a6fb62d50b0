"""Load and store rows (`threetconv.layer.cpu.simd`) and scalars, as numba intrinsics.

Arrays are flat and offsets count elements. Nothing is checked: the caller answers for bounds.
Offsets must not be negative: numba's own indexing tests for that, which in loops this short costs
more than the load itself.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from threetconv.layer.cpu.simd import constant, join, take

__all__ = [
    "count_up",
    "load",
    "load_down",
    "load_fours",
    "number",
    "put",
    "store",
    "store_down",
    "store_fours",
    "store_whole",
]

_intrinsic: Any = intrinsic  # for type checkers; see `threetconv.layer.cpu.simd`


@_intrinsic
def load(typing: Any, array: Any, offset: Any, like: Any) -> Any:
    """A row as wide as `like`, from `offset` of `array` on."""

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
def number(typing: Any, array: Any, offset: Any) -> Any:
    """One element."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(context, builder, signature, arguments))

    return array.dtype(array, offset), generate


@_intrinsic
def put(typing: Any, array: Any, offset: Any, number: Any) -> Any:
    """Write one element."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # callers may pass a Python 0, whose type is an integer
        value = context.cast(builder, arguments[2], number, array.dtype)
        builder.store(value, _pointer(context, builder, signature, arguments))
        return context.get_dummy_value()

    return types.void(array, offset, number), generate


@_intrinsic
def count_up(typing: Any, array: Any, offset: Any) -> Any:
    """Atomically add one to an integer; returns its value before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature, arguments)
        return builder.atomic_rmw("add", pointer, ir.Constant(pointer.type.pointee, 1), "seq_cst")

    return array.dtype(array, offset), generate


@_intrinsic
def load_down(typing: Any, array: Any, offset: Any, step: Any, like: Any) -> Any:
    """A row of elements that are `step` apart, such as a matrix column."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, by = _pointer(context, builder, signature, arguments), arguments[2]
        by, row = context.cast(builder, by, step, types.intp), arguments[3]
        # one element at a time: not every processor has gather instructions
        for i in range(like.width):
            row = builder.insert_element(row, builder.load(pointer), constant(i))
            pointer = builder.gep(pointer, [by])
        return row

    return like(array, offset, step, like), generate


@_intrinsic
def store_down(typing: Any, array: Any, offset: Any, step: Any, lanes: Any) -> Any:
    """Write a row to elements that are `step` apart; inverse of `load_down`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, by = _pointer(context, builder, signature, arguments), arguments[2]
        by = context.cast(builder, by, step, types.intp)
        for i in range(lanes.width):
            builder.store(builder.extract_element(arguments[3], constant(i)), pointer)
            pointer = builder.gep(pointer, [by])
        return context.get_dummy_value()

    return types.void(array, offset, step, lanes), generate


@_intrinsic
def load_fours(typing: Any, array: Any, offset: Any, step: Any, like: Any) -> Any:
    """A row of fours: four elements from `offset` on, four from `offset + step` on, ..."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, by = _pointer(context, builder, signature, arguments), arguments[2]
        by = context.cast(builder, by, step, types.intp)
        parts = []
        for _ in range(like.width // 4):
            parts.append(_load(builder, pointer, 4))
            pointer = builder.gep(pointer, [by])
        # joined pairwise, as LLVM shuffles two vectors of equal width
        while len(parts) > 1:
            parts = [join(builder, *parts[i : i + 2]) for i in range(0, len(parts), 2)]
        return parts[0]

    return like(array, offset, step, like), generate


@_intrinsic
def store_fours(typing: Any, array: Any, offset: Any, step: Any, lanes: Any) -> Any:
    """Write a row by fours that are `step` apart; inverse of `load_fours`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, (by, row) = _pointer(context, builder, signature, arguments), arguments[2:]
        by = context.cast(builder, by, step, types.intp)
        for start in range(0, lanes.width, 4):
            _store(builder, pointer, take(builder, row, range(start, start + 4)))
            pointer = builder.gep(pointer, [by])
        return context.get_dummy_value()

    return types.void(array, offset, step, lanes), generate


@_intrinsic
def store_whole(typing: Any, array: Any, offset: Any, lanes: Any) -> Any:
    """Convert a row of whole-valued floats and write it to an array of integers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, row = _pointer(context, builder, signature, arguments), arguments[2]
        kind = ir.VectorType(pointer.type.pointee, lanes.width)
        _store(builder, pointer, builder.fptosi(row, kind))
        return context.get_dummy_value()

    return types.void(array, offset, lanes), generate


def _pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Pointer to element `arguments[1]` of array `arguments[0]`."""
    array_type, offset_type = signature.args[:2]
    offset = context.cast(builder, arguments[1], offset_type, types.intp)
    data = context.make_array(array_type)(context, builder, arguments[0]).data
    return builder.gep(data, [offset])


def _load(builder: Any, pointer: Any, count: int) -> Any:
    kind = ir.VectorType(pointer.type.pointee, count)
    # rows begin at any element; without `align` LLVM assumes the vector's own alignment and may
    # emit instructions that fault
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=4)


def _store(builder: Any, pointer: Any, row: Any) -> None:
    builder.store(row, builder.bitcast(pointer, row.type.as_pointer()), align=4)
