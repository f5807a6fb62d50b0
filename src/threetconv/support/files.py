"""Files appear whole or not at all: written beside their place, then renamed."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

__all__ = [
    "atomic",
    "read_parquet",
    "remove_leftovers",
    "typed",
    "write_parquet",
    "write_tensors",
    "write_text",
]


_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}(\.\w+)?")  # what `atomic` calls them


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to `path` when the block succeeds.

    A killed or failing writer leaves the old file (or none) and no half-written one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; give this one the mode that `open` would (the mask can only
        # be read by setting it)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: str | Path) -> None:
    """Delete temporary files that killed writers left; for folders in which nobody else writes."""
    for path in Path(folder).glob(".*"):
        if _TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_tensors(tensors: Mapping[str, Any], path: str | Path) -> None:
    """Write torch tensors (of any memory order), or numpy arrays, as safetensors, atomically.

    The library's own `save_file` writes to a file of its own naming beside the one that it is told,
    and leaves it there when it is killed.
    """
    with atomic(path) as temporary:
        if all(isinstance(value, np.ndarray) for value in tensors.values()):
            from safetensors.numpy import save as as_bytes

            temporary.write_bytes(as_bytes(dict(tensors)))
        else:
            from safetensors.torch import save  # torch only where there are tensors

            temporary.write_bytes(save({k: v.contiguous() for k, v in tensors.items()}))


def write_parquet(frame: pd.DataFrame, path: str | Path, schema: pa.Schema) -> None:
    """Write a table as zstd Parquet, atomically, with exactly the columns and types of `schema`.

    A column in which nothing is known keeps its type, and so does one of a table without rows.

    Raises:
        ValueError: for a column that is missing or too many, or a value that is not of its type.
    """
    try:
        table = _as_arrow(frame, schema)
    except (ValueError, TypeError) as error:  # ArrowInvalid is a ValueError
        raise ValueError(f"{path}: {error}") from error
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def typed(frame: pd.DataFrame, schema: pa.Schema) -> pd.DataFrame:
    """A table as it will be read back after `write_parquet`; errors as there."""
    return _as_arrow(frame, schema).to_pandas()


def _as_arrow(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    missing = [name for name in schema.names if name not in frame.columns]
    extra = [str(name) for name in frame.columns if name not in schema.names]
    if missing or extra:
        raise ValueError(f"columns missing: {missing}, columns not in the schema: {extra}")
    table = pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)
    return table.replace_schema_metadata(None)  # no pandas version in the bytes


def read_parquet(path: str | Path, **options: Any) -> pd.DataFrame:
    """Read one Parquet file without inferring partitions from its path."""
    return pq.read_table(path, partitioning=None, **options).to_pandas()
