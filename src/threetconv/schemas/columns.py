"""How a table's columns are declared: name, type, what they hold, unit."""

from __future__ import annotations

import pyarrow as pa

__all__ = ["FLAG", "INDEX", "NUMBER", "SHORT", "SINGLE", "TEXT", "WHOLE", "column", "with_prefix"]

TEXT, FLAG = pa.string(), pa.bool_()
WHOLE, INDEX, SHORT = pa.int64(), pa.int32(), pa.int16()
NUMBER, SINGLE = pa.float64(), pa.float32()


def column(name: str, kind: pa.DataType, about: str, unit: str = "") -> pa.Field:
    """A column; `about` and `unit` travel in the file as metadata (description, unit)."""
    words = {"description": about} | ({"unit": unit} if unit else {})
    return pa.field(name, kind, metadata=words)


def with_prefix(prefix: str, columns: list[pa.Field], suffix: str) -> list[pa.Field]:
    """The same columns once more, of what `prefix` says; `suffix` ends the names."""
    found = []
    for field in columns:
        # arrow keeps metadata as bytes
        words = {key.decode(): value.decode() for key, value in field.metadata.items()}
        about = prefix + words["description"]
        found.append(column(field.name + suffix, field.type, about, words.get("unit", "")))
    return found
