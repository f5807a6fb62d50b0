"""Rows of numbers (`threetconv.layer.cpu.simd`) and single ones, from arrays and to arrays.

Arrays are flat, offsets count elements, and nothing is checked: that is the caller's task. Nor is
an offset asked whether it is negative, which costs more than the reading in loops as short as ours.
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

_intrinsic: Any = intrinsic  # numba passes the first argument, which a type checker would miss


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
def number(typing: Any, array: Any, offset: Any) -> Any:
    """One number."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(context, builder, signature, arguments))

    return array.dtype(array, offset), generate


@_intrinsic
def put(typing: Any, array: Any, offset: Any, number: Any) -> Any:
    """Write one number, as `number` reads it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = context.cast(builder, arguments[2], number, array.dtype)
        builder.store(value, _pointer(context, builder, signature, arguments))
        return context.get_dummy_value()

    return types.void(array, offset, number), generate


@_intrinsic
def count_up(typing: Any, array: Any, offset: Any) -> Any:
    """Add one to an integer, in one step also for other threads; what it was before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature, arguments)
        return builder.atomic_rmw("add", pointer, ir.Constant(pointer.type.pointee, 1), "seq_cst")

    return array.dtype(array, offset), generate


@_intrinsic
def load_down(typing: Any, array: Any, offset: Any, step: Any, like: Any) -> Any:
    """Numbers that are `step` apart."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, by = _pointer(context, builder, signature, arguments), arguments[2]
        by, row = context.cast(builder, by, step, types.intp), arguments[3]
        for i in range(like.width):
            row = builder.insert_element(row, builder.load(pointer), constant(i))
            pointer = builder.gep(pointer, [by])
        return row

    return like(array, offset, step, like), generate


@_intrinsic
def store_down(typing: Any, array: Any, offset: Any, step: Any, lanes: Any) -> Any:
    """Write a row as `load_down` reads it."""

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
    """A row of fours: four numbers of `array` from `offset` on, four from `step` further, ..."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, by = _pointer(context, builder, signature, arguments), arguments[2]
        by = context.cast(builder, by, step, types.intp)
        parts = []
        for _ in range(like.width // 4):
            parts.append(_load(builder, pointer, 4))
            pointer = builder.gep(pointer, [by])
        while len(parts) > 1:
            parts = [join(builder, *parts[i : i + 2]) for i in range(0, len(parts), 2)]
        return parts[0]

    return like(array, offset, step, like), generate


@_intrinsic
def store_fours(typing: Any, array: Any, offset: Any, step: Any, lanes: Any) -> Any:
    """Write a row as `load_fours` reads it."""

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
    """Write whole numbers to an array of integers."""

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
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=4)


def _store(builder: Any, pointer: Any, row: Any) -> None:
    builder.store(row, builder.bitcast(pointer, row.type.as_pointer()), align=4)
